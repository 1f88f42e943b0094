// SPDX-License-Identifier: Apache-2.0
// The texts of the store's statements.
#include "io/store_sql.h"

#include "core/share.h"
#include "io/store_sql_parts.h"

const struct pg_statement store_statements[STORE_SQL_COUNT] = {
#define STATEMENT(name, sql)        [STORE_SQL_##name] = {#name, sql, false},
#define STATEMENT_BINARY(name, sql) [STORE_SQL_##name] = {#name, sql, true},
#include "io/store_sql.def"
#undef STATEMENT
#undef STATEMENT_BINARY
};
