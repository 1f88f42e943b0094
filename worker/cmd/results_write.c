// SPDX-License-Identifier: Apache-2.0
// Results: the statements, the groups of rows, and the forms that need no file of their own.
#include "cmd/results_write.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/results_forms.h"
#include "cmd/screen.h"
#include "cmd/table.h"

#define CITATIONS(of)                                                                              \
    " coalesce((select json_agg(json_build_object('point', c.point, 'path', c.path, 'quote',"      \
    "  c.quote, 'found', c.found, 'page', c.page, 'char_start', c.char_start, 'char_end',"         \
    "  c.char_end) order by c.point, c.path, c.char_start) from precis.citations c"                \
    "  where c.tenant = " of ".tenant and c.batch = " of ".batch and c.job_id = " of ".job_id"     \
    "   and c.revision = " of ".revision), '[]') as citations"

// $3: all revisions, not only the newest of each job.
#define NEWEST(of)                                                                                 \
    " and ($3::boolean or not exists (select from precis.requests n where n.tenant = " of          \
    ".tenant and n.batch = " of ".batch and n.job_id = " of ".job_id and n.revision > " of         \
    ".revision and n.revision > 0))"

static const char summaries_sql[] =
    "select s.tenant, s.batch, s.job_id, s.revision, 'done' as state, s.labels, s.summary,"
    " s.key_points, s.output, s.warnings, s.document_name, s.document_uri, s.document_sha256,"
    " s.language, s.pages, s.model, s.response_model, s.prompt_version, s.cached_from,"
    " s.input_tokens, s.output_tokens, s.cost_usd::text, s.finished_at," CITATIONS("s") //
    " from precis.summaries s where s.tenant = $1 and s.batch = $2" NEWEST(
        "s") " order by s.job_id, s.revision";

static const char failed_sql[] =
    "select j.tenant, j.batch, j.job_id, j.revision, j.state, j.labels, j.error_code, j.error,"
    " j.suggestion, j.attempts, j.cost_usd::text, j.finished_at"
    " from precis.jobs j where j.tenant = $1 and j.batch = $2"
    " and j.state in ('failed', 'cancelled')" NEWEST("j") " order by j.job_id, j.revision";

// $4: only what failed or was cancelled. `offset 0`: looked up for each job by its name, and never
// a join of whole batches, for which PostgreSQL may know nothing of their size.
static const char ended_sql[] =
    "select j.tenant, j.batch, j.job_id, j.revision, j.state, j.labels, j.error_code, j.error,"
    " j.suggestion, j.attempts, j.cost_usd::text, j.submitted_at, j.finished_at,"
    " round(extract(epoch from j.finished_at - j.submitted_at) * 1000)::bigint as took_ms,"
    " extract(epoch from j.finished_at)::bigint as ended_s,"
    " r.document_name, md5((r.parameters -> 'output_schema')::text) as schema_key, s.summary,"
    " s.key_points, s.output, s.warnings, s.document_uri, s.document_sha256, s.language, s.pages,"
    " s.model, s.response_model, s.prompt_version, s.cached_from, s.input_tokens,"
    " s.output_tokens," CITATIONS("s") //
    " from precis.jobs j"
    " cross join lateral (select q.document_name, q.parameters from precis.requests q"
    "  where q.tenant = j.tenant and q.batch = j.batch and q.job_id = j.job_id"
    "   and q.revision = j.revision offset 0) r"
    " left join lateral (select * from precis.summaries m where m.tenant = j.tenant"
    "  and m.batch = j.batch and m.job_id = j.job_id and m.revision = j.revision offset 0) s on "
    "true"
    " where j.tenant = $1 and j.batch = $2 and j.state in ('done', 'failed', 'cancelled')"
    "  and (j.state <> 'done' or not $4::boolean)" NEWEST(
        "j") " order by coalesce(r.document_name, j.job_id), j.job_id, j.revision";

// ------------------------------------------------------------------------------- rows

const char *results_text(const json_t *row, const char *name)
{
    return json_string_value(json_object_get(row, name));
}

json_int_t results_number(const json_t *row, const char *name)
{
    return json_integer_value(json_object_get(row, name));
}

const char *results_title(const json_t *row)
{
    const char *name = results_text(row, "document_name");
    return name ? name : results_text(row, "job_id");
}

bool results_has_own_form(const json_t *row)
{
    const json_t *output = json_object_get(row, "output");
    return output && !json_is_null(output) && !results_text(row, "summary");
}

json_t *results_output(const struct results_writer *writer, const json_t *row)
{
    const char *key = results_text(row, "schema_key");
    const json_t *output = json_object_get(row, "output"), *schema = NULL;
    for (size_t i = 0; key && i < results_schemas_count(writer->schemas); i++) {
        const json_t *item = results_schemas_get(writer->schemas, i);
        if (strcmp(results_text(item, "key"), key) == 0)
            schema = json_object_get(item, "schema");
    }
    return output ? schema_ordered(output, schema) : json_null();
}

void results_count_quotes(const json_t *row, size_t *out_found, size_t *out_missing)
{
    *out_found = *out_missing = 0;
    size_t i;
    json_t *citation;
    json_array_foreach(json_object_get(row, "citations"), i, citation)++ *(
        json_is_true(json_object_get(citation, "found")) ? out_found : out_missing);
}

void results_add_place(struct buf *out, const json_t *citation)
{
    if (!json_is_true(json_object_get(citation, "found"))) {
        buf_add_str(out, "not found in the document");
        return;
    }
    json_int_t page = results_number(citation, "page");
    if (page > 0)
        buf_printf(out, "page %" JSON_INTEGER_FORMAT ", ", page);
    buf_printf(out, "characters %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT,
               results_number(citation, "char_start"), results_number(citation, "char_end"));
}

// ------------------------------------------------------------------------------- schemas

struct results_schemas {
    json_t *items; // {"key", "schema"}
};

static const char schemas_sql[] =
    "select row_to_json(q) from (select md5(p.text) as key, p.text::json as schema from ("
    " select (r.parameters -> 'output_schema')::text as text, count(*) as jobs,"
    "  min(r.job_id) as first from precis.requests r where r.tenant = $1 and r.batch = $2"
    "  and r.parameters -> 'output_schema' is not null group by 1) p"
    " order by p.jobs desc, p.first limit 200) q";

struct results_schemas *results_schemas_load(const struct results_order *order)
{
    struct ask ask = {schemas_sql, {order->name->tenant, order->name->batch}, 2};
    struct pg_rows *rows = ask_rows(order->invocation, &ask);
    if (!rows)
        return NULL;
    struct results_schemas *schemas = own_alloc(sizeof(*schemas));
    schemas->items = json_array();
    for (size_t i = 0; i < pg_rows_count(rows); i++)
        json_array_append_new(schemas->items, json_loads(pg_rows_get(rows, i, 0), 0, NULL));
    pg_rows_free(rows);
    return schemas;
}

void results_schemas_free(struct results_schemas *schemas)
{
    if (schemas)
        json_decref(schemas->items);
    free(schemas);
}

size_t results_schemas_count(const struct results_schemas *schemas)
{
    return json_array_size(schemas->items);
}

const json_t *results_schemas_get(const struct results_schemas *schemas, size_t i)
{
    return json_array_get(schemas->items, i);
}

// ------------------------------------------------------------------------------- table

static const struct table_column summary_columns[] = {
    {"JOB", TABLE_FOLD},  {"SUMMARY", TABLE_WRAP}, {"TOKENS IN", TABLE_RIGHT},
    {"OUT", TABLE_RIGHT}, {"COST", TABLE_MONEY},   {NULL, TABLE_LEFT},
};

static const struct table_column failed_columns[] = {
    {"JOB", TABLE_FOLD},   {"STATE", TABLE_LEFT}, {"CODE", TABLE_LEFT},
    {"ERROR", TABLE_WRAP}, {"COST", TABLE_MONEY}, {NULL, TABLE_LEFT},
};

static bool table_begin(struct results_writer *writer)
{
    writer->table = table_new(writer->order.failed ? failed_columns : summary_columns);
    table_space_rows(writer->table);
    return true;
}

static void add_job(struct results_writer *writer, const struct pg_rows *rows, size_t row)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    buf_add_str(&text, ask_value(rows, row, "job_id"));
    if (ask_number(rows, row, "revision") > 0)
        buf_printf(&text, " (revision %s)", ask_value(rows, row, "revision"));
    table_take(writer->table, &text);
}

static void add_money(struct table *table, const char *usd)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    screen_add_money(&text, usd);
    table_take(table, &text);
}

static void add_count(struct table *table, const char *digits)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    screen_add_count(&text, digits);
    table_take(table, &text);
}

// The summary, and what a person should look at: "[2 warnings, 1 quote not found]".
static void add_summary(struct table *table, const struct pg_rows *rows, size_t row)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    const char *summary = ask_value(rows, row, "summary");
    int64_t warnings = ask_number(rows, row, "warning_count");
    int64_t missing = ask_number(rows, row, "missing_count");
    json_t *output = summary ? NULL : json_loads(ask_value(rows, row, "output"), 0, NULL);
    if (!summary) // of a form of its own: what it calls its summary, else all of it
        summary = json_string_value(json_object_get(output, "summary"));
    buf_add_str(&text, summary ? summary : ask_value(rows, row, "output"));
    json_decref(output);
    if (warnings > 0)
        buf_printf(&text, " [%lld warning%s", (long long)warnings, warnings == 1 ? "" : "s");
    if (missing > 0)
        buf_printf(&text, "%s%lld quote%s not found", warnings > 0 ? ", " : " [",
                   (long long)missing, missing == 1 ? "" : "s");
    if (warnings + missing > 0)
        buf_add_char(&text, ']');
    table_add(table, buf_str(&text));
}

static void table_row(struct results_writer *writer, const struct pg_rows *rows, size_t row)
{
    struct table *table = writer->table;
    add_job(writer, rows, row);
    if (writer->order.failed) {
        const char *state = ask_value(rows, row, "state");
        table_add_styled(table, state, screen_style_of_state(state));
        table_add(table, ask_value(rows, row, "error_code"));
        table_add(table, ask_value(rows, row, "error"));
    } else {
        add_summary(table, rows, row);
        add_count(table, ask_value(rows, row, "input_tokens"));
        add_count(table, ask_value(rows, row, "output_tokens"));
    }
    add_money(table, ask_value(rows, row, "cost_usd"));
}

static void table_end(struct results_writer *writer)
{
    if (writer->count > 0)
        table_print(writer->table, writer->order.file);
}

// ------------------------------------------------------------------------------- JSON

static void jsonl_row(struct results_writer *writer, const char *json)
{
    screen_add_json(&writer->text, json);
    buf_add_char(&writer->text, '\n');
}

static void json_row(struct results_writer *writer, const char *json)
{
    buf_add_str(&writer->text, writer->count > 0 ? ",\n" : "[\n");
    screen_add_json(&writer->text, json);
}

static void json_end(struct results_writer *writer)
{
    buf_add_str(&writer->text, writer->count > 0 ? "\n]\n" : "[]\n");
}

// ------------------------------------------------------------------------------- the writer

static const struct results_form forms[] = {
    {.name = "table", .begin = table_begin, .row = table_row, .end = table_end},
    {.name = "json", .json = json_row, .end = json_end},
    {.name = "jsonl", .json = jsonl_row},
};

static const struct results_form *find_form(const char *name)
{
    static const struct results_form *const others[] = {&results_csv, &results_markdown,
                                                        &results_html};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (strcmp(forms[i].name, name) == 0)
            return &forms[i];
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcmp(others[i]->name, name) == 0)
            return others[i];
    return NULL;
}

bool results_format_ok(const char *format)
{
    return find_form(format) != NULL;
}

static bool write_text(struct results_writer *writer)
{
    size_t len = writer->text.len;
    bool good = len == 0 || fwrite(writer->text.data, 1, len, writer->order.file) == len;
    buf_clear(&writer->text);
    return good;
}

static void add_object(struct results_writer *writer, const char *text)
{
    json_t *row = json_loads(text, 0, NULL);
    writer->form->object(writer, row);
    json_decref(row);
}

static bool write_rows(void *context, const struct pg_rows *rows)
{
    struct results_writer *writer = context;
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        if (writer->form->row)
            writer->form->row(writer, rows, i);
        else if (writer->form->json)
            writer->form->json(writer, pg_rows_get(rows, i, 0));
        else
            add_object(writer, pg_rows_get(rows, i, 0));
        writer->count++;
    }
    return write_text(writer);
}

static void add_sql(const struct results_writer *writer, struct buf *sql)
{
    const struct results_form *form = writer->form;
    const char *rows = form->object ? ended_sql : writer->order.failed ? failed_sql : summaries_sql;
    if (!form->row)
        buf_printf(sql, "select row_to_json(q) from (%s) q", rows);
    else if (writer->order.failed)
        buf_add_str(sql, rows);
    else
        buf_printf(sql,
                   "select q.*, cardinality(q.warnings) as warning_count, (select count(*)"
                   " from json_array_elements(q.citations) c where c ->> 'found' = 'false')"
                   " as missing_count from (%s) q",
                   rows);
}

static int write_all(struct results_writer *writer)
{
    const struct results_order *order = &writer->order;
    struct buf sql OWN_BUF;
    buf_init(&sql, 0);
    add_sql(writer, &sql);
    struct ask ask = {.sql = buf_str(&sql), .param_count = writer->form->object ? 4 : 3};
    ask.params[0] = order->name->tenant;
    ask.params[1] = order->name->batch;
    ask.params[2] = order->all_revisions ? "true" : "false";
    ask.params[3] = order->failed ? "true" : "false";
    if (writer->form->begin && !writer->form->begin(writer))
        return EXIT_FAILED;
    int code = ask_each(order->invocation, &ask, write_rows, writer) ? EXIT_DONE : EXIT_FAILED;
    if (code == EXIT_DONE && writer->form->end)
        writer->form->end(writer);
    write_text(writer);
    return code;
}

int results_write(const struct results_order *order, size_t *out_count)
{
    struct results_writer writer = {.order = *order, .form = find_form(order->format)};
    buf_init(&writer.text, 0);
    bool good = !writer.form->object || (writer.schemas = results_schemas_load(order)) != NULL;
    int code = good ? write_all(&writer) : EXIT_FAILED;
    *out_count = writer.count;
    table_free(writer.table);
    schema_columns_free(writer.columns);
    results_schemas_free(writer.schemas);
    buf_deinit(&writer.text);
    return code;
}
