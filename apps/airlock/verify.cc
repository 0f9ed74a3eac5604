#include "apps/airlock/verify.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <optional>
#include <span>

#include "apps/airlock/exit_codes.h"
#include "apps/airlock/parse_words.h"
#include "apps/airlock/print.h"
#include "apps/airlock/receipt_text.h"
#include "apps/airlock/report_lines.h"
#include "base/unique_fd.h"
#include "receipt/envelope.h"
#include "receipt/output_check.h"
#include "receipt/verify.h"

namespace airlock::apps {
namespace {

using base::UniqueFd;
using receipt::Receipt;

constexpr int kExitNotBelieved = 1;
constexpr std::size_t kFilesMax = 10'000;

struct Options {
  std::vector<std::string> files;
  std::string key;
  std::optional<std::string> challenge;
  std::string outputs;
  std::string logs;
  bool chain = false;
  bool json = false;
};

struct Check {
  std::string name;
  bool holds = false;
  std::string text;
};

struct Verdict {
  std::string file;
  std::optional<Receipt> receipt;
  std::vector<Check> checks;
};

struct ReadFile {
  std::string text;
  receipt::FileIdentity identity;
};

base::Result<ReadFile> read_file(const std::string& path, std::uint64_t bytes_max) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  struct stat status{};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) return base::fail_errno("open " + path);
  ReadFile file{.text = {}, .identity = {.device = status.st_dev, .inode = status.st_ino}};
  std::string piece(std::size_t{64} * 1024, '\0');
  for (;;) {
    const ssize_t count = ::read(fd.get(), piece.data(), piece.size());
    if (count < 0) return base::fail_errno("read " + path);
    if (count == 0) return file;
    file.text.append(piece, 0, static_cast<std::size_t>(count));
    if (file.text.size() > bytes_max) {
      return base::fail(
          base::ErrorCode::kLimitExceeded,
          path + " is larger than " + base::format_byte_count(base::ByteCount(bytes_max)));
    }
  }
}

Check make_check(std::string name, const base::Status& status, std::string good) {
  return {std::move(name), status.has_value(),
          status.has_value() ? std::move(good) : status.error().to_string()};
}

std::string signer_text(const Receipt& receipt, const Options& options) {
  const std::string id = receipt.signer.id();
  if (receipt.pinned) return "of the key in " + options.key + ", " + id;
  return "of " + id + ", the key that the receipt itself names: the signer is not pinned (--key)";
}

std::string matching_outputs(std::size_t count, const std::string& folder) {
  return counted(count, "file", "files") + " in " + folder +
         (count == 1 ? " is that of the receipt" : " are those of the receipt");
}

Check check_outputs(const Receipt& receipt, const Options& options,
                    const std::vector<receipt::FileIdentity>& receipts) {
  const auto problems = receipt::check_outputs(receipt, options.outputs, receipts);
  if (!problems) return {"outputs", false, problems.error().to_string()};
  std::string text;
  for (const receipt::OutputProblem& problem : *problems) {
    text += (text.empty() ? "" : "; ") + problem.path + ": " + problem.reason;
  }
  return {"outputs", problems->empty(),
          problems->empty() ? matching_outputs(receipt.outputs.size(), options.outputs) : text};
}

Check check_challenge(const Receipt& receipt, const std::string& challenge) {
  const bool same = receipt.challenge == challenge;
  return {"challenge", same,
          same ? "\"" + challenge + "\"" : "the receipt answers \"" + receipt.challenge + "\""};
}

Verdict judge(const std::string& file, std::string_view text, const Options& options,
              const std::optional<receipt::PublicKey>& key,
              const std::vector<receipt::FileIdentity>& receipts, const std::string& logs) {
  Verdict verdict{.file = file, .receipt = std::nullopt, .checks = {}};
  auto verified = receipt::verify_receipt(text, key);
  if (!verified) {
    verdict.checks.push_back({"signature", false, verified.error().to_string()});
    return verdict;
  }
  verdict.receipt = std::move(*verified);
  const Receipt& receipt = *verdict.receipt;
  verdict.checks.push_back({"signature", true, signer_text(receipt, options)});
  verdict.checks.push_back({"manifest", true, "is the subject of the statement"});
  if (options.challenge) { verdict.checks.push_back(check_challenge(receipt, *options.challenge)); }
  if (!options.outputs.empty()) {
    verdict.checks.push_back(check_outputs(receipt, options, receipts));
  }
  if (!options.logs.empty()) {
    verdict.checks.push_back(make_check("logs", receipt::check_contract_hashes(receipt, logs),
                                        "logsHash and executionHash are those of the receipt"));
  }
  return verdict;
}

// Of all receipts that are believed by themselves; nothing to say about one alone.
std::optional<Check> check_chain(const std::vector<Verdict>& verdicts, bool wanted) {
  std::vector<Receipt> receipts;
  std::vector<std::string> files;
  for (const Verdict& verdict : verdicts) {
    if (!verdict.receipt) continue;
    receipts.push_back(*verdict.receipt);
    files.push_back(verdict.file);
  }
  if (receipts.size() < 2 && !wanted) return std::nullopt;
  const receipt::Chain chain = receipt::find_chain(receipts);
  if (!chain.forks.empty()) {
    const auto& [one, other] = chain.forks.front();
    return Check{"chain", false,
                 files[one] + " and " + files[other] +
                     " claim the same place: their runner has told two histories"};
  }
  if (!chain.one_signer) return Check{"chain", !wanted, "receipts of more than one key"};
  if (chain.parts > 1) {
    return Check{
        "chain", !wanted,
        "in " + std::to_string(chain.parts) + " parts: receipts between them are not here"};
  }
  const bool from_start = !receipts.empty() && receipts[chain.order.front()].previous.empty();
  return Check{"chain", !receipts.empty(),
               std::to_string(chain.order.size()) + " in a row" +
                   (from_start ? ", from the runner's first" : "")};
}

boost::json::array checks_json(const std::vector<Check>& checks) {
  boost::json::array list;
  for (const Check& check : checks) {
    list.push_back({{"name", check.name}, {"holds", check.holds}, {"detail", escaped(check.text)}});
  }
  return list;
}

void print_json(const std::vector<Verdict>& verdicts, const std::optional<Check>& chain,
                bool all_hold) {
  boost::json::array files;
  for (const Verdict& verdict : verdicts) {
    boost::json::object file{{"file", escaped(verdict.file)},
                             {"checks", checks_json(verdict.checks)}};
    if (verdict.receipt) {
      file["digest"] = verdict.receipt->digest;
      file["key_id"] = verdict.receipt->signer.id();
      file["pinned"] = verdict.receipt->pinned;
      file["receipt"] = verdict.receipt->predicate;
    }
    files.push_back(std::move(file));
  }
  boost::json::object answer{{"valid", all_hold}, {"files", std::move(files)}};
  if (chain) answer["chain"] = checks_json({*chain}).front();
  (void)std::printf("%s\n", boost::json::serialize(answer).c_str());
}

void print_checks(std::span<const Check> checks) {
  for (const Check& check : checks) {
    (void)std::printf("  %-6s %-10s %s\n", check.holds ? "ok" : "FAILED", check.name.c_str(),
                      escaped(check.text).c_str());
  }
}

void print_text(const std::vector<Verdict>& verdicts, const std::optional<Check>& chain) {
  for (const Verdict& verdict : verdicts) {
    (void)std::printf("%s\n", escaped(verdict.file).c_str());
    if (verdict.receipt) (void)std::fputs(describe_receipt(*verdict.receipt).c_str(), stdout);
    print_checks(verdict.checks);
  }
  if (chain) print_checks({&*chain, 1});
}

bool holds(const Verdict& verdict) { return std::ranges::all_of(verdict.checks, &Check::holds); }

base::Result<int> verify(const Options& options) {
  std::optional<receipt::PublicKey> key;
  if (!options.key.empty()) {
    AIRLOCK_ASSIGN(const ReadFile file, read_file(options.key, receipt::kKeyFileBytesMax));
    AIRLOCK_ASSIGN(key, receipt::PublicKey::from_pem(file.text).with_context(options.key));
  }
  std::string logs;
  if (!options.logs.empty()) {
    AIRLOCK_ASSIGN(ReadFile file, read_file(options.logs, receipt::kEnvelopeBytesMax.count()));
    logs = std::move(file.text);
  }
  std::vector<ReadFile> files;
  std::vector<receipt::FileIdentity> identities;
  for (const std::string& path : options.files) {
    AIRLOCK_ASSIGN(ReadFile file, read_file(path, receipt::kEnvelopeBytesMax.count() + 1));
    identities.push_back(file.identity);
    files.push_back(std::move(file));
  }
  std::vector<Verdict> verdicts;
  for (std::size_t i = 0; i < files.size(); ++i) {
    verdicts.push_back(judge(options.files[i], files[i].text, options, key, identities, logs));
  }
  const std::optional<Check> chain = check_chain(verdicts, options.chain);
  const bool all_hold = std::ranges::all_of(verdicts, holds) && (!chain || chain->holds);
  if (options.json) {
    print_json(verdicts, chain, all_hold);
  } else {
    print_text(verdicts, chain);
    if (!key)
      print_line("the signer is not pinned: anybody could have made such a receipt (--key)");
  }
  if (std::fflush(stdout) != 0) return base::fail_errno("write");
  return all_hold ? 0 : kExitNotBelieved;
}

void describe(CLI::App& app, Options& options) {
  app.add_option("FILE", options.files, "Receipts: what GET /v1/jobs/ID/receipt gives")
      ->required()
      ->expected(1, kFilesMax)
      ->type_name("");
  app.add_option("--key", options.key, "The public key of the runner that must have signed")
      ->type_name("FILE");
  app.add_option("--challenge", options.challenge, "What the receipt must answer")
      ->type_name("TEXT");
  app.add_option("--outputs", options.outputs, "A folder that must hold exactly the outputs")
      ->type_name("DIR");
  app.add_option("--logs", options.logs, "The logs that the contract hashes must be about")
      ->type_name("FILE");
  app.add_flag("--chain", options.chain, "The receipts must follow each other without a gap");
  app.add_flag("--json", options.json, "One object with everything in it");
}

}  // namespace

int verify_verb(const std::vector<std::string>& words) {
  Options options;
  CLI::App app("Checks receipts of jobs, and says what they say.", "airlock verify");
  describe(app, options);
  if (const auto code = parse_words(app, "verify", words)) return *code;
  if (options.files.size() > 1 && (!options.outputs.empty() || !options.logs.empty())) {
    print_line("verify: --outputs and --logs are about one receipt");
    return kExitUsage;
  }
  const auto code = verify(options);
  if (!code) {
    print_error(code.error());
    return kExitUsage;
  }
  return *code;
}

}  // namespace airlock::apps
