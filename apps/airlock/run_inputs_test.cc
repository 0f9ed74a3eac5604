#include "apps/airlock/run_inputs.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace airlock::apps {
namespace {

class RunInputsTest : public testing::Test {
 protected:
  RunInputsTest() {
    std::string pattern = testing::TempDir() + "airlock-inputs-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  ~RunInputsTest() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& content) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  std::string refused(const RunOptions& options) {
    const auto inputs = open_run_inputs(options);
    EXPECT_FALSE(inputs);
    return inputs ? "" : inputs.error().to_string() + " | " + inputs.error().hint;
  }

  static void expect_mentions(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }

  std::string folder_;
};

TEST_F(RunInputsTest, ExecutablesNeedNoLanguage) {
  for (const std::string& content : {std::string("\x7f") + "ELF...", std::string("#!/bin/sh\n")}) {
    RunOptions options;
    options.program = write("tool", content);
    options.args = {"x"};
    const auto inputs = open_run_inputs(options);
    ASSERT_TRUE(inputs) << inputs.error().to_string();
    EXPECT_EQ(inputs->spec.run.argv, (std::vector<std::string>{"/workspace/tool", "x"}));
    EXPECT_FALSE(inputs->spec.compile.has_value());
    ASSERT_EQ(inputs->files.size(), 1u);
    EXPECT_EQ(inputs->files[0].path, "workspace/tool");
    EXPECT_TRUE(inputs->files[0].executable);
  }
}

TEST_F(RunInputsTest, RustAttributeIsNoInterpreter) {
  RunOptions options;
  options.program = write("x", "#![feature(test)]\n");
  expect_mentions(refused(options), "x");
}

TEST_F(RunInputsTest, SourceIsPlannedByItsExtension) {
  RunOptions options;
  options.program = write("hello.sh", "echo hi\n");
  options.limits.memory = base::mebibytes(64);
  const auto inputs = open_run_inputs(options);
  ASSERT_TRUE(inputs) << inputs.error().to_string();
  EXPECT_EQ(inputs->files.at(0).path, "workspace/hello.sh");
  EXPECT_EQ(inputs->spec.run.limits.memory, base::mebibytes(64));
}

TEST_F(RunInputsTest, ProgramsThatCannotBeAreRefusedByName) {
  RunOptions options;
  options.program = folder_ + "/none.py";
  expect_mentions(refused(options), "none.py\": No such file");
  options.program = folder_;
  expect_mentions(refused(options), "is a folder");
  ASSERT_EQ(::mkfifo((folder_ + "/fifo.py").c_str(), 0600), 0);
  options.program = folder_ + "/fifo.py";
  expect_mentions(refused(options), "is not a regular file");
}

TEST_F(RunInputsTest, UnknownExtensionListsTheLanguages) {
  RunOptions options;
  options.program = write("notes.txt", "hello\n");
  expect_mentions(refused(options), ".py");
}

TEST_F(RunInputsTest, FilesMustNotCollide) {
  RunOptions options;
  options.program = write("tool", "#!/bin/sh\n");
  const std::string data = write("data", "1");
  options.files = {{.host = data, .inside = "tool"}};
  expect_mentions(refused(options), "\"tool\" is given twice");
  options.files = {{.host = data, .inside = "a"}, {.host = data, .inside = "a/b"}};
  expect_mentions(refused(options), "a file and a folder at once");
  options.files = {{.host = folder_, .inside = "a"}};
  expect_mentions(refused(options), "is a folder");
}

}  // namespace
}  // namespace airlock::apps
