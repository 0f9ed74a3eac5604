#include "receipt/verify.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <map>
#include <utility>

#include "receipt/canonical_json.h"
#include "receipt/digest.h"
#include "receipt/envelope.h"
#include "receipt/statement.h"

namespace airlock::receipt {
namespace {

using boost::json::object;
using boost::json::value;

std::unexpected<base::Error> refuse(std::string message) {
  return base::fail(base::ErrorCode::kProtocol, std::move(message));
}

base::Result<const object*> object_at(const object& parent, std::string_view key) {
  const value* const found = parent.if_contains(key);
  if (found == nullptr || !found->is_object()) {
    return refuse("the statement has no object \"" + std::string(key) + "\"");
  }
  return &found->get_object();
}

base::Result<std::string> text_at(const object& parent, std::string_view key) {
  const value* const found = parent.if_contains(key);
  if (found == nullptr || !found->is_string()) {
    return refuse("the statement has no text \"" + std::string(key) + "\"");
  }
  return std::string(found->get_string());
}

// Null is an empty text.
base::Result<std::string> optional_text_at(const object& parent, std::string_view key) {
  const value* const found = parent.if_contains(key);
  if (found != nullptr && found->is_null()) return std::string();
  return text_at(parent, key);
}

base::Result<std::string> subject_digest(const object& statement) {
  const value* const subjects = statement.if_contains("subject");
  if (subjects == nullptr || !subjects->is_array() || subjects->get_array().size() != 1 ||
      !subjects->get_array().front().is_object()) {
    return refuse("the statement must have exactly one subject");
  }
  const object& subject = subjects->get_array().front().get_object();
  AIRLOCK_ASSIGN(const std::string name, text_at(subject, "name"));
  if (name != kManifestName) return refuse("the subject is not the result manifest");
  AIRLOCK_ASSIGN(const object* digest, object_at(subject, "digest"));
  return text_at(*digest, "sha256");
}

// What decides which key a receipt asks to be checked with. Believed by nobody yet.
base::Result<PublicKey> named_key(const object& predicate, const std::string& key_id) {
  AIRLOCK_ASSIGN(const object* runner, object_at(predicate, "runner"));
  AIRLOCK_ASSIGN(const std::string text, text_at(*runner, "public_key"));
  AIRLOCK_ASSIGN(const std::string raw, decode_base64(text).with_context("the runner's key"));
  AIRLOCK_ASSIGN(PublicKey key, PublicKey::from_raw(raw));
  AIRLOCK_ASSIGN(const std::string named_id, text_at(*runner, "key_id"));
  if (named_id != key.id() || key_id != named_id) {
    return refuse("the ids of the key do not belong to the key");
  }
  return key;
}

base::Result<model::ArtifactDigest> read_artifact(const value& item) {
  const object* const file = item.if_object();
  if (file == nullptr) return refuse("an output of the manifest is not an object");
  const value* const size = file->if_contains("size");
  if (size == nullptr || !size->is_int64() || size->get_int64() < 0) {
    return refuse("an output of the manifest has no size");
  }
  model::ArtifactDigest artifact;
  AIRLOCK_ASSIGN(artifact.path, text_at(*file, "path"));
  AIRLOCK_ASSIGN(artifact.sha256, text_at(*file, "sha256"));
  if (artifact.path.find('\0') != std::string::npos) return refuse("an output has no name");
  artifact.size = base::ByteCount(static_cast<std::uint64_t>(size->get_int64()));
  return artifact;
}

base::Result<std::vector<model::ArtifactDigest>> read_outputs(const object& manifest) {
  const value* const list = manifest.if_contains("outputs");
  if (list == nullptr || !list->is_array()) return refuse("the manifest has no outputs");
  std::vector<model::ArtifactDigest> outputs;
  for (const value& item : list->get_array()) {
    AIRLOCK_ASSIGN(model::ArtifactDigest artifact, read_artifact(item));
    outputs.push_back(std::move(artifact));
  }
  return outputs;
}

base::Status check_types(const object& statement) {
  AIRLOCK_ASSIGN(const std::string type, text_at(statement, "_type"));
  AIRLOCK_ASSIGN(const std::string predicate_type, text_at(statement, "predicateType"));
  if (type != kStatementType || predicate_type != kPredicateType) {
    return refuse("not a receipt of Airlock: " + predicate_type.substr(0, 64));
  }
  return {};
}

}  // namespace

base::Result<Receipt> verify_receipt(std::string_view text,
                                     const std::optional<PublicKey>& pinned) {
  text = without_newline(text);
  AIRLOCK_ASSIGN(const Envelope envelope, parse_envelope(text));
  if (pinned && pinned->id() != envelope.key_id) {
    return base::fail(base::ErrorCode::kPermissionDenied,
                      "signed by another key: " + envelope.key_id + ", not " + pinned->id());
  }
  AIRLOCK_ASSIGN(value parsed, parse_canonical_json(envelope.payload, "the statement"));
  if (!parsed.is_object()) return refuse("the statement is not an object");
  const object& statement = parsed.get_object();
  AIRLOCK_TRY(check_types(statement));
  AIRLOCK_ASSIGN(const object* predicate, object_at(statement, "predicate"));
  AIRLOCK_ASSIGN(PublicKey key, named_key(*predicate, envelope.key_id));
  const std::string message = pre_authentication_encoding(envelope.payload_type, envelope.payload);
  if (!key.verifies(message, envelope.signature)) {
    return base::fail(base::ErrorCode::kPermissionDenied,
                      "the signature does not belong to this receipt");
  }
  Receipt receipt{.predicate = {},
                  .manifest = {},
                  .outputs = {},
                  .digest = sha256_hex(text),
                  .previous = {},
                  .challenge = {},
                  .signer = key,
                  .pinned = pinned.has_value()};
  AIRLOCK_ASSIGN(const object* manifest, object_at(*predicate, "manifest"));
  AIRLOCK_ASSIGN(const std::string digest, subject_digest(statement));
  receipt.manifest = canonical_json(*manifest);
  if (sha256_hex(receipt.manifest) != digest) {
    return refuse("the subject is not the digest of the manifest");
  }
  AIRLOCK_ASSIGN(receipt.outputs, read_outputs(*manifest));
  AIRLOCK_ASSIGN(const object* job, object_at(*predicate, "job"));
  AIRLOCK_ASSIGN(receipt.challenge, optional_text_at(*job, "challenge"));
  AIRLOCK_ASSIGN(receipt.previous, optional_text_at(*predicate, "previous"));
  receipt.predicate = *predicate;
  return receipt;
}

Chain find_chain(std::span<const Receipt> receipts) {
  Chain chain;
  std::map<std::string, std::size_t> by_digest;
  std::map<std::string, std::size_t> follower;  // of the receipt with that digest
  for (std::size_t i = 0; i < receipts.size(); ++i) {
    chain.one_signer = chain.one_signer && receipts[i].signer == receipts[0].signer;
    if (!by_digest.emplace(receipts[i].digest, i).second) continue;  // the same file twice
    // Runners have chains of their own.
    const std::string place = receipts[i].signer.id() + receipts[i].previous;
    const auto [first, is_first] = follower.emplace(place, i);
    if (!is_first) chain.forks.emplace_back(first->second, i);
  }
  // A digest cannot name itself through others, so that every part has a beginning.
  for (const auto& [digest, i] : by_digest) {
    const auto before = by_digest.find(receipts[i].previous);
    const bool begins = before == by_digest.end() ||
                        !(receipts[before->second].signer == receipts[i].signer) ||
                        follower.at(receipts[i].signer.id() + receipts[i].previous) != i;
    if (!begins) continue;
    ++chain.parts;
    for (std::size_t at = i;;) {
      chain.order.push_back(at);
      const auto next = follower.find(receipts[at].signer.id() + receipts[at].digest);
      if (next == follower.end()) break;
      at = next->second;
    }
  }
  return chain;
}

base::Status check_contract_hashes(const Receipt& receipt, std::string_view logs) {
  const value* const found = receipt.predicate.if_contains("contract_hashes");
  if (found == nullptr || !found->is_object()) {
    return base::fail(base::ErrorCode::kNotFound, "the receipt has no contract hashes");
  }
  const object& hashes = found->get_object();
  ContractResult result;
  AIRLOCK_ASSIGN(result.job_id, text_at(hashes, "job_id"));
  AIRLOCK_ASSIGN(result.status, text_at(hashes, "status"));
  AIRLOCK_ASSIGN(result.timestamp, text_at(hashes, "timestamp"));
  AIRLOCK_ASSIGN(const std::string logs_hash, text_at(hashes, "logs_hash"));
  AIRLOCK_ASSIGN(const std::string execution_hash, text_at(hashes, "execution_hash"));
  const value* const code = hashes.if_contains("exit_code");
  if (code == nullptr || !code->is_int64() || !std::in_range<int>(code->get_int64())) {
    return refuse("the contract hashes have no exit_code");
  }
  result.exit_code = static_cast<int>(code->get_int64());
  const ContractHashes ours = hash_for_contract(std::move(result), logs);
  if (ours.logs_hash != logs_hash) return refuse("these are not the logs of the receipt");
  if (ours.execution_hash != execution_hash) return refuse("executionHash is wrong");
  return {};
}

}  // namespace airlock::receipt
