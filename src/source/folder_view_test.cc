#include "source/folder_view.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "receipt/digest.h"
#include "source/build_plan.h"
#include "source/test_repository.h"

namespace airlock::source {
namespace {

class FolderViewTest : public testing::Test {
 protected:
  FolderViewTest() {
    folder_.write("tree/a.txt", "abc");
    folder_.write("tree/sub/b.txt", "b");
    folder_.write("secret", "secret");
  }
  FolderView view() const { return std::move(*FolderView::open(folder_.at("tree"))); }
  std::string tree() const {
    const auto entries = view().digest_tree();
    return entries.has_value() ? tree_digest(*entries) : entries.error().message;
  }

  TemporaryFolder folder_;
};

TEST_F(FolderViewTest, FilesAreReadWithinABound) {
  EXPECT_EQ(view().read("sub/b.txt", base::ByteCount(1)).value(), "b");
  EXPECT_EQ(view().read("a.txt", base::ByteCount(2)).error().code, base::ErrorCode::kLimitExceeded);
  EXPECT_EQ(view().look("none").error().code, base::ErrorCode::kNotFound);
  EXPECT_EQ(view().look("a.txt/x").error().code, base::ErrorCode::kNotFound);
  EXPECT_EQ(view().look("sub")->kind, EntryKind::kFolder);
}

TEST_F(FolderViewTest, NothingLeadsOutOfTheFolder) {
  std::filesystem::create_symlink(folder_.at("secret"), folder_.at("tree/link"));
  std::filesystem::create_symlink("..", folder_.at("tree/up"));
  EXPECT_EQ(view().look("link")->kind, EntryKind::kLink);
  for (const char* path :
       {"link", "up/secret", "../secret", "/etc/passwd", "sub/../../secret", "sub"}) {
    EXPECT_FALSE(view().read(path, base::mebibytes(1)).has_value()) << path;
  }
}

TEST_F(FolderViewTest, TheProgramsFolderIsReachedThroughNoLink) {
  std::filesystem::create_symlink("sub", folder_.at("tree/link"));
  EXPECT_TRUE(view().below("sub")->look("b.txt").has_value());
  EXPECT_TRUE(view().below("")->look("a.txt").has_value());
  for (const char* path : {"link", "..", "/", "a.txt", "none"}) {
    EXPECT_FALSE(view().below(path).has_value()) << path;
  }
}

TEST_F(FolderViewTest, AFifoDoesNotHangIt) {
  ASSERT_EQ(::mkfifo(folder_.at("tree/fifo").c_str(), 0600), 0);
  EXPECT_EQ(view().look("fifo")->kind, EntryKind::kOther);
  EXPECT_FALSE(view().read("fifo", base::mebibytes(1)).has_value());
  EXPECT_EQ(view().digest_tree().error().message, "fifo is neither a file nor a folder nor a link");
}

TEST_F(FolderViewTest, TheTreeHasEveryEntryWithItsDigest) {
  std::filesystem::create_symlink("target", folder_.at("tree/link"));
  const auto entries = view().digest_tree();
  ASSERT_TRUE(entries.has_value()) << entries.error().message;
  ASSERT_EQ(entries->size(), 4u);
  EXPECT_EQ((*entries)[0].path, "a.txt");
  EXPECT_EQ((*entries)[0].digest, receipt::sha256_hex("abc"));
  EXPECT_EQ((*entries)[1].digest, receipt::sha256_hex("target"));
  EXPECT_EQ((*entries)[3].path, "sub/b.txt");
}

TEST_F(FolderViewTest, AnyDifferenceIsAnotherDigest) {
  std::set<std::string> digests = {tree()};
  const auto is_new = [&] { return digests.insert(tree()).second; };
  folder_.write("tree/a.txt", "abd");
  EXPECT_TRUE(is_new());
  ::chmod(folder_.at("tree/a.txt").c_str(), 0755);
  EXPECT_TRUE(is_new());
  std::filesystem::rename(folder_.at("tree/a.txt"), folder_.at("tree/c.txt"));
  EXPECT_TRUE(is_new());
  std::filesystem::create_directory(folder_.at("tree/empty"));
  EXPECT_TRUE(is_new());
  std::filesystem::create_symlink("x", folder_.at("tree/link"));
  EXPECT_TRUE(is_new());
  std::filesystem::remove(folder_.at("tree/link"));
  folder_.write("tree/link", "x");
  EXPECT_TRUE(is_new());
  EXPECT_EQ(tree(), tree());
}

TEST_F(FolderViewTest, DepthIsBounded) {
  std::string deep = "tree";
  for (std::size_t i = 0; i < kTreeDepthMax + 1; ++i) deep += "/d";
  std::filesystem::create_directories(folder_.at(deep));
  EXPECT_EQ(view().digest_tree().error().code, base::ErrorCode::kLimitExceeded);
}

}  // namespace
}  // namespace airlock::source
