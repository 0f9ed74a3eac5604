// Migrations: from whatever schema a database has to the one that this program knows.
//
// Each is one transaction together with its version number, so that one that is killed half-way
// never was. A database of a newer program, or of another program, is refused before anything in it
// is touched. schema/NNNN_name.sql are the migrations, compiled in; one that was released is never
// changed again: a new one comes behind it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "store/sqlite/database.h"

namespace airlock::store::sqlite {

// "airl": marks the file as ours, for file(1) as well.
inline constexpr std::int64_t kApplicationId = 0x6169726c;

// The schema's version is the place in the list, from 1.
std::span<const std::string_view> known_migrations();

base::Status migrate(Database& database, std::span<const std::string_view> migrations);

}  // namespace airlock::store::sqlite
