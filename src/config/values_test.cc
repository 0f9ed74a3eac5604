#include "config/values.h"

#include <gtest/gtest.h>

#include "config/config_file.h"

namespace airlock::config {
namespace {

constexpr Setting kTable[] = {
    {.name = "listen",
     .value = "URL",
     .group = "Where",
     .help = "",
     .fallback = "x",
     .shape = Shape::kList},
    {.name = "max_wall", .value = "TIME", .group = "How long", .help = "", .fallback = "10m"},
    {.name = "user",
     .value = "NAME",
     .group = "How long",
     .help = "",
     .fallback = "",
     .unset = "nobody"},
    {.name = "api_key",
     .value = "KEY",
     .group = "How long",
     .help = "",
     .fallback = "",
     .unset = "none",
     .places = Places::kSecret},
};

TEST(ValuesTest, AFlagWinsOverAVariableThatOverTheFileThatOverTheDefault) {
  Values values(kTable);
  EXPECT_EQ(values.text("max_wall"), "10m");
  values.put("max_wall", {{"4m"}, Layer::kFlag, "--max-wall"});
  values.put_variables({{"AIRLOCK_MAX_WALL", "3m"}, {"AIRLOCK_LISTEN", "a, b,,c"}});
  values.put("max_wall", {{"2m"}, Layer::kFile, "f:1:1"});
  EXPECT_EQ(values.text("max_wall"), "4m");
  EXPECT_EQ(values.of("max_wall").origin, "--max-wall");
  EXPECT_EQ(values.of("listen").texts, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(values.of("listen").origin, "AIRLOCK_LISTEN");
  values.put("listen", {{"alias"}, Layer::kAlias, "HOST"});
  EXPECT_EQ(values.of("listen").origin, "AIRLOCK_LISTEN");
}

TEST(ValuesTest, AnEmptyVariableCountsAsNotSet) {
  Values values(kTable);
  values.put_variables({{"AIRLOCK_MAX_WALL", ""}});
  EXPECT_FALSE(values.is_set("max_wall"));
}

TEST(ValuesTest, AnotherProcessGetsWhatWasSaidAndNothingElse) {
  Values values(kTable);
  values.put("listen", {{"a=b", "c"}, Layer::kFile, "f:1:1"});
  values.put("api_key", {{"secret"}, Layer::kVariable, "AIRLOCK_API_KEY"});
  Values other(kTable);
  ASSERT_TRUE(other.decode(values.encode()));
  EXPECT_EQ(other.of("listen").texts, values.of("listen").texts);
  EXPECT_EQ(other.text("api_key"), "secret");
  EXPECT_FALSE(other.is_set("max_wall"));
  EXPECT_EQ(other.text("max_wall"), "10m");
  EXPECT_FALSE(other.decode(std::string("unknown=1") + '\0'));
  EXPECT_FALSE(other.decode("max_wall=1m"));
}

TEST(ValuesTest, ADescriptionIsAFileThatSaysTheSame) {
  Values values(kTable);
  values.put("listen", {{"http://[::1]:1", "a \"b\" \\ #c"}, Layer::kFlag, "--listen"});
  values.put("api_key", {{"secret"}, Layer::kVariable, "AIRLOCK_API_KEY"});
  const std::string text = values.describe();
  EXPECT_EQ(text.find("secret"), std::string::npos);
  EXPECT_NE(text.find("# api_key: (set)"), std::string::npos) << text;
  EXPECT_NE(text.find("# user: (nobody)"), std::string::npos) << text;
  EXPECT_NE(text.find("# --listen\n"), std::string::npos) << text;
  Values again(kTable);
  const auto done = put_file(again, {text}, "a.yaml");
  ASSERT_TRUE(done) << done.error().message << text;
  EXPECT_EQ(again.of("listen").texts, values.of("listen").texts);
  EXPECT_NE(text.find("# max_wall: 10m "), std::string::npos) << text;
  EXPECT_FALSE(again.is_set("max_wall"));
}

TEST(ValuesTest, ARefusalNamesThePlace) {
  Values values(kTable);
  const base::Error cause{.code = base::ErrorCode::kIo, .message = "no", .hint = "h"};
  values.put("max_wall", {{"x"}, Layer::kFile, "f:1:2"});
  EXPECT_EQ(values.refuse("max_wall", cause).message, "f:1:2: max_wall: no");
  values.put("max_wall", {{"x"}, Layer::kFlag, "--max-wall"});
  EXPECT_EQ(values.refuse("max_wall", cause).message, "--max-wall: no");
  EXPECT_EQ(values.refuse("max_wall", cause).code, base::ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace airlock::config
