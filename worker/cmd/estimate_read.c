// SPDX-License-Identifier: Apache-2.0
// Texts of documents. What is text already is counted at once; the rest goes through the pool of
// extractors, as many at a time as the configuration has children, and is counted as it comes.
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/estimate_parts.h"
#include "cmd/hex.h"
#include "core/text.h"
#include "io/extractor.h"
#include "job/decode.h"

// A job whose document is being read.
struct reading {
    char *spec_json, *path;
};

struct estimate_reader {
    struct estimating *estimating;
    uv_loop_t loop;
    struct extractor *extractor;
    struct reading *items; // by the owner's index
    size_t count, open, window;
};

// ------------------------------------------------------------------------------- what was read

// The spec again: its own went with the turn in which the job was taken.
static void count_text(struct estimate_reader *reader, const struct reading *reading,
                       const struct extract_event *event)
{
    struct message message = {.topic = "",
                              .timestamp_ms = -1,
                              .value = reading->spec_json,
                              .value_len = strlen(reading->spec_json)};
    struct decode_limits limits = {
        .value_bytes = SIZE_MAX / 2, .text_bytes = SIZE_MAX / 2, .nodes = 1000000};
    struct decode_out decoded;
    struct buf clean OWN_BUF;
    buf_init(&clean, 0);
    text_clean(&clean, event->text, event->text_len, NULL);
    if (job_decode(&message, &limits, &decoded) == DECODED_JOB)
        estimate_add(reader->estimating, &decoded.spec, buf_str(&clean), clean.len);
    decode_out_deinit(&decoded);
}

static void on_event(void *context, const struct extract_event *event)
{
    struct estimate_reader *reader = context;
    struct reading *reading = &reader->items[event->owner.index];
    struct estimating *estimating = reader->estimating;
    if (!event->failure)
        count_text(reader, reading, event);
    else if (event->failure->code == ERR_NO_TEXT)
        estimating->blank++;
    else
        submit_problem(&estimating->submit, reading->path, "%s. %s", event->failure->detail,
                       failure_suggestion(event->failure));
    free(reading->spec_json);
    free(reading->path);
    *reading = (struct reading){0};
    reader->open--;
}

// ------------------------------------------------------------------------------- reading

static struct extractor *pool_of(struct estimate_reader *reader)
{
    struct extractor_options options = {
        .on_event = on_event,
        .context = reader,
        .documents = &reader->estimating->submit.config->documents,
    };
    if (!reader->extractor) {
        uv_loop_init(&reader->loop);
        reader->extractor = extractor_new(&reader->loop, &options);
    }
    return reader->extractor;
}

static void read_document(struct estimate_reader *reader, const struct job_spec *spec,
                          const char *path, struct extract_request *request)
{
    struct extractor *pool = pool_of(reader);
    while (reader->open >= reader->window)
        uv_run(&reader->loop, UV_RUN_ONCE);
    reader->items = own_grow(reader->items, reader->count + 1, sizeof(*reader->items));
    reader->items[reader->count] =
        (struct reading){.spec_json = own_strdup(spec->spec_json), .path = own_strdup(path)};
    request->owner = (struct slot_id){(uint32_t)reader->count++, 1};
    request->media_type = spec->media_type;
    request->name = spec->document_name;
    reader->open++;
    extractor_ops()->start(pool, request);
}

// A line that refers to a document in PostgreSQL.
static void take_stored(struct estimating *estimating, const struct job_spec *spec,
                        const char *path)
{
    struct ask ask = {"select text, bytes from precis_data.documents where sha256 = $1",
                      {spec->document_sha256},
                      1};
    bool offline = estimating->submit.order.offline;
    struct pg_rows *rows = offline ? NULL : ask_rows(estimating->submit.invocation, &ask);
    const char *text = ask_value(rows, 0, "text"), *bytes = ask_value(rows, 0, "bytes");
    struct buf read OWN_BUF;
    buf_init(&read, 0);
    if (text) {
        estimate_add(estimating, spec, text, strlen(text));
    } else if (bytes && hex_read(&read, bytes)) {
        struct extract_request request = {.bytes = buf_str(&read), .len = read.len};
        read_document(estimating->reader, spec, path, &request);
    } else {
        submit_problem(&estimating->submit, path, "%s: its document %s", spec->id,
                       offline ? "is in PostgreSQL" : "is not in PostgreSQL");
    }
    pg_rows_free(rows);
}

void estimate_take(void *context, const struct job_spec *spec, const struct submit_place *place)
{
    struct estimating *estimating = context;
    const struct submit_document *document = place->document;
    struct extract_request request = {.url = spec->document_url, .bytes = spec->data};
    request.len = spec->data_len;
    if (spec->document == DOCUMENT_URL && spec->document_sha256[0])
        request.sha256 = spec->document_sha256;
    if (document) {
        request.bytes = buf_str(&document->content);
        request.len = document->content.len;
    }
    if (document && document->is_text)
        estimate_add(estimating, spec, request.bytes, request.len);
    else if (spec->document == DOCUMENT_TEXT)
        estimate_add(estimating, spec, spec->text, spec->text_len);
    else if (document || spec->document != DOCUMENT_STORED)
        read_document(estimating->reader, spec, place->path, &request);
    else
        take_stored(estimating, spec, place->path);
}

// ------------------------------------------------------------------------------- its life

struct estimate_reader *estimate_reader_new(struct estimating *estimating)
{
    struct estimate_reader *reader = own_alloc(sizeof(*reader));
    reader->estimating = estimating;
    reader->window = 2 * (size_t)estimating->submit.config->documents.children;
    return reader;
}

void estimate_reader_finish(struct estimate_reader *reader)
{
    while (reader->open > 0)
        uv_run(&reader->loop, UV_RUN_ONCE);
}

static void on_closed(void *context)
{
    *(bool *)context = true;
}

void estimate_reader_free(struct estimate_reader *reader)
{
    bool closed = !reader || !reader->extractor;
    if (!closed) {
        extractor_close(reader->extractor, on_closed, &closed);
        while (!closed)
            uv_run(&reader->loop, UV_RUN_ONCE);
        extractor_free(reader->extractor);
        uv_loop_close(&reader->loop);
    }
    if (reader)
        free(reader->items);
    free(reader);
}
