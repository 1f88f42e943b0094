// SPDX-License-Identifier: Apache-2.0
// A worker process: builds every module in one visible order, runs the loop, and takes everything
// down in the reverse order. The life of a process is here; what happens to jobs is in engine.c.
//
//   TERM, INT   stop taking, finish what is under way within worker.drain_timeout, leave the group
//   again       leave at once
//   HUP         read keys, budgets and log level again
#ifndef PRECIS_APP_H
#define PRECIS_APP_H

#include <stdbool.h>
#include <stddef.h>

#include "core/config.h"

struct app_options {
    struct config *config;   // taken; kept until the process ends
    struct secrets *secrets; // borrowed: what ${env:} had first
    const char *config_path; // for HUP; NULL: nothing is read again
    const char *env_file;
    const char *name; // of this worker; NULL: host:pid
    bool accept_gap;
    bool embedded;             // inside `precis dev`: the caller handles signals
    const volatile bool *stop; // embedded: set to true to drain; looked at ten times a second
    void (*on_reading)(void *context); // once, when jobs are read from the first partition; may be
    void *context;                     // NULL
};

// Runs until the worker has left. Returns the program's exit code.
int app_run(const struct app_options *options);

#endif
