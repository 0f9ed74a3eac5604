#include "receipt/verify.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "receipt/canonical_json.h"
#include "receipt/digest.h"
#include "receipt/envelope.h"
#include "receipt/test_receipt.h"

namespace airlock::receipt {
namespace {

std::string envelope_after(const std::string& previous, char key = 'k',
                           const std::string& id = "job_0123456789ab") {
  model::JobRecord record = test_record();
  record.id = id;
  StatementFacts facts = test_facts();
  facts.previous = previous;
  return make_receipt(record, facts, test_key(key))->envelope;
}

Receipt receipt_after(const std::string& previous, char key = 'k',
                      const std::string& id = "job_0123456789ab") {
  return std::move(*verify_receipt(envelope_after(previous, key, id), std::nullopt));
}

std::string refusal_of(std::string_view text) {
  const auto receipt = verify_receipt(text, test_key().public_key());
  return receipt.has_value() ? "" : receipt.error().message;
}

TEST(VerifyTest, AReceiptIsBelievedWithAndWithoutAPinnedKey) {
  const std::string envelope = envelope_after("");
  const auto pinned = verify_receipt(envelope, test_key().public_key());
  ASSERT_TRUE(pinned.has_value()) << pinned.error().message;
  EXPECT_TRUE(pinned->pinned);
  EXPECT_EQ(pinned->outputs.size(), 2u);
  EXPECT_EQ(pinned->outputs[0].path, "a.txt");
  EXPECT_EQ(pinned->challenge, "nonce-42");
  const auto open = verify_receipt(envelope + "\n", std::nullopt);
  ASSERT_TRUE(open.has_value());
  EXPECT_FALSE(open->pinned);
  EXPECT_EQ(open->signer, test_key().public_key());
  EXPECT_EQ(open->digest, pinned->digest);
}

TEST(VerifyTest, AnotherKeyIsNotTheSigner) {
  const auto receipt = verify_receipt(envelope_after(""), test_key('x').public_key());
  ASSERT_FALSE(receipt.has_value());
  EXPECT_TRUE(receipt.error().message.starts_with("signed by another key: "));
}

// Every bit of every byte, and every byte left out or doubled.
TEST(VerifyTest, AnyChangedByteFails) {
  const std::string good = envelope_after("");
  ASSERT_EQ(refusal_of(good), "");
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    EXPECT_NE(refusal_of(bad), "") << "byte " << i;
    bad = good;
    bad.erase(i, 1);
    EXPECT_NE(refusal_of(bad), "") << "without byte " << i;
  }
  for (int bit = 0; bit < 8; ++bit) {
    for (std::size_t i = good.size() - 300; i < good.size(); ++i) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      EXPECT_NE(refusal_of(bad), "") << "byte " << i << " bit " << bit;
    }
  }
}

TEST(VerifyTest, AnythingAddedFails) {
  const std::string good = envelope_after("");
  for (const std::string& bad :
       {good + " ", good + "\n\n", " " + good, good + good, good + "\r\n", good + std::string(1, 0),
        "{\"a\":0," + good.substr(1), good.substr(0, good.size() - 1) + ",\"z\":0}"}) {
    EXPECT_NE(refusal_of(bad), "");
  }
}

// Signed by the right key, and yet no receipt.
TEST(VerifyTest, AStatementOfAnotherShapeIsRefused) {
  const std::string good = make_statement(test_record(), test_facts(), test_key().public_key());
  const auto signed_with = [&](const std::string& from, const std::string& to) {
    std::string payload = good;
    const std::size_t at = payload.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    payload.replace(at, from.size(), to);
    return refusal_of(*sign_envelope(payload, test_key()));
  };
  EXPECT_EQ(signed_with("job_0123456789ab\",\"logs", "job_0123456789ab\",\"logs"), "");
  EXPECT_NE(signed_with(std::string(kPredicateType), "urn:other:v1"), "");
  EXPECT_NE(signed_with("in-toto.io/Statement/v1", "in-toto.io/Statement/v2"), "");
  EXPECT_NE(signed_with("\"state\":\"completed\"", "\"state\":\"failed\""), "");
  EXPECT_NE(signed_with("\"subject\":[", "\"subject\":[{},"), "");
  EXPECT_NE(signed_with("\"previous\":", "\"previous\": "), "");
  EXPECT_NE(signed_with("\"previous\":", "\"previout\":"), "");
  EXPECT_NE(signed_with("\"public_key\":\"", "\"public_key\":\"A"), "");
  EXPECT_NE(refusal_of(*sign_envelope("[]", test_key())), "");
  EXPECT_NE(refusal_of(*sign_envelope("", test_key())), "");
}

// A key that somebody else wrote into a receipt is theirs, whatever the ids say.
TEST(VerifyTest, AKeyInTheReceiptIsTheOneThatSigned) {
  const std::string foreign =
      make_statement(test_record(), test_facts(), test_key('x').public_key());
  EXPECT_FALSE(verify_receipt(*sign_envelope(foreign, test_key()), std::nullopt).has_value());
}

TEST(ChainTest, ReceiptsAreOrderedByWhatTheyFollow) {
  const Receipt first = receipt_after("");
  const Receipt second = receipt_after(first.digest);
  const Receipt third = receipt_after(second.digest);
  const std::vector<Receipt> mixed = {third, first, second};
  const Chain chain = find_chain(mixed);
  EXPECT_EQ(chain.order, (std::vector<std::size_t>{1, 2, 0}));
  EXPECT_EQ(chain.parts, 1u);
  EXPECT_TRUE(chain.forks.empty());
  EXPECT_TRUE(chain.one_signer);
}

TEST(ChainTest, AMissingReceiptBreaksTheChain) {
  const Receipt first = receipt_after("");
  const Receipt second = receipt_after(first.digest);
  const std::vector<Receipt> broken = {receipt_after(second.digest), first};
  EXPECT_EQ(find_chain(broken).parts, 2u);
  EXPECT_EQ(find_chain(broken).order.size(), 2u);
}

TEST(ChainTest, TwoReceiptsInOnePlaceAreAFork) {
  const Receipt first = receipt_after("");
  const std::vector<Receipt> forked = {first, receipt_after(first.digest),
                                       receipt_after(first.digest, 'k', "job_ffffffffffff")};
  const Chain chain = find_chain(forked);
  ASSERT_EQ(chain.forks.size(), 1u);
  EXPECT_EQ(chain.forks[0], (std::pair<std::size_t, std::size_t>{1, 2}));
  EXPECT_EQ(chain.order.size(), 3u);
}

TEST(ChainTest, TwoRunnersHaveChainsOfTheirOwn) {
  const std::vector<Receipt> two = {receipt_after("", 'k'), receipt_after("", 'x')};
  const Chain chain = find_chain(two);
  EXPECT_TRUE(chain.forks.empty());
  EXPECT_EQ(chain.parts, 2u);
  EXPECT_FALSE(chain.one_signer);
}

TEST(ChainTest, TheSameReceiptTwiceIsNoFork) {
  const Receipt first = receipt_after("");
  const Chain chain = find_chain(std::vector<Receipt>{first, first});
  EXPECT_TRUE(chain.forks.empty());
  EXPECT_EQ(chain.parts, 1u);
}

TEST(ContractTest, HashesAreComputedAgain) {
  const Receipt receipt = receipt_after("");
  EXPECT_TRUE(check_contract_hashes(receipt, "done\n").has_value());
  EXPECT_FALSE(check_contract_hashes(receipt, "done").has_value());
  Receipt without = receipt_after("");
  without.predicate["contract_hashes"] = nullptr;
  EXPECT_EQ(check_contract_hashes(without, "").error().code, base::ErrorCode::kNotFound);
}

}  // namespace
}  // namespace airlock::receipt
