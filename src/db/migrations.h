#pragma once

// Brings a database file to the schema of this program. See Migration in database.h.

#include <vector>

#include "db/database.h"
#include "db/sqlite_connection.h"

namespace lakeloop::db {

// Throws kConflict when the file knows migrations that `migrations` lacks, or one of another text under the same
// number.
void apply_migrations(SqliteConnection& connection, const std::vector<Migration>& migrations);

}  // namespace lakeloop::db
