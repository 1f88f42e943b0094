// SPDX-License-Identifier: Apache-2.0
// T3: what attempts came to, the answers that are kept, and how jobs end.
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "io/store_inner.h"

struct record_item {
    struct store_item item;
    struct slot_id owner;
    int64_t job_no;
    int32_t epoch;
    bool has_attempt, has_part, has_outcome, has_summary, has_letter;
    struct attempt_result attempt; // all strings are the item's
    struct part_row part;
    struct outcome_row outcome;
    struct summary_row summary;
    char *key_points, *warnings; // array literals; key_points NULL where there are none
    struct citation_row *citations;
    struct message letter;
    char *letter_headers;
};

static struct record_item *record_of(struct store_item *item)
{
    return (struct record_item *)(void *)item;
}

// ------------------------------------------------------------------------------- copies

static void copy_attempt(struct record_item *item, const struct attempt_result *attempt)
{
    item->has_attempt = true;
    item->attempt = *attempt;
    item->attempt.error_code = store_item_text(item, attempt->error_code);
    item->attempt.error = store_item_text(item, attempt->error);
    item->attempt.answer = store_item_text(item, attempt->answer);
    item->attempt.response_model = store_item_text(item, attempt->response_model);
    item->attempt.request_id = store_item_text(item, attempt->request_id);
    item->attempt.finish_reason = store_item_text(item, attempt->finish_reason);
}

static void copy_part(struct record_item *item, const struct part_row *part)
{
    item->has_part = true;
    item->part = *part;
    item->part.model = store_item_text(item, part->model);
    item->part.answer = store_item_text(item, part->answer);
}

static char *copy_list(struct record_item *item, const char *const *texts, size_t count)
{
    struct pg_array array;
    pg_array_init(&array);
    for (size_t i = 0; i < count; i++)
        pg_array_add_text(&array, store_item_text(item, texts[i]));
    char *literal = store_item_text(item, pg_array_str(&array));
    pg_array_deinit(&array);
    return literal;
}

static void copy_citations(struct record_item *item, const struct summary_row *summary)
{
    if (summary->citation_count == 0)
        return;
    item->citations = store_item_bytes(item, summary->citations,
                                       summary->citation_count * sizeof(*summary->citations));
    for (size_t i = 0; i < summary->citation_count; i++) {
        item->citations[i].path = store_item_text(item, summary->citations[i].path);
        item->citations[i].quote = store_item_text(item, summary->citations[i].quote);
    }
}

static void copy_summary(struct record_item *item, const struct summary_row *summary)
{
    item->has_summary = true;
    item->summary = *summary;
    item->summary.summary = store_item_text(item, summary->summary);
    item->summary.output_json = store_item_text(item, summary->output_json);
    item->summary.document_name = store_item_text(item, summary->document_name);
    item->summary.document_uri = store_item_text(item, summary->document_uri);
    item->summary.document_sha256 = store_item_text(item, summary->document_sha256);
    item->summary.language = store_item_text(item, summary->language);
    item->summary.model = store_item_text(item, summary->model);
    item->summary.response_model = store_item_text(item, summary->response_model);
    item->summary.prompt_version = store_item_text(item, summary->prompt_version);
    if (summary->key_points)
        item->key_points = copy_list(item, summary->key_points, summary->key_point_count);
    item->warnings = copy_list(item, summary->warnings, summary->warning_count);
    copy_citations(item, summary);
}

static void copy_outcome(struct record_item *item, const struct outcome_row *outcome)
{
    item->has_outcome = true;
    item->outcome = *outcome;
    item->outcome.error_code = store_item_text(item, outcome->error_code);
    item->outcome.error = store_item_text(item, outcome->error);
    item->outcome.suggestion = store_item_text(item, outcome->suggestion);
    if (outcome->summary)
        copy_summary(item, outcome->summary);
    if (outcome->dead_letter) {
        item->has_letter = true;
        item->letter = store_item_message(item, outcome->dead_letter);
        item->letter_headers = store_item_headers(item, outcome->dead_letter);
    }
}

void store_record(void *store, const struct record_request *request)
{
    struct record_item *item = store_item_new(store, sizeof(*item));
    item->owner = request->owner;
    item->job_no = request->job_no;
    item->epoch = request->epoch;
    if (request->attempt)
        copy_attempt(item, request->attempt);
    if (request->part)
        copy_part(item, request->part);
    if (request->outcome)
        copy_outcome(item, request->outcome);
    store_ask(store, STORE_KIND_RECORD, item);
}

static int compare(const struct store_item *a, const struct store_item *b)
{
    int64_t left = ((const struct record_item *)(const void *)a)->job_no;
    int64_t right = ((const struct record_item *)(const void *)b)->job_no;
    return left < right ? -1 : left > right;
}

// ------------------------------------------------------------------------------- attempts, parts

static void add_or_null(struct pg_array *array, bool known, int64_t number)
{
    if (known)
        pg_array_add_int(array, number);
    else
        pg_array_add_null(array);
}

enum { ATTEMPT_COLUMNS = 24 };

static void add_attempt(struct pg_array *const *columns, const struct record_item *item)
{
    const struct attempt_result *attempt = &item->attempt;
    const struct usage *usage = &attempt->usage;
    struct pg_array *const *at = columns;
    pg_array_add_int(*at++, item->job_no);
    pg_array_add_int(*at++, item->epoch);
    pg_array_add_int(*at++, attempt->plan_no);
    pg_array_add_int(*at++, attempt->call_no);
    pg_array_add_int(*at++, attempt->attempt_no);
    pg_array_add_text(*at++, attempt_outcome_name(attempt->outcome));
    add_or_null(*at++, attempt->http_status != 0, attempt->http_status);
    pg_array_add_text(*at++, attempt->error_code);
    pg_array_add_text(*at++, attempt->error);
    pg_array_add_text(*at++, attempt->answer);
    add_or_null(*at++, usage->known, usage->input_tokens);
    add_or_null(*at++, usage->known, usage->cached_tokens);
    add_or_null(*at++, usage->known, usage->output_tokens);
    add_or_null(*at++, usage->known, usage->reasoning_tokens);
    add_or_null(*at++, attempt->cost_picousd >= 0, attempt->cost_picousd);
    pg_array_add_int(*at++, attempt->at_most_picousd);
    pg_array_add_text(*at++, cost_source_name(attempt->cost_source));
    add_or_null(*at++, attempt->cost_reported_picousd >= 0, attempt->cost_reported_picousd);
    pg_array_add_text(*at++, attempt->response_model);
    pg_array_add_text(*at++, attempt->request_id);
    pg_array_add_text(*at++, attempt->finish_reason);
    store_add_ms(*at++, attempt->started_at_ms);
    add_or_null(*at++, attempt->ttft_ms >= 0, attempt->ttft_ms);
    add_or_null(*at++, attempt->duration_ms >= 0, attempt->duration_ms);
    CHECK(at - columns == ATTEMPT_COLUMNS);
}

static void run_attempts(struct store *store, struct store_item **items, size_t count,
                         struct pg_link *link)
{
    struct store_args args;
    struct pg_array *columns[ATTEMPT_COLUMNS];
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    for (size_t i = 0; i < ATTEMPT_COLUMNS; i++)
        columns[i] = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        if (record_of(items[i])->has_attempt)
            add_attempt(columns, record_of(items[i]));
    }
    if (columns[0]->len > 0)
        store_args_run(&args, link, STORE_SQL_record_attempts);
    store_args_deinit(&args);
}

static void run_parts(struct store_item **items, size_t count, struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    struct pg_array *job_no = store_args_array(&args), *plan_no = store_args_array(&args),
                    *call_no = store_args_array(&args), *model = store_args_array(&args),
                    *from = store_args_array(&args), *to = store_args_array(&args),
                    *answer = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        const struct record_item *item = record_of(items[i]);
        if (!item->has_part)
            continue;
        pg_array_add_int(job_no, item->job_no);
        pg_array_add_int(plan_no, item->part.plan_no);
        pg_array_add_int(call_no, item->part.call_no);
        pg_array_add_text(model, item->part.model);
        pg_array_add_int(from, item->part.from);
        pg_array_add_int(to, item->part.to);
        pg_array_add_text(answer, item->part.answer);
    }
    if (job_no->len > 0)
        store_args_run(&args, link, STORE_SQL_record_parts);
    store_args_deinit(&args);
}

// ------------------------------------------------------------------------------- outcomes

// Before whoever takes this worker's claims over, or after; never in between.
static void run_lock(struct store *store, struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    store_args_run(&args, link, STORE_SQL_worker_lock);
    store_args_deinit(&args);
}

static const char *state_name(enum job_state state)
{
    static const char *const names[] = {"done", "failed", "cancelled"};
    CHECK((size_t)state < sizeof(names) / sizeof(names[0]));
    return names[state];
}

static void run_outcomes(struct store *store, struct store_item **items, size_t count,
                         struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    struct pg_array *job_no = store_args_array(&args), *epoch = store_args_array(&args),
                    *state = store_args_array(&args), *code = store_args_array(&args),
                    *error = store_args_array(&args), *suggestion = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        const struct record_item *item = record_of(items[i]);
        if (!item->has_outcome)
            continue;
        pg_array_add_int(job_no, item->job_no);
        pg_array_add_int(epoch, item->epoch);
        pg_array_add_text(state, state_name(item->outcome.state));
        pg_array_add_text(code, item->outcome.error_code);
        pg_array_add_text(error, item->outcome.error);
        pg_array_add_text(suggestion, item->outcome.suggestion);
    }
    store_args_run(&args, link, STORE_SQL_record_outcomes);
    store_args_deinit(&args);
}

enum { SUMMARY_COLUMNS = 13, CITATION_COLUMNS = 9 };

static void add_summary(struct pg_array *const *columns, const struct record_item *item)
{
    const struct summary_row *summary = &item->summary;
    struct pg_array *const *at = columns;
    pg_array_add_int(*at++, item->job_no);
    pg_array_add_text(*at++, summary->summary);
    pg_array_add_text(*at++, item->key_points);
    pg_array_add_text(*at++, summary->output_json);
    pg_array_add_text(*at++, item->warnings);
    pg_array_add_text(*at++, summary->document_name);
    pg_array_add_text(*at++, summary->document_sha256);
    pg_array_add_text(*at++, summary->language);
    pg_array_add_text(*at++, summary->model);
    pg_array_add_text(*at++, summary->response_model);
    pg_array_add_text(*at++, summary->prompt_version);
    pg_array_add_text(*at++, summary->document_uri);
    add_or_null(*at++, summary->pages > 0, summary->pages);
    CHECK(at - columns == SUMMARY_COLUMNS);
}

static void run_summaries(struct store_item **items, size_t count, struct pg_link *link)
{
    struct store_args args;
    struct pg_array *columns[SUMMARY_COLUMNS];
    store_args_init(&args);
    for (size_t i = 0; i < SUMMARY_COLUMNS; i++)
        columns[i] = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        if (record_of(items[i])->has_summary)
            add_summary(columns, record_of(items[i]));
    }
    if (columns[0]->len > 0)
        store_args_run(&args, link, STORE_SQL_record_summaries);
    store_args_deinit(&args);
}

static void add_citations(struct pg_array *const columns[CITATION_COLUMNS],
                          const struct record_item *item)
{
    for (size_t n = 0; item->has_summary && n < item->summary.citation_count; n++) {
        const struct citation_row *citation = &item->citations[n];
        pg_array_add_int(columns[0], item->job_no);
        pg_array_add_int(columns[1], (int64_t)n + 1);
        add_or_null(columns[2], citation->point > 0, citation->point);
        pg_array_add_text(columns[3], citation->path);
        pg_array_add_text(columns[4], citation->quote);
        pg_array_add_bool(columns[5], citation->found);
        add_or_null(columns[6], citation->from >= 0, citation->from);
        add_or_null(columns[7], citation->to >= 0, citation->to);
        add_or_null(columns[8], citation->page > 0, citation->page);
    }
}

static void run_citations(struct store_item **items, size_t count, struct pg_link *link)
{
    struct store_args args;
    struct pg_array *columns[CITATION_COLUMNS];
    store_args_init(&args);
    for (size_t i = 0; i < CITATION_COLUMNS; i++)
        columns[i] = store_args_array(&args);
    for (size_t i = 0; i < count; i++)
        add_citations(columns, record_of(items[i]));
    if (columns[0]->len > 0)
        store_args_run(&args, link, STORE_SQL_record_citations);
    store_args_deinit(&args);
}

static void run_letters(struct store *store, struct store_item **items, size_t count,
                        struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    struct pg_array *job_no = store_args_array(&args), *topic = store_args_array(&args),
                    *partition = store_args_array(&args), *offset = store_args_array(&args),
                    *timestamp = store_args_array(&args), *key = store_args_array(&args),
                    *value = store_args_array(&args), *headers = store_args_array(&args),
                    *attempts = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        const struct record_item *item = record_of(items[i]);
        if (!item->has_letter)
            continue;
        pg_array_add_int(job_no, item->job_no);
        pg_array_add_text(topic, item->letter.topic);
        add_or_null(partition, item->letter.topic != NULL, item->letter.partition);
        add_or_null(offset, item->letter.topic != NULL, item->letter.offset);
        pg_array_add_int(timestamp, item->letter.timestamp_ms);
        pg_array_add_bytea(key, item->letter.key, item->letter.key_len);
        pg_array_add_bytea(value, item->letter.value, item->letter.value_len);
        pg_array_add_text(headers, item->letter_headers);
        pg_array_add_int(attempts, item->outcome.attempts);
    }
    store_args_text(&args, store->options.worker);
    if (job_no->len > 0)
        store_args_run(&args, link, STORE_SQL_record_letters);
    store_args_deinit(&args);
}

static bool has_outcome(const struct record_item *item)
{
    return item->has_outcome;
}

static bool is_cancelled(const struct record_item *item)
{
    return item->has_outcome && item->outcome.state == JOB_CANCELLED;
}

static bool is_announced(const struct record_item *item)
{
    return item->has_outcome && item->outcome.announce;
}

// A statement that takes nothing but the numbers of some of the jobs.
static void run_for(struct store_item **items, size_t count,
                    bool (*wanted)(const struct record_item *item), struct pg_link *link,
                    enum store_statement statement)
{
    struct store_args args;
    store_args_init(&args);
    struct pg_array *job_no = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        if (wanted(record_of(items[i])))
            pg_array_add_int(job_no, record_of(items[i])->job_no);
    }
    if (job_no->len > 0)
        store_args_run(&args, link, statement);
    store_args_deinit(&args);
}

// Only the outcomes are read again; which items they belong to follows from the order.
static void run_read(struct store *store, struct store_item **items, size_t count,
                     struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    struct pg_array *job_no = store_args_array(&args), *epoch = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        if (!record_of(items[i])->has_outcome)
            continue;
        pg_array_add_int(job_no, record_of(items[i])->job_no);
        pg_array_add_int(epoch, record_of(items[i])->epoch);
    }
    store_args_run(&args, link, STORE_SQL_record_read);
    store_args_deinit(&args);
}

static bool any_outcome(struct store_item **items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (record_of(items[i])->has_outcome)
            return true;
    }
    return false;
}

static void send_records(struct store *store, struct store_item **items, size_t count,
                         struct pg_link *link)
{
    run_lock(store, link);
    run_attempts(store, items, count, link);
    run_parts(items, count, link);
    if (!any_outcome(items, count))
        return;
    run_outcomes(store, items, count, link);
    run_summaries(items, count, link);
    run_citations(items, count, link);
    run_letters(store, items, count, link);
    run_for(items, count, is_cancelled, link, STORE_SQL_record_cancels);
    run_for(items, count, has_outcome, link, STORE_SQL_record_requeued);
    run_for(items, count, is_announced, link, STORE_SQL_record_outbox);
    run_read(store, items, count, link);
}

// ------------------------------------------------------------------------------- answers

// Columns of record_read: ordinal, ours?, result message (3), dead letter.
static void answer_outcome(struct store *store, const struct record_item *item,
                           const PGresult *read, int row)
{
    struct store_event event = {.kind = STORE_RECORDED, .owner = item->owner};
    struct announcement announcements[2];
    struct store_letter letter;
    size_t count = 0;
    if (store_text(read, row, 2))
        announcements[count++] = store_result_message(read, row, 2);
    bool has_letter = store_letter_init(&letter, read, row, 5);
    if (has_letter)
        announcements[count++] = letter.announcement;
    event.u.recorded.verdict = store_bool(read, row, 1) ? RECORD_DONE : RECORD_FENCED;
    event.u.recorded.announcements = announcements;
    event.u.recorded.announcement_count = count;
    store_let_go(store, item->job_no);
    store_emit(store, &event);
    if (has_letter)
        store_letter_deinit(&letter);
}

static void answer_plain(struct store *store, const struct record_item *item)
{
    struct store_event event = {.kind = STORE_RECORDED, .owner = item->owner};
    event.u.recorded.verdict = RECORD_DONE;
    store_emit(store, &event);
}

static void records_done(struct store *store, struct store_item **items, size_t count,
                         const struct store_answer *answer)
{
    const PGresult *read = answer->results[answer->count - 1];
    int rows = any_outcome(items, count) ? PQntuples(read) : 0;
    // Row by ordinal: the ordinals of `read` count the items with outcomes.
    int *row_of = own_array(count + 1, sizeof(int));
    for (int row = 0; row < rows; row++)
        row_of[store_int(read, row, 0)] = row;
    int64_t ordinal = 0;
    for (size_t i = 0; i < count; i++) {
        if (record_of(items[i])->has_outcome)
            answer_outcome(store, record_of(items[i]), read, row_of[++ordinal]);
        else
            answer_plain(store, record_of(items[i]));
    }
    free(row_of);
}

static bool record_rejected(struct store *store, struct store_item *item, const char *sqlstate)
{
    struct store_event event = {.kind = STORE_RECORDED, .owner = record_of(item)->owner};
    event.u.recorded.verdict = RECORD_REJECTED;
    store_copy_sqlstate(event.u.recorded.sqlstate, sqlstate);
    store_emit(store, &event);
    return false;
}

const struct store_kind store_kind_record = {
    .name = "record",
    .most = 500,
    .compare = compare,
    .send = send_records,
    .done = records_done,
    .rejected = record_rejected,
};
