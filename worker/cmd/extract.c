// SPDX-License-Identifier: Apache-2.0
// precis extract: what precis sees of a document, made as a worker makes it.
//
// Files are read here, since whoever may run this may read them anyway; URLs by the child, by the
// rules that hold for jobs. At most twice as many documents as children are in memory; they are
// printed in the order in which they were named.
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/own.h"
#include "cmd/command.h"
#include "cmd/screen.h"
#include "cmd/slurp.h"
#include "cmd/walk.h"
#include "core/config_table.h"
#include "core/config_value.h"
#include "io/extractor.h"

struct document {
    char *name; // as the user knows it
    const char *path, *url;
    bool ended;
    bool failed;
    struct buf out, notes; // for stdout and stderr
};

struct extraction {
    uv_loop_t loop;
    struct extractor *extractor;
    struct walk files;
    struct document *documents;
    size_t count, next, printed, open, window;
    size_t max_bytes;
    bool json, many, any_failed;
};

static bool is_url(const char *argument)
{
    return strncmp(argument, "https:", 6) == 0 || strncmp(argument, "file:", 5) == 0;
}

// ------------------------------------------------------------------------------- output

static void print_json(struct document *document, const struct extract_event *event)
{
    json_t *warnings = json_array(), *object = json_object(), *error = NULL;
    char code[40];
    for (size_t i = 0; i < event->warning_count; i++)
        json_array_append_new(warnings, json_string(event->warnings[i]));
    if (event->failure)
        error = json_pack("{s:s, s:s, s:s}", "code",
                          failure_code(event->failure, code, sizeof(code)), "error",
                          event->failure->detail, "suggestion", failure_suggestion(event->failure));
    struct buf name OWN_BUF;
    buf_init(&name, 0);
    screen_add_text(&name, document->name);
    json_object_set_new(object, "name", json_string(buf_str(&name)));
    json_object_set_new(object, "media_type",
                        event->media_type ? json_string(event->media_type) : json_null());
    json_object_set_new(object, "pages", event->pages ? json_integer(event->pages) : json_null());
    json_object_set_new(object, "sha256", event->sha256 ? json_string(event->sha256) : json_null());
    json_object_set_new(object, "extractor",
                        event->extractor ? json_string(event->extractor) : json_null());
    json_object_set_new(object, "warnings", warnings);
    json_object_set_new(object, "text",
                        event->text ? json_stringn(event->text, event->text_len) : json_null());
    json_object_set_new(object, "error", error ? error : json_null());
    OWN_FREE char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    buf_add_str(&document->out, text ? text : "");
    buf_add_char(&document->out, '\n');
}

static void print_notes(struct document *document, const struct extract_event *event)
{
    struct buf *notes = &document->notes;
    screen_add_line(notes, document->name);
    if (event->failure) {
        buf_add_str(notes, ": ");
        screen_add_line(notes, event->failure->detail);
        buf_printf(notes, ". Suggestion: ");
        screen_add_line(notes, failure_suggestion(event->failure));
        buf_add_char(notes, '\n');
        return;
    }
    buf_printf(notes, ": %s by %s, ", event->media_type, event->extractor);
    if (event->pages)
        buf_printf(notes, "%d page%s, ", event->pages, event->pages == 1 ? "" : "s");
    screen_add_bytes(notes, (int64_t)event->text_len);
    buf_add_str(notes, " of text\n");
    for (size_t i = 0; i < event->warning_count; i++) {
        buf_add_str(notes, "warning: ");
        screen_add_line(notes, event->warnings[i]);
        buf_add_char(notes, '\n');
    }
}

static void print_text(const struct extraction *extraction, struct document *document,
                       const struct extract_event *event)
{
    if (event->failure)
        return;
    if (extraction->many) {
        buf_add_str(&document->out, "==> ");
        screen_add_line(&document->out, document->name);
        buf_add_str(&document->out, " <==\n");
    }
    buf_add(&document->out, event->text, event->text_len);
    if (event->text_len && event->text[event->text_len - 1] != '\n')
        buf_add_char(&document->out, '\n');
}

// Those that have ended, up to the first that has not.
static void print_ended(struct extraction *extraction)
{
    while (extraction->printed < extraction->count &&
           extraction->documents[extraction->printed].ended) {
        struct document *document = &extraction->documents[extraction->printed++];
        fwrite(buf_str(&document->out), 1, document->out.len, stdout);
        fflush(stdout);
        fwrite(buf_str(&document->notes), 1, document->notes.len, stderr);
        extraction->any_failed |= document->failed;
        buf_deinit(&document->out);
        buf_deinit(&document->notes);
        extraction->open--;
    }
}

static void finish(struct extraction *extraction, struct document *document,
                   const struct extract_event *event)
{
    document->ended = true;
    document->failed = event->failure != NULL;
    if (extraction->json) {
        print_json(document, event);
    } else {
        print_text(extraction, document, event);
        print_notes(document, event);
    }
}

// ------------------------------------------------------------------------------- work

static void begin(struct extraction *extraction, size_t index)
{
    struct document *document = &extraction->documents[index];
    struct extract_request request = {
        .owner = {(uint32_t)index, 1}, .name = document->path, .url = document->url};
    struct buf bytes OWN_BUF;
    char problem[300];
    buf_init(&bytes, extraction->max_bytes);
    buf_init(&document->out, 0);
    buf_init(&document->notes, 0);
    extraction->open++;
    if (document->path && !slurp_file(&bytes, document->path, problem, sizeof(problem))) {
        struct failure failure;
        failure_set(&failure, bytes.overflow ? ERR_TOO_LARGE : ERR_UNREADABLE,
                    "The file cannot be read: %s", problem);
        struct extract_event event = {.failure = &failure};
        finish(extraction, document, &event);
        return;
    }
    request.bytes = document->path ? buf_str(&bytes) : NULL;
    request.len = bytes.len;
    extractor_ops()->start(extraction->extractor, &request);
}

static void go_on(struct extraction *extraction)
{
    do {
        print_ended(extraction);
        while (extraction->next < extraction->count && extraction->open < extraction->window)
            begin(extraction, extraction->next++);
    } while (extraction->printed < extraction->count &&
             extraction->documents[extraction->printed].ended);
}

static void on_event(void *context, const struct extract_event *event)
{
    struct extraction *extraction = context;
    finish(extraction, &extraction->documents[event->owner.index], event);
    go_on(extraction);
}

static void on_problem(void *context, const char *path, const char *why)
{
    ((struct extraction *)context)->any_failed = true;
    fprintf(stderr, "%s: %s\n", path, why);
}

static void collect(struct extraction *extraction, const struct invocation *invocation)
{
    size_t urls = 0, count = invocation_argument_count(invocation);
    extraction->files = (struct walk){.problem = on_problem, .context = extraction};
    for (size_t i = 0; i < count; i++)
        if (is_url(invocation_argument(invocation, i)))
            urls++;
        else
            walk_add(&extraction->files, invocation_argument(invocation, i));
    extraction->documents =
        own_array(extraction->files.count + urls + 1, sizeof(*extraction->documents));
    for (size_t i = 0; i < extraction->files.count; i++)
        extraction->documents[extraction->count++] = (struct document){
            .name = extraction->files.files[i].path, .path = extraction->files.files[i].path};
    for (size_t i = 0; i < count; i++) {
        const char *argument = invocation_argument(invocation, i);
        if (is_url(argument))
            extraction->documents[extraction->count++] =
                (struct document){.name = own_strdup(argument), .url = argument};
    }
    extraction->many = extraction->count > 1;
}

static void on_closed(void *context)
{
    *(bool *)context = true;
}

static void work(struct extraction *extraction, const struct config_documents *documents)
{
    struct extractor_options options = {
        .on_event = on_event, .context = extraction, .documents = documents};
    uv_loop_init(&extraction->loop);
    extraction->extractor = extractor_new(&extraction->loop, &options);
    extraction->window = 2 * (size_t)documents->children;
    extraction->max_bytes = (size_t)documents->max_bytes;
    go_on(extraction);
    while (extraction->printed < extraction->count)
        uv_run(&extraction->loop, UV_RUN_ONCE);
    bool closed = false;
    extractor_close(extraction->extractor, on_closed, &closed);
    while (!closed)
        uv_run(&extraction->loop, UV_RUN_ONCE);
    extractor_free(extraction->extractor);
    uv_loop_close(&extraction->loop);
}

// ------------------------------------------------------------------------------- the command

// Without a configuration file: what the table says where nothing is given.
static void documents_default(struct config_documents *out)
{
    size_t count;
    const struct config_field *fields = config_fields(CONFIG_DOCUMENTS, &count);
    struct buf why OWN_BUF;
    buf_init(&why, 0);
    for (size_t i = 0; i < count; i++)
        if (fields[i].preset)
            config_set(out, &fields[i], fields[i].preset, &why);
}

static int run(struct invocation *invocation)
{
    struct config_documents documents = {0};
    struct extraction extraction = {.json = invocation_json(invocation)};
    if (invocation_argument_count(invocation) == 0)
        return invocation_misuse(invocation, "name the documents: files, folders or URLs");
    if (invocation_config_path(invocation)) {
        const struct config *config = invocation_config(invocation);
        if (!config)
            return EXIT_USAGE;
        documents = config->documents;
    } else {
        documents_default(&documents);
    }
    signal(SIGPIPE, SIG_IGN);
    collect(&extraction, invocation);
    work(&extraction, &documents);
    for (size_t i = 0; i < extraction.count; i++)
        if (extraction.documents[i].url)
            free(extraction.documents[i].name);
    free(extraction.documents);
    walk_deinit(&extraction.files);
    return extraction.any_failed || ferror(stdout) ? EXIT_FAILED : EXIT_DONE;
}

const struct command command_extract = {
    .name = "extract",
    .arguments = "PATH|URL…",
    .summary = "Print the text that precis sees of documents: files, folders, URLs",
    .details =
        "The text goes to standard output, with a form feed at the end of each page where there\n"
        "are pages; what was read, by what, and every warning to standard error. With --json a\n"
        "line per document. Limits and extractors are those of `documents` in the configuration\n"
        "(the defaults where there is none). Exit code 1 where a document gave no text.",
    .prints_data = true,
    .run = run,
};
