#include "http/languages_json.h"

#include <gtest/gtest.h>

namespace airlock::http {
namespace {

TEST(LanguagesJsonTest, AReadyLanguageHasAVersionAndNothingToInstall) {
  language::LanguageStatus status;
  status.name = "python";
  status.aliases = {"py"};
  status.extensions = {".py"};
  status.presence = language::Presence::kReady;
  status.toolchain = "CPython";
  status.version = "3.11.2";
  EXPECT_EQ(languages_json({status}),
            R"({"languages":[{"name":"python","aliases":["py"],"extensions":[".py"],)"
            R"("status":"ready","version":"3.11.2","toolchain":"CPython","compiled":false,)"
            R"("packages":[],"note":null}]})");
}

TEST(LanguagesJsonTest, AMissingOneSaysWhatBringsIt) {
  language::LanguageStatus status;
  status.name = "go";
  status.compiled = true;
  status.toolchain = "Go";
  status.packages = {"golang-go"};
  status.note = "/home/\xff/go exists";  // a path need not be UTF-8
  EXPECT_EQ(languages_json({status}),
            R"({"languages":[{"name":"go","aliases":[],"extensions":[],"status":"missing",)"
            R"("version":null,"toolchain":"Go","compiled":true,"packages":["golang-go"],)"
            R"("note":"/home/\\xff/go exists"}]})");
}

TEST(LanguagesJsonTest, NoLanguagesAreAnEmptyList) {
  EXPECT_EQ(languages_json({}), R"({"languages":[]})");
}

}  // namespace
}  // namespace airlock::http
