// SPDX-License-Identifier: Apache-2.0
// From paths to documents and files of lines.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"
#include "cmd/interrupt.h"
#include "cmd/submit_parts.h"
#include "cmd/walk.h"
#include "core/identity.h"
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

static void take_content(struct submit *submit, const struct walk_file *file,
                         const struct submit_document *document)
{
    bool store = submit->order.store_all || document->content.len > SUBMIT_INLINE_BYTES;
    char id[SPEC_NAME_BYTES + 1];
    submit_job_name(id, file->name, NULL);
    json_t *message = json_pack("{s:i, s:s, s:s, s:o}", "v", 1, "id", id, "kind", "summarize",
                                "document", submit_document_json(document, file->name, store));
    struct submit_place place = {
        .path = file->path, .name = file->name, .document = store ? document : NULL};
    submit_job(submit, message, &place);
}

static void take_document(struct submit *submit, const struct walk_file *file)
{
    struct submit_document document;
    char problem[400];
    if (submit_document_read(&document, submit->config, file->path, problem, sizeof(problem)))
        take_content(submit, file, &document);
    else
        submit_problem(submit, file->path, "%s", problem);
    submit_document_deinit(&document);
}

static void take_lines_of(struct submit *submit, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        submit_problem(submit, path, "%s", strerror(errno));
        return;
    }
    submit_lines(submit, path, file);
    fclose(file);
}

// ------------------------------------------------------------------------------- paths

static bool is_same_file(const char *a, const char *b)
{
    struct stat one, other;
    return a && b && stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_ino == other.st_ino &&
           one.st_dev == other.st_dev;
}

static void take_file(struct submit *submit, const struct walk_file *file)
{
    static const char *const lines[] = {".jsonl", ".ndjson", NULL};
    int64_t before = submit->read_bytes;
    if (strcmp(file->path, "-") == 0)
        submit_lines(submit, "standard input", stdin);
    else if (is_same_file(file->path, invocation_value(submit->invocation, "labels-from")))
        submit->passed_over++; // the table of labels lies in the folder
    else if (ends_with(file->name, lines))
        take_lines_of(submit, file->path);
    else
        take_document(submit, file);
    submit->read++;
    submit->read_bytes = before + file->bytes;
    progress_show(&submit->progress, submit->read, submit->read_bytes, "");
}

static void on_walk_problem(void *context, const char *path, const char *why)
{
    submit_problem(context, path, "%s", why);
}

void submit_paths(struct submit *submit)
{
    struct walk walk = {.problem = on_walk_problem, .context = submit};
    size_t count = invocation_argument_count(submit->invocation);
    int64_t bytes = 0;
    for (size_t i = 0; i < count && !interrupt_came(); i++) {
        const char *path = invocation_argument(submit->invocation, i);
        if (strcmp(path, "-") == 0)
            walk_add_file(&walk, path, path, 0);
        else
            walk_add(&walk, path);
    }
    for (size_t i = 0; i < walk.count; i++)
        bytes += walk.files[i].bytes;
    submit->passed_over = walk.passed_over;
    progress_init(&submit->progress, walk.count == 1 ? "file" : "files", (int64_t)walk.count, bytes,
                  0);
    for (size_t i = 0; i < walk.count && !submit->stopped && !interrupt_came(); i++)
        take_file(submit, &walk.files[i]);
    walk_deinit(&walk);
}
