// SPDX-License-Identifier: Apache-2.0
// Synchronous questions to PostgreSQL.
#include "io/pg_query.h"

#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "io/pg_error.h"
#include "io/pg_params.h"

struct pg_session {
    PGconn *connection;
};

// A PGresult by another name, so that callers need no libpq.
static PGresult *result_of(const struct pg_rows *rows)
{
    return (PGresult *)(void *)(uintptr_t)rows;
}

static struct pg_session *fail_open(struct pg_session *session, const struct pg_params *params,
                                    struct pg_error *out_error)
{
    pg_error_of_connection(out_error, session->connection, params);
    pg_session_close(session);
    return NULL;
}

struct pg_session *pg_session_open(const char *conninfo, const char *name,
                                   struct pg_error *out_error)
{
    struct pg_params params;
    if (!pg_params_init(&params, conninfo, name)) {
        pg_error_of_conninfo(out_error);
        return NULL;
    }
    struct pg_session *session = own_alloc(sizeof(*session));
    session->connection = PQconnectdbParams(params.keys, params.values, 0);
    if (PQstatus(session->connection) != CONNECTION_OK) {
        session = fail_open(session, &params, out_error);
    } else {
        PQsetNoticeProcessor(session->connection, pg_error_ignore_notice, NULL);
        // Commands read whole tables now and then: the planner may do as it likes.
        PQclear(PQexec(session->connection, "set timezone = 'UTC'"));
        PQclear(PQexec(session->connection, "set bytea_output = 'hex'"));
    }
    pg_params_deinit(&params);
    return session;
}

void pg_session_close(struct pg_session *session)
{
    if (session == NULL)
        return;
    PQfinish(session->connection);
    free(session);
}

static bool keep(struct pg_session *session, PGresult *result, struct pg_rows **out_rows,
                 struct pg_error *out_error)
{
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        pg_error_of_result(out_error, session->connection, result);
        PQclear(result);
        return false;
    }
    if (out_rows)
        *out_rows = (struct pg_rows *)(void *)result;
    else
        PQclear(result);
    return true;
}

bool pg_query(struct pg_session *session, const char *sql, const char *const *params,
              size_t param_count, struct pg_rows **out_rows, struct pg_error *out_error)
{
    PGresult *result =
        PQexecParams(session->connection, sql, (int)param_count, NULL, params, NULL, NULL, 0);
    return keep(session, result, out_rows, out_error);
}

bool pg_script(struct pg_session *session, const char *sql, struct pg_error *out_error)
{
    return keep(session, PQexec(session->connection, sql), NULL, out_error);
}

size_t pg_rows_count(const struct pg_rows *rows)
{
    return (size_t)PQntuples(result_of(rows));
}

size_t pg_rows_columns(const struct pg_rows *rows)
{
    return (size_t)PQnfields(result_of(rows));
}

const char *pg_rows_name(const struct pg_rows *rows, size_t column)
{
    return PQfname(result_of(rows), (int)column);
}

const char *pg_rows_get(const struct pg_rows *rows, size_t row, size_t column)
{
    if (PQgetisnull(result_of(rows), (int)row, (int)column))
        return NULL;
    return PQgetvalue(result_of(rows), (int)row, (int)column);
}

long pg_rows_affected(const struct pg_rows *rows)
{
    return strtol(PQcmdTuples(result_of(rows)), NULL, 10);
}

void pg_rows_free(struct pg_rows *rows)
{
    PQclear((PGresult *)(void *)rows);
}
