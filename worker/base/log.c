// SPDX-License-Identifier: Apache-2.0
// Log lines.
#include "base/log.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/own.h"

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

void log_fields(struct log *log, enum log_level level, const char *event,
                const struct log_field *fields, size_t count)
{
    if (!log || level > log->level)
        return;
    struct buf line;
    buf_init(&line, 0);
    buf_printf(&line, "{\"event\":\"%s\"", event);
    for (size_t i = 0; i < count; i++)
        if (!fields[i].text)
            buf_printf(&line, ",\"%s\":%lld", fields[i].name, (long long)fields[i].number);
    buf_add_str(&line, "}\n");
    log->sink.write(log->sink.context, line.data, line.len);
    buf_deinit(&line);
}
