#include "apps/airlock/health.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include "apps/airlock/exit_codes.h"
#include "apps/airlock/listen_address.h"
#include "apps/airlock/parse_words.h"
#include "apps/airlock/print.h"
#include "apps/airlock/serve_options.h"

namespace airlock::apps {
namespace {

constexpr timeval kPatience = {3, 0};  // for each step: connect, send, every piece of the answer
constexpr std::size_t kAnswerBytesMax = 64 * 1024;

base::Result<std::string> ask(const ListenAddress& address, std::string_view path) {
  AIRLOCK_ASSIGN(const base::UniqueFd socket, connect_to(address, kPatience));
  const std::string request =
      "GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) != std::ssize(request)) {
    return base::fail_errno("send");
  }
  std::string answer;
  std::array<char, 4096> buffer;
  for (ssize_t count = 1; count > 0 && answer.size() < kAnswerBytesMax;) {
    count = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (count < 0) return base::fail_errno("no answer");
    answer.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return answer;
}

}  // namespace

int health_verb(const std::vector<std::string>& words) {
  std::string url;
  bool ready = false;
  CLI::App app("Asks a service whether it is well; the exit status says it.", "airlock health");
  app.add_option("URL", url, "Of the service [where `airlock serve` would listen]")->type_name("");
  app.add_flag("--ready", ready, "Whether it can run programs, and not only answer");
  if (const auto code = parse_words(app, "health", words)) return *code;
  auto address =
      url.empty() ? default_listen_address(config::own_environment()) : parse_listen_address(url);
  if (!address) {
    print_error(address.error());
    return kExitUsage;
  }
  address->host = reachable_host(address->host);
  const auto answer = ask(*address, ready ? "/ready" : "/health");
  if (!answer) {
    print_error(answer.error());
    return 1;
  }
  const std::size_t body = answer->find("\r\n\r\n");
  if (body != std::string::npos) (void)std::fputs(answer->c_str() + body + 4, stdout);
  return answer->starts_with("HTTP/1.1 200 ") ? 0 : 1;
}

}  // namespace airlock::apps
