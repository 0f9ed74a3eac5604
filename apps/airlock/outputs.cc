#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <filesystem>

#include "apps/airlock/client_options.h"
#include "apps/airlock/exit_codes.h"
#include "apps/airlock/interrupt_watch.h"
#include "apps/airlock/job_verbs.h"
#include "apps/airlock/print.h"
#include "apps/airlock/table.h"
#include "artifact/beneath.h"
#include "artifact/digest.h"
#include "artifact/names.h"
#include "base/ids.h"
#include "base/units.h"
#include "client/job_client.h"
#include "client/json_fields.h"
#include "receipt/digest.h"

namespace airlock::apps {
namespace {

struct OutputsOptions {
  ClientFlags client;
  std::string job;
  std::vector<std::string> paths;
  std::string folder;
  std::string receipt;
};

struct Output {
  std::string path;
  std::uint64_t size = 0;
  std::string sha256;
};

base::Status write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno("write");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

// What the command line names and cannot be used: that is wrong with the command line.
std::unexpected<base::Error> refuse_folder(const std::string& path) {
  base::Error error = base::errno_error("open the folder " + path);
  error.code = base::ErrorCode::kInvalidArgument;
  return base::fail(std::move(error));
}

base::Result<base::UniqueFd> open_folder(const std::string& path) {
  std::error_code failed;
  std::filesystem::create_directories(path, failed);
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return refuse_folder(path);
  return fd;
}

bool is_wanted(const std::string& path, const std::vector<std::string>& wanted) {
  return wanted.empty() || std::ranges::any_of(wanted, [&](const std::string& name) {
           return path == name ||
                  (name.ends_with('/') ? path.starts_with(name) : path.starts_with(name + "/"));
         });
}

std::vector<Output> outputs_of(const boost::json::object& job) {
  std::vector<Output> outputs;
  for (const boost::json::value& item : client::array_of(job, "outputs")) {
    const auto* const output = item.if_object();
    if (output == nullptr) continue;
    outputs.push_back({.path = client::text_of(*output, "path"),
                       .size = client::count_of(*output, "size"),
                       .sha256 = client::text_of(*output, "sha256")});
  }
  return outputs;
}

// Under a temporary name until it is known to be what the record says.
base::Status fetch(const client::JobClient& client, const std::string& job, const Output& output,
                   int folder_fd) {
  AIRLOCK_TRY(artifact::check_relative_path(output.path));
  if (!receipt::is_sha256_hex(output.sha256)) {
    return base::fail(base::ErrorCode::kProtocol, "the record has no digest of it");
  }
  base::SystemRandom random;
  AIRLOCK_ASSIGN(
      artifact::PendingFile file,
      artifact::PendingFile::create(folder_fd, output.path, random, artifact::Sync::kNone));
  artifact::Hasher digest(artifact::Hasher::Kind::kSha256);
  std::uint64_t size = 0;
  AIRLOCK_TRY(client.output(job, output.path, [&](std::string_view piece) -> base::Status {
    size += piece.size();
    if (size > output.size) {
      return base::fail(base::ErrorCode::kProtocol, "it is larger than the record says");
    }
    digest.update(piece);
    return write_all(file.fd(), piece);
  }));
  if (size != output.size || artifact::to_hex(digest.finish()) != output.sha256) {
    return base::fail(base::ErrorCode::kProtocol, "it is not what the record says: other content");
  }
  return file.publish();
}

int say_there_are_none() {
  print_line("the job has no outputs");
  return 0;
}

base::Result<int> fetch_all(const client::JobClient& client, const OutputsOptions& options,
                            const std::vector<Output>& outputs) {
  AIRLOCK_ASSIGN(const base::UniqueFd folder, open_folder(options.folder));
  if (outputs.empty()) return say_there_are_none();
  std::uint64_t bytes = 0;
  std::size_t fetched = 0;
  for (const Output& output : outputs) {
    const base::Status status = fetch(client, options.job, output, folder.get());
    if (!status && status.error().code == base::ErrorCode::kCancelled) return kExitCancelled;
    if (!status) {
      print_error(output.path, status.error());
      continue;
    }
    ++fetched;
    bytes += output.size;
  }
  print_line(std::to_string(fetched) + (fetched == 1 ? " file" : " files") + " in " +
             options.folder + ", " + base::format_byte_count(base::ByteCount(bytes)) +
             ", with the digests of the record");
  return fetched == outputs.size() ? 0 : kExitNo;
}

base::Status save_receipt(const client::JobClient& client, const OutputsOptions& options) {
  AIRLOCK_ASSIGN(const std::string text, client.receipt(options.job));
  const std::filesystem::path path(options.receipt);
  const std::string parent = path.has_parent_path() ? path.parent_path().string() : ".";
  base::UniqueFd folder(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return refuse_folder(parent);
  const std::string name = path.filename().string();
  AIRLOCK_TRY(artifact::check_relative_path(name).with_context("--receipt"));
  base::SystemRandom random;
  AIRLOCK_ASSIGN(artifact::PendingFile file,
                 artifact::PendingFile::create(folder.get(), name, random, artifact::Sync::kNone));
  AIRLOCK_TRY(write_all(file.fd(), text));
  AIRLOCK_TRY(file.publish());
  print_line("the receipt is in " + options.receipt + "; airlock verify " + options.receipt +
             " checks it");
  return {};
}

base::Result<int> list(const std::vector<Output>& outputs) {
  Table table({{"SIZE", true}, {"SHA256"}, {"PATH"}});
  constexpr std::size_t kDigestShown = 16;
  for (const Output& output : outputs) {
    table.add({base::format_byte_count(base::ByteCount(output.size)),
               output.sha256.substr(0, kDigestShown), output.path});
  }
  if (table.empty()) return say_there_are_none();
  return print_whole(table.text(terminal_columns(STDOUT_FILENO)));
}

base::Result<int> outputs(const OutputsOptions& options) {
  AIRLOCK_ASSIGN(client::ClientOptions service,
                 make_client_options(options.client, config::own_environment()));
  // What is half written has to be taken away again.
  AIRLOCK_ASSIGN(const InterruptWatch watch, InterruptWatch::open());
  service.interrupted = [&watch] { return watch.interrupted(); };
  const client::JobClient client(std::move(service));
  AIRLOCK_ASSIGN(const client::JsonAnswer answer, client.job(options.job));
  if (!options.receipt.empty()) {
    AIRLOCK_TRY(save_receipt(client, options));
    if (options.folder.empty()) return 0;
  }
  if (options.folder.empty() && options.client.json) {
    boost::json::object listed{{"job_id", client::text_of(answer.object, "job_id")},
                               {"status", client::text_of(answer.object, "status")},
                               {"outputs", client::array_of(answer.object, "outputs")}};
    return print_whole(json_line(boost::json::serialize(listed)));
  }
  std::vector<Output> all = outputs_of(answer.object);
  for (const std::string& wanted : options.paths) {
    if (std::ranges::none_of(
            all, [&](const Output& output) { return is_wanted(output.path, {wanted}); })) {
      return base::fail(base::ErrorCode::kNotFound, "the job has no output " + wanted,
                        "airlock outputs " + options.job + " lists them");
    }
  }
  std::erase_if(all, [&](const Output& output) { return !is_wanted(output.path, options.paths); });
  if (options.folder.empty()) return list(all);
  return fetch_all(client, options, all);
}

}  // namespace

int outputs_verb(const std::vector<std::string>& words) {
  OutputsOptions options;
  CLI::App app("Lists what a job gave back, or fetches it.", "airlock outputs");
  app.add_option("JOB", options.job, "Its id")->required()->type_name("");
  app.add_option("PATH", options.paths, "Only these files, or what is in these folders")
      ->type_name("");
  app.add_option("-o,--output", options.folder, "Fetch them into this folder")->type_name("DIR");
  app.add_option("--receipt", options.receipt, "Save the job's receipt, for airlock verify")
      ->type_name("FILE");
  add_client_flags(app, options.client);
  if (const auto code = parse_verb(app, "outputs", words)) return *code;
  const auto code = outputs(options);
  return code ? *code : end_with(code.error());
}

}  // namespace airlock::apps
