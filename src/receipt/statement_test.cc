#include "receipt/statement.h"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <fstream>
#include <sstream>

#include "receipt/canonical_json.h"
#include "receipt/digest.h"
#include "receipt/test_receipt.h"
#include "receipt/verify.h"

namespace airlock::receipt {
namespace {

std::string statement_of(const model::JobRecord& record) {
  return make_statement(record, test_facts(), test_key().public_key());
}

// The text of the value at a place, text without its quotes.
std::string said(std::string_view statement, std::string_view pointer) {
  const boost::json::value value = boost::json::parse(statement);
  const boost::json::value& found = value.at_pointer(pointer);
  return found.is_string() ? std::string(found.get_string()) : canonical_json(found);
}

TEST(StatementTest, IsCanonicalAndOfTheFormOfInToto) {
  const std::string text = statement_of(test_record());
  EXPECT_TRUE(parse_canonical_json(text, "statement").has_value());
  EXPECT_EQ(said(text, "/_type"), kStatementType);
  EXPECT_EQ(said(text, "/predicateType"), kPredicateType);
  EXPECT_EQ(said(text, "/subject/0/name"), kManifestName);
  EXPECT_EQ(said(text, "/subject/0/digest/sha256"), sha256_hex(make_manifest(test_record())));
  EXPECT_EQ(said(text, "/predicate/manifest"), make_manifest(test_record()));
}

TEST(StatementTest, SaysWhatRanWhereAndWhatItReached) {
  const std::string text = statement_of(test_record());
  const auto in_predicate = [&text](std::string_view pointer) {
    return said(text, "/predicate" + std::string(pointer));
  };
  EXPECT_EQ(in_predicate("/source/commit"), std::string(40, 'c'));
  EXPECT_EQ(in_predicate("/job/challenge"), "nonce-42");
  EXPECT_EQ(in_predicate("/previous"), std::string(64, '0'));
  EXPECT_EQ(in_predicate("/seal/sealed_at"), "2026-01-30T12:00:04.000000Z");
  EXPECT_EQ(in_predicate("/seal/processes_killed"), "2");
  EXPECT_EQ(in_predicate("/phases/0/denied/0/what"), "ptrace");
  EXPECT_EQ(in_predicate("/phases/1/isolation/network"), "none");
  EXPECT_EQ(in_predicate("/phases/1/command"),
            R"(["python3","inference.py","--phase","inference"])");
  EXPECT_EQ(in_predicate("/phases/1/usage/wall_us"), "2500000");
  EXPECT_EQ(in_predicate("/egress/1/reason"), "not in the allow-list");
  EXPECT_EQ(in_predicate("/runner/key_id"), test_key().public_key().id());
  EXPECT_EQ(in_predicate("/inputs/seen_in_prep"), "false");
  EXPECT_EQ(in_predicate("/contract_hashes/timestamp"), "2026-01-30T12:00:09");
}

TEST(StatementTest, ValuesOfTheEnvironmentStayOut) {
  const std::string text = statement_of(test_record());
  EXPECT_EQ(text.find("a secret"), std::string::npos);
  EXPECT_NE(text.find("\"environment\":[\"SEED\",\"TOKEN\"]"), std::string::npos);
}

TEST(StatementTest, TheOrderOfOutputsChangesNothing) {
  model::JobRecord record = test_record();
  std::swap(record.outputs[0], record.outputs[1]);
  EXPECT_EQ(make_manifest(record), make_manifest(test_record()));
}

TEST(StatementTest, AJobThatNeverStartedHasOne) {
  model::JobRecord record;
  record.id = "job_000000000000";
  record.state = model::JobState::kFailed;
  record.error_code = "clone_failed";
  record.error_message = "Git clone failed: \xff no such repository";
  const auto receipt = make_receipt(record, {}, test_key());
  ASSERT_TRUE(receipt.has_value());
  const auto verified = verify_receipt(receipt->envelope, test_key().public_key());
  ASSERT_TRUE(verified.has_value()) << verified.error().message;
  EXPECT_EQ(verified->previous, "");
  EXPECT_EQ(verified->challenge, "");
  EXPECT_TRUE(verified->outputs.empty());
  EXPECT_EQ(said(verified->manifest, "/error_message"),
            "Git clone failed: \\xff no such repository");
  EXPECT_TRUE(verified->predicate.at("contract_hashes").is_null());
}

// A guest chooses the names: what they cost most is a byte that is no UTF-8.
TEST(StatementTest, ListsAtTheirLimitFitIntoAnEnvelope) {
  const auto files = [](std::size_t count) {
    return std::vector<model::ArtifactDigest>(
        count, {std::string(4'000, '\xff'), base::ByteCount(1), std::string(64, 'a')});
  };
  std::size_t most = 0;
  for (std::size_t step = 1'024; step > 0; step /= 2) {
    if (check_artifact_list(files(most + step))) most += step;
  }
  EXPECT_GT(most, 100u);
  EXPECT_EQ(check_artifact_list(files(most + 1)).error().code, base::ErrorCode::kLimitExceeded);
  model::JobRecord record = test_record();
  record.inputs = record.outputs = files(most);
  EXPECT_TRUE(make_receipt(record, test_facts(), test_key()).has_value());
}

// tests/blackbox checks the same file with another implementation.
TEST(StatementTest, TheCommittedReceiptIsMadeFromTheSameFacts) {
  const auto receipt = make_receipt(test_record(), test_facts(), test_key());
  ASSERT_TRUE(receipt.has_value());
  std::ostringstream committed;
  committed << std::ifstream(AIRLOCK_TEST_SOURCE_DIR "/tests/blackbox/data/receipt.json").rdbuf();
  EXPECT_EQ(receipt->envelope + "\n", committed.str()) << receipt->envelope;
  EXPECT_EQ(receipt->digest, sha256_hex(receipt->envelope));
}

}  // namespace
}  // namespace airlock::receipt
