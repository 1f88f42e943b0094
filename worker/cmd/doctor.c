// SPDX-License-Identifier: Apache-2.0
// precis doctor: looks at everything that a worker will need, and says what to mend.
#include "cmd/doctor.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/own.h"
#include "cmd/command.h"
#include "cmd/screen.h"
#include "core/config_remarks.h"
#include "io/kafka_check.h"
#include "io/secret_files.h"

struct finding {
    enum doctor_state state;
    char *name, *text, *suggestion;
};

struct doctor {
    struct finding *findings;
    size_t count;
    bool json;
};

// ------------------------------------------------------------------------------- the list

static const char *state_name(enum doctor_state state)
{
    static const char *const names[] = {"ok", "warn", "FAIL"};
    return names[state];
}

static enum screen_style state_style(enum doctor_state state)
{
    static const enum screen_style styles[] = {SCREEN_GOOD, SCREEN_WARN, SCREEN_BAD};
    return styles[state];
}

static char *one_line(const char *text)
{
    struct buf line;
    buf_init(&line, 0);
    screen_add_line(&line, text);
    return buf_take(&line);
}

// Each line cleaned by itself; what is indented is a command, which stays as it is.
static char *clean_lines(const char *text)
{
    struct buf lines;
    buf_init(&lines, 0);
    while (*text) {
        size_t len = strcspn(text, "\n");
        char *line OWN_FREE = own_strndup(text, len);
        if (lines.len > 0)
            buf_add_char(&lines, '\n');
        buf_add(&lines, text, strspn(line, " "));
        screen_add_line(&lines, line);
        text += len + (text[len] == '\n');
    }
    return buf_take(&lines);
}

// ------------------------------------------------------------------------------- printed

#define TEXT_COLUMN 19

// Text from TEXT_COLUMN on, wrapped at blanks; the cursor stands at that column.
static void print_wrapped(const char *text, size_t len)
{
    size_t columns = screen_columns(stdout), at = TEXT_COLUMN;
    while (len > 0) {
        size_t word = 0;
        while (word < len && text[word] != ' ')
            word++;
        size_t width = screen_width(text, word);
        if (at > TEXT_COLUMN && at + 1 + width > columns) {
            printf("\n%*s", TEXT_COLUMN, "");
            at = TEXT_COLUMN;
        } else if (at > TEXT_COLUMN) {
            putchar(' ');
            at++;
        }
        printf("%.*s", (int)word, text);
        at += width;
        word += word < len;
        text += word;
        len -= word;
    }
    putchar('\n');
}

static void print_suggestion(const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        printf("%*s", TEXT_COLUMN, "");
        if (*text == ' ')
            printf("%.*s\n", (int)len, text);
        else
            print_wrapped(text, len);
        text += len + (text[len] == '\n');
    }
}

// Printed at once: the next check may take its time.
static void print_finding(const struct finding *finding)
{
    printf("%s%-4s%s  %-11s  ", screen_on(stdout, state_style(finding->state)),
           state_name(finding->state), screen_off(stdout, state_style(finding->state)),
           finding->name);
    print_wrapped(finding->text, strlen(finding->text));
    if (finding->suggestion && finding->state != DOCTOR_OK)
        print_suggestion(finding->suggestion);
    fflush(stdout);
}

void doctor_add(struct doctor *doctor, enum doctor_state state, const char *name,
                const char *suggestion, const char *format, ...)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    doctor->findings = own_grow(doctor->findings, doctor->count + 1, sizeof(*doctor->findings));
    struct finding *finding = &doctor->findings[doctor->count++];
    *finding = (struct finding){state, own_strdup(name), one_line(buf_str(&text)),
                                suggestion ? clean_lines(suggestion) : NULL};
    if (!doctor->json)
        print_finding(finding);
}

static size_t count_of(const struct doctor *doctor, enum doctor_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < doctor->count; i++)
        count += doctor->findings[i].state == state;
    return count;
}

static void print_json(const struct doctor *doctor)
{
    static const char *const states[] = {"ok", "warn", "fail"};
    json_t *checks = json_array();
    for (size_t i = 0; i < doctor->count; i++) {
        const struct finding *finding = &doctor->findings[i];
        json_array_append_new(checks,
                              json_pack("{s:s, s:s, s:s, s:s?}", "name", finding->name, "state",
                                        states[finding->state], "text", finding->text, "suggestion",
                                        finding->state == DOCTOR_OK ? NULL : finding->suggestion));
    }
    json_t *answer =
        json_pack("{s:b, s:o}", "ok", count_of(doctor, DOCTOR_FAIL) == 0, "checks", checks);
    char *text = json_dumps(answer, JSON_INDENT(1));
    puts(text);
    free(text);
    json_decref(answer);
}

static void print_sum(const struct doctor *doctor)
{
    size_t fails = count_of(doctor, DOCTOR_FAIL), warnings = count_of(doctor, DOCTOR_WARN);
    if (fails > 0)
        printf("\n%zu to mend before a worker can do its work, %zu to look at.\n", fails, warnings);
    else if (warnings > 0)
        printf("\nA worker can do its work; %zu to look at.\n", warnings);
    else
        printf("\nAll is well.\n");
}

static void doctor_deinit(struct doctor *doctor)
{
    for (size_t i = 0; i < doctor->count; i++) {
        free(doctor->findings[i].name);
        free(doctor->findings[i].text);
        free(doctor->findings[i].suggestion);
    }
    free(doctor->findings);
}

// ------------------------------------------------------------------------------- checks

static void check_models(struct doctor *doctor, const struct config *config)
{
    for (size_t i = 0; i < config->model_count; i++)
        if (!config->models[i].price.known)
            doctor_add(doctor, DOCTOR_FAIL, "price",
                       "Add `price` to the model (`price: none` for an own server).",
                       "model %s has no price, so no call of it is made", config->models[i].name);
}

static void check_config(struct doctor *doctor, struct invocation *invocation,
                         const struct config *config)
{
    const char *path = invocation_config_path(invocation);
    if (config)
        doctor_add(doctor, DOCTOR_OK, "config", NULL,
                   "%s: %zu provider%s, %zu model%s, %zu route%s", path ? path : "(none)",
                   config->provider_count, config->provider_count == 1 ? "" : "s",
                   config->model_count, config->model_count == 1 ? "" : "s", config->route_count,
                   config->route_count == 1 ? "" : "s");
    else
        doctor_add(doctor, DOCTOR_FAIL, "config",
                   "Mend what is listed on stderr; "
                   "`precis config check` repeats it.",
                   "%s cannot be used", path ? path : "no configuration file: it");
}

// What is right and has no effect.
static void check_remarks(struct doctor *doctor, const struct config *config)
{
    struct config_errors remarks = {0};
    config_remarks(config, &remarks);
    for (size_t i = 0; i < remarks.len; i++) {
        const struct config_error *remark = &remarks.items[i];
        doctor_add(doctor, DOCTOR_WARN, "config", remark->hint, "%s:%d:%d: %s",
                   remark->file ? remark->file : "", remark->line, remark->column, remark->message);
    }
    config_errors_deinit(&remarks);
}

static void check_kafka(struct doctor *doctor, const struct config *config, int64_t live_workers)
{
    struct kafka_check kafka;
    if (!kafka_check(&config->kafka, &kafka)) {
        doctor_add(doctor, DOCTOR_FAIL, "kafka", kafka.suggestion, "%s", kafka.problem);
        return;
    }
    doctor_add(doctor, DOCTOR_OK, "kafka", NULL, "%s answers; %s has %d partition%s",
               config->kafka.brokers, config->kafka.topic_jobs, kafka.jobs_partitions,
               kafka.jobs_partitions == 1 ? "" : "s");
    if (kafka.warning[0])
        doctor_add(doctor, DOCTOR_WARN, "kafka", kafka.suggestion[0] ? kafka.suggestion : NULL,
                   "%s", kafka.warning);
    if (kafka.jobs_partitions == 1)
        doctor_add(doctor, DOCTOR_WARN, "kafka",
                   "Give the topic as many partitions as workers may run, and some more.",
                   "%s has one partition: only one worker can read it at a time",
                   config->kafka.topic_jobs);
    else if (kafka.jobs_partitions < live_workers)
        doctor_add(doctor, DOCTOR_WARN, "kafka",
                   "Give the topic more partitions: kafka-topics.sh --alter --partitions N.",
                   "%" PRId64 " workers are live, and %s has %d partitions: the others have "
                   "nothing to read",
                   live_workers, config->kafka.topic_jobs, kafka.jobs_partitions);
}

static void tell_exposed(void *context, const char *path, const char *how)
{
    doctor_add(context, DOCTOR_WARN, "secrets",
               "chmod 600 it, and change the secret if others may have read it.", "%s %s", path,
               how);
}

static void check_all(struct doctor *doctor, struct invocation *invocation,
                      const struct config *config)
{
    secret_files_check(config, invocation_value(invocation, "env-file"), tell_exposed, doctor);
    check_remarks(doctor, config);
    check_models(doctor, config);
    doctor_documents(doctor, config);
    doctor_limits(doctor, config);
    doctor_listen(doctor, config);
    int64_t live_workers = doctor_database(doctor, config);
    check_kafka(doctor, config, live_workers);
    for (size_t i = 0; i < config->provider_count; i++)
        doctor_provider(doctor, config, &config->providers[i]);
}

static int run(struct invocation *invocation)
{
    struct doctor doctor = {.json = invocation_json(invocation)};
    const struct config *config = invocation_config(invocation);
    check_config(&doctor, invocation, config);
    if (config)
        check_all(&doctor, invocation, config);
    if (doctor.json)
        print_json(&doctor);
    else
        print_sum(&doctor);
    int code = count_of(&doctor, DOCTOR_FAIL) > 0 ? EXIT_FAILED : EXIT_DONE;
    doctor_deinit(&doctor);
    return code;
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "Check everything that a worker needs, and say what to mend",
    .details =
        "Looks at the configuration, the files of its secrets, the programs that read documents,\n"
        "this machine's limits, PostgreSQL and its schema, Kafka and its topics, and asks each\n"
        "provider for its models with the key that is configured. Nothing is changed and nothing\n"
        "is paid. Exit 1 where something has to be mended.",
    .prints_data = true,
    .run = run,
};
