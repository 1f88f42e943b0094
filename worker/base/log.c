// SPDX-License-Identifier: Apache-2.0
// Log lines: each value is cut, redacted, cut again and escaped, in this order, so that no secret
// hides in an escape and the line stays JSON whatever is taken out of it.
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/own.h"
#include "base/redact.h"

// So much of a value is looked at: what is taken out of it may make room for what follows.
#define LOG_LOOK_BYTES (8 * LOG_VALUE_BYTES)

struct log {
    struct log_sink sink;
    enum log_level level;
    const struct redactor *redactor;
    char *worker;
};

struct log *log_new(const struct log_sink *sink, enum log_level level,
                    const struct redactor *redactor, const char *worker)
{
    struct log *log = own_alloc(sizeof(*log));
    *log = (struct log){*sink, level, redactor, own_strdup(worker)};
    return log;
}

void log_free(struct log *log)
{
    if (!log)
        return;
    free(log->worker);
    free(log);
}

void log_set_level(struct log *log, enum log_level level)
{
    log->level = level;
}

void log_set_redactor(struct log *log, const struct redactor *redactor)
{
    log->redactor = redactor;
}

static const char *level_name(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARN:
        return "warn";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        return "debug";
    }
    return "unknown";
}

// Days since 1970-01-01 as a date of the Gregorian calendar; years begin in March, so that the leap
// day is their last.
static void add_date(struct buf *out, int64_t days)
{
    int64_t since = days + 719468; // from 0000-03-01
    int64_t era = (since >= 0 ? since : since - 146096) / 146097;
    int64_t day = since - era * 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t of_year = day - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153; // 0 is March
    int64_t of_month = of_year - (153 * month + 2) / 5 + 1;
    month = month < 10 ? month + 3 : month - 9;
    year += era * 400 + (month <= 2);
    buf_printf(out, "%04lld-%02lld-%02lld", (long long)year, (long long)month, (long long)of_month);
}

static void add_time(struct buf *out, int64_t unix_ms)
{
    int64_t ms = unix_ms % 86400000;
    ms += ms < 0 ? 86400000 : 0;
    add_date(out, (unix_ms - ms) / 86400000);
    buf_printf(out, "T%02lld:%02lld:%02lld.%03lldZ", (long long)(ms / 3600000),
               (long long)(ms / 60000 % 60), (long long)(ms / 1000 % 60), (long long)(ms % 1000));
}

// The bytes of the character at `at`, and which one it is; 0: no valid UTF-8.
static size_t character(const char *at, size_t left, uint32_t *out_code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)at[0];
    size_t len = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (len == 0 || len > left || first > 0xf4)
        return 0;
    uint32_t code = len == 1 ? first : first & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (((unsigned char)at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | ((unsigned char)at[i] & 0x3f);
    }
    if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    *out_code = code;
    return len;
}

static void add_escaped(struct buf *out, const char *at, size_t len, uint32_t code)
{
    bool control = code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029;
    if (code == '"' || code == '\\')
        buf_add_char(out, '\\');
    if (code == '\n')
        buf_add_str(out, "\\n");
    else if (code == '\t')
        buf_add_str(out, "\\t");
    else if (control)
        buf_printf(out, "\\u%04x", (unsigned)code);
    else
        buf_add(out, at, len);
}

static void add_string(struct buf *out, const char *text, size_t len)
{
    buf_add_char(out, '"');
    for (size_t i = 0; i < len;) {
        uint32_t code;
        size_t bytes = character(text + i, len - i, &code);
        if (bytes)
            add_escaped(out, text + i, bytes, code);
        else
            buf_add_str(out, "\xef\xbf\xbd");
        i += bytes ? bytes : 1;
    }
    buf_add_char(out, '"');
}

// At most `most` bytes of `text`, and no half character at the end.
static size_t cut(const char *text, size_t len, size_t most)
{
    if (len <= most)
        return len;
    size_t end = most;
    for (int i = 0; i < 3 && end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80; i++)
        end--;
    return end;
}

static bool is_checked_name(const char *field)
{
    static const char *const fields[] = {"tenant", "batch", "job", "topic", "worker"};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (strcmp(field, fields[i]) == 0)
            return true;
    return false;
}

static void add_redacted(const struct log *log, struct buf *out, const char *field,
                         const char *text)
{
    size_t len = cut(text, strnlen(text, LOG_LOOK_BYTES + 1), LOG_LOOK_BYTES);
    if (!log->redactor)
        buf_add(out, text, len);
    else if (len && redactor_is_secret_name(field))
        buf_add_str(out, REDACTED_MARK);
    else if (is_checked_name(field))
        redactor_name(log->redactor, text, len, out);
    else
        redactor_text(log->redactor, text, len, out);
}

static void add_value(const struct log *log, struct buf *line, const char *field, const char *text)
{
    struct buf clean OWN_BUF;
    buf_init(&clean, 0);
    add_redacted(log, &clean, field, text);
    add_string(line, buf_str(&clean), cut(buf_str(&clean), clean.len, LOG_VALUE_BYTES));
}

static void add_member(const struct log *log, struct buf *line, const char *field, const char *text)
{
    buf_add_char(line, ',');
    add_string(line, field, strlen(field));
    buf_add_char(line, ':');
    add_value(log, line, field, text);
}

static void add_fields(const struct log *log, struct buf *line, const struct log_field *fields,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fields[i].text)
            add_member(log, line, fields[i].name, fields[i].text);
        else
            buf_printf(line, ",\"%s\":%lld", fields[i].name, (long long)fields[i].number);
    }
}

void log_fields(struct log *log, enum log_level level, const char *event,
                const struct log_field *fields, size_t count)
{
    if (!log || level > log->level)
        return;
    struct buf line OWN_BUF;
    buf_init(&line, 0);
    buf_add_str(&line, "{\"time\":\"");
    add_time(&line, log->sink.unix_ms(log->sink.context));
    buf_printf(&line, "\",\"level\":\"%s\",\"event\":\"%s\"", level_name(level), event);
    if (log->worker)
        add_member(log, &line, "worker", log->worker);
    add_fields(log, &line, fields, count);
    buf_add_str(&line, "}\n");
    log->sink.write(log->sink.context, line.data, line.len);
}
