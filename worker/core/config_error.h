// SPDX-License-Identifier: Apache-2.0
// Mistakes of a configuration with their places, and where each of its values came from.
#ifndef PRECIS_CORE_CONFIG_ERROR_H
#define PRECIS_CORE_CONFIG_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "core/config.h"
#include "core/config_table.h"

// Lines and columns begin at 1; line 0 means no place in a file. `file` may be NULL then.
struct config_place {
    const char *file;
    int line, column;
};

struct config_error {
    char *file; // NULL where it is about no file
    int line, column;
    char *message; // no secret and no value from outside the file is in it
    char *hint;    // what to do; NULL where the message says it
};

// All mistakes of one load. Zero is empty. More than CONFIG_ERRORS_MAX are not kept.
#define CONFIG_ERRORS_MAX 50
struct config_errors {
    struct config_error *items;
    size_t len;
};

// hint NULL or "": none.
void config_errors_add(struct config_errors *errors, struct config_place place, const char *hint,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));
// "precis.yaml:12:5: unknown key `brokrs` in `kafka`. Did you mean `brokers`?" without a newline.
void config_error_text(const struct config_error *error, struct buf *out);
// All of them, a line each.
void config_errors_print(const struct config_errors *errors, struct buf *out);
// By line and column; what has no place comes first.
void config_errors_sort(struct config_errors *errors);
void config_errors_deinit(struct config_errors *errors);

// Where a value came from. `from` is "default", "file", "env NAME", "exec" or "file PATH".
struct config_origin {
    const void *object;
    const struct config_field *field;
    int line, column; // 0 for a default
    char *from;
};

struct config_origins {
    char *file; // NULL where there is none
    struct config_origin *items;
    size_t len;
};

void config_origin_add(struct config *config, const void *object, const struct config_field *field,
                       struct config_place place, const char *from);
// NULL where the key was not set.
const struct config_origin *config_origin_of(const struct config *config, const void *object,
                                             const struct config_field *field);
// The place of the key, or of the nearest thing known about the object: for mistakes between keys.
struct config_place config_place_of(const struct config *config, const void *object,
                                    const struct config_field *field);

#endif
