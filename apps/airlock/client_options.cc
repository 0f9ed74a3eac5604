#include "apps/airlock/client_options.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

#include "apps/airlock/exit_codes.h"
#include "apps/airlock/listen_address.h"
#include "apps/airlock/parse_words.h"
#include "apps/airlock/print.h"
#include "apps/airlock/serve_options.h"
#include "artifact/curl_functions.h"
#include "base/unique_fd.h"

namespace airlock::apps {
namespace {

constexpr std::string_view kServerVariable = "AIRLOCK_SERVER";
constexpr std::string_view kKeyVariable = "AIRLOCK_API_KEY";

std::string value_of(const config::Environment& environment, std::string_view name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

base::Result<client::ServerUrl> find_server(const ClientFlags& flags,
                                            const config::Environment& environment) {
  if (!flags.server.empty()) return client::parse_server_url(flags.server).with_context("--server");
  if (const std::string url = value_of(environment, kServerVariable); !url.empty()) {
    return client::parse_server_url(url).with_context(kServerVariable);
  }
  AIRLOCK_ASSIGN(const ListenAddress address, default_listen_address(environment));
  const std::string host = reachable_host(address.host);
  const bool v6 = host.find(':') != std::string::npos;
  return client::parse_server_url("http://" + (v6 ? "[" + host + "]" : host) + ":" +
                                  std::to_string(address.port));
}

// A file that the command line names and that cannot be used: the command line is wrong.
std::unexpected<base::Error> refuse_file(const std::string& path) {
  base::Error error = base::errno_error("open " + path);
  error.code = base::ErrorCode::kInvalidArgument;
  return base::fail(std::move(error));
}

base::Result<std::string> find_key(const ClientFlags& flags,
                                   const config::Environment& environment) {
  if (!flags.api_key_file.empty()) {
    const base::UniqueFd file(::open(flags.api_key_file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!file.valid()) return refuse_file(flags.api_key_file);
    return read_key_from(file.get(), flags.api_key_file);
  }
  std::string key = value_of(environment, kKeyVariable);
  const bool fits = key.size() <= kApiKeyBytesMax &&
                    std::ranges::all_of(key, [](char c) { return c > 0x20 && c < 0x7f; });
  if (!fits) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      std::string(kKeyVariable) + " holds no key: it has blanks, or is too long");
  }
  return key;
}

}  // namespace

void add_client_flags(CLI::App& app, ClientFlags& flags) {
  app.add_option("--server", flags.server,
                 "Of the service [AIRLOCK_SERVER, or where `airlock serve` would listen]")
      ->type_name("URL");
  app.add_option("--api-key-file", flags.api_key_file, "The key to send [AIRLOCK_API_KEY]")
      ->type_name("FILE");
  app.add_option("--ca-file", flags.ca_file, "Certificates of authorities to trust for https")
      ->type_name("FILE");
  app.add_flag("--json", flags.json, "What the service answers, as JSON");
}

base::Result<client::ClientOptions> make_client_options(const ClientFlags& flags,
                                                        const config::Environment& environment) {
  client::ClientOptions options;
  AIRLOCK_ASSIGN(options.server, find_server(flags, environment));
  AIRLOCK_ASSIGN(options.api_key, find_key(flags, environment));
  options.ca_file = flags.ca_file;
  if (!flags.ca_file.empty() && ::access(flags.ca_file.c_str(), R_OK) != 0) {
    return refuse_file(flags.ca_file);
  }
  AIRLOCK_ASSIGN(options.curl, artifact::load_curl());
  return options;
}

std::string same_server(const ClientFlags& flags) {
  return flags.server.empty() ? "" : " --server " + flags.server;
}

std::optional<int> parse_verb(CLI::App& app, std::string_view verb,
                              const std::vector<std::string>& words) {
  // TLS writes to sockets without a flag against it, and who pipes into `head` is no crash.
  (void)std::signal(SIGPIPE, SIG_IGN);
  return parse_words(app, verb, words);
}

int exit_code_of(const base::Error& error) {
  switch (error.code) {
    case base::ErrorCode::kInvalidArgument: return kExitUsage;
    case base::ErrorCode::kNotFound: return kExitNo;
    default: return kExitFailed;
  }
}

int end_with(const base::Error& error) {
  print_error(error);
  return exit_code_of(error);
}

int print_whole(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  return written && std::fflush(stdout) == 0 ? 0 : kExitFailed;
}

std::string json_line(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string line;
  line.reserve(text.size() + 1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : '\0');
    const bool c1 = byte == 0xc2 && next >= 0x80 && next < 0xa0;
    const unsigned code = c1 ? next : byte;
    if (c1 || byte == 0x7f) {
      line.append("\\u00").append({kDigits[code >> 4], kDigits[code & 0xf]});
      i += c1 ? 1 : 0;
    } else if (byte >= 0x20) {  // others stand between the values only
      line += text[i];
    }
  }
  line += '\n';
  return line;
}

}  // namespace airlock::apps
