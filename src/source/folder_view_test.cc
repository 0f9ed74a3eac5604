#include "source/folder_view.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

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

TEST_F(FolderViewTest, AFifoDoesNotHangIt) {
  ASSERT_EQ(::mkfifo(folder_.at("tree/fifo").c_str(), 0600), 0);
  EXPECT_EQ(view().look("fifo")->kind, EntryKind::kOther);
  EXPECT_FALSE(view().read("fifo", base::mebibytes(1)).has_value());
}

}  // namespace
}  // namespace airlock::source
