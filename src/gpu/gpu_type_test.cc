#include "gpu/gpu_type.h"

#include <gtest/gtest.h>

#include "model/job.h"

namespace airlock::gpu {
namespace {

TEST(GpuType, IsThePartOfTheNameThatTellsGpusApart) {
  const TypeNames names;
  EXPECT_EQ(type_of_gpu("NVIDIA H200", names), "H200");
  EXPECT_EQ(type_of_gpu("NVIDIA H100 80GB HBM3", names), "H100");
  EXPECT_EQ(type_of_gpu("NVIDIA A100-SXM4-80GB", names), "A100");
  EXPECT_EQ(type_of_gpu("Tesla V100-SXM2-16GB", names), "V100");
  EXPECT_EQ(type_of_gpu("NVIDIA GeForce RTX 4090", names), "RTX-4090");
  EXPECT_EQ(type_of_gpu("NVIDIA RTX 6000 Ada Generation", names), "RTX-6000");
  EXPECT_EQ(type_of_gpu("NVIDIA L40S", names), "L40S");
}

TEST(GpuType, OfAnInstanceHasItsProfile) {
  EXPECT_EQ(type_of_gpu("NVIDIA H200 MIG 1g.18gb", {}), "H200-1g-18gb");
  EXPECT_EQ(type_of_gpu("NVIDIA A100-SXM4-80GB MIG 3g.40gb", {}), "A100-3g-40gb");
}

TEST(GpuType, IsWhatTheOperatorSays) {
  const TypeNames names{.override_type = "BIG", .fallback = "H200"};
  EXPECT_EQ(type_of_gpu("NVIDIA H200", names), "BIG");
  EXPECT_EQ(type_of_gpu("NVIDIA H200 MIG 1g.18gb", names), "BIG-1g-18gb");
}

TEST(GpuType, OfANameThatSaysNothingIsTheFallback) {
  const TypeNames names{.override_type = {}, .fallback = "H200"};
  EXPECT_EQ(type_of_gpu("", names), "H200");
  EXPECT_EQ(type_of_gpu("NVIDIA ", names), "H200");
}

TEST(GpuType, FitsIntoAWeightClassWhateverTheNameIs) {
  for (const std::string name : {"NVIDIA H200 MIG 1g.18gb+me", "\xff\n;", "NVIDIA H200/../x",
                                 "AVeryLongNameOfAGpuThatNobodyWouldWantToType"}) {
    EXPECT_TRUE(model::parse_weight_class("1x" + type_of_gpu(name, {}))) << name;
  }
}

}  // namespace
}  // namespace airlock::gpu
