// SPDX-License-Identifier: Apache-2.0
// From paths to documents and JSON lines.
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/interrupt.h"
#include "cmd/slurp.h"
#include "cmd/submit_parts.h"
#include "cmd/walk.h"
#include "core/identity.h"
#include "core/json_scan.h"
#include "core/text.h"

#define HASH_DIGITS 8

// ------------------------------------------------------------------------------- names

void submit_job_name(char out[SPEC_NAME_BYTES + 1], const char *name, const char *salt)
{
    struct buf made OWN_BUF;
    buf_init(&made, 0);
    bool hashed = salt != NULL;
    for (const char *c = name; *c; c++) {
        bool same = identity_name_ok(c, 1) && *c != ':';
        hashed = hashed || (!same && *c != '/');
        if (same || *c == '/')
            buf_add_char(&made, *c == '/' ? ':' : *c);
        else if (made.len == 0 || made.data[made.len - 1] != '_')
            buf_add_char(&made, '_');
    }
    if (!hashed && made.len <= SPEC_NAME_BYTES) {
        snprintf(out, SPEC_NAME_BYTES + 1, "%s", buf_str(&made));
        return;
    }
    struct buf whole OWN_BUF;
    buf_init(&whole, 0);
    buf_printf(&whole, "%s%s%s", name, salt ? "\n" : "", salt ? salt : "");
    char hash[65];
    text_sha256_hex(whole.data, whole.len, hash);
    size_t keep = SPEC_NAME_BYTES - HASH_DIGITS - 1;
    snprintf(out, SPEC_NAME_BYTES + 1, "%.*s-%.*s", (int)keep, buf_str(&made), HASH_DIGITS, hash);
}

// ------------------------------------------------------------------------------- documents

static bool ends_with(const char *name, const char *const *endings)
{
    const char *dot = strrchr(name, '.');
    for (; dot && *endings; endings++)
        if (strcasecmp(dot, *endings) == 0)
            return true;
    return false;
}

// The cleaned text of a file; false where it is none, which is noted.
static bool read_text(struct submit *submit, const char *path, struct buf *out)
{
    struct buf raw OWN_BUF;
    buf_init(&raw, (size_t)submit->config->documents.max_bytes);
    char problem[300];
    if (!slurp_file(&raw, path, problem, sizeof(problem))) {
        submit_problem(submit, path, "%s%s", problem,
                       raw.overflow ? " (documents.max_bytes in the configuration)" : "");
        return false;
    }
    const char *foreign = text_foreign_encoding(buf_str(&raw), raw.len);
    if (foreign)
        submit_problem(submit, path,
                       "it is not UTF-8 but seems to be %s; convert it, for instance "
                       "with iconv",
                       foreign);
    return !foreign && text_clean(out, buf_str(&raw), raw.len, NULL);
}

static void take_document(struct submit *submit, const struct walk_file *file)
{
    struct buf text OWN_BUF, name OWN_BUF;
    buf_init(&text, 0);
    buf_init(&name, 0);
    text_clean(&name, file->name, strlen(file->name), NULL);
    if (!read_text(submit, file->path, &text))
        return;
    char id[SPEC_NAME_BYTES + 1];
    submit_job_name(id, file->name, NULL);
    json_t *message = json_pack("{s:i, s:s, s:s, s:{s:s, s:o}}", "v", 1, "id", id, "kind",
                                "summarize", "document", "name", buf_str(&name), "text",
                                json_stringn_nocheck(buf_str(&text), text.len));
    struct submit_place place = {.path = file->path, .name = buf_str(&name)};
    submit_job(submit, message, &place);
}

// ------------------------------------------------------------------------------- lines

static bool is_seal(const json_t *message)
{
    const char *kind = json_string_value(json_object_get(message, "kind"));
    return kind && strcmp(kind, "seal") == 0;
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
        submit_problem(submit, path, "line %zu: OpenAI-batch lines are not supported yet", number);
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

static void take_lines(struct submit *submit, const char *path, FILE *file)
{
    struct buf line OWN_BUF;
    buf_init(&line, (size_t)submit->config->documents.max_bytes * 6 + (1 << 20));
    for (size_t number = 1; !submit->stopped && read_line(file, &line); number++) {
        if (line.overflow)
            submit_problem(submit, path, "line %zu has more than %zu bytes", number, line.cap);
        else
            take_line(submit, path, number, &line);
        if (interrupt_came())
            return;
    }
    if (ferror(file))
        submit_problem(submit, path, "%s", strerror(errno));
}

static void take_lines_of(struct submit *submit, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        submit_problem(submit, path, "%s", strerror(errno));
        return;
    }
    take_lines(submit, path, file);
    fclose(file);
}

// ------------------------------------------------------------------------------- paths

static void take_file(struct submit *submit, const struct walk_file *file)
{
    static const char *const texts[] = {".txt", ".md", ".text", NULL};
    static const char *const lines[] = {".jsonl", ".ndjson", NULL};
    const char *dot = strrchr(file->name, '.');
    if (ends_with(file->name, texts))
        take_document(submit, file);
    else if (ends_with(file->name, lines))
        take_lines_of(submit, file->path);
    else
        submit_problem(submit, file->path,
                       "%s%sfiles are not supported yet: convert it to text (.txt, .md, .text)",
                       dot ? dot : "", dot ? " " : "such ");
}

static void on_walk_problem(void *context, const char *path, const char *why)
{
    submit_problem(context, path, "%s", why);
}

void submit_path(struct submit *submit, const char *path)
{
    if (strcmp(path, "-") == 0) {
        take_lines(submit, "standard input", stdin);
        return;
    }
    struct walk walk = {.problem = on_walk_problem, .context = submit};
    walk_add(&walk, path);
    for (size_t i = 0; i < walk.count && !submit->stopped && !interrupt_came(); i++)
        take_file(submit, &walk.files[i]);
    walk_deinit(&walk);
}
