// SPDX-License-Identifier: Apache-2.0
// Job messages, a line each.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "cmd/interrupt.h"
#include "cmd/screen.h"
#include "cmd/submit_parts.h"
#include "core/json_scan.h"

static bool is_seal(const json_t *message)
{
    const char *kind = json_string_value(json_object_get(message, "kind"));
    return kind && strcmp(kind, "seal") == 0;
}

// Parameters that a job does not have are told once: they change how an answer is worded.
static void say_left_out(struct submit *submit, const struct submit_place *place,
                         const char *left_out)
{
    if (!left_out[0] || submit->told_left_out)
        return;
    screen_progress_end();
    fprintf(stderr,
            "warning: %s: line %zu: of `body` these are left out, here and in later lines: %s\n",
            place->path, place->line, left_out);
    submit->told_left_out = true;
}

static void take_openai(struct submit *submit, const json_t *line, const struct submit_place *place)
{
    struct buf left_out OWN_BUF, problem OWN_BUF;
    buf_init(&left_out, 1000);
    buf_init(&problem, 1000);
    json_t *message = submit_openai(line, &left_out, &problem);
    if (!message) {
        submit_problem(submit, place->path, "line %zu: %s", place->line, buf_str(&problem));
        return;
    }
    json_t *summarize = json_object_get(message, "summarize");
    const char *model = json_string_value(json_object_get(summarize, "model"));
    bool known = !model || config_find_model(submit->config, model, 0);
    if (!known && !json_object_get(submit->order.summarize, "model")) {
        submit_problem(submit, place->path,
                       "line %zu: the configuration has no model \"%s\"; --model takes another",
                       place->line, model);
        json_decref(message);
        return;
    }
    if (!known)
        json_object_del(summarize, "model");
    say_left_out(submit, place, buf_str(&left_out));
    submit_job(submit, message, place);
}

static void take_line(struct submit *submit, const char *path, size_t number, struct buf *line)
{
    const char *text = buf_str(line);
    size_t len = line->len, skip = strspn(text, " \t\r\n");
    if (number == 1 && strncmp(text, "\xef\xbb\xbf", 3) == 0)
        skip = 3;
    if (skip == len)
        return;
    len -= skip;
    json_scan_mend_surrogates(line->data + skip, &len);
    struct json_limits limits = {len + 1, 64, 1000000};
    struct failure failure;
    json_t *message =
        json_load_checked(line->data + skip, len, &limits, JSON_REJECT_DUPLICATES, &failure);
    struct submit_place place = {.path = path, .line = number};
    if (!message)
        submit_problem(submit, path, "line %zu: %s", number, failure.detail);
    else if (!json_is_object(message))
        submit_problem(submit, path, "line %zu: it is no JSON object", number);
    else if (is_seal(message))
        submit_problem(submit, path, "line %zu: a seal is no job; submit seals its batches itself",
                       number);
    else if (json_object_get(message, "custom_id") && json_object_get(message, "body"))
        take_openai(submit, message, &place);
    else
        submit_job(submit, json_incref(message), &place);
    json_decref(message);
}

// One line without its line feed; false at the end of the file.
static bool read_line(FILE *file, struct buf *line)
{
    int c;
    buf_clear(line);
    line->overflow = false;
    while ((c = getc_unlocked(file)) != EOF && c != '\n')
        buf_add_char(line, (char)c);
    return c != EOF || line->len > 0 || line->overflow;
}

void submit_lines(struct submit *submit, const char *path, FILE *file)
{
    struct buf line OWN_BUF;
    buf_init(&line, (size_t)submit->config->documents.max_bytes * 6 + (1 << 20));
    for (size_t number = 1; !submit->stopped && read_line(file, &line); number++) {
        if (line.overflow)
            submit_problem(submit, path, "line %zu has more than %zu bytes", number, line.cap);
        else
            take_line(submit, path, number, &line);
        submit->read_bytes += (int64_t)line.len + 1;
        progress_show(&submit->progress, submit->read, submit->read_bytes, "");
        if (interrupt_came())
            return;
    }
    if (ferror(file))
        submit_problem(submit, path, "%s", strerror(errno));
}
