// The statement: what a receipt says about one job, as canonical JSON (docs/receipt.md).
//
// An in-toto Statement v1. Its subject is the result manifest: a JSON text of its own, which
// lists the outputs with their digests and how the job ended, and is made for a failed job, too.
// The manifest is also in the predicate, so that a receipt can be checked with nothing else at
// hand. Pure functions of the record and of the facts beside it. Values of environment variables
// are never in a receipt: they may be secrets.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "model/job.h"
#include "receipt/contract_hashes.h"
#include "receipt/signing_key.h"

namespace airlock::receipt {

inline constexpr std::string_view kStatementType = "https://in-toto.io/Statement/v1";
inline constexpr std::string_view kPredicateType = "urn:airlock:receipt:v1";
// The manifest's name among the outputs, where it is written last: with it they are complete.
inline constexpr std::string_view kManifestName = "airlock-manifest.json";

// Inputs, and as much of outputs, as JSON: with both the statement still fits into an envelope.
inline constexpr base::ByteCount kArtifactListBytesMax = base::mebibytes(16);

// kLimitExceeded for inputs or outputs whose names are too long, or too many, to be in a receipt.
base::Status check_artifact_list(const std::vector<model::ArtifactDigest>& files);

// What a statement says and a JobRecord does not hold.
struct StatementFacts {
  std::string runner_id;
  std::string previous;  // digest of the runner's receipt before this one; empty: it is the first
  std::map<std::string, std::vector<std::string>> commands;  // argv by phase: "prep", ...
  bool prep_sees_input = false;
  std::optional<ContractHashes> contract;
};

// Canonical JSON. Outputs are sorted by path.
std::string make_manifest(const model::JobRecord& record);

// Canonical JSON; `key` is the one that will sign it.
std::string make_statement(const model::JobRecord& record, const StatementFacts& facts,
                           const PublicKey& key);

struct SignedReceipt {
  std::string envelope;
  std::string digest;  // of the envelope: `previous` of the next receipt
};

base::Result<SignedReceipt> make_receipt(const model::JobRecord& record,
                                         const StatementFacts& facts, const SigningKey& key);

// "2026-01-30T12:00:00.123456Z": always six digits.
std::string utc_time(model::WallTime time);

}  // namespace airlock::receipt
