// SPDX-License-Identifier: Apache-2.0
// From texts to the members of the configuration's structs, and back, by the rows of config.def.
#ifndef PRECIS_CORE_CONFIG_VALUE_H
#define PRECIS_CORE_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "core/config_table.h"

// Sets one scalar of the row's kind. False: the object is as before and `why` says what is
// expected ("a whole number from 1 to 100000"), never the text itself, which may be a secret.
bool config_set(void *object, const struct config_field *field, const char *text, struct buf *why);
// Adds to a LIST or SECRETS; of PAIRS; of COMMANDS (argv ended by NULL, copied).
bool config_append(void *object, const struct config_field *field, const char *text,
                   struct buf *why);
bool config_put(void *object, const struct config_field *field, const char *name, const char *text,
                struct buf *why);
bool config_put_command(void *object, const struct config_field *field, const char *name,
                        char *const *argv, struct buf *why);
// Frees what a member holds and leaves it empty (NULL, 0, false). Texts are wiped.
void config_clear(void *object, const struct config_field *field);

// Wipes and frees; NULL is fine.
void config_wipe(char *secret);

// Whether a text may be a name or a value: valid UTF-8, no byte under 0x20, no 0x7f. With `lines`
// tab, CR and LF pass.
bool config_text_valid(const char *text, bool lines);

// "10s", "90d", "forever"; "512MB"; exact, in the largest unit that divides it.
void config_duration_text(int64_t ms, struct buf *out);
void config_size_text(int64_t bytes, struct buf *out);

#endif
