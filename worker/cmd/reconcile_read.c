// SPDX-License-Identifier: Apache-2.0
// A provider's usage export: CSV with a line of titles, or a JSON object a line (or one array of
// them). Exports name their columns each in its own way; those that we know of are told apart by
// name, --column says of others. Money in other units than USD is not taken.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/own.h"
#include "cmd/csv.h"
#include "cmd/reconcile_parts.h"
#include "cmd/slurp.h"
#include "core/json_scan.h"
#include "core/money.h"
#include "core/price.h"
#include "core/time_text.h"
#include "io/pg_array.h"

#define FILE_BYTES  (size_t)1000000000
#define GROUP_LINES 5000

enum column {
    COLUMN_REQUEST,
    COLUMN_CLIENT,
    COLUMN_TIME,
    COLUMN_MODEL,
    COLUMN_INPUT,
    COLUMN_CACHED,
    COLUMN_OUTPUT,
    COLUMN_COST,
    COLUMNS
};

// What --column calls it, then what exports do.
static const char *const names[COLUMNS][10] = {
    [COLUMN_REQUEST] = {"request_id", "x_request_id", "response_id", "completion_id", "id"},
    [COLUMN_CLIENT] = {"client_request_id", "x_client_request_id", "custom_id"},
    [COLUMN_TIME] = {"created_at", "timestamp", "time", "date", "started_at", "at"},
    [COLUMN_MODEL] = {"model", "model_id", "model_name"},
    [COLUMN_INPUT] = {"input_tokens", "prompt_tokens", "n_context_tokens_total"},
    [COLUMN_CACHED] = {"cached_input_tokens", "cached_tokens", "input_cached_tokens",
                       "cache_read_input_tokens"},
    [COLUMN_OUTPUT] = {"output_tokens", "completion_tokens", "n_generated_tokens_total"},
    [COLUMN_COST] = {"cost_usd", "cost", "amount_usd", "amount", "total_cost"},
};

static const char create_sql[] =
    "create temporary table precis_usage (line bigint, request_id text, client_id text,"
    " model text, at timestamptz, input bigint, cached bigint, output bigint, cost bigint);"
    "create temporary table precis_usage_match (line bigint, client_id text)";

static const char insert_sql[] =
    "insert into precis_usage select line, request_id, client_id, model,"
    " to_timestamp(at / 1000.0), input, cached, output, cost"
    " from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],"
    "  $7::bigint[], $8::bigint[], $9::bigint[])"
    " u(line, request_id, client_id, model, at, input, cached, output, cost)";

struct reading {
    struct invocation *invocation;
    const struct config *config;
    const char *path;
    const char *given[COLUMNS]; // by --column
    struct pg_array columns[1 + COLUMNS];
    size_t lines;
    bool failed;
};

// The cells of one line, by column; NULL: it has none.
struct cells {
    const char *of[COLUMNS];
};

// ------------------------------------------------------------------------------- columns

static bool is_name(const struct reading *reading, enum column column, const char *name)
{
    if (reading->given[column])
        return strcasecmp(reading->given[column], name) == 0;
    for (const char *const *known = names[column]; *known; known++)
        if (strcasecmp(*known, name) == 0)
            return true;
    return false;
}

// "request_id=Request ID"
static int take_columns(struct reading *reading)
{
    const char *pair;
    for (size_t n = 0; (pair = invocation_nth(reading->invocation, "column", n)); n++) {
        const char *equals = strchr(pair, '=');
        size_t found = COLUMNS;
        for (size_t i = 0; equals && i < COLUMNS; i++)
            if (strlen(names[i][0]) == (size_t)(equals - pair) &&
                strncmp(names[i][0], pair, (size_t)(equals - pair)) == 0)
                found = i;
        if (found == COLUMNS)
            return invocation_misuse(reading->invocation,
                                     "--column is NAME=TITLE; names: request_id client_request_id "
                                     "created_at model input_tokens cached_input_tokens "
                                     "output_tokens cost_usd");
        reading->given[found] = equals + 1;
    }
    return EXIT_DONE;
}

// ------------------------------------------------------------------------------- cells

static void say_bad(struct reading *reading, size_t line, const char *what, const char *cell)
{
    fprintf(stderr, "error: %s: line %zu: %s \"%.60s\".\n", reading->path, line, what, cell);
    reading->failed = true;
}

static bool parse_count(const char *cell, int64_t *out)
{
    char *end;
    errno = 0;
    double value = strtod(cell, &end);
    if (end == cell || *end || errno || value < 0 || value > 1e15 || value != floor(value))
        return false;
    *out = (int64_t)value;
    return true;
}

static bool parse_cost(const char *cell, int64_t *out)
{
    char *end;
    cell += *cell == '$';
    if (money_parse_usd(cell, out))
        return true;
    double usd = strtod(cell, &end); // more digits than money has, or an exponent
    if (end == cell || *end || !(usd >= 0) || usd > 9e6)
        return false;
    *out = llround(usd * (double)PICOUSD_PER_USD);
    return true;
}

static const struct config_model *model_of(const struct config *config, const char *name)
{
    for (size_t i = 0; name && i < config->model_count; i++)
        if (strcmp(config->models[i].name, name) == 0 ||
            strcmp(config->models[i].served_name, name) == 0)
            return &config->models[i];
    return NULL;
}

// Of an export without money: our price for the tokens that it tells. False: none is known.
static bool price_cells(const struct reading *reading, const struct cells *cells,
                        const int64_t *counts, int64_t *out)
{
    const struct config_model *model = model_of(reading->config, cells->of[COLUMN_MODEL]);
    struct usage usage = {.known = true,
                          .input_tokens = counts[COLUMN_INPUT],
                          .cached_tokens = counts[COLUMN_CACHED],
                          .output_tokens = counts[COLUMN_OUTPUT]};
    return model && cells->of[COLUMN_INPUT] && cells->of[COLUMN_OUTPUT] &&
           price_of_usage(&model->price, &usage, out);
}

static bool parse_time(const char *cell, int64_t *out_ms)
{
    char text[64], *end;
    double seconds = strtod(cell, &end); // of an export in unix time
    if (end != cell && *end == '\0' && seconds > 0 && seconds < 1e14) {
        *out_ms = (int64_t)(seconds > 1e11 ? seconds : seconds * 1000);
        return true;
    }
    bool zone = strpbrk(cell, "Zz+") || (strlen(cell) > 19 && strchr(cell + 19, '-'));
    snprintf(text, sizeof(text), "%.40s%s", cell, zone ? "" : "Z");
    if (strlen(text) > 10 && text[10] == ' ')
        text[10] = 'T';
    return time_text_parse(text, out_ms);
}

static void add_number(struct pg_array *array, bool there, int64_t number)
{
    if (there)
        pg_array_add_int(array, number);
    else
        pg_array_add_null(array);
}

// The numbers of a line. False: one of them is none, which was said.
static bool parse_cells(struct reading *reading, const struct cells *cells, size_t line,
                        int64_t *counts, bool *there)
{
    for (int i = 0; i < COLUMNS; i++) {
        const char *cell = cells->of[i];
        counts[i] = 0;
        there[i] = cell && *cell;
        if (!there[i] || i == COLUMN_REQUEST || i == COLUMN_CLIENT || i == COLUMN_MODEL)
            continue;
        bool good = i == COLUMN_TIME   ? parse_time(cell, &counts[i])
                    : i == COLUMN_COST ? parse_cost(cell, &counts[i])
                                       : parse_count(cell, &counts[i]);
        if (!good)
            say_bad(reading, line,
                    i == COLUMN_TIME   ? "no time:"
                    : i == COLUMN_COST ? "no amount of USD:"
                                       : "no number of tokens:",
                    cell);
        if (!good)
            return false;
    }
    return true;
}

static void flush(struct reading *reading);

static void take_cells(struct reading *reading, const struct cells *cells, size_t line)
{
    static const enum column texts[] = {COLUMN_REQUEST, COLUMN_CLIENT, COLUMN_MODEL};
    static const enum column numbers[] = {COLUMN_TIME, COLUMN_INPUT, COLUMN_CACHED, COLUMN_OUTPUT,
                                          COLUMN_COST};
    int64_t counts[COLUMNS];
    bool there[COLUMNS];
    if (!parse_cells(reading, cells, line, counts, there))
        return;
    if (!there[COLUMN_REQUEST] && !there[COLUMN_CLIENT])
        return; // a sum, a total
    if (!there[COLUMN_COST])
        there[COLUMN_COST] = price_cells(reading, cells, counts, &counts[COLUMN_COST]);
    struct pg_array *at = reading->columns;
    pg_array_add_int(at++, (int64_t)line);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++, at++)
        if (there[texts[i]])
            pg_array_add_bytes_as_text(at, cells->of[texts[i]], strlen(cells->of[texts[i]]));
        else
            pg_array_add_null(at);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++, at++)
        add_number(at, there[numbers[i]], counts[numbers[i]]);
    reading->lines++;
    if (reading->columns[0].len >= GROUP_LINES)
        flush(reading);
}

static void flush(struct reading *reading)
{
    const char *params[1 + COLUMNS];
    struct pg_session *session = invocation_database(reading->invocation);
    struct pg_rows *rows = NULL;
    struct pg_error error;
    for (size_t i = 0; i < 1 + COLUMNS; i++)
        params[i] = pg_array_str(&reading->columns[i]);
    if (reading->columns[0].len > 0 && !reading->failed &&
        !pg_query(session, insert_sql, params, 1 + COLUMNS, &rows, &error)) {
        fprintf(stderr, "error: PostgreSQL: %s\n", error.text);
        reading->failed = true;
    }
    pg_rows_free(rows);
    for (size_t i = 0; i < 1 + COLUMNS; i++) {
        pg_array_deinit(&reading->columns[i]);
        pg_array_init(&reading->columns[i]);
    }
}

// ------------------------------------------------------------------------------- CSV

static bool read_csv(struct reading *reading, const struct buf *file)
{
    struct csv csv = {0};
    size_t line, places[COLUMNS];
    if (!csv_read(&csv, buf_str(file), file->len, &line)) {
        fprintf(stderr, "error: %s: the quote that begins in line %zu does not end.\n",
                reading->path, line);
        return false;
    }
    for (int i = 0; i < COLUMNS; i++) {
        places[i] = SIZE_MAX;
        for (size_t c = 0; csv.count > 0 && c < csv.rows[0].count; c++)
            if (places[i] == SIZE_MAX && is_name(reading, (enum column)i, csv.rows[0].cells[c]))
                places[i] = c;
    }
    bool known = places[COLUMN_REQUEST] != SIZE_MAX || places[COLUMN_CLIENT] != SIZE_MAX;
    if (!known)
        fprintf(stderr,
                "error: %s: no column has the ids of requests; --column request_id=TITLE names "
                "it.\n",
                reading->path);
    for (size_t r = 1; known && r < csv.count && !reading->failed; r++) {
        struct cells cells = {{0}};
        for (int i = 0; i < COLUMNS; i++)
            if (places[i] < csv.rows[r].count)
                cells.of[i] = csv.rows[r].cells[places[i]];
        take_cells(reading, &cells, csv.rows[r].line);
    }
    csv_deinit(&csv);
    return known;
}

// ------------------------------------------------------------------------------- JSON

// A member of the object, or of its `usage`.
static const json_t *member_of(const struct reading *reading, const json_t *object,
                               enum column column)
{
    const char *name;
    json_t *value, *found = NULL;
    json_object_foreach((json_t *)(uintptr_t)object, name,
                        value) if (!found && is_name(reading, column, name) && !json_is_null(value))
        found = value;
    const json_t *usage = json_object_get(object, "usage");
    return found || !json_is_object(usage) ? found : member_of(reading, usage, column);
}

static void take_object(struct reading *reading, const json_t *object, size_t line)
{
    struct cells cells = {{0}};
    char numbers[COLUMNS][40];
    for (int i = 0; i < COLUMNS; i++) {
        const json_t *value = member_of(reading, object, (enum column)i);
        if (json_is_integer(value))
            snprintf(numbers[i], sizeof(numbers[i]), "%" JSON_INTEGER_FORMAT,
                     json_integer_value(value));
        else if (json_is_real(value))
            snprintf(numbers[i], sizeof(numbers[i]), "%.12f", json_real_value(value));
        cells.of[i] = json_is_number(value) ? numbers[i] : json_string_value(value);
    }
    take_cells(reading, &cells, line);
}

static json_t *load_json(struct reading *reading, const char *text, size_t len, size_t line)
{
    struct json_limits limits = {len + 1, 64, 10000000};
    struct failure failure;
    json_t *json = json_load_checked(text, len, &limits, 0, &failure);
    if (!json) {
        fprintf(stderr, "error: %s: line %zu: %s.\n", reading->path, line, failure.detail);
        reading->failed = true;
    }
    return json;
}

static void read_lines(struct reading *reading, const struct buf *file)
{
    const char *at = buf_str(file), *end = at + file->len;
    for (size_t line = 1; at < end && !reading->failed; line++) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((feed ? feed : end) - at);
        if (strspn(at, " \t\r") < len) {
            json_t *json = load_json(reading, at, len, line);
            take_object(reading, json, line);
            json_decref(json);
        }
        at += len + 1;
    }
}

static void read_array(struct reading *reading, const struct buf *file)
{
    json_t *json = load_json(reading, buf_str(file), file->len, 1), *item;
    size_t i;
    json_array_foreach(json, i, item) if (!reading->failed) take_object(reading, item, i + 1);
    json_decref(json);
}

static bool read_json(struct reading *reading, const struct buf *file)
{
    const char *text = buf_str(file);
    if (text[strspn(text, " \t\r\n")] == '[')
        read_array(reading, file);
    else
        read_lines(reading, file);
    return !reading->failed;
}

// ------------------------------------------------------------------------------- the file

static bool read_file(struct reading *reading)
{
    struct buf file OWN_BUF;
    char problem[300];
    struct pg_error error;
    buf_init(&file, FILE_BYTES);
    if (!slurp_file(&file, reading->path, problem, sizeof(problem))) {
        fprintf(stderr, "error: %s: %s.\n", reading->path, problem);
        return false;
    }
    if (!pg_script(invocation_database(reading->invocation), create_sql, &error)) {
        fprintf(stderr, "error: PostgreSQL: %s\n", error.text);
        return false;
    }
    const char *text = buf_str(&file);
    bool json = strchr("[{", text[strspn(text, " \t\r\n")]) != NULL && file.len > 0;
    bool good = json ? read_json(reading, &file) : read_csv(reading, &file);
    flush(reading);
    return good && !reading->failed;
}

bool reconcile_read(struct invocation *invocation, const char *path, size_t *out_lines)
{
    struct reading reading = {
        .invocation = invocation, .config = invocation_config(invocation), .path = path};
    for (size_t i = 0; i < 1 + COLUMNS; i++)
        pg_array_init(&reading.columns[i]);
    bool good = take_columns(&reading) == EXIT_DONE && read_file(&reading);
    for (size_t i = 0; i < 1 + COLUMNS; i++)
        pg_array_deinit(&reading.columns[i]);
    *out_lines = reading.lines;
    return good;
}
