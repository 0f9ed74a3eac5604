#include "apps/airlock/serve_options.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace airlock::apps {
namespace {

using config::Environment;
using Words = std::vector<std::string>;

constexpr const char* kKey = "a-key-of-thirty-two-characters-00";

base::Result<ServeOptions> read(Words words, const Environment& environment = {}) {
  AIRLOCK_ASSIGN(const auto config, read_serve_config(std::move(words), environment));
  return make_serve_options(std::get<ServeConfig>(config).values);
}

ServeOptions parsed(Words words, const Environment& environment = {}) {
  auto options = read(std::move(words), environment);
  EXPECT_TRUE(options) << options.error().to_string();
  return options ? std::move(*options) : ServeOptions{};
}

// Message and hint together.
std::string refused(Words words, const Environment& environment = {}) {
  const auto options = read(std::move(words), environment);
  EXPECT_FALSE(options);
  return options ? "" : options.error().message + " | " + options.error().hint;
}

void expect_mentions(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

class TextFile {
 public:
  explicit TextFile(const std::string& text) {
    std::string name = (std::filesystem::temp_directory_path() / "serve-XXXXXX").string();
    const base::UniqueFd made(::mkstemp(name.data()));
    path_ = name;
    std::ofstream(path_) << text;
  }
  TextFile(const TextFile&) = delete;
  TextFile& operator=(const TextFile&) = delete;
  ~TextFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(ServeOptionsTest, TheDefaultsOfTheTableAreThoseOfTheCode) {
  const ServeOptions options = parsed({});
  const ServeOptions known;
  ASSERT_EQ(options.listen.size(), 1u);
  EXPECT_EQ(options.listen[0].host, "127.0.0.1");
  EXPECT_EQ(options.listen[0].port, 8088);
  EXPECT_EQ(options.limits.limits_max, known.limits.limits_max);
  EXPECT_EQ(options.limits.defaults, model::Limits{});
  EXPECT_EQ(options.limits.body_bytes_max, known.limits.body_bytes_max);
  EXPECT_EQ(options.limits.code_bytes_max, known.limits.code_bytes_max);
  EXPECT_EQ(options.limits.stdin_bytes_max, known.limits.stdin_bytes_max);
  EXPECT_EQ(options.limits.files_bytes_max, known.limits.files_bytes_max);
  EXPECT_EQ(options.limits.file_bytes_max, known.limits.file_bytes_max);
  EXPECT_EQ(options.limits.files_max, known.limits.files_max);
  EXPECT_EQ(options.waiting_max, known.waiting_max);
  EXPECT_EQ(options.wait_max, known.wait_max);
  EXPECT_EQ(options.parked_max, std::nullopt);
  EXPECT_EQ(options.log_level, known.log_level);
  EXPECT_EQ(options.amon.body_bytes_max, known.amon.body_bytes_max);
  EXPECT_EQ(options.amon.code_bytes_max, known.amon.code_bytes_max);
  EXPECT_EQ(options.amon.files_max, known.amon.files_max);
  EXPECT_EQ(options.amon.file_bytes_max, known.amon.file_bytes_max);
  EXPECT_EQ(options.amon.input_bytes_max, known.amon.input_bytes_max);
  EXPECT_EQ(options.amon.output_bytes_max, known.amon.output_bytes_max);
  EXPECT_EQ(options.amon.memory, known.amon.memory);
  EXPECT_EQ(options.amon.disk, known.amon.disk);
  EXPECT_EQ(options.amon.cpu_rate_percent, known.amon.cpu_rate_percent);
  EXPECT_EQ(options.amon.maxima.memory, std::nullopt);
  EXPECT_EQ(options.server.connections_max, known.server.connections_max);
  EXPECT_EQ(options.server.request_bytes_max, known.server.request_bytes_max);
  EXPECT_EQ(options.server.answer_bytes_max, known.server.answer_bytes_max);
  EXPECT_EQ(options.server.session.head_max, known.server.session.head_max);
  EXPECT_EQ(options.server.session.body_max, known.server.session.body_max);
  EXPECT_EQ(options.server.session.idle_max, known.server.session.idle_max);
  EXPECT_EQ(options.server.session.write_max, known.server.session.write_max);
  EXPECT_EQ(options.server.session.parser.body_bytes_max, 32u << 20);
}

Words words_of(const std::string& line) {
  std::istringstream stream(line);
  return {std::istream_iterator<std::string>(stream), {}};
}

TEST(ServeOptionsTest, EveryMaximumArrivesInItsField) {
  const ServeOptions options = parsed(words_of(
      "--max-wall 2m --max-cpu-time=3m --max-cpus 1.5 --max-memory 1g --max-pids 77 "
      "--max-disk 128m --max-inodes 1000 --max-open-files 99 --max-output 1m --max-code 2k "
      "--max-stdin 3k --max-files 4 --max-file-bytes 5k"));
  const model::Limits& max = options.limits.limits_max;
  EXPECT_EQ(max.wall_time, std::chrono::minutes(2));
  EXPECT_EQ(max.cpu_time, std::chrono::minutes(3));
  EXPECT_EQ(max.cpu_rate_percent, 150u);
  EXPECT_EQ(max.memory, base::gibibytes(1));
  EXPECT_EQ(max.pids, 77u);
  EXPECT_EQ(max.disk, base::mebibytes(128));
  EXPECT_EQ(max.inodes, 1000u);
  EXPECT_EQ(max.open_files, 99u);
  EXPECT_EQ(max.output, base::mebibytes(1));
  EXPECT_EQ(options.limits.code_bytes_max, base::kibibytes(2));
  EXPECT_EQ(options.limits.stdin_bytes_max, base::kibibytes(3));
  EXPECT_EQ(options.limits.files_max, 4u);
  EXPECT_EQ(options.limits.file_bytes_max, base::kibibytes(5));
  // What the operator says holds on every route.
  EXPECT_EQ(options.amon.maxima.memory, base::gibibytes(1));
  EXPECT_EQ(options.swissbrain.maxima.pids, 77u);
  EXPECT_EQ(options.swissbrain.maxima.cpu_rate_percent, 150u);
}

TEST(ServeOptionsTest, SoDoesEverythingElse) {
  const ServeOptions options = parsed(words_of(
      "--default-wall 5s --default-memory 64m --default-pids 9 --max-body 8m "
      "--max-connections 100 --memory-budget 64m --idle-timeout 7s --log-level warning "
      "--cors-origin https://a.example --listen http://127.0.0.1:1 --listen http://[::1]:2 "
      "--folder models=/srv/models --folder sets=/srv/sets --cdi-dir /opt/cdi"));
  EXPECT_EQ(options.limits.defaults.wall_time, std::chrono::seconds(5));
  EXPECT_EQ(options.limits.defaults.memory, base::mebibytes(64));
  EXPECT_EQ(options.limits.defaults.pids, 9u);
  EXPECT_EQ(options.server.session.parser.body_bytes_max, 8u << 20);
  EXPECT_EQ(options.server.connections_max, 100u);
  EXPECT_EQ(options.server.request_bytes_max, 32u << 20);
  EXPECT_EQ(options.server.session.idle_max, std::chrono::seconds(7));
  EXPECT_EQ(options.log_level, telemetry::Level::kWarning);
  EXPECT_EQ(options.origins, Words{"https://a.example"});
  EXPECT_EQ(options.folders, (Words{"models=/srv/models", "sets=/srv/sets"}));
  EXPECT_EQ(options.cdi_directories, Words{"/opt/cdi"});
  EXPECT_EQ(parsed({}).cdi_directories, (Words{"/etc/cdi", "/var/run/cdi"}));
  ASSERT_EQ(options.listen.size(), 2u);
  EXPECT_EQ(options.listen[1].host, "::1");
}

TEST(ServeOptionsTest, AFlagWinsOverAVariableThatOverTheFile) {
  const TextFile file("max_pids: 1\nslots: 1\nwaiting: 1\nlisten: http://127.0.0.1:5\n");
  const ServeOptions options = parsed({"--config", file.path(), "--max-pids", "3"},
                                      {{"AIRLOCK_MAX_PIDS", "2"}, {"AIRLOCK_SLOTS", "2"}});
  EXPECT_EQ(options.limits.limits_max.pids, 3u);
  EXPECT_EQ(options.slots, 2u);
  EXPECT_EQ(options.waiting_max, 1u);
  EXPECT_EQ(options.listen[0].port, 5);
  EXPECT_EQ(parsed({}, {{"AIRLOCK_CONFIG", file.path()}}).waiting_max, 1u);
}

TEST(ServeOptionsTest, ARefusalNamesThePlaceAndTheValue) {
  expect_mentions(refused({"--max-wall", "10x"}), "--max-wall: \"10x\"");
  expect_mentions(refused({}, {{"AIRLOCK_MAX_PIDS", "0"}}), "AIRLOCK_MAX_PIDS: \"0\"");
  expect_mentions(refused({"--max-memory", "1k"}), "4 MiB to");
  expect_mentions(refused({"--slots", "257"}), "1 to 256");
  expect_mentions(refused({"--listen", "https://0.0.0.0:1"}), "--listen");
  expect_mentions(refused({"--cors-origin", "*"}), "--cors-origin: \"*\"");
  expect_mentions(refused({"--folder", "models"}), "--folder: \"models\" is no folder");
  expect_mentions(refused({"--folder", "usr=/srv"}), "/usr is something else");
  expect_mentions(refused({"--folder", "m=/a", "--folder", "m=/b"}), "two folders");
  expect_mentions(refused({"--cdi-dir", "cdi"}), "no absolute path");
  expect_mentions(refused({"--log-level", "loud"}), "debug, info, warning or error");
  expect_mentions(refused({"--compat", "amon"}), "swissbrain");
  expect_mentions(refused({"--max-wall", "1s", "--max-wall", "2s"}), "twice");
  const TextFile file("slots: 3\nmax_disk: lots\n");
  expect_mentions(refused({"--config", file.path()}), file.path() + ":2:11: max_disk: \"lots\"");
  expect_mentions(refused({"--config", "/nowhere/x.yaml"}), "--config: open /nowhere/x.yaml");
}

TEST(ServeOptionsTest, AnUnknownOptionNamesTheNearest) {
  expect_mentions(refused({"--max-wal", "5s"}), "did you mean \"--max-wall\"?");
  expect_mentions(refused({"--sloots=5"}), "did you mean \"--slots\"?");
  expect_mentions(refused({"word"}), "word");
}

TEST(ServeOptionsTest, WishesThatContradictEachOtherAreRefused) {
  expect_mentions(refused({"--max-memory", "1g", "--default-memory", "2g"}),
                  "--default-memory: 2g is above max_memory, which is 1g (--max-memory)");
  expect_mentions(refused({"--max-memory", "256m"}, {{"AMON_SANDBOX_MEMORY", "512m"}}),
                  "AMON_SANDBOX_MEMORY: 512m is above max_memory");
  expect_mentions(refused({"--max-body", "200m"}), "--memory-budget");
  expect_mentions(refused({}, {{"AMON_SANDBOX_MAX_INPUT_TOTAL_BYTES", "100m"}}), "--max-body");
  // A default gives way.
  EXPECT_EQ(parsed({"--max-memory", "256m"}).amon.maxima.memory, base::mebibytes(256));
  EXPECT_GT(parsed({"--max-body", "256m", "--memory-budget", "1g"},
                   {{"AMON_SANDBOX_MAX_INPUT_TOTAL_BYTES", "100m"}})
                .amon.body_bytes_max,
            (100u << 20) / 3 * 4);
}

TEST(ServeOptionsTest, TheKeyIsInAVariableOrAFileAndTheFileWins) {
  const TextFile file(std::string("the-key-in-the-file-0000000\n"));
  EXPECT_EQ(parsed({}, {{"AIRLOCK_API_KEY", kKey}}).api_key, kKey);
  EXPECT_EQ(parsed({}, {{"AMON_SANDBOX_API_KEY", kKey}}).api_key, kKey);
  EXPECT_EQ(parsed({"--api-key-file", file.path()}, {{"AIRLOCK_API_KEY", kKey}}).api_key,
            "the-key-in-the-file-0000000");
  const TextFile config("api_key_file: " + file.path() + "\n");
  EXPECT_EQ(parsed({"--config", config.path()}).api_key, "the-key-in-the-file-0000000");
  EXPECT_EQ(parsed({"--config", config.path()}, {{"AIRLOCK_API_KEY", kKey}}).api_key, kKey);
  expect_mentions(refused({}, {{"AIRLOCK_API_KEY", "short"}}), "16 to 512");
  expect_mentions(refused({"--api-key-file", "/nowhere"}), "--api-key-file");
  expect_mentions(refused({"--api-key", kKey}), "set AIRLOCK_API_KEY");
}

TEST(ServeOptionsTest, ADaemonGetsWhatItsSupervisorRead) {
  auto config = read_serve_config({"--max-pids", "3", "--cors-origin", "https://a.example"},
                                  {{"AIRLOCK_API_KEY", kKey}, {"AMON_SANDBOX_MEMORY", "128m"}});
  ASSERT_TRUE(config);
  const auto passed = decode_serve_config(std::get<ServeConfig>(*config).values.encode());
  ASSERT_TRUE(passed);
  const auto options = make_serve_options(passed->values);
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->limits.limits_max.pids, 3u);
  EXPECT_EQ(options->amon.maxima.pids, 3u);
  EXPECT_EQ(options->amon.maxima.memory, std::nullopt);
  EXPECT_EQ(options->amon.memory, base::mebibytes(128));
  EXPECT_EQ(options->api_key, kKey);
  EXPECT_EQ(options->origins, Words{"https://a.example"});
}

// The default is for GPUs without a name; what is said is for all.
TEST(ServeOptionsTest, ATypeOfGpusIsWantedOnlyIfItIsSaid) {
  EXPECT_EQ(parsed({}).jobs.gpu_type, "H200");
  EXPECT_FALSE(parsed({}).jobs.gpu_type_is_wanted);
  const TextFile file("hardware:\n  gpu_type: A100\n");
  EXPECT_EQ(parsed({"--config", file.path()}).jobs.gpu_type, "A100");
  EXPECT_TRUE(parsed({"--config", file.path()}).jobs.gpu_type_is_wanted);
}

TEST(ServeOptionsTest, HelpHasEveryFlagAndIsNoError) {
  const auto help = read_serve_config({"--help", "--nonsense"}, {});
  ASSERT_TRUE(help);
  const std::string& text = std::get<ServeHelp>(*help).text;
  for (const char* const flag : {"--listen URL", "--max-wall TIME", "--print-config", "--config"}) {
    expect_mentions(text, flag);
  }
  EXPECT_EQ(text.find("--api-key "), std::string::npos);
}

TEST(ServeOptionsTest, AHealthCheckAsksWhereTheVariablesSay) {
  EXPECT_EQ(default_listen_address({})->port, 8088);
  EXPECT_EQ(default_listen_address({{"AIRLOCK_LISTEN", "http://127.0.0.1:1,http://[::1]:2"}})->port,
            1);
  EXPECT_EQ(default_listen_address({{"AMON_SANDBOX_PORT", "9"}})->port, 9);
  EXPECT_EQ(default_listen_address({{"AIRLOCK_COMPAT", "swissbrain"}, {"PORT", "7"}})->port, 7);
}

TEST(ServeOptionsTest, ImagesAreToBeHadInDockersModesOnly) {
  const Words words = {"--execution-images", "tools:1", "--execution-images", "a/b@sha256:12"};
  Words docker = words;
  docker.insert(docker.end(), {"--execution-mode", "docker+gvisor"});
  const ServeOptions options = parsed(docker);
  for (const char* name : {"tools:1", "a/b@sha256:12", "airlock-base"}) {
    EXPECT_TRUE(options.limits.images.find(name)) << name;
  }
  EXPECT_FALSE(parsed(words).limits.images.find("tools:1"));
  Words gvisor = words;
  gvisor.insert(gvisor.end(), {"--execution-mode", "gvisor"});
  EXPECT_FALSE(parsed(gvisor).limits.images.find("tools:1")) << "Docker may stand in, or not";
}

TEST(ServeOptionsTest, ImagesAreNamesAndNotTooMany) {
  expect_mentions(refused({"--execution-images", "a b"}), "\"a b\" is no name of an image");
  expect_mentions(refused({"--execution-images", "../x"}), "is no name of an image");
  Words words;
  for (std::size_t i = 0; i <= model::kImagesMax; ++i) {
    words.insert(words.end(), {"--execution-images", "a:" + std::to_string(i)});
  }
  expect_mentions(refused(words), "more than 64 images");
  expect_mentions(refused({}, {{"AIRLOCK_EXECUTION_IMAGE_PULL", "sometimes"}}), "never, missing");
  EXPECT_EQ(parsed({}, {{"AIRLOCK_EXECUTION_IMAGE_PULL", "never"}}).execution.image_pull, "never");
}

}  // namespace
}  // namespace airlock::apps
