// SPDX-License-Identifier: Apache-2.0
// The log: one JSON object a line, redacted inside the sink, where no caller can go around it.
//   {"time":"2026-11-22T10:00:00.123Z","level":"info","event":"job_done","worker":"...","job":"..."}
// Values are escaped (C0, C1, DEL, U+2028/9, invalid UTF-8) and cut at LOG_VALUE_BYTES. Documents,
// prompts and answers are never fields; ids, sizes, hashes and codes are.
#ifndef PRECIS_BASE_LOG_H
#define PRECIS_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

#define LOG_VALUE_BYTES 2000

struct redactor;

struct log_field {
    const char *name;
    const char *text; // NULL: `number` is meant
    int64_t number;
};

// The sink gets whole, redacted lines that end in '\n'. `unix_ms` gives the time of a line.
struct log_sink {
    void *context;
    void (*write)(void *context, const char *line, size_t len);
    int64_t (*unix_ms)(void *context);
};

struct log;
// `worker` is put into each line (NULL: left out). The redactor is borrowed and may be NULL only
// in tests.
struct log *log_new(const struct log_sink *sink, enum log_level level,
                    const struct redactor *redactor, const char *worker);
void log_free(struct log *log);
void log_set_level(struct log *log, enum log_level level);
void log_set_redactor(struct log *log, const struct redactor *redactor);

// `event` is a snake_case name. A NULL log writes nothing.
void log_fields(struct log *log, enum log_level level, const char *event,
                const struct log_field *fields, size_t count);

static inline const char *log_or_empty(const char *value)
{
    return value ? value : "";
}

#define LOG_TEXT(field_name, value)                                                                \
    ((struct log_field){.name = (field_name), .text = log_or_empty(value)})
#define LOG_NUMBER(field_name, value)                                                              \
    ((struct log_field){.name = (field_name), .number = (int64_t)(value)})

// log_event(log, LOG_LEVEL_INFO, "job_done", LOG_TEXT("job", name), LOG_NUMBER("ms", ms));
#define log_event(log, level, event, ...)                                                          \
    log_fields((log), (level), (event), (const struct log_field[]){__VA_ARGS__},                   \
               sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

#endif
