#include "store/sqlite/migrations.h"

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <sstream>

#include "store/sqlite/state_files.h"
#include "store/sqlite/test_folder.h"

namespace airlock::store::sqlite {
namespace {

using base::ErrorCode;
using Scripts = std::vector<std::string_view>;

constexpr std::string_view kFirst =
    "CREATE TABLE one (a INTEGER) STRICT; INSERT INTO one VALUES (7);";
constexpr std::string_view kSecond =
    "ALTER TABLE one ADD COLUMN b INTEGER; UPDATE one SET b = a + 1;";
constexpr std::string_view kBroken = "INSERT INTO one VALUES (8); CREATE TABLE nonsense;";

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class MigrationsTest : public ::testing::Test {
 protected:
  std::unique_ptr<Database> open() {
    std::ofstream(folder_.database(), std::ios::app).flush();
    auto opened = Database::open(folder_.database(), std::chrono::seconds(1));
    AIRLOCK_CHECK(opened.has_value());
    return std::move(*opened);
  }
  std::int64_t number(Database& database, std::string_view sql) {
    const auto found = database.find_integer(sql);
    EXPECT_TRUE(found.has_value()) << sql;
    return found && *found ? **found : -1;
  }
  TestFolder folder_;
};

TEST_F(MigrationsTest, ADatabaseIsBroughtUpToDateStepByStep) {
  ASSERT_TRUE(migrate(*open(), Scripts{kFirst}).has_value());
  const auto database = open();
  ASSERT_TRUE(migrate(*database, Scripts{kFirst, kSecond}).has_value());
  EXPECT_EQ(number(*database, "SELECT b FROM one"), 8);
  EXPECT_EQ(number(*database, "PRAGMA user_version"), 2);
  // Once more does nothing.
  ASSERT_TRUE(migrate(*database, Scripts{kFirst, kSecond}).has_value());
  EXPECT_EQ(number(*database, "SELECT count(*) FROM one"), 1);
}

TEST_F(MigrationsTest, OneThatFailsLeavesNothingOfItself) {
  const auto database = open();
  const base::Status status = migrate(*database, Scripts{kFirst, kBroken});
  ASSERT_FALSE(status.has_value());
  EXPECT_TRUE(status.error().message.starts_with("schema 2: ")) << status.error().message;
  EXPECT_EQ(number(*database, "PRAGMA user_version"), 1);
  EXPECT_EQ(number(*database, "SELECT count(*) FROM one"), 1);
  ASSERT_TRUE(migrate(*database, Scripts{kFirst, kSecond}).has_value());
}

TEST_F(MigrationsTest, ANewerSchemaIsRefusedAndUntouched) {
  ASSERT_TRUE(migrate(*open(), Scripts{kFirst, kSecond}).has_value());
  const std::string before = content_of(folder_.database());
  const base::Status status = migrate(*open(), Scripts{kFirst});
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(status.error().message.find("its schema is 2, this one knows 1"), std::string::npos);
  EXPECT_EQ(content_of(folder_.database()), before);
}

TEST_F(MigrationsTest, AStoreOfANewerAirlockIsNotOpened) {
  {
    SystemStore store(folder_);
    ASSERT_TRUE(store.opened.has_value());
  }
  ASSERT_TRUE(open()->run_script("PRAGMA user_version = 99").has_value());
  SystemStore store(folder_);
  ASSERT_FALSE(store.opened.has_value());
  EXPECT_NE(store.opened.error().message.find("newer Airlock"), std::string::npos);
  EXPECT_NE(store.opened.error().message.find(folder_.database()), std::string::npos);
}

TEST_F(MigrationsTest, ADatabaseOfAnotherProgramIsRefusedAndUntouched) {
  ASSERT_TRUE(open()->run_script("CREATE TABLE theirs (a)").has_value());
  const std::string before = content_of(folder_.database());
  SystemStore store(folder_);
  ASSERT_FALSE(store.opened.has_value());
  EXPECT_EQ(store.opened.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(store.opened.error().message.find("another program"), std::string::npos);
  EXPECT_EQ(content_of(folder_.database()), before);
}

TEST_F(MigrationsTest, TheDatabaseItselfRefusesASecondEnd) {
  {
    SystemStore store(folder_);
    const auto submitted = wait_for(&JobStore::submit, **store.opened, {make_spec(), "o", {}});
    ASSERT_TRUE(wait_for(&JobStore::request_cancel, **store.opened, submitted->id).has_value());
  }
  const auto database = open();
  for (const char* const sql :
       {"UPDATE jobs SET state = 'pending', completed_at = NULL",
        "UPDATE jobs SET state = 'completed'", "UPDATE jobs SET completed_at = NULL"}) {
    EXPECT_FALSE(database->run_script(sql).has_value()) << sql;
  }
}

}  // namespace
}  // namespace airlock::store::sqlite
