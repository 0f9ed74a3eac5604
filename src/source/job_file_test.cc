#include "source/job_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace airlock::source {
namespace {

base::Status check_language(std::string_view name) {
  if (name == "python" || name == "javascript" || name == "c++") return {};
  return base::fail(base::ErrorCode::kInvalidArgument,
                    "there is no language \"" + std::string(name) + "\"", "the package is x");
}

base::Result<std::string> find_image(std::string_view name) {
  if (name == "docker:tools:1") return "tools:1";
  return base::fail(base::ErrorCode::kInvalidArgument, "no such image", "it has tools:1");
}

const HostChecks checks = {.language = check_language, .image = find_image};

std::string refusal(std::string_view text) {
  const auto file = parse_job_file(text, checks);
  return file.has_value() ? "" : file.error().message;
}

TEST(JobFileTest, EverythingThatCanBeSaidIsRead) {
  const auto file = parse_job_file(R"(language: c++
build:
  - cmake -S . -B /build/cmake
  - [cmake, --build, /build/cmake]
prep: [./fetch, --into, /workspace/data]
inference: solver --in /input --out /output
inputs: [input_data, sets/a.json]
outputs: ["*.json", report/**]
network:
  allow: [huggingface.co, .example.org, host.example:8443, pypi]
limits:
  cpus: 2.5
  memory: 8g
  pids: 64
  prep_timeout: 30m
  inference_timeout: 1h
)",
                                   checks);
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ(file->language, "c++");
  ASSERT_EQ(file->build->size(), 2u);
  EXPECT_EQ((*file->build)[0], (Command{"/bin/sh", "-c", "cmake -S . -B /build/cmake"}));
  EXPECT_EQ((*file->build)[1], (Command{"cmake", "--build", "/build/cmake"}));
  EXPECT_EQ(file->prep, (Command{"./fetch", "--into", "/workspace/data"}));
  EXPECT_EQ(file->inference.back(), "solver --in /input --out /output");
  EXPECT_EQ(file->inputs.size(), 2u);
  EXPECT_EQ(file->outputs.size(), 2u);
  EXPECT_EQ(file->allow.size(), 4u);
  EXPECT_EQ(file->limits.cpu_millis, 2'500u);
  EXPECT_EQ(file->limits.memory, base::gibibytes(8));
  EXPECT_EQ(file->limits.pids, 64u);
  EXPECT_EQ(file->limits.prep_timeout, std::chrono::minutes(30));
  EXPECT_EQ(file->limits.inference_timeout, std::chrono::hours(1));
}

TEST(JobFileTest, TheExamplesOfTheDocumentationAreTaken) {
  std::ostringstream page;
  page << std::ifstream(AIRLOCK_TEST_SOURCE_DIR "/docs/jobs.md").rdbuf();
  const std::string text = page.str();
  constexpr std::string_view kBegin = "```yaml\n";
  int examples = 0;
  for (std::size_t at = 0; (at = text.find(kBegin, at)) != std::string::npos; ++examples) {
    at += kBegin.size();
    const std::string example = text.substr(at, text.find("```", at) - at);
    EXPECT_EQ(refusal(example), "") << example;
  }
  EXPECT_EQ(examples, 3);
}

TEST(JobFileTest, CoresAreSaidAsTheyAreWritten) {
  EXPECT_NE(refusal("inference: a\nlimits: {cpus: 0.009}").find("between 0.01 and 1024, not 0.009"),
            std::string::npos);
}

TEST(JobFileTest, OnlyInferenceHasToBeSaid) {
  const auto file = parse_job_file("inference: python3 main.py\n", checks);
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_FALSE(file->build.has_value());
  EXPECT_TRUE(file->prep.empty());
  EXPECT_EQ(refusal("prep: a\n"), "airlock.yaml:1:1: airlock.yaml lacks the key \"inference\"");
  const auto none = parse_job_file("inference: a\nbuild: none\n", checks);
  ASSERT_TRUE(none.has_value());
  EXPECT_TRUE(none->build->empty());
}

TEST(JobFileTest, MistakesAreToldWithPlaceAndNearestName) {
  EXPECT_EQ(refusal("inference: a\ninferense: b\n"),
            "airlock.yaml:2:1: unknown key \"inferense\" in airlock.yaml; did you mean "
            "\"inference\"?");
  EXPECT_EQ(refusal("inference: a\nlanguage: pyhton\n"),
            "airlock.yaml:2:11: there is no language \"pyhton\"");
  EXPECT_EQ(refusal("inference: a\nlimits: {memori: 1g}\n"),
            "airlock.yaml:2:10: unknown key \"memori\" in limits; did you mean \"memory\"?");
  EXPECT_EQ(refusal("inference: a\nbuild: make\n"),
            "airlock.yaml:2:8: build must be a list of commands, or none");
  EXPECT_EQ(refusal("inference: a\nimage: debian:12\n"), "airlock.yaml:2:8: no such image");
  EXPECT_EQ(parse_job_file("inference: a\nimage: docker:tools:1\n", checks)->image, "tools:1");
  EXPECT_EQ(parse_job_file("inference: a\nimage: tools:2\n")->image, "tools:2");
}

TEST(JobFileTest, ImpossibleValuesAreRefused) {
  for (const char* text : {"limits: {memory: 1}",
                           "limits: {memory: 9999999g}",
                           "limits: {memory: lots}",
                           "limits: {cpus: 0}",
                           "limits: {cpus: 1.2345}",
                           "limits: {cpus: -1}",
                           "limits: {cpus: .5}",
                           "limits: {cpus: 1.}",
                           "limits: {cpus: 99999999999}",
                           "limits: {pids: 0}",
                           "limits: {pids: 1e3}",
                           "limits: {prep_timeout: 100h}",
                           "limits: {prep_timeout: 0}",
                           "limits: 3",
                           "outputs: [../x]",
                           "outputs: [/etc/passwd]",
                           "outputs: []",
                           "inputs: ['']",
                           "inputs: [a/./b]",
                           "network: {allow: ['https://x']}",
                           "network: {allow: ['*']}",
                           "network: {allow: ['a:0']}",
                           "network: {allow: ['a:99999']}",
                           "network: {allow: ['a b']}",
                           "network: {allow: ['']}",
                           "network: {}",
                           "network: none",
                           "prep: ''",
                           "prep: []",
                           "prep: ['']",
                           "prep: {a: b}",
                           "build: []",
                           "build: [[]]",
                           "build: [{a: b}]",
                           "language: [python]",
                           "prep: \"a\\u0007b\"",
                           "prep: \"a\\0b\""}) {
    EXPECT_TRUE(refusal("inference: a\n" + std::string(text) + "\n").starts_with("airlock.yaml:2:"))
        << text << ": " << refusal("inference: a\n" + std::string(text) + "\n");
  }
}

TEST(JobFileTest, IsBoundedInEveryDirection) {
  EXPECT_NE(refusal("inference: " + std::string(70'000, 'a')).find("larger than 64 KiB"),
            std::string::npos);
  EXPECT_NE(refusal("inference: " + std::string(9'000, 'a')), "");
  std::string many = "inference: a\nbuild: [";
  for (int i = 0; i < 65; ++i) many += "a,";
  EXPECT_NE(refusal(many + "a]\n"), "");
  EXPECT_NE(refusal("inference: &a [*a]"), "");
  EXPECT_NE(refusal("inference: !!python/object a"), "");
  EXPECT_NE(refusal(""), "");
  EXPECT_NE(refusal("just text"), "");
  EXPECT_NE(refusal("inference: a\ninference: b\n"), "");
}

}  // namespace
}  // namespace airlock::source
