// SPDX-License-Identifier: Apache-2.0
// A command of the program: one file, one const descriptor, listed in main.c. Options, help and
// exit codes are the same for all of them and live in options.c.
#ifndef PRECIS_CMD_COMMAND_H
#define PRECIS_CMD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "core/config.h"

enum exit_code {
#define EXIT_ROW(name, number, words) EXIT_##name = (number),
#include "cmd/exit_codes.def"
#undef EXIT_ROW
};

struct option_row {
    const char *name;  // without the dashes; NULL ends the table
    const char *value; // what stands for its value in the help; NULL: a flag. "a|b" are the words
                       // that it takes, FILE, CSV and DIR a path: shells complete by it
    const char *help;
};

struct invocation;

struct command {
    const char *name;
    const char *arguments; // "PATH…" or "[up|down]" as in the usage line; NULL: takes none
    const char *summary;   // one line, for `precis --help`
    const char *details;   // more help; NULL: none
    const struct option_row *options;
    bool prints_data; // takes --json
    int (*run)(struct invocation *invocation);
};

// Runs `argv[1..]` by the table (ended by NULL); prints help and usage errors itself.
int commands_main(const struct command *const *commands, int argc, char **argv);
// That table, for commands that write about commands.
const struct command *const *invocation_commands(const struct invocation *invocation);
// The options of a command, with --json where it takes that; of NULL those that all commands take.
void command_each_option(const struct command *command,
                         void (*each)(void *context, const struct option_row *row), void *context);
// Whether a summary or an option's help says that it is not in this version: refused by name.
bool command_is_later(const char *words);

// The last value of an option; NULL where it was not given. A flag's value is "".
const char *invocation_value(const struct invocation *invocation, const char *name);
// Its nth value (from 0), for options that may be repeated.
const char *invocation_nth(const struct invocation *invocation, const char *name, size_t n);
bool invocation_flag(const struct invocation *invocation, const char *name);
bool invocation_json(const struct invocation *invocation);
size_t invocation_argument_count(const struct invocation *invocation);
const char *invocation_argument(const struct invocation *invocation, size_t n);
// "error: …" and how to get help, on stderr; returns EXIT_USAGE.
int invocation_misuse(const struct invocation *invocation, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// The configuration by --config and --env-file, loaded once; mistakes go to stderr, and the answer
// is NULL: return EXIT_USAGE then. Owned by the invocation.
const struct config *invocation_config(struct invocation *invocation);
// Each mistake as a line on stderr.
struct config_errors;
void config_errors_tell(const struct config_errors *errors);
// The file it came from or would come from; NULL where none is found.
const char *invocation_config_path(struct invocation *invocation);

// Without a database the command cannot go on: opens it, or says why on stderr and answers NULL.
struct pg_session;
struct pg_session *invocation_database(struct invocation *invocation);

// The path of the running program.
const char *invocation_program(const struct invocation *invocation);

#endif
