// SPDX-License-Identifier: Apache-2.0
// Documents: what is stored of them, and the texts that extractors made.
//
// `fetch` is read in binary form, so that the bytes of a large document come once, and not as twice
// as many hexadecimal digits; its other columns are cast to text, which is the same in both forms.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "io/store_inner.h"

// ------------------------------------------------------------------------------- fetch

struct fetch_item {
    struct store_item item;
    struct slot_id owner;
    char *sha256, *extractor;
    bool plain, bytes;
};

void store_fetch(void *store, const struct fetch_request *request)
{
    struct fetch_item *item = store_item_new(store, sizeof(*item));
    item->owner = request->owner;
    item->sha256 = store_item_text(item, request->document_sha256);
    item->extractor = store_item_text(item, request->extractor);
    item->plain = request->plain;
    item->bytes = request->bytes;
    store_ask(store, STORE_KIND_FETCH, item);
}

static void send_fetch(struct store *store, struct store_item **items, size_t count,
                       struct pg_link *link)
{
    (void)store;
    (void)count;
    const struct fetch_item *item = (const void *)items[0];
    struct store_args args;
    store_args_init(&args);
    store_args_text(&args, item->sha256);
    store_args_text(&args, item->plain ? "t" : "f");
    store_args_text(&args, item->extractor);
    store_args_text(&args, item->bytes ? "t" : "f");
    store_args_run(&args, link, STORE_SQL_fetch);
    store_args_deinit(&args);
}

enum {
    COLUMN_STORED,
    COLUMN_KEPT,
    COLUMN_PAGES,
    COLUMN_WARNINGS,
    COLUMN_TYPE,
    COLUMN_SIZE,
    COLUMN_BYTES
};

// The strings are the list's; the array is the caller's.
static const char **read_warnings(const json_t *list, size_t *out_count)
{
    size_t count = json_array_size(list);
    const char **warnings = own_array(count + 1, sizeof(*warnings));
    *out_count = 0;
    for (size_t i = 0; i < count; i++) {
        const char *warning = json_string_value(json_array_get(list, i));
        if (warning)
            warnings[(*out_count)++] = warning;
    }
    return warnings;
}

static void read_document(const PGresult *read, struct store_event *event)
{
    int column = store_text(read, 0, COLUMN_STORED) ? COLUMN_STORED : COLUMN_KEPT;
    event->u.fetched.found = true;
    event->u.fetched.media_type = store_text(read, 0, COLUMN_TYPE);
    event->u.fetched.size = store_int(read, 0, COLUMN_SIZE);
    event->u.fetched.text = store_text(read, 0, column);
    event->u.fetched.bytes = store_text(read, 0, COLUMN_BYTES);
    if (event->u.fetched.bytes)
        event->u.fetched.size = PQgetlength(read, 0, COLUMN_BYTES);
    if (!event->u.fetched.text)
        return;
    event->u.fetched.text_len = (size_t)PQgetlength(read, 0, column);
    event->u.fetched.kept = column == COLUMN_KEPT;
}

static void fetch_done(struct store *store, struct store_item **items, size_t count,
                       const struct store_answer *answer)
{
    (void)count;
    const PGresult *read = answer->results[0];
    struct store_event event = {.kind = STORE_FETCHED,
                                .owner = ((struct fetch_item *)(void *)items[0])->owner};
    json_t *list = NULL;
    const char **warnings OWN_FREE = NULL;
    if (PQntuples(read) == 1)
        read_document(read, &event);
    if (event.u.fetched.kept) {
        const char *text = store_text(read, 0, COLUMN_WARNINGS);
        list = text ? json_loads(text, 0, NULL) : NULL;
        warnings = read_warnings(list, &event.u.fetched.warning_count);
        event.u.fetched.warnings = warnings;
        event.u.fetched.pages = (int32_t)store_int(read, 0, COLUMN_PAGES);
    }
    store_emit(store, &event);
    json_decref(list);
}

const struct store_kind store_kind_fetch = {
    .name = "fetch", .most = 1, .send = send_fetch, .done = fetch_done};

// ------------------------------------------------------------------------------- keep

struct keep_item {
    struct store_item item;
    struct slot_id owner;
    int64_t job_no;
    int32_t epoch;
    char *sha256, *extractor, *text, *media_type, *warnings;
    size_t text_len;
    int32_t pages;
};

static struct keep_item *keep_of(struct store_item *item)
{
    return (struct keep_item *)(void *)item;
}

void store_keep_text(void *store, const struct text_row *row)
{
    struct keep_item *item = store_item_new(store, sizeof(*item));
    item->owner = row->owner;
    item->job_no = row->job_no;
    item->epoch = row->epoch;
    item->sha256 = store_item_text(item, row->document_sha256);
    item->extractor = store_item_text(item, row->extractor);
    item->text = store_item_text_len(item, row->text, row->text_len);
    item->text_len = strlen(item->text);
    item->media_type = store_item_text(item, row->media_type);
    item->pages = row->pages;
    struct pg_array warnings;
    pg_array_init(&warnings);
    for (size_t i = 0; i < row->warning_count; i++)
        pg_array_add_text(&warnings, store_item_text(item, row->warnings[i]));
    item->warnings = store_item_text(item, pg_array_str(&warnings));
    pg_array_deinit(&warnings);
    store_ask(store, STORE_KIND_KEEP, item);
}

// By job, so that two units that update the same rows don't lock each other.
static int compare_keeps(const struct store_item *a, const struct store_item *b)
{
    int64_t left = ((const struct keep_item *)(const void *)a)->job_no;
    int64_t right = ((const struct keep_item *)(const void *)b)->job_no;
    return left < right ? -1 : left > right;
}

static void run_texts(struct store_item **items, size_t count, struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    struct pg_array *sha256 = store_args_array(&args), *extractor = store_args_array(&args),
                    *text = store_args_array(&args), *pages = store_args_array(&args),
                    *media_type = store_args_array(&args), *warnings = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        const struct keep_item *item = keep_of(items[i]);
        pg_array_add_text(sha256, item->sha256);
        pg_array_add_text(extractor, item->extractor);
        pg_array_add_bytes_as_text(text, item->text, item->text_len);
        if (item->pages > 0)
            pg_array_add_int(pages, item->pages);
        else
            pg_array_add_null(pages);
        pg_array_add_text(media_type, item->media_type);
        pg_array_add_text(warnings, item->warnings);
    }
    store_args_run(&args, link, STORE_SQL_keep_texts);
    store_args_deinit(&args);
}

static void send_keeps(struct store *store, struct store_item **items, size_t count,
                       struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    // Before whoever takes this worker's claims over, or after; never in between.
    store_args_run(&args, link, STORE_SQL_worker_lock);
    run_texts(items, count, link);
    struct pg_array *job_no = store_args_array(&args), *epoch = store_args_array(&args),
                    *sha256 = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        pg_array_add_int(job_no, keep_of(items[i])->job_no);
        pg_array_add_int(epoch, keep_of(items[i])->epoch);
        pg_array_add_text(sha256, keep_of(items[i])->sha256);
    }
    store_args_run(&args, link, STORE_SQL_keep_documents);
    store_args_deinit(&args);
}

static void keeps_done(struct store *store, struct store_item **items, size_t count,
                       const struct store_answer *answer)
{
    (void)answer;
    for (size_t i = 0; i < count; i++)
        store_emit(store,
                   &(struct store_event){.kind = STORE_KEPT, .owner = keep_of(items[i])->owner});
}

static bool keep_rejected(struct store *store, struct store_item *item, const char *sqlstate)
{
    struct store_event event = {.kind = STORE_KEPT, .owner = keep_of(item)->owner};
    event.u.kept.rejected = true;
    store_copy_sqlstate(event.u.kept.sqlstate, sqlstate);
    store_emit(store, &event);
    return false;
}

const struct store_kind store_kind_keep = {
    .name = "keep_text",
    .most = 100,
    .lazy = true,
    .compare = compare_keeps,
    .send = send_keeps,
    .done = keeps_done,
    .rejected = keep_rejected,
};
