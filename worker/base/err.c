// SPDX-License-Identifier: Apache-2.0
// The error table and the failure value.
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

struct err_row {
    const char *text;
    enum err_class class;
    const char *suggestion;
};

static const struct err_row rows[] = {
#define ERR(name, code, class, suggestion) {code, ERR_CLASS_##class, suggestion},
#include "base/err.def"
#undef ERR
};

void failure_set(struct failure *failure, enum err_code code, const char *format, ...)
{
    *failure = (struct failure){.code = code, .retry_after_ms = -1};
    va_list args;
    va_start(args, format);
    vsnprintf(failure->detail, sizeof(failure->detail), format, args);
    va_end(args);
}

enum err_class err_class(enum err_code code)
{
    CHECK(code >= 0 && code < ERR_COUNT);
    return rows[code].class;
}

const char *err_class_name(enum err_class class)
{
    static const char *const names[] = {
        "none",    "throttled", "transient", "exhausted", "key",       "too_long", "bad_output",
        "cut_off", "refused",   "filtered",  "fatal",     "cancelled", "input",
    };
    CHECK((size_t) class < sizeof(names) / sizeof(names[0]));
    return names[class];
}

const char *err_code_text(enum err_code code)
{
    CHECK(code >= 0 && code < ERR_COUNT);
    return rows[code].text;
}

const char *err_suggestion(enum err_code code)
{
    CHECK(code >= 0 && code < ERR_COUNT);
    return rows[code].suggestion;
}

const char *failure_code(const struct failure *failure, char *out, size_t out_bytes)
{
    const char *text = err_code_text(failure->code);
    if (strcmp(text, "http_*") == 0)
        snprintf(out, out_bytes, "http_%d", failure->http_status);
    else
        snprintf(out, out_bytes, "%s", text);
    return out;
}

const char *failure_suggestion(const struct failure *failure)
{
    return failure->suggestion[0] ? failure->suggestion : err_suggestion(failure->code);
}

enum err_code err_from_text(const char *text)
{
    for (int code = 0; code < ERR_COUNT; code++)
        if (strcmp(rows[code].text, text) == 0)
            return (enum err_code)code;
    if (strncmp(text, "http_5", 6) == 0 || strcmp(text, "http_408") == 0 ||
        strcmp(text, "http_409") == 0 || strcmp(text, "http_412") == 0 ||
        strcmp(text, "http_425") == 0)
        return ERR_HTTP_TRANSIENT;
    return strncmp(text, "http_", 5) == 0 ? ERR_HTTP_FATAL : ERR_NONE;
}
