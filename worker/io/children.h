// SPDX-License-Identifier: Apache-2.0
// The children of `precis dev`: a private PostgreSQL and the model simulator. Each ends with this
// process, however it ends.
#ifndef PRECIS_IO_CHILDREN_H
#define PRECIS_IO_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// A PostgreSQL cluster in `directory` (made where it is not there), on loopback only, with the
// database `precis`. As root it runs as the user `postgres`, who must be able to enter the
// directory. False with a sentence in `problem`.
struct private_postgres {
    pid_t pid;
    char conninfo[128]; // postgresql://…
};
bool private_postgres_start(struct private_postgres *postgres, const char *directory, char *problem,
                            size_t problem_bytes);
// Fast shutdown; waits for its end.
void private_postgres_stop(struct private_postgres *postgres);

// The model simulator on a free port; `program` is its path. `arguments` end with NULL.
struct simulator {
    pid_t pid;
    char address[64]; // 127.0.0.1:PORT
};
bool simulator_start(struct simulator *simulator, const char *program, const char *const *arguments,
                     char *problem, size_t problem_bytes);
void simulator_stop(struct simulator *simulator);

#endif
