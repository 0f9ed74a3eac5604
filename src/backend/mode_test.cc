// Which backends a mode stands for, and what may be the name of an image.
#include "backend/mode.h"

#include <gtest/gtest.h>

namespace airlock::backend {
namespace {

using enum model::IsolationLevel;
using Chain = std::vector<std::string>;

TEST(Mode, TheWantedOneIsFirstAndWhatStandsInComesAfter) {
  EXPECT_EQ(backend_chain("auto", true, kProcess), Chain({"direct"}));
  EXPECT_EQ(backend_chain("direct", true, kContainer), Chain({"direct"}));
  EXPECT_EQ(backend_chain("docker", true, kProcess), Chain({"docker", "direct"}));
  EXPECT_EQ(backend_chain("gvisor", true, kProcess), Chain({"gvisor", "docker+gvisor", "direct"}));
  EXPECT_EQ(backend_chain("docker+gvisor", true, kProcess),
            Chain({"docker+gvisor", "gvisor", "docker", "direct"}));
}

TEST(Mode, WithoutFallbackThereIsOne) {
  for (const std::string_view mode : mode_names()) {
    EXPECT_EQ(backend_chain(mode, false, kProcess).size(), 1u) << mode;
  }
}

TEST(Mode, NothingInTheChainIsBelowTheLeast) {
  EXPECT_EQ(backend_chain("docker+gvisor", true, kKernel), Chain({"docker+gvisor", "gvisor"}));
  EXPECT_EQ(backend_chain("gvisor", true, kKernel), Chain({"gvisor", "docker+gvisor"}));
  EXPECT_TRUE(backend_chain("docker", true, kKernel).empty()) << "the wanted one is weaker";
  EXPECT_TRUE(backend_chain("auto", false, kKernel).empty());
}

TEST(Mode, AnImageNameIsNoPathAndNoOption) {
  for (const char* name : {"debian:12", "a/b/c:d", "registry.example.com:5000/tools@sha256:0123"}) {
    EXPECT_TRUE(is_image_name(name)) << name;
  }
  const std::string long_name(kImageNameMax + 1, 'a');
  for (const std::string& name : {std::string(), std::string("/etc"), std::string("--privileged"),
                                  std::string("a b"), std::string("../x"), std::string("a?b"),
                                  std::string("a%2fb"), std::string("a\nb"), long_name}) {
    EXPECT_FALSE(is_image_name(name)) << name;
  }
}

}  // namespace
}  // namespace airlock::backend
