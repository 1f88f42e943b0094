// SPDX-License-Identifier: Apache-2.0
// A PostgreSQL database for a test: a new, empty one on the server of $PRECIS_TEST_DSN, else on a
// server that tools/pg starts and drops again.
#ifndef PRECIS_TESTS_EDGE_PG_H
#define PRECIS_TESTS_EDGE_PG_H

struct edge_pg {
    char directory[64]; // "" where the server is somebody else's
    char dsn[300];      // of the test's own database
    char admin[300];    // of the server
    char name[40];
};

void edge_pg_init(struct edge_pg *pg);
// On a server of its own, whatever the environment says: one that can be stopped and started.
void edge_pg_init_own(struct edge_pg *pg);
void edge_pg_stop(const struct edge_pg *pg, const char *mode); // fast, immediate
void edge_pg_start(const struct edge_pg *pg);
void edge_pg_deinit(struct edge_pg *pg);
// The first column of the first row of a query on the test's database, for the caller to free();
// NULL: no row, or an SQL NULL. Fails the test where the statement fails.
char *edge_pg_ask(const struct edge_pg *pg, const char *sql);
void edge_pg_run(const struct edge_pg *pg, const char *sql);

#endif
