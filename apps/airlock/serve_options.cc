#include "apps/airlock/serve_options.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "base/units.h"
#include "model/isolation.h"

namespace airlock::apps {
namespace {

constexpr std::string_view kDefaultListen = "http://127.0.0.1:8088";
constexpr const char* kFooter =
    "\nEvery option has a variable: --api-key-file is AIRLOCK_API_KEY_FILE. The key itself can be "
    "in\n"
    "AIRLOCK_API_KEY. AMON_SANDBOX_HOST, _PORT, _API_KEY, _MAX_CONCURRENCY are understood, too.\n\n"
    "Examples:\n"
    "  airlock serve\n"
    "  curl -sd '{\"language\":\"python\",\"code\":\"print(6*7)\"}' \\\n"
    "    -H 'Content-Type: application/json' http://127.0.0.1:8088/v1/run\n";

struct Texts {
  std::vector<std::string> listen;
  std::string api_key_file;
  std::string wait_max;
};

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

base::Status refuse(std::string message, std::string hint = {}) {
  return base::fail(base::ErrorCode::kInvalidArgument, std::move(message), std::move(hint));
}

void add_options(CLI::App& app, ServeOptions& options, Texts& texts) {
  app.add_option("--listen", texts.listen, "Where to listen; repeatable [http://127.0.0.1:8088]")
      ->type_name("URL")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->envname("AIRLOCK_LISTEN");
  app.add_option("--api-key-file", texts.api_key_file,
                 "A file with the key that clients have to send")
      ->type_name("FILE")
      ->envname("AIRLOCK_API_KEY_FILE");
  app.add_option("--state-dir", options.state_directory, "Where large workspaces are kept")
      ->type_name("DIR")
      ->envname("AIRLOCK_STATE_DIR");
  app.add_option("--user", options.user,
                 "As root: the user that the service runs as [one of its own]")
      ->type_name("NAME")
      ->envname("AIRLOCK_USER");
  app.add_option("--allow-tier", options.allow_tier,
                 "Serve even where no namespaces can be had: process")
      ->type_name("TIER")
      ->check(CLI::IsMember({std::string(model::kTierProcess)}))
      ->envname("AIRLOCK_ALLOW_TIER");
  app.add_option("--slots", options.slots, "Runs at once [twice the processors, at least 4]")
      ->type_name("N")
      ->check(CLI::Range(1u, kSlotsMax))
      ->envname("AIRLOCK_SLOTS");
  app.add_option("--waiting", options.waiting_max, "Requests that may wait for a slot [256]")
      ->type_name("N")
      ->check(CLI::Range(0u, kWaitingMax))
      ->envname("AIRLOCK_WAITING");
  app.add_option("--wait", texts.wait_max, "How long one may wait [10s]")
      ->type_name("TIME")
      ->envname("AIRLOCK_WAIT");
  app.add_option("--parked", options.parked_max, "Sandboxes kept ready at most [as many as slots]")
      ->type_name("N")
      ->check(CLI::Range(0u, kSlotsMax))
      ->envname("AIRLOCK_PARKED");
}

base::Status check_key(const std::string& key, const std::string& where) {
  if (key.size() < kApiKeyBytesMin || key.size() > kApiKeyBytesMax) {
    return refuse("the key in " + where + " has " + std::to_string(key.size()) +
                      " bytes; it needs " + std::to_string(kApiKeyBytesMin) + " to " +
                      std::to_string(kApiKeyBytesMax),
                  "make one: openssl rand -hex 32");
  }
  const bool printable = std::ranges::all_of(key, [](char c) { return c > ' ' && c < 127; });
  if (!printable) return refuse("the key in " + where + " has characters that no header can carry");
  return {};
}

base::Status take_key(const Texts& texts, KeyFrom key_from, ServeOptions& options) {
  if (!texts.api_key_file.empty() && key_from == KeyFrom::kAnywhere) {
    const base::UniqueFd file(::open(texts.api_key_file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid()) return base::fail_errno("--api-key-file " + texts.api_key_file);
    AIRLOCK_ASSIGN(options.api_key, read_key_from(file.get(), texts.api_key_file));
    return {};
  }
  for (const char* const name : {"AIRLOCK_API_KEY", "AMON_SANDBOX_API_KEY"}) {
    options.api_key = variable(name);
    if (!options.api_key.empty()) return check_key(options.api_key, name);
  }
  return {};
}

// What Amon's variables say, or the default.
std::string fallback_url() {
  const std::string host = variable("AMON_SANDBOX_HOST");
  const std::string port = variable("AMON_SANDBOX_PORT");
  if (host.empty() && port.empty()) return std::string(kDefaultListen);
  const std::string named = host.empty() ? "127.0.0.1" : host;
  const bool is_v6 = named.find(':') != std::string::npos;
  return "http://" + (is_v6 ? "[" + named + "]" : named) + ":" + (port.empty() ? "8088" : port);
}

base::Status take_listen(const Texts& given, ServeOptions& options) {
  std::vector<std::string> urls = given.listen;
  if (urls.empty()) urls.push_back(fallback_url());
  for (const std::string& url : urls) {
    AIRLOCK_ASSIGN(ListenAddress address, parse_listen_address(url));
    options.listen.push_back(std::move(address));
  }
  return {};
}

base::Status take_slots(ServeOptions& options) {
  const std::string amon = variable("AMON_SANDBOX_MAX_CONCURRENCY");
  if (options.slots != 0 || amon.empty()) return {};
  const auto parsed = std::from_chars(amon.data(), amon.data() + amon.size(), options.slots);
  const bool whole = parsed.ec == std::errc() && parsed.ptr == amon.data() + amon.size();
  if (!whole || options.slots < 1 || options.slots > kSlotsMax) {
    return refuse("AMON_SANDBOX_MAX_CONCURRENCY is a number from 1 to " +
                  std::to_string(kSlotsMax) + ", not \"" + amon + "\"");
  }
  return {};
}

bool asks_for_help(const std::vector<std::string>& words) {
  return std::ranges::any_of(
      words, [](const std::string& word) { return word == "--help" || word == "-h"; });
}

}  // namespace

base::Result<std::string> read_key_from(int fd, const std::string& where) {
  std::array<char, kApiKeyBytesMax + 2> text;
  const ssize_t count = ::read(fd, text.data(), text.size());
  if (count < 0) return base::fail_errno("read the key in " + where);
  std::string key(text.data(), static_cast<std::size_t>(count));
  while (!key.empty() && (key.back() == '\n' || key.back() == '\r')) key.pop_back();
  AIRLOCK_TRY(check_key(key, where));
  return key;
}

base::Result<ListenAddress> default_listen_address() {
  const std::string own = variable("AIRLOCK_LISTEN");
  return parse_listen_address(own.empty() ? fallback_url() : own.substr(0, own.find(',')));
}

base::Result<std::variant<ServeOptions, ServeHelp>> parse_serve_options(
    std::vector<std::string> words, KeyFrom key_from) {
  ServeOptions options;
  Texts texts;
  CLI::App app("Serves runs over HTTP until it is told to end.", "airlock serve");
  app.set_help_flag();
  app.footer(kFooter);
  add_options(app, options, texts);
  if (asks_for_help(words)) { return std::variant<ServeOptions, ServeHelp>(ServeHelp{app.help()}); }
  std::ranges::reverse(words);
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    return base::fail(base::ErrorCode::kInvalidArgument, error.what(), "see airlock serve --help");
  }
  AIRLOCK_TRY(take_key(texts, key_from, options));
  AIRLOCK_TRY(take_listen(texts, options));
  AIRLOCK_TRY(take_slots(options));
  if (!texts.wait_max.empty()) {
    AIRLOCK_ASSIGN(options.wait_max, base::parse_duration(texts.wait_max).with_context("--wait"));
  }
  return std::variant<ServeOptions, ServeHelp>(std::move(options));
}

}  // namespace airlock::apps
