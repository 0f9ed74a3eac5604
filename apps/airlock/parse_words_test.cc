#include "apps/airlock/parse_words.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace airlock::apps {
namespace {

// What `words` are refused with, by a verb with one argument and two options.
base::Error refusal(std::vector<std::string> words) {
  std::string job;
  std::string phase;
  bool follow = false;
  CLI::App app("", "airlock logs");
  app.add_option("JOB", job, "")->required();
  app.add_flag("-f,--follow", follow, "");
  app.add_option("--phase", phase, "");
  std::ranges::reverse(words);
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) { return explain(app, "logs", error); }
  ADD_FAILURE() << "nothing was refused";
  return {};
}

TEST(ParseWordsTest, AnUnknownOptionIsNamedWithTheNearestOne) {
  const base::Error error = refusal({"job_1", "--folow"});
  EXPECT_EQ(error.message, "logs: unknown option \"--folow\"");
  EXPECT_EQ(error.hint, "did you mean --follow?");
  EXPECT_EQ(refusal({"job_1", "--phse=prep"}).hint, "did you mean --phase?");
}

TEST(ParseWordsTest, WhatIsNearNothingLeadsToTheHelp) {
  EXPECT_EQ(refusal({"job_1", "--whatever"}).hint, "airlock help logs says what it takes");
  EXPECT_EQ(refusal({"job_1", "-x"}).message, "logs: unknown option \"-x\"");
}

TEST(ParseWordsTest, AnUnknownOptionIsSaidBeforeWhatItMakesMissing) {
  EXPECT_EQ(refusal({"--folow"}).message, "logs: unknown option \"--folow\"");
}

TEST(ParseWordsTest, OneArgumentTooManyIsNamed) {
  EXPECT_EQ(refusal({"job_1", "job_2"}).message, "logs: unexpected argument \"job_2\"");
}

TEST(ParseWordsTest, WhatIsMissingIsSaidAsEver) {
  EXPECT_NE(refusal({}).message.find("JOB is required"), std::string::npos);
}

}  // namespace
}  // namespace airlock::apps
