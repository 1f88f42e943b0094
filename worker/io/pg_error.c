// SPDX-License-Identifier: Apache-2.0
// PostgreSQL's errors without the data in them.
#include "io/pg_error.h"

#include <stdio.h>
#include <string.h>

enum pg_class pg_error_class(const char *sqlstate)
{
    static const char *const again[] = {"40001", "40P01", "57014", "55P03"};
    for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++) {
        if (strcmp(sqlstate, again[i]) == 0)
            return PG_CLASS_AGAIN;
    }
    static const char *const data[] = {"22", "23", "54", "21000"};
    for (size_t i = 0; i < sizeof(data) / sizeof(data[0]); i++) {
        if (strncmp(sqlstate, data[i], strlen(data[i])) == 0)
            return PG_CLASS_DATA;
    }
    return PG_CLASS_RECONNECT;
}

struct hint {
    const char *sqlstate; // a prefix
    const char *text;
};

static const struct hint hints[] = {
    {"3F000", "the schema is not there; run `precis migrate`"},
    {"42P01", "a table is not there; run `precis migrate`"},
    {"42703", "a column is not there; run `precis migrate`"},
    {"42501", "this user may not do that; run `precis migrate roles` and grant it a role"},
    {"25006", "this server takes no writes"},
    {"53100", "the database's disk is full"},
    {"53300", "the server has no connection left"},
    {"55P03", "another session holds a lock; try again"},
    {"57014", "the statement took too long"},
    {"57P", "the server is going down or coming up"},
    {"22", "a value cannot be stored as it is"},
    {"23", "a row contradicts another"},
    {"08", "the connection broke"},
};

static const char *hint_for(const char *sqlstate)
{
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        if (strncmp(sqlstate, hints[i].sqlstate, strlen(hints[i].sqlstate)) == 0)
            return hints[i].text;
    }
    return "the statement failed";
}

static const char *field(const PGresult *result, int code)
{
    const char *value = PQresultErrorField(result, code);
    return value ? value : "";
}

void pg_error_of_result(struct pg_error *out, PGconn *connection, const PGresult *result)
{
    *out = (struct pg_error){0};
    snprintf(out->sqlstate, sizeof(out->sqlstate), "%s", field(result, PG_DIAG_SQLSTATE));
    out->connection = PQstatus(connection) != CONNECTION_OK;
    if (out->sqlstate[0] == '\0') {
        snprintf(out->text, sizeof(out->text), "PostgreSQL: the connection was lost");
        return;
    }
    const char *constraint = field(result, PG_DIAG_CONSTRAINT_NAME);
    const char *table = field(result, PG_DIAG_TABLE_NAME);
    snprintf(out->text, sizeof(out->text), "PostgreSQL: %s (SQLSTATE %s%s%s%s%s)",
             hint_for(out->sqlstate), out->sqlstate, *table ? ", table " : "", table,
             *constraint ? ", constraint " : "", constraint);
}

void pg_error_of_connection(struct pg_error *out, PGconn *connection,
                            const struct pg_params *params)
{
    *out = (struct pg_error){.connection = true};
    char where[200];
    pg_params_where(params, where, sizeof(where));
    snprintf(out->text, sizeof(out->text), "cannot connect to PostgreSQL at %s: %.180s", where,
             PQerrorMessage(connection));
    size_t len = strlen(out->text);
    while (len > 0 && (out->text[len - 1] == '\n' || out->text[len - 1] == ' '))
        out->text[--len] = '\0';
    for (size_t i = 0; i < len; i++) {
        if (out->text[i] == '\n' || out->text[i] == '\t')
            out->text[i] = ' ';
    }
}

void pg_error_of_conninfo(struct pg_error *out)
{
    *out = (struct pg_error){.connection = true};
    snprintf(out->text, sizeof(out->text),
             "`database` is not a PostgreSQL address; write "
             "postgresql://user:password@host:5432/name, or key=value words");
}

void pg_error_ignore_notice(void *context, const char *message)
{
    (void)context;
    (void)message;
}
