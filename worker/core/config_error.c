// SPDX-License-Identifier: Apache-2.0
// The list of mistakes, and the list of origins.
#include "core/config_error.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"

void config_errors_add(struct config_errors *errors, struct config_place place, const char *hint,
                       const char *format, ...)
{
    if (errors->len >= CONFIG_ERRORS_MAX)
        return;
    struct buf message OWN_BUF;
    buf_init(&message, 0);
    va_list args;
    va_start(args, format);
    buf_vprintf(&message, format, args);
    va_end(args);
    errors->items = own_grow(errors->items, errors->len + 1, sizeof(*errors->items));
    errors->items[errors->len++] = (struct config_error){
        own_strdup(place.file),
        place.line,
        place.column,
        own_strdup(buf_str(&message)),
        hint && hint[0] ? own_strdup(hint) : NULL,
    };
}

void config_error_text(const struct config_error *error, struct buf *out)
{
    if (error->file)
        buf_printf(out, "%s:", error->file);
    if (error->line > 0)
        buf_printf(out, "%d:%d:", error->line, error->column);
    buf_printf(out, "%s%s.", error->file || error->line > 0 ? " " : "", error->message);
    if (error->hint)
        buf_printf(out, " %s", error->hint);
}

void config_errors_print(const struct config_errors *errors, struct buf *out)
{
    for (size_t i = 0; i < errors->len; i++) {
        config_error_text(&errors->items[i], out);
        buf_add_char(out, '\n');
    }
}

static bool comes_after(const struct config_error *a, const struct config_error *b)
{
    return a->line != b->line ? a->line > b->line : a->column > b->column;
}

void config_errors_sort(struct config_errors *errors)
{
    for (size_t i = 1; i < errors->len; i++) {
        struct config_error moving = errors->items[i];
        size_t at = i;
        for (; at > 0 && comes_after(&errors->items[at - 1], &moving); at--)
            errors->items[at] = errors->items[at - 1];
        errors->items[at] = moving;
    }
}

void config_errors_deinit(struct config_errors *errors)
{
    for (size_t i = 0; i < errors->len; i++) {
        free(errors->items[i].file);
        free(errors->items[i].message);
        free(errors->items[i].hint);
    }
    free(errors->items);
    *errors = (struct config_errors){0};
}

void config_origin_add(struct config *config, const void *object, const struct config_field *field,
                       struct config_place place, const char *from)
{
    struct config_origins *origins = config->origins;
    if (origins == NULL)
        origins = config->origins = own_alloc(sizeof(*origins));
    if (origins->file == NULL)
        origins->file = own_strdup(place.file);
    origins->items = own_grow(origins->items, origins->len + 1, sizeof(*origins->items));
    origins->items[origins->len++] =
        (struct config_origin){object, field, place.line, place.column, own_strdup(from)};
}

const struct config_origin *config_origin_of(const struct config *config, const void *object,
                                             const struct config_field *field)
{
    for (size_t i = 0; config->origins && i < config->origins->len; i++) {
        const struct config_origin *origin = &config->origins->items[i];
        if (origin->object == object && origin->field == field)
            return origin;
    }
    return NULL;
}

struct config_place config_place_of(const struct config *config, const void *object,
                                    const struct config_field *field)
{
    struct config_place place = {config->origins ? config->origins->file : NULL, 0, 0};
    for (size_t i = 0; config->origins && i < config->origins->len; i++) {
        const struct config_origin *origin = &config->origins->items[i];
        if (origin->object != object || origin->line == 0)
            continue;
        if (origin->field == field || place.line == 0) {
            place.line = origin->line;
            place.column = origin->column;
        }
        if (origin->field == field)
            break;
    }
    return place;
}
