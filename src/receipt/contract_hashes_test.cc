#include "receipt/contract_hashes.h"

#include <gtest/gtest.h>

#include "receipt/test_receipt.h"

namespace airlock::receipt {
namespace {

ContractHashes hashes(const std::string& id, const std::string& logs, int code,
                      const std::string& status, const std::string& timestamp) {
  return hash_for_contract({id, status, code, timestamp}, logs);
}

TEST(ContractHashesTest, AreThoseThatPythonMakes) {
  const auto first = hashes("job-1", "hello\n", 0, "completed", "2025-01-30T12:00:00.123456");
  EXPECT_EQ(first.execution_hash,
            "7e14c26bced812c4d21163364a77a49ba5eca1fba32e30cd31860b688e9e53e9");
  EXPECT_EQ(first.logs_hash, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
  const auto second =
      hashes("job-2", "✅ Job completed \"ok\"\t\\\n", 0, "completed", "2025-01-30T12:00:00");
  EXPECT_EQ(second.execution_hash,
            "426e2a42b20a9e9292bf1d5d19421e6537428a9df35767d28f45e24e0737e87e");
  EXPECT_EQ(second.logs_hash, "0074ca5e6c7094500e18e51edbceb407229f4455109092b965186dc4ab39682b");
  const auto third = hashes("job-3", "Job exceeded timeout limit of 300s", -1, "timeout",
                            "2025-01-30T12:00:00.000001");
  EXPECT_EQ(third.execution_hash,
            "6cf9d13ccffee680a1c695e25af119bc26d768754880bf0964f0c8b8ba77db1b");
  const auto fourth =
      hashes("job-4", "emoji 😀 \x7f \x1b[0m", 1, "failed", "2025-01-30T12:00:00.5");
  EXPECT_EQ(fourth.execution_hash,
            "db4c466fa3f05a873a4901f3295fc825b3f6408c3aa1535df9c2447dc1c6050f");
  EXPECT_EQ(fourth.logs_hash, "4992b730391fd20791cccaf69b8027dcde65ed12f5ff7ef67a831db44c586314");
}

TEST(ContractHashesTest, ATimeIsWrittenAsPythonWritesIt) {
  EXPECT_EQ(naive_utc(at(0)), "2026-01-30T12:00:00");
  EXPECT_EQ(naive_utc(at(1)), "2026-01-30T12:00:00.000001");
  EXPECT_EQ(naive_utc(at(500'000)), "2026-01-30T12:00:00.500000");
  EXPECT_EQ(naive_utc(model::WallTime{}), "1970-01-01T00:00:00");
  EXPECT_EQ(utc_time(at(0)), "2026-01-30T12:00:00.000000Z");
}

TEST(ContractHashesTest, BytesThatAreNoTextHaveAHash) {
  const auto broken = hashes("j", "\xff", 0, "completed", "t");
  const auto replaced = hashes("j", "\xef\xbf\xbd", 0, "completed", "t");
  EXPECT_EQ(broken.execution_hash, replaced.execution_hash);
  EXPECT_NE(broken.logs_hash, replaced.logs_hash);
}

}  // namespace
}  // namespace airlock::receipt
