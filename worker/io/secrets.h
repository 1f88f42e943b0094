// SPDX-License-Identifier: Apache-2.0
// What ${env:NAME}, ${env:NAME:-default}, ${file:/path} and ${exec:command args} stand for.
//
// ${env:} keeps the value that it had first, for the life of the struct; ${file:} and ${exec:} are
// read again each time. The process's environment goes before an --env-file; an empty variable
// counts as unset for a default. `$${` is a plain `${`. Values are texts: a NUL or more than 64 KB
// is refused, line ends at their end are dropped; a program prints one line. No value is ever part
// of a message.
//
// ${file:name} without a slash at its start is a file of the folder that $CREDENTIALS_DIRECTORY
// names (which systemd's LoadCredential sets), else of the current one: so one configuration serves
// where that folder has another path for each worker.
//
// ${exec:} splits its text at blanks ('…' and "…" hold blanks together), starts the program without
// a shell, with no input, and kills its process group after 10 s. It blocks for that time at most,
// so a loop that has leases to renew reads its configuration elsewhere.
#ifndef PRECIS_IO_SECRETS_H
#define PRECIS_IO_SECRETS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define SECRET_MAX_BYTES       65536
#define SECRETS_EXEC_LIMIT_MS  10000
#define SECRETS_ENV_FILE_BYTES 1000000

struct secrets;
struct secrets *secrets_new(void);
// Wipes what it holds.
void secrets_free(struct secrets *secrets);

// Reads lines KEY=VALUE: blank lines and # comments are skipped, `export ` before a key is dropped;
// '…' is taken as it is, in "…" \n \t \\ \" \$ are known, an unquoted value ends before " #". A
// later file or line goes before an earlier one. False: `why` has "FILE:LINE: …", nothing is kept
// of that line or after it.
bool secrets_read_env_file(struct secrets *secrets, const char *path, struct buf *why);

// What an expansion was made of.
struct expansion {
    char *text;     // heap, the caller wipes and frees it; NULL after a failure
    size_t count;   // references in it
    bool whole;     // nothing but one reference
    bool defaulted; // a default was used
    char *from;     // "env NAME", "file PATH", "exec": of the last one; NULL where none. Heap.
};

// Replaces the references in `text`. False: `why` is a message such as "GROK_API_KEY is not set".
bool secrets_expand(struct secrets *secrets, const char *text, struct expansion *out,
                    struct buf *why);
void expansion_deinit(struct expansion *expansion);

#endif
