// SPDX-License-Identifier: Apache-2.0
// precis dlq: messages that could not be read and jobs that failed.
#include "cmd/dlq.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "cmd/ask.h"
#include "cmd/change.h"
#include "cmd/screen.h"
#include "cmd/table.h"
#include "core/time_text.h"

#define LIST_LIMIT 50

// ------------------------------------------------------------------------------- the filter

static bool read_ids(struct dlq *dlq)
{
    struct buf list OWN_BUF;
    buf_init(&list, 0);
    for (size_t i = 1; i < invocation_argument_count(dlq->invocation); i++) {
        const char *text = invocation_argument(dlq->invocation, i);
        size_t digits = strspn(text, "0123456789");
        if (digits == 0 || digits > 18 || text[digits] != '\0')
            return false;
        buf_printf(&list, "%s%s", list.len ? "," : "{", text);
    }
    buf_add_char(&list, '}');
    if (list.len > 1)
        dlq->ids = buf_take(&list);
    dlq->params[DLQ_IDS] = dlq->ids;
    return true;
}

// "7d" ago, or a time, or a day.
static bool read_since(struct dlq *dlq)
{
    const char *text = invocation_value(dlq->invocation, "since");
    if (!text)
        return true;
    size_t digits = strspn(text, "0123456789"), len = strlen(text);
    if (digits > 0 && digits < 7 && len == digits + 1 && strchr("smhdw", text[digits])) {
        dlq->params[DLQ_AGO] = text;
        return true;
    }
    struct buf time OWN_BUF;
    buf_init(&time, 0);
    buf_printf(&time, "%s%s", text, len == 10 ? "T00:00:00Z" : "");
    int64_t unix_ms;
    bool good = time_text_parse(buf_str(&time), &unix_ms);
    dlq->since = buf_take(&time);
    dlq->params[DLQ_SINCE] = dlq->since;
    return good;
}

// --batch takes "tenant/batch" too.
static void read_place(struct dlq *dlq)
{
    const char *batch = invocation_value(dlq->invocation, "batch");
    const char *slash = batch ? strchr(batch, '/') : NULL;
    dlq->tenant = slash ? own_strndup(batch, (size_t)(slash - batch))
                        : own_strdup(invocation_value(dlq->invocation, "tenant"));
    dlq->batch = own_strdup(slash ? slash + 1 : batch);
    dlq->params[DLQ_TENANT] = dlq->tenant;
    dlq->params[DLQ_BATCH] = dlq->batch;
}

static int read_filter(struct dlq *dlq)
{
    if (!read_ids(dlq))
        return invocation_misuse(dlq->invocation,
                                 "dead letters are named by the numbers of `precis dlq list`");
    if (!read_since(dlq))
        return invocation_misuse(dlq->invocation, "--since takes 90m, 12h, 7d, a day "
                                                  "(2026-11-22) or a time (2026-11-22T07:00:00Z)");
    read_place(dlq);
    dlq->params[DLQ_CODE] = invocation_value(dlq->invocation, "code");
    dlq->params[DLQ_TOPIC] = invocation_value(dlq->invocation, "topic");
    dlq->params[DLQ_CLOSED] = invocation_flag(dlq->invocation, "all") ? "true" : "false";
    return EXIT_DONE;
}

static bool filter_is_empty(const struct dlq *dlq)
{
    for (size_t i = 0; i < DLQ_CLOSED; i++)
        if (dlq->params[i])
            return false;
    return true;
}

long dlq_count_option(struct invocation *invocation, const char *name, long fallback)
{
    const char *text = invocation_value(invocation, name);
    if (!text)
        return fallback;
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && digits < 10 && text[digits] == '\0')
        return strtol(text, NULL, 10);
    invocation_misuse(invocation, "--%s takes a count", name);
    return -1;
}

static struct pg_rows *query(const struct dlq *dlq, const char *sql, size_t param_count)
{
    struct pg_rows *rows;
    struct pg_error error;
    if (pg_query(dlq->session, sql, dlq->params, param_count, &rows, &error))
        return rows;
    change_say(&error);
    return NULL;
}

// ------------------------------------------------------------------------------- list

static const char codes_sql[] =
    "select d.error_code, count(*), to_char(max(d.failed_at), 'YYYY-MM-DD HH24:MI:SS'),"
    " d.suggestion"
    " from precis.dead_letters d where" DLQ_WHERE_VIEW " group by 1, 4 order by 2 desc, 1, 4";

#define STATE_SQL                                                                                  \
    "case when d.dropped_at is not null then 'dropped'"                                            \
    " when d.replayed_at is not null then 'replayed' else 'open' end"
#define PLACE_SQL "d.kafka_topic || ':' || d.kafka_partition || ':' || d.kafka_offset"

static const char list_sql[] =
    "select d.id, to_char(d.failed_at, 'YYYY-MM-DD HH24:MI:SS'), d.error_code,"
    " coalesce(d.tenant || '/' || d.batch || '/' || d.job_id, " PLACE_SQL "), d.attempts,"
    " " STATE_SQL ", split_part(d.error, ' Suggestion: ', 1)"
    " from precis.dead_letters d where" DLQ_WHERE_VIEW " order by d.id desc limit $9::bigint";

static const char list_json_sql[] =
    "select row_to_json(q) from (select d.id, d.error_code, d.error, d.suggestion, d.tenant,"
    " d.batch, d.job_id, d.revision, d.labels, d.attempts, d.worker, d.failed_at, " STATE_SQL
    " as state, d.kafka_topic, d.kafka_partition, d.kafka_offset, d.kafka_timestamp,"
    " length(d.value) as value_bytes, d.announced_at, d.replayed_at, d.dropped_at"
    " from precis.dead_letters d where" DLQ_WHERE_VIEW " order by d.id desc limit $9::bigint) q";

static const struct table_column code_columns[] = {
    {"CODE", TABLE_LEFT},       {"LETTERS", TABLE_RIGHT}, {"NEWEST (UTC)", TABLE_LEFT},
    {"WHAT TO DO", TABLE_WRAP}, {NULL, TABLE_LEFT},
};

static const struct table_column list_columns[] = {
    {"ID", TABLE_RIGHT},    {"FAILED (UTC)", TABLE_LEFT},
    {"CODE", TABLE_LEFT},   {"JOB OR MESSAGE", TABLE_FOLD},
    {"CALLS", TABLE_RIGHT}, {"STATE", TABLE_LEFT},
    {"ERROR", TABLE_WRAP},  {NULL, TABLE_LEFT},
};

static void print_rows(const struct table_column *columns, const struct pg_rows *rows)
{
    struct table *table = table_new(columns);
    for (size_t i = 0; i < pg_rows_count(rows); i++)
        for (size_t c = 0; c < pg_rows_columns(rows); c++)
            table_add(table, pg_rows_get(rows, i, c));
    table_print(table, stdout);
    table_free(table);
}

static int list_json(const struct dlq *dlq)
{
    struct pg_rows *rows = query(dlq, list_json_sql, DLQ_PARAMS + 1);
    if (!rows)
        return EXIT_FAILED;
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        buf_add_str(&text, i ? ",\n" : "[\n");
        screen_add_json(&text, pg_rows_get(rows, i, 0));
    }
    buf_add_str(&text, pg_rows_count(rows) ? "\n]" : "[]");
    puts(buf_str(&text));
    pg_rows_free(rows);
    return EXIT_DONE;
}

static size_t sum_of(const struct pg_rows *codes)
{
    size_t sum = 0;
    for (size_t i = 0; i < pg_rows_count(codes); i++)
        sum += strtoul(pg_rows_get(codes, i, 1), NULL, 10);
    return sum;
}

static int list_text(const struct dlq *dlq, const struct pg_rows *codes)
{
    if (pg_rows_count(codes) == 0) {
        puts("No dead letters.");
        return EXIT_DONE;
    }
    struct pg_rows *rows = query(dlq, list_sql, DLQ_PARAMS + 1);
    if (!rows)
        return EXIT_FAILED;
    print_rows(code_columns, codes);
    putchar('\n');
    print_rows(list_columns, rows);
    if (sum_of(codes) > pg_rows_count(rows))
        printf("… and %zu older; --limit shows more.\n", sum_of(codes) - pg_rows_count(rows));
    pg_rows_free(rows);
    return EXIT_DONE;
}

static int list(struct dlq *dlq)
{
    long count = dlq_count_option(dlq->invocation, "limit", LIST_LIMIT);
    if (count < 0)
        return EXIT_USAGE;
    snprintf(dlq->limit, sizeof(dlq->limit), "%ld", count);
    dlq->params[DLQ_PARAMS] = dlq->limit;
    if (invocation_json(dlq->invocation))
        return list_json(dlq);
    struct pg_rows *codes = query(dlq, codes_sql, DLQ_PARAMS);
    if (!codes)
        return EXIT_FAILED;
    int code = list_text(dlq, codes);
    pg_rows_free(codes);
    return code;
}

// ------------------------------------------------------------------------------- drop

static const char count_sql[] = "select count(*) from precis_data.dead_letters d where"
                                " d.dropped_at is null and" DLQ_WHERE_TABLE;
static const char drop_sql[] =
    "with dropped as (update precis_data.dead_letters d"
    " set dropped_at = clock_timestamp() where d.dropped_at is null and" DLQ_WHERE_TABLE
    " returning 1) select count(*) from dropped";

static bool says_yes(void)
{
    char answer[16] = "";
    return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

// 0: go on.
static int confirm(struct dlq *dlq, int64_t count)
{
    if (invocation_flag(dlq->invocation, "yes"))
        return EXIT_DONE;
    if (!isatty(STDIN_FILENO))
        return invocation_misuse(dlq->invocation,
                                 "%lld dead letters would be dropped; add --yes to do it",
                                 (long long)count);
    fprintf(stderr,
            "Drop %lld dead letters? They stay in PostgreSQL, but no replay takes them. "
            "[y/N] ",
            (long long)count);
    return says_yes() ? EXIT_DONE : EXIT_FAILED;
}

struct drop {
    const struct dlq *dlq;
    int64_t count;
};

static bool apply_drop(struct pg_session *session, void *context, struct pg_error *out_error)
{
    struct drop *drop = context;
    return change_numbers(session, &(struct change_ask){drop_sql, drop->dlq->params, DLQ_PARAMS},
                          &drop->count, 1, out_error);
}

static int drop(struct dlq *dlq)
{
    if (filter_is_empty(dlq) && !invocation_flag(dlq->invocation, "all"))
        return invocation_misuse(dlq->invocation,
                                 "say which: numbers, --code, --batch, --since or --all");
    dlq->params[DLQ_CLOSED] = "false";
    struct drop order = {.dlq = dlq};
    struct pg_error error;
    if (!change_numbers(dlq->session, &(struct change_ask){count_sql, dlq->params, DLQ_PARAMS},
                        &order.count, 1, &error)) {
        change_say(&error);
        return EXIT_FAILED;
    }
    int code = order.count > 0 ? confirm(dlq, order.count) : EXIT_DONE;
    if (code == EXIT_DONE)
        code = change_apply(dlq->invocation, apply_drop, &order);
    if (code != EXIT_DONE)
        return code;
    if (invocation_json(dlq->invocation))
        printf("{\"dropped\": %lld}\n", (long long)order.count);
    else
        printf("%lld dropped.\n", (long long)order.count);
    return EXIT_DONE;
}

// ------------------------------------------------------------------------------- the command

static int run_word(struct dlq *dlq, int (*word)(struct dlq *))
{
    int code = read_filter(dlq);
    if (code == EXIT_DONE)
        code = ask_open(dlq->invocation);
    if (code != EXIT_DONE)
        return code;
    dlq->session = invocation_database(dlq->invocation);
    return dlq->session ? word(dlq) : EXIT_FAILED;
}

static int run(struct invocation *invocation)
{
    static const struct {
        const char *name;
        int (*word)(struct dlq *);
    } words[] = {{"list", list}, {"show", dlq_show}, {"replay", dlq_replay}, {"drop", drop}};
    const char *name =
        invocation_argument_count(invocation) ? invocation_argument(invocation, 0) : "list";
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i].name, name) != 0)
            continue;
        struct dlq dlq = {.invocation = invocation};
        int code = run_word(&dlq, words[i].word);
        free(dlq.ids);
        free(dlq.tenant);
        free(dlq.batch);
        free(dlq.since);
        return code;
    }
    return invocation_misuse(invocation, "`dlq %s` is unknown: list, show, replay or drop", name);
}

static const struct option_row options[] = {
    {"code", "CODE", "only with this error code"},
    {"batch", "NAME", "only of this batch"},
    {"tenant", "NAME", "only of this tenant"},
    {"topic", "NAME", "only of messages of this topic"},
    {"since", "TIME", "only since then: 90m, 12h, 7d, a day or a time"},
    {"all", NULL, "list: also those replayed or dropped; replay, drop: all that are open"},
    {"limit", "N", "list: at most so many (50)"},
    {"max", "N", "replay: at most so many (100), oldest first"},
    {"value", NULL, "show: the message itself, with control characters escaped"},
    {"yes", NULL, "drop: without a question"},
    {0},
};

const struct command command_dlq = {
    .name = "dlq",
    .arguments = "[list|show|replay|drop] [ID…]",
    .summary = "Dead letters: messages that could not be read, jobs that failed",
    .details =
        "list    by code, and the newest ones\n"
        "show    one with its headers; --value prints the message\n"
        "replay  a failed job is reopened as by `precis retry`; a message that never became a job\n"
        "        is sent to the jobs topic again, with the header precis-replayed\n"
        "drop    marks them as settled",
    .options = options,
    .prints_data = true,
    .run = run,
};
