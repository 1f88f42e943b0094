// SPDX-License-Identifier: Apache-2.0
// Completion for shells, written from the tables of commands and options, so that it knows exactly
// what the program knows. Nothing is asked of a database or a broker while somebody types: names of
// batches and jobs are not completed.
#ifndef PRECIS_CMD_COMPLETION_H
#define PRECIS_CMD_COMPLETION_H

#include "base/buf.h"
#include "cmd/command.h"

enum completion_kind {
    COMPLETION_NOTHING, // a value that nobody can guess
    COMPLETION_WORDS,
    COMPLETION_FILES,
    COMPLETION_FOLDERS,
};

// What a placeholder of a table stands for: "split|truncate" or "[up|down] [ID…]" for words, which
// are appended to `words` with blanks between them; FILE, CSV, PATH for files, DIR for folders.
enum completion_kind completion_of(const char *placeholder, struct buf *words);

// Each prints a whole script on stdout.
void completion_bash(const struct command *const *commands);
void completion_zsh(const struct command *const *commands);
void completion_fish(const struct command *const *commands);

#endif
