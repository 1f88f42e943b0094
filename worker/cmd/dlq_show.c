// SPDX-License-Identifier: Apache-2.0
// precis dlq show: dead letters with their headers, and on request the message itself.
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cmd/change.h"
#include "cmd/dlq.h"
#include "cmd/hex.h"
#include "cmd/screen.h"
#include "core/visible.h"

// Columns of a row, in the order of the statement.
enum {
    ID,
    CODE,
    ERROR,
    SUGGESTION,
    JOB,
    REVISION,
    ATTEMPTS,
    WORKER,
    FAILED_AT,
    REPLAYED_AT,
    DROPPED_AT,
    PLACE,
    MESSAGE_AT,
    REOPENS,  // replaying reopens the job
    REOPENED, // the job was reopened
    VALUE_BYTES,
    KEY,
    HEADERS,
    VALUE,
};

static const char show_sql[] =
    "select d.id, d.error_code, d.error, d.suggestion,"
    " d.tenant || '/' || d.batch || '/' || d.job_id, d.revision, d.attempts, d.worker,"
    " d.failed_at, d.replayed_at, d.dropped_at,"
    " d.kafka_topic || ':' || d.kafka_partition || ':' || d.kafka_offset, d.kafka_timestamp,"
    " exists (select from precis.jobs j where j.tenant = d.tenant and j.batch = d.batch"
    "  and j.job_id = d.job_id and j.revision = d.revision and j.state = 'failed'"
    "  and j.finished_at = d.failed_at), exists (select from precis.earlier_outcomes e"
    "  where e.tenant = d.tenant and e.batch = d.batch and e.job_id = d.job_id"
    "  and e.revision = d.revision and e.finished_at = d.failed_at), length(d.value), d.key, "
    "d.headers::text,"
    " case when $9::boolean then d.value end"
    " from precis.dead_letters d where" DLQ_WHERE_VIEW " order by d.id";

// ------------------------------------------------------------------------------- text

// Bytes as text that a terminal does not obey: line feeds and tabs stay, what else is no printable
// UTF-8 becomes \xNN.
static void add_escaped(struct buf *out, const char *bytes, size_t len)
{
    for (size_t i = 0, step; i < len; i += step) {
        uint32_t point = visible_decode(bytes + i, len - i, &step);
        bool bad = (point == 0xFFFD && step == 1) || point < 0x20 || visible_is_hidden(point);
        if (!bad || bytes[i] == '\n' || bytes[i] == '\t') {
            buf_add(out, bytes + i, step);
            continue;
        }
        for (size_t b = 0; b < step; b++)
            buf_printf(out, "\\x%02x", (unsigned char)bytes[i + b]);
    }
}

static void add_hex_escaped(struct buf *out, const char *hex)
{
    struct buf bytes OWN_BUF;
    buf_init(&bytes, 0);
    if (hex && hex_read(&bytes, hex))
        add_escaped(out, bytes.data ? bytes.data : "", bytes.len);
    else
        buf_add_str(out, "-");
}

static void print_line(const char *name, const char *text)
{
    struct buf line OWN_BUF;
    buf_init(&line, 0);
    screen_add_line(&line, text);
    printf("  %-12s %s\n", name, buf_str(&line));
}

static void print_bytes(const char *name, const char *hex)
{
    struct buf line OWN_BUF;
    buf_init(&line, 0);
    add_hex_escaped(&line, hex);
    printf("  %-12s %s\n", name, buf_str(&line));
}

static void print_headers(const char *text)
{
    json_t *headers = json_loads(text, 0, NULL), *header;
    size_t i;
    if (json_array_size(headers) > 0)
        puts("  headers");
    json_array_foreach(headers, i, header)
    {
        struct buf line OWN_BUF;
        buf_init(&line, 0);
        screen_add_line(&line, json_string_value(json_array_get(header, 0)));
        buf_add_str(&line, ": ");
        add_hex_escaped(&line, json_string_value(json_array_get(header, 1)));
        printf("    %s\n", buf_str(&line));
    }
    json_decref(headers);
}

static void print_value(const char *bytes, const char *hex)
{
    if (!bytes) {
        print_line("value", NULL);
    } else if (!hex) {
        printf("  %-12s %s bytes; --value prints it\n", "value", bytes);
    } else {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        add_hex_escaped(&text, hex);
        printf("  %-12s %s bytes:\n%s\n", "value", bytes, buf_str(&text));
    }
}

static void print_replay(const char *const *row)
{
    if (row[DROPPED_AT])
        print_line("dropped", row[DROPPED_AT]);
    if (row[REPLAYED_AT])
        print_line("replayed", row[REPLAYED_AT]);
    if (!row[DROPPED_AT] && row[REOPENED][0] != 't')
        printf("  %-12s %s\n", "replay",
               row[REOPENS][0] == 't' ? "reopens the job" : "sends the message again");
}

static void print_letter(const char *const *row)
{
    printf("Dead letter %s\n", row[ID]);
    print_line("code", row[CODE]);
    print_line("error", row[ERROR]);
    print_line("suggestion", row[SUGGESTION]);
    print_line("job", row[JOB]);
    print_line("revision", row[REVISION]);
    print_line("attempts", row[ATTEMPTS]);
    print_line("worker", row[WORKER]);
    print_line("failed", row[FAILED_AT]);
    print_replay(row);
    print_line("message", row[PLACE]);
    print_line("sent", row[MESSAGE_AT]);
    print_bytes("key", row[KEY]);
    print_headers(row[HEADERS]);
    print_value(row[VALUE_BYTES], row[VALUE]);
}

// ------------------------------------------------------------------------------- JSON

// Bytes as a string; where they are no UTF-8, as hex beside a null.
static void set_bytes(json_t *object, const char *name, const char *hex)
{
    struct buf bytes OWN_BUF;
    buf_init(&bytes, 0);
    json_t *text = NULL;
    if (hex && hex_read(&bytes, hex))
        text = json_stringn(bytes.data ? bytes.data : "", bytes.len);
    json_object_set_new(object, name, text ? text : json_null());
    if (hex && !text) {
        char hex_name[40];
        snprintf(hex_name, sizeof(hex_name), "%s_hex", name);
        json_object_set_new(object, hex_name, json_string(hex + 2));
    }
}

static json_t *headers_of(const char *text)
{
    json_t *answer = json_array(), *headers = json_loads(text, 0, NULL), *header;
    size_t i;
    json_array_foreach(headers, i, header)
    {
        json_t *one = json_pack("{s:O}", "name", json_array_get(header, 0));
        set_bytes(one, "value", json_string_value(json_array_get(header, 1)));
        json_array_append_new(answer, one);
    }
    json_decref(headers);
    return answer;
}

static json_t *number_or_null(const char *digits)
{
    return digits ? json_integer(strtoll(digits, NULL, 10)) : json_null();
}

static json_t *letter_json(const char *const *row)
{
    json_t *letter = json_pack(
        "{s:o, s:s, s:s, s:s, s:s?, s:o, s:o, s:s?, s:s, s:s?, s:s?, s:s?, s:s?, s:s, s:o}", "id",
        number_or_null(row[ID]), "error_code", row[CODE], "error", row[ERROR], "suggestion",
        row[SUGGESTION], "job", row[JOB], "revision", number_or_null(row[REVISION]), "attempts",
        number_or_null(row[ATTEMPTS]), "worker", row[WORKER], "failed_at", row[FAILED_AT],
        "replayed_at", row[REPLAYED_AT], "dropped_at", row[DROPPED_AT], "message", row[PLACE],
        "message_at", row[MESSAGE_AT], "replay",
        row[REOPENED][0] == 't'  ? "reopened"
        : row[REOPENS][0] == 't' ? "reopen"
                                 : "send",
        "value_bytes", number_or_null(row[VALUE_BYTES]));
    set_bytes(letter, "key", row[KEY]);
    json_object_set_new(letter, "headers", headers_of(row[HEADERS]));
    if (row[VALUE])
        set_bytes(letter, "value", row[VALUE]);
    return letter;
}

static void print_json(json_t *letters)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    char *dumped = json_dumps(letters, JSON_INDENT(1));
    screen_add_json(&text, dumped);
    free(dumped);
    puts(buf_str(&text));
}

// ------------------------------------------------------------------------------- the word

static void print_all(const struct pg_rows *rows, bool as_json)
{
    json_t *letters = json_array();
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        const char *row[VALUE + 1];
        for (size_t c = 0; c <= VALUE; c++)
            row[c] = pg_rows_get(rows, i, c);
        if (as_json)
            json_array_append_new(letters, letter_json(row));
        else
            print_letter(row);
    }
    if (as_json)
        print_json(letters);
    json_decref(letters);
}

int dlq_show(struct dlq *dlq)
{
    if (!dlq->params[DLQ_IDS])
        return invocation_misuse(dlq->invocation, "`dlq show` takes the numbers of `dlq list`");
    dlq->params[DLQ_PARAMS] = invocation_flag(dlq->invocation, "value") ? "true" : "false";
    struct pg_rows *rows;
    struct pg_error error;
    if (!pg_query(dlq->session, show_sql, dlq->params, DLQ_PARAMS + 1, &rows, &error)) {
        change_say(&error);
        return EXIT_FAILED;
    }
    size_t wanted = invocation_argument_count(dlq->invocation) - 1, found = pg_rows_count(rows);
    print_all(rows, invocation_json(dlq->invocation));
    pg_rows_free(rows);
    if (found < wanted)
        fprintf(stderr,
                "error: %zu of %zu are not there; `precis dlq list --all` has their "
                "numbers.\n",
                wanted - found, wanted);
    return found < wanted ? EXIT_FAILED : EXIT_DONE;
}
