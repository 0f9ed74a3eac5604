// What the verbs that ask a service have in common: which one, with which key, and how it ends.
//
// The service: --server, else AIRLOCK_SERVER, else where `airlock serve` would listen by its
// variables. The key: --api-key-file, else AIRLOCK_API_KEY; never on a command line, which others
// can see.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "client/transfer.h"
#include "config/values.h"

namespace airlock::apps {

struct ClientFlags {
  std::string server;
  std::string api_key_file;
  std::string ca_file;
  bool json = false;
};

void add_client_flags(CLI::App& app, ClientFlags& flags);
base::Result<client::ClientOptions> make_client_options(const ClientFlags& flags,
                                                        const config::Environment& environment);

// " --server URL", to be added to commands that are suggested; empty if none was named.
std::string same_server(const ClientFlags& flags);

// An exit code, if the command line is wrong or only wanted help. From here on a pipe that nobody
// reads any more is an error of write(2).
std::optional<int> parse_verb(CLI::App& app, std::string_view verb,
                              const std::vector<std::string>& words);

// kExitUsage for what was asked wrongly, kExitNo for what is not there, else kExitFailed.
int exit_code_of(const base::Error& error);
// Prints it, too.
int end_with(const base::Error& error);

// A whole text to stdout, at once; an exit code.
int print_whole(std::string_view text);
// JSON of a service as one line that no terminal obeys. It has been parsed before.
std::string json_line(std::string_view text);

}  // namespace airlock::apps
