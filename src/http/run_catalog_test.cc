#include "http/run_catalog.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <boost/json/parse.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "http/fake_catalog.h"

namespace airlock::http {
namespace {

// A folder of tools that comes and goes with the test.
class ToolFolder {
 public:
  ToolFolder() {
    std::string name = "/tmp/airlock-catalog-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~ToolFolder() { std::filesystem::remove_all(path_); }
  void add(const std::string& tool) const {
    const std::string file = path_ + "/" + tool;
    std::ofstream(file) << "#!/bin/sh\necho 1.2\n";
    ::chmod(file.c_str(), 0755);
  }
  language::ToolSearchOptions options() const {
    return {.path = path_, .visible_tree = path_, .caller_path = {}};
  }

 private:
  std::string path_;
};

TEST(RunCatalogTest, ALanguageIsFoundByNameAndByAlias) {
  const auto catalog = make_fake_catalog();
  for (const char* name : {"python", "py"}) {
    const auto plan = catalog->plan(name, {.file_name = {}, .args = {"x"}, .limits = {}});
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    EXPECT_EQ(plan->source_path, "workspace/main.py");
    EXPECT_EQ(plan->run.argv.back(), "x");
  }
  EXPECT_TRUE(catalog->knows("shell"));
  EXPECT_FALSE(catalog->knows("Shell"));
}

TEST(RunCatalogTest, AnUnknownLanguageIsRefusedWithTheNearestOne) {
  const auto plan = make_fake_catalog()->plan("pyhton", {});
  ASSERT_FALSE(plan.has_value());
  EXPECT_EQ(plan.error().code, base::ErrorCode::kInvalidArgument);
  EXPECT_EQ(plan.error().message, "unknown language \"pyhton\"; did you mean \"python\"?");
}

TEST(RunCatalogTest, AMissingToolchainSaysWhatBringsIt) {
  const auto plan = make_fake_catalog()->plan("cobol", {});
  ASSERT_FALSE(plan.has_value());
  EXPECT_EQ(plan.error().code, base::ErrorCode::kUnavailable);
  EXPECT_EQ(plan.error().hint, "apt-get install gnucobol4");
}

TEST(RunCatalogTest, WhatWasFoundHoldsUntilRefresh) {
  const ToolFolder folder;
  auto table = language::LanguageTable::parse(kFakeLanguages, "fake");
  ASSERT_TRUE(table.has_value());
  RunCatalog catalog(std::move(*table), folder.options());
  EXPECT_FALSE(catalog.plan("cobol", {}).has_value());
  folder.add("no-such-cobol-compiler");
  EXPECT_FALSE(catalog.plan("cobol", {}).has_value());
  catalog.refresh();
  EXPECT_TRUE(catalog.plan("cobol", {}).has_value());
}

TEST(RunCatalogTest, LanguagesAreListedInTheOrderOfTheTable) {
  const auto catalog = make_fake_catalog();
  EXPECT_EQ(catalog->names(),
            (std::vector<std::string>{"python", "bash", "javascript", "c", "cobol"}));
  const auto value = boost::json::parse(catalog->languages_json());
  const auto& languages = value.as_object().at("languages").as_array();
  ASSERT_EQ(languages.size(), 5u);
  EXPECT_EQ(languages[0].as_object().at("name").as_string(), "python");
  EXPECT_EQ(languages[4].as_object().at("status").as_string(), "missing");
  EXPECT_EQ(catalog->languages_json(), catalog->languages_json());
}

TEST(RunCatalogTest, PlansAreMadeWhileAnotherThreadRefreshes) {
  const auto catalog = make_fake_catalog();
  std::atomic<int> failures = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < 50; ++k) failures += !catalog->plan("c", {}).has_value();
      });
    }
    threads.emplace_back([&] {
      for (int k = 0; k < 50; ++k) catalog->refresh();
    });
  }
  EXPECT_EQ(failures, 0);
}

}  // namespace
}  // namespace airlock::http
