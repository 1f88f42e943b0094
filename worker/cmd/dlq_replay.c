// SPDX-License-Identifier: Apache-2.0
// precis dlq replay: a failed job is reopened, a message that never became a job is sent again.
//
// Jobs first, in a transaction of their own. Then the messages: their rows are locked, sent, and
// marked once the brokers have acknowledged them, so that two replays at once send each one once.
// A crash between the acknowledgement and the mark leaves the row open; the job's id makes the
// second copy a duplicate.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/change.h"
#include "cmd/dlq.h"
#include "cmd/hex.h"
#include "cmd/pick.h"
#include "cmd/retry.h"
#include "io/kafka_send.h"

#define MAX_DEFAULT      100
#define FLUSH_TIMEOUT_MS 60000
#define REPLAYED         "precis-replayed"

// What the dead-letter topic adds to a message: not sent along.
static const char *const added[] = {
    "precis-error-code", "precis-error",     "precis-suggestion", "precis-job",
    "precis-topic",      "precis-partition", "precis-offset",     "precis-timestamp",
    "precis-attempts",   "precis-failed-at", "precis-worker",     "precis-stored",
};

struct replay {
    struct dlq *dlq;
    struct retry_counts reopened;
    int64_t jobs, before; // letters of jobs: to be reopened now; reopened before
    char *message_ids;    // an array; NULL: none
    bool *delivered;
    size_t messages, sent;
    int64_t left; // open letters beyond --max
    char problem[300];
};

// ------------------------------------------------------------------------------- jobs

// The letters that are meant, oldest first: jobs to reopen, messages to send, and how many are of
// jobs that were reopened before (named by their numbers).
static const char meant_sql[] =
    "with meant as (select d.id, o.job_no, exists (select from precis.earlier_outcomes e"
    "   where e.tenant = d.tenant and e.batch = d.batch and e.job_id = d.job_id"
    "    and e.revision = d.revision and e.finished_at = d.failed_at) as before"
    "  from precis_data.dead_letters d"
    "  left join precis_data.outcomes o on o.tenant = d.tenant and o.batch = d.batch"
    "   and o.id = d.job_id and o.revision = d.revision and o.state = 'failed'"
    "   and o.finished_at = d.failed_at"
    "  where d.dropped_at is null and" DLQ_WHERE_TABLE " order by d.id limit $9::bigint),"
    " every as (select count(*) as count from precis_data.dead_letters d"
    "  where d.dropped_at is null and" DLQ_WHERE_TABLE ")"
    " select count(job_no), count(*) filter (where job_no is null and before),"
    "  array_agg(job_no) filter (where job_no is not null)::text,"
    "  array_agg(id) filter (where job_no is null and not before)::text,"
    "  (select count from every) - count(*) from meant";

static bool apply_jobs(struct pg_session *session, void *context, struct pg_error *out_error)
{
    struct replay *replay = context;
    replay->reopened = (struct retry_counts){0};
    struct pg_rows *rows;
    if (!pg_query(session, meant_sql, replay->dlq->params, DLQ_PARAMS + 1, &rows, out_error))
        return false;
    replay->jobs = strtoll(pg_rows_get(rows, 0, 0), NULL, 10);
    replay->before = strtoll(pg_rows_get(rows, 0, 1), NULL, 10);
    replay->left = strtoll(pg_rows_get(rows, 0, 4), NULL, 10);
    free(replay->message_ids);
    replay->message_ids = own_strdup(pg_rows_get(rows, 0, 3));
    const char *params[RETRY_PARAMS] = {
        pg_rows_get(rows, 0, 2), [RETRY_FAILED_ONLY] = "true", [RETRY_DONE] = "false"};
    bool good = replay->jobs == 0 || retry_reopen(session, params, &replay->reopened, out_error);
    pg_rows_free(rows);
    return good;
}

// ------------------------------------------------------------------------------- messages

static const char messages_sql[] =
    "select d.id, d.key, d.value, d.headers::text from precis_data.dead_letters d"
    " where d.id = any($1::bigint[]) and ($2::boolean or d.replayed_at is null)"
    "  and d.dropped_at is null order by d.id for update of d skip locked";

static const char mark_sql[] = "update precis_data.dead_letters set replayed_at = clock_timestamp()"
                               " where id = any($1::bigint[])";

// A message being put together.
struct outgoing {
    json_t *root;
    struct buf key, value, bytes; // bytes: header values, one after the other
    struct header *headers;
    size_t header_count;
    char count[24]; // of replays
};

static bool is_added(const char *name)
{
    for (size_t i = 0; i < sizeof(added) / sizeof(added[0]); i++)
        if (strcmp(added[i], name) == 0)
            return true;
    return false;
}

// The number in the bytes of an earlier precis-replayed.
static long earlier_replays(const char *hex)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    if (!hex || !hex_read(&text, hex) || text.len > 6)
        return 0;
    return strtol(buf_str(&text), NULL, 10);
}

// Values are placed once all are read, since the buffer may move; until then `value` is NULL for a
// null value, else not.
static void take_header(struct outgoing *out, const char *name, const char *hex)
{
    struct header *header = &out->headers[out->header_count++];
    size_t before = out->bytes.len;
    *header = (struct header){.name = name};
    if (hex && hex_read(&out->bytes, hex)) {
        header->value = name;
        header->value_len = out->bytes.len - before;
    }
}

static void place_headers(struct outgoing *out)
{
    size_t at = 0;
    for (size_t i = 0; i < out->header_count; i++) {
        if (out->headers[i].value)
            out->headers[i].value = out->bytes.data ? out->bytes.data + at : "";
        at += out->headers[i].value_len;
    }
}

static void read_headers(struct outgoing *out, const char *text)
{
    out->root = json_loads(text, 0, NULL);
    out->headers = own_array(json_array_size(out->root) + 1, sizeof(struct header));
    long replays = 0;
    json_t *header;
    size_t i;
    json_array_foreach(out->root, i, header)
    {
        const char *name = json_string_value(json_array_get(header, 0));
        const char *hex = json_string_value(json_array_get(header, 1));
        if (name && strcmp(name, REPLAYED) == 0)
            replays = earlier_replays(hex);
        else if (name && !is_added(name))
            take_header(out, name, hex);
    }
    place_headers(out);
    snprintf(out->count, sizeof(out->count), "%ld", replays + 1);
    out->headers[out->header_count++] = (struct header){REPLAYED, out->count, strlen(out->count)};
}

static void outgoing_init(struct outgoing *out, const struct pg_rows *rows, size_t row)
{
    *out = (struct outgoing){0};
    buf_init(&out->key, 0);
    buf_init(&out->value, 0);
    buf_init(&out->bytes, 0);
    if (pg_rows_get(rows, row, 1))
        hex_read(&out->key, pg_rows_get(rows, row, 1));
    if (pg_rows_get(rows, row, 2))
        hex_read(&out->value, pg_rows_get(rows, row, 2));
    read_headers(out, pg_rows_get(rows, row, 3));
}

static void outgoing_deinit(struct outgoing *out)
{
    buf_deinit(&out->key);
    buf_deinit(&out->value);
    buf_deinit(&out->bytes);
    free(out->headers);
    json_decref(out->root);
}

// NULL stays NULL, empty stays empty.
static const void *bytes_or_null(const struct pg_rows *rows, size_t row, size_t column,
                                 const struct buf *bytes)
{
    return pg_rows_get(rows, row, column) ? buf_str(bytes) : NULL;
}

static bool send_one(struct kafka_send *send, const char *topic, const struct pg_rows *rows,
                     size_t row)
{
    struct outgoing out;
    outgoing_init(&out, rows, row);
    struct message message = {
        .key = bytes_or_null(rows, row, 1, &out.key),
        .key_len = out.key.len,
        .value = bytes_or_null(rows, row, 2, &out.value),
        .value_len = out.value.len,
        .headers = out.headers,
        .header_count = out.header_count,
    };
    bool taken = kafka_send_push(send, topic, &message, row);
    outgoing_deinit(&out);
    return taken;
}

static void on_delivered(void *context, uint64_t token, const char *reason)
{
    struct replay *replay = context;
    replay->delivered[token] = reason == NULL;
    replay->sent += reason == NULL;
}

static void send_all(struct replay *replay, const struct pg_rows *rows)
{
    const struct config_kafka *config = &invocation_config(replay->dlq->invocation)->kafka;
    struct kafka_send_options options = {.delivered = on_delivered, .context = replay};
    struct kafka_send *send =
        kafka_send_open(config, &options, replay->problem, sizeof(replay->problem));
    if (!send)
        return;
    for (size_t i = 0; i < replay->messages; i++)
        if (!send_one(send, config->topic_jobs, rows, i))
            snprintf(replay->problem, sizeof(replay->problem), "%s", kafka_send_problem(send));
    if (!kafka_send_flush(send, FLUSH_TIMEOUT_MS))
        snprintf(replay->problem, sizeof(replay->problem), "%s", kafka_send_problem(send));
    kafka_send_close(send);
}

static bool mark_sent(struct pg_session *session, const struct replay *replay,
                      const struct pg_rows *rows, struct pg_error *out_error)
{
    struct buf ids OWN_BUF;
    buf_init(&ids, 0);
    for (size_t i = 0; i < replay->messages; i++)
        if (replay->delivered[i])
            buf_printf(&ids, "%s%s", ids.len ? "," : "{", pg_rows_get(rows, i, 0));
    if (ids.len == 0)
        return true;
    buf_add_char(&ids, '}');
    const char *params[] = {buf_str(&ids)};
    return pg_query(session, mark_sql, params, 1, NULL, out_error);
}

static bool apply_messages(struct pg_session *session, void *context, struct pg_error *out_error)
{
    struct replay *replay = context;
    struct pg_rows *rows;
    const char *params[] = {replay->message_ids, replay->dlq->ids ? "true" : "false"};
    if (!pg_query(session, messages_sql, params, 2, &rows, out_error))
        return false;
    replay->messages = pg_rows_count(rows);
    replay->sent = 0;
    free(replay->delivered);
    replay->delivered = own_array(replay->messages + 1, sizeof(bool));
    if (replay->messages > 0)
        send_all(replay, rows);
    bool good = mark_sent(session, replay, rows, out_error);
    pg_rows_free(rows);
    return good;
}

// ------------------------------------------------------------------------------- words

static void print_json(const struct replay *replay)
{
    printf("{\"reopened\": %lld, \"sent\": %zu, \"not_sent\": %zu, \"left\": %lld}\n",
           (long long)replay->reopened.failed, replay->sent, replay->messages - replay->sent,
           (long long)replay->left);
}

static void print_words(const struct replay *replay)
{
    int64_t jobs = replay->reopened.failed;
    if (replay->messages == 0 && replay->jobs == 0 && replay->before == 0)
        puts("No dead letter was open for this.");
    if (replay->jobs > 0)
        printf("%lld job%s reopened.\n", (long long)jobs, jobs == 1 ? "" : "s");
    if (replay->jobs > jobs)
        printf("%lld not reopened: a higher revision has replaced the job.\n",
               (long long)(replay->jobs - jobs));
    if (replay->before > 0)
        printf("%lld left alone: the job was reopened before.\n", (long long)replay->before);
    if (replay->messages > 0)
        printf("%zu message%s sent again; what is still wrong with one makes a dead letter of it "
               "again.\n",
               replay->sent, replay->sent == 1 ? "" : "s");
    if (replay->left > 0)
        printf("%lld of these are still open; run it again, or raise --max.\n",
               (long long)replay->left);
}

static int finish(const struct replay *replay)
{
    if (invocation_json(replay->dlq->invocation))
        print_json(replay);
    else
        print_words(replay);
    if (replay->sent == replay->messages)
        return EXIT_DONE;
    fprintf(stderr, "error: Kafka did not take %zu message%s: %s\nThey are still open.\n",
            replay->messages - replay->sent, replay->messages - replay->sent == 1 ? "" : "s",
            replay->problem[0] ? replay->problem : "no acknowledgement came in time");
    return EXIT_FAILED;
}

static bool names_some(const struct dlq *dlq)
{
    for (size_t i = 0; i < DLQ_CLOSED; i++)
        if (dlq->params[i])
            return true;
    return invocation_flag(dlq->invocation, "all");
}

int dlq_replay(struct dlq *dlq)
{
    if (!names_some(dlq))
        return invocation_misuse(dlq->invocation,
                                 "say which: numbers, --code, --batch, --since or --all");
    long max = dlq_count_option(dlq->invocation, "max", MAX_DEFAULT);
    if (max < 0)
        return EXIT_USAGE;
    snprintf(dlq->limit, sizeof(dlq->limit), "%ld", max);
    dlq->params[DLQ_PARAMS] = dlq->limit;
    dlq->params[DLQ_CLOSED] = "false";
    struct replay replay = {.dlq = dlq};
    int code = change_apply(dlq->invocation, apply_jobs, &replay);
    if (code == EXIT_DONE && replay.message_ids)
        code = change_apply(dlq->invocation, apply_messages, &replay);
    if (code == EXIT_DONE)
        code = finish(&replay);
    free(replay.delivered);
    free(replay.message_ids);
    return code;
}
