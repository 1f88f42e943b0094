// SPDX-License-Identifier: Apache-2.0
// The commands that the contract names and this version does not have yet: listed, and refused by
// name.
#include <stdio.h>

#include "cmd/command.h"

// What they will take, so that nobody is told of an unknown option instead.
static const struct option_row options[] = {
    {"batch", "NAME", "(later)"},
    {"tenant", "NAME", "(later)"},
    {"model", "NAME", "(later)"},
    {"key", "NAME", "(later)"},
    {"all", NULL, "(later)"},
    {"finish-by", "TIME", "(later)"},
    {"listen", "ADDRESS", "(later)"},
    {"out", "FILE", "(later)"},
    {0},
};

static int refuse(const char *name)
{
    fprintf(stderr, "error: precis %s is not in this version yet\n", name);
    return EXIT_USAGE;
}

#define LATER(id, takes, text)                                                                     \
    static int run_##id(struct invocation *invocation)                                             \
    {                                                                                              \
        (void)invocation;                                                                          \
        return refuse(#id);                                                                        \
    }                                                                                              \
    extern const struct command command_##id;                                                      \
    const struct command command_##id = {                                                          \
        .name = #id,                                                                               \
        .arguments = (takes),                                                                      \
        .summary = "(later) " text,                                                                \
        .options = options,                                                                        \
        .prints_data = true,                                                                       \
        .run = run_##id,                                                                           \
    }

LATER(answer, "JOB…", "Answer a run that waits for a person");
LATER(export, "JOB", "A run as a file");
LATER(replay, "FILE", "Run an exported run again, offline");
LATER(tools, "[list|call …]", "List and call the configured tools");
LATER(serve, "[…]", "HTTP gateway and dashboard");
