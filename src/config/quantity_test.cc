#include "config/quantity.h"

#include <gtest/gtest.h>

namespace airlock::config {
namespace {

TEST(QuantityTest, KubernetesMemory) {
  EXPECT_EQ(parse_kubernetes_bytes("2Gi"), base::gibibytes(2));
  EXPECT_EQ(parse_kubernetes_bytes("512Mi"), base::mebibytes(512));
  EXPECT_EQ(parse_kubernetes_bytes("1.5Gi"), base::mebibytes(1536));
  EXPECT_EQ(parse_kubernetes_bytes("2G"), base::ByteCount(2'000'000'000));
  EXPECT_EQ(parse_kubernetes_bytes("128974848"), base::ByteCount(128'974'848));
  for (const char* const text : {"", "Gi", "2gi", "-1Mi", "2 Gi", "2GiB", "nan", "inf", "0x10",
                                 "1e30", "99999999Ti", "1m"}) {
    EXPECT_FALSE(parse_kubernetes_bytes(text)) << text;
  }
}

TEST(QuantityTest, KubernetesCores) {
  EXPECT_EQ(parse_kubernetes_cores("1000m"), 100u);
  EXPECT_EQ(parse_kubernetes_cores("250m"), 25u);
  EXPECT_EQ(parse_kubernetes_cores("1"), 100u);
  EXPECT_EQ(parse_kubernetes_cores("0.5"), 50u);
  for (const char* const text : {"", "m", "0", "0m", "-1", "1M", "1000 m", "1e9", "nan"}) {
    EXPECT_FALSE(parse_kubernetes_cores(text)) << text;
  }
}

TEST(QuantityTest, CountsCoresAndSwitches) {
  EXPECT_EQ(parse_count("128"), 128u);
  EXPECT_FALSE(parse_count("-1"));
  EXPECT_FALSE(parse_count("1x"));
  EXPECT_FALSE(parse_count("4294967296"));
  EXPECT_EQ(parse_cores("1.5"), 150u);
  for (const char* const text : {"0", "-1", "1x", "nan", "1025", "0.001", ""}) {
    EXPECT_FALSE(parse_cores(text)) << text;
  }
  EXPECT_EQ(parse_switch("True"), true);
  EXPECT_EQ(parse_switch("0"), false);
  EXPECT_FALSE(parse_switch("maybe"));
}

}  // namespace
}  // namespace airlock::config
