// SPDX-License-Identifier: Apache-2.0
// Every statement of the store, prepared on each connection. Parameters are listed beside each
// text in store_sql.def; parallel arrays have the same length.
#ifndef PRECIS_IO_STORE_SQL_H
#define PRECIS_IO_STORE_SQL_H

#include <stddef.h>

#include "io/pg_link.h"

enum store_statement {
#define STATEMENT(name, sql)        STORE_SQL_##name,
#define STATEMENT_BINARY(name, sql) STORE_SQL_##name,
#include "io/store_sql.def"
#undef STATEMENT
#undef STATEMENT_BINARY
    STORE_SQL_COUNT
};

extern const struct pg_statement store_statements[STORE_SQL_COUNT];

#endif
