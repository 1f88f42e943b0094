// SPDX-License-Identifier: Apache-2.0
// A private database for edge tests.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "edge_pg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "io/pg_params.h"
#include "io/pg_query.h"

static void start_server(struct edge_pg *pg)
{
    snprintf(pg->directory, sizeof(pg->directory), "/tmp/precis-edge.XXXXXX");
    assert_non_null(mkdtemp(pg->directory));
    char command[400];
    snprintf(command, sizeof(command), "'%s/tools/pg' start '%s/pg'", PRECIS_SOURCE_DIR,
             pg->directory);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(pg->admin, sizeof(pg->admin), pipe));
    assert_int_equal(pclose(pipe), 0);
    pg->admin[strcspn(pg->admin, "\n")] = '\0';
}

static char *ask(const char *dsn, const char *sql)
{
    struct pg_error error = {0};
    struct pg_session *session = pg_session_open(dsn, "edge-test", &error);
    if (session == NULL)
        fail_msg("%s", error.text);
    struct pg_rows *rows = NULL;
    if (!pg_query(session, sql, NULL, 0, &rows, &error))
        fail_msg("%s: %s", error.text, sql);
    char *answer = pg_rows_count(rows) > 0 && pg_rows_columns(rows) > 0
                       ? own_strdup(pg_rows_get(rows, 0, 0))
                       : NULL;
    pg_rows_free(rows);
    pg_session_close(session);
    return answer;
}

static void make_database(struct edge_pg *pg)
{
    pg_params_forget_environment();
    snprintf(pg->name, sizeof(pg->name), "precis_edge_%ld", (long)getpid());
    char sql[100];
    snprintf(sql, sizeof(sql), "create database %s", pg->name);
    free(ask(pg->admin, sql));
    // The DSN is a URL that ends in the database's name.
    char *slash = strrchr(pg->admin, '/');
    assert_non_null(slash);
    snprintf(pg->dsn, sizeof(pg->dsn), "%.*s/%s", (int)(slash - pg->admin), pg->admin, pg->name);
}

void edge_pg_init_own(struct edge_pg *pg)
{
    *pg = (struct edge_pg){0};
    start_server(pg);
    make_database(pg);
}

void edge_pg_init(struct edge_pg *pg)
{
    const char *given = getenv("PRECIS_TEST_DSN");
    if (given == NULL || *given == '\0') {
        edge_pg_init_own(pg);
        return;
    }
    *pg = (struct edge_pg){0};
    snprintf(pg->admin, sizeof(pg->admin), "%s", given);
    make_database(pg);
}

void edge_pg_stop(const struct edge_pg *pg, const char *mode)
{
    char command[400];
    snprintf(command, sizeof(command), "'%s/tools/pg' stop '%s/pg' --mode %s", PRECIS_SOURCE_DIR,
             pg->directory, mode);
    assert_int_equal(system(command), 0);
}

void edge_pg_start(const struct edge_pg *pg)
{
    char command[400];
    snprintf(command, sizeof(command), "'%s/tools/pg' start '%s/pg' >/dev/null", PRECIS_SOURCE_DIR,
             pg->directory);
    assert_int_equal(system(command), 0);
}

void edge_pg_deinit(struct edge_pg *pg)
{
    char command[400];
    if (pg->directory[0]) {
        snprintf(command, sizeof(command), "'%s/tools/pg' drop '%s/pg'; rmdir '%s'",
                 PRECIS_SOURCE_DIR, pg->directory, pg->directory);
        assert_int_equal(system(command), 0);
        return;
    }
    snprintf(command, sizeof(command), "drop database %s with (force)", pg->name);
    free(ask(pg->admin, command));
}

char *edge_pg_ask(const struct edge_pg *pg, const char *sql)
{
    return ask(pg->dsn, sql);
}

void edge_pg_run(const struct edge_pg *pg, const char *sql)
{
    free(ask(pg->dsn, sql));
}
