#include "receipt/signing_key.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "receipt/test_receipt.h"

namespace airlock::receipt {
namespace {

class SigningKeyTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "signing-key-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string folder() const { return root_ + "/keys"; }
  std::string path(const char* name) const { return folder() + "/" + name; }
  base::Result<SigningKey> open() { return SigningKey::open_or_make(folder(), random_); }
  std::string refusal() {
    const auto key = open();
    return key.has_value() ? "" : key.error().to_string();
  }
  std::string content(const char* name) const {
    std::ostringstream text;
    text << std::ifstream(path(name)).rdbuf();
    return text.str();
  }
  void write(const char* name, const std::string& text) const { std::ofstream(path(name)) << text; }
  unsigned mode(const std::string& name) const {
    struct stat status{};
    EXPECT_EQ(::stat(name.c_str(), &status), 0) << name;
    return status.st_mode & 0777;
  }

  base::SystemRandom random_;
  std::string root_;
};

TEST_F(SigningKeyTest, IsMadeOnceAndReadAgain) {
  const auto first = open();
  ASSERT_TRUE(first.has_value()) << first.error().to_string();
  const std::string pem = content(kPrivateKeyFile);
  const auto second = open();
  ASSERT_TRUE(second.has_value()) << second.error().to_string();
  EXPECT_EQ(first->public_key(), second->public_key());
  EXPECT_EQ(content(kPrivateKeyFile), pem);
  EXPECT_TRUE(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
  const auto shown = PublicKey::from_pem(content(kPublicKeyFile));
  ASSERT_TRUE(shown.has_value());
  EXPECT_EQ(*shown, first->public_key());
  EXPECT_EQ(first->sign("x"), second->sign("x"));
}

TEST_F(SigningKeyTest, TwoRunnersHaveTwoKeys) {
  const auto one = open();
  std::filesystem::rename(folder(), folder() + "-other");
  const auto other = open();
  ASSERT_TRUE(one.has_value() && other.has_value());
  EXPECT_NE(one->public_key().id(), other->public_key().id());
}

TEST_F(SigningKeyTest, NobodyElseCanReadIt) {
  const mode_t before = ::umask(0);
  ASSERT_TRUE(open().has_value());
  ::umask(before);
  EXPECT_EQ(mode(path(kPrivateKeyFile)), 0600u);
  EXPECT_EQ(mode(path(kPublicKeyFile)), 0644u);
  EXPECT_EQ(mode(folder()), 0700u);
  EXPECT_FALSE(std::filesystem::exists(path("receipt.key.new")));
}

TEST_F(SigningKeyTest, AKeyThatOthersCouldReadIsRefusedAndKept) {
  ASSERT_TRUE(open().has_value());
  const std::string pem = content(kPrivateKeyFile);
  ::chmod(path(kPrivateKeyFile).c_str(), 0640);
  EXPECT_NE(refusal().find("can be read"), std::string::npos);
  EXPECT_EQ(content(kPrivateKeyFile), pem);
}

TEST_F(SigningKeyTest, AFolderThatOthersCanWriteToIsRefused) {
  ASSERT_TRUE(open().has_value());
  ::chmod(folder().c_str(), 0777);
  EXPECT_NE(refusal().find("others can write"), std::string::npos);
}

TEST_F(SigningKeyTest, ABrokenKeyIsRefusedAndNeverReplaced) {
  ASSERT_TRUE(open().has_value());
  for (const std::string& text : {std::string("not a key"), std::string()}) {
    write(kPrivateKeyFile, text);
    EXPECT_NE(refusal().find("not an Ed25519 private key"), std::string::npos);
    EXPECT_EQ(content(kPrivateKeyFile), text);
  }
}

TEST_F(SigningKeyTest, ALinkInItsPlaceIsNotFollowed) {
  ASSERT_TRUE(open().has_value());
  std::filesystem::rename(path(kPrivateKeyFile), root_ + "/elsewhere");
  std::filesystem::create_symlink(root_ + "/elsewhere", path(kPrivateKeyFile));
  EXPECT_NE(refusal(), "");
}

// As if the power had gone between two steps.
TEST_F(SigningKeyTest, AStartThatWasInterruptedIsFinished) {
  ASSERT_EQ(::mkdir(folder().c_str(), 0700), 0);
  write("receipt.key.new", "half a k");
  const auto key = open();
  ASSERT_TRUE(key.has_value()) << key.error().to_string();
  std::filesystem::remove(path(kPublicKeyFile));
  write("receipt.pub.new", "half");
  ASSERT_TRUE(open().has_value());
  EXPECT_EQ(content(kPublicKeyFile), key->public_key().to_pem());
  write(kPublicKeyFile, "something else");
  ASSERT_TRUE(open().has_value());
  EXPECT_EQ(content(kPublicKeyFile), key->public_key().to_pem());
}

TEST_F(SigningKeyTest, OnlyPublicEd25519KeysArePinned) {
  const auto refused = [](const std::string& text) {
    const auto key = PublicKey::from_pem(text);
    return key.has_value() ? "" : key.error().message;
  };
  EXPECT_EQ(refused(test_key().to_pem()), "this is a private key");
  EXPECT_EQ(refused("hello"), "not a public key in PEM");
  EXPECT_EQ(refused(""), "not a public key in PEM");
  EXPECT_EQ(refused(std::string(100'000, 'a')), "too large for a key");
  // X25519: the same size, another purpose.
  EXPECT_EQ(refused("-----BEGIN PUBLIC KEY-----\n"
                    "MCowBQYDK2VuAyEAhSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n"
                    "-----END PUBLIC KEY-----\n"),
            "not an Ed25519 key");
  EXPECT_FALSE(SigningKey::from_seed("short").has_value());
}

}  // namespace
}  // namespace airlock::receipt
