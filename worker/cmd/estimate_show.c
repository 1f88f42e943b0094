// SPDX-License-Identifier: Apache-2.0
// The report of an estimate, for people and for programs.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/estimate_parts.h"
#include "cmd/screen.h"
#include "cmd/table.h"
#include "core/money.h"
#include "core/time_text.h"

// How far the real cost may lie from the estimate: where the model was seen, and where it was not.
#define SEEN_PERCENT        8
#define UNSEEN_LESS_PERCENT 25
#define UNSEEN_MORE_PERCENT 35
// Samples with which a model counts as seen.
#define SEEN_SAMPLES 5

static bool is_seen(const struct estimate_model *model)
{
    return model->learned.samples >= SEEN_SAMPLES;
}

static int64_t cost_low(const struct estimate_model *model, int64_t picousd)
{
    return picousd / 100 * (100 - (is_seen(model) ? SEEN_PERCENT : UNSEEN_LESS_PERCENT));
}

static int64_t cost_high(const struct estimate_model *model, int64_t picousd)
{
    return picousd / 100 * (100 + (is_seen(model) ? SEEN_PERCENT : UNSEEN_MORE_PERCENT));
}

static int64_t limit_of(const struct estimate_model *model, enum plan_time_limit limit)
{
    return limit == PLAN_TIME_NONE ? 0 : model->limits.at[limit];
}

// Models that somebody may want to know of: those that jobs name, and the others where no model was
// asked for.
static bool is_shown(const struct estimating *estimating, const struct estimate_model *model)
{
    bool asked = json_object_get(estimating->submit.order.summarize, "model") != NULL;
    return model->own.jobs > 0 || (!asked && model->all.jobs > 0);
}

// ------------------------------------------------------------------------------- text

// To the cent, and below a dollar to three digits.
static void add_money(struct buf *out, int64_t picousd)
{
    double usd = (double)picousd / (double)PICOUSD_PER_USD;
    int digits = usd >= 1 || usd == 0 ? 2 : usd >= 0.1 ? 3 : usd >= 0.01 ? 4 : 6;
    buf_printf(out, "$%.*f", digits, usd);
}

static void add_number(struct buf *out, int64_t number)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%" PRId64, number);
    screen_add_count(out, digits);
}

static void print_count(size_t count, const char *one, const char *many)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    if (count == 0)
        return;
    add_number(&text, (int64_t)count);
    printf("  %s %s\n", buf_str(&text), count == 1 ? one : many);
}

static void print_documents(const struct estimating *estimating)
{
    const struct submit *submit = &estimating->submit;
    size_t split = 0, truncated = 0;
    for (size_t i = 0; i < estimating->model_count; i++)
        if (estimating->models[i].own.jobs > 0) {
            split += estimating->models[i].split;
            truncated += estimating->models[i].truncated;
        }
    printf("%zu document%s would be summarised.\n", estimating->documents,
           estimating->documents == 1 ? "" : "s");
    print_count(estimating->twins, "asks the same as another: paid once",
                "ask the same as others: paid once");
    print_count(estimating->answered, "was answered before: not paid again",
                "were answered before: not paid again");
    print_count(submit->twice, "was given twice", "were given twice");
    print_count(submit->ended, "has its answer already: not paid again",
                "have their answers already: not paid again");
    print_count(estimating->longer, "is longer than the model takes at once",
                "are longer than the model takes at once");
    print_count(split, "of these is split into parts", "of these are split into parts");
    print_count(truncated, "of these is truncated", "of these are truncated");
    print_count(estimating->refused, "of these will fail", "of these will fail");
    print_count(estimating->never, "of these is more than the provider allows in a minute or a day",
                "of these are more than the provider allows in a minute or a day");
    print_count(estimating->blank, "has no text and will fail, unpaid",
                "have no text and will fail, unpaid");
    print_count(json_array_size(submit->problems), "cannot be read (see above)",
                "cannot be read (see above)");
    print_count(submit->passed_over, "hidden or system file is left out",
                "hidden or system files are left out");
}

static void add_bound(struct buf *out, const struct estimate_model *model,
                      enum plan_time_limit bound)
{
    int64_t limit = limit_of(model, bound);
    if (limit > 0) {
        add_number(out, limit);
        buf_add_char(out, ' ');
    }
    buf_printf(out, "%s%s%s", estimate_limit_word(bound), limit > 0 ? " " : "",
               estimate_limit_per(bound));
}

static void add_model(struct table *table, const struct estimating *estimating,
                      const struct estimate_model *model)
{
    bool own = model->own.jobs > 0;
    const struct estimate_sum *sum = own ? &model->own : &model->all;
    struct estimate_run run = estimate_run(estimating, model, sum);
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    table_add_styled(table, model->model->name, own ? SCREEN_BOLD : SCREEN_DIM);
    const int64_t numbers[] = {(int64_t)sum->jobs, (int64_t)run.time.requests,
                               run.time.input_tokens, run.time.output_tokens};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        add_number(&text, numbers[i]);
        table_take(table, &text);
    }
    add_money(&text, run.cost_picousd);
    table_take(table, &text);
    add_money(&text, cost_low(model, run.cost_picousd));
    buf_add_str(&text, " to ");
    add_money(&text, cost_high(model, run.cost_picousd));
    table_take(table, &text);
    add_money(&text, sum->at_most_picousd);
    table_take(table, &text);
    screen_add_duration_ms(&text, run.time.total_ms);
    table_take(table, &text);
    add_bound(&text, model, run.time.bound);
    table_take(table, &text);
}

static void print_models(const struct estimating *estimating)
{
    static const struct table_column columns[] = {
        {"MODEL", TABLE_FOLD},      {"JOBS", TABLE_RIGHT},     {"CALLS", TABLE_RIGHT},
        {"TOKENS IN", TABLE_RIGHT}, {"OUT", TABLE_RIGHT},      {"COST", TABLE_MONEY},
        {"LIKELY", TABLE_LEFT},     {"RESERVED", TABLE_MONEY}, {"TIME", TABLE_RIGHT},
        {"HELD UP BY", TABLE_FOLD}, {NULL, TABLE_LEFT},
    };
    struct table *table = table_new(columns);
    for (int own = 1; own >= 0; own--)
        for (size_t i = 0; i < estimating->model_count; i++)
            if (is_shown(estimating, &estimating->models[i]) &&
                (estimating->models[i].own.jobs > 0) == own)
                add_model(table, estimating, &estimating->models[i]);
    if (table_rows(table) > 0) {
        putchar('\n');
        table_print(table, stdout);
    }
    table_free(table);
}

static void print_basis(const struct estimate_model *model)
{
    if (model->own.jobs == 0)
        return;
    if (is_seen(model))
        printf("%s: counted as it was in its last %" PRId64 " calls.\n", model->model->name,
               model->learned.samples);
    else
        printf("%s was not called yet here, so tokens are guessed: `precis submit … --canary 10` "
               "first, then ask again.\n",
               model->model->name);
}

// "84 requests a minute (set by `precis quota set`)"
static void add_limit(struct buf *out, const struct estimate_model *model,
                      enum plan_time_limit limit)
{
    static const char *const sources[] = {
        [ESTIMATE_CONFIGURED] = "",
        [ESTIMATE_SET] = " (set by `precis quota set`)",
        [ESTIMATE_SEEN] = " (the provider's own)",
        [ESTIMATE_WORKERS] = " (what the workers can have under way)",
    };
    buf_add_str(out, out->len ? ", " : "");
    add_number(out, model->limits.at[limit]);
    buf_printf(out, " %s %s%s", estimate_limit_word(limit), estimate_limit_per(limit),
               sources[model->limits.from[limit]]);
}

// What the time rests on.
static void print_assumed(const struct estimating *estimating, const struct estimate_model *model)
{
    if (model->own.jobs == 0)
        return;
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    for (int i = 0; i < PLAN_TIME_LIMITS; i++)
        if (model->limits.at[i] > 0)
            add_limit(&text, model, (enum plan_time_limit)i);
    if (model->jobs_before > 0) {
        buf_add_str(&text, "; ");
        add_number(&text, model->jobs_before);
        buf_printf(&text, " job%s that %s there already go%s first",
                   model->jobs_before == 1 ? "" : "s", model->jobs_before == 1 ? "is" : "are",
                   model->jobs_before == 1 ? "es" : "");
    }
    printf("%s, assumed: %s; %" PRId64 " worker%s.\n", model->model->name, buf_str(&text),
           estimating->workers, estimating->workers == 1 ? "" : "s");
    if (model->closed)
        printf("%s: %s. It counts as open here.\n", model->model->name, model->closed);
}

static void print_resting(const struct estimating *estimating)
{
    if (estimating->resting > 0)
        printf("%" PRId64 " job%s wait%s for a time, a batch, a budget or a person, and %s not "
               "counted.\n",
               estimating->resting, estimating->resting == 1 ? "" : "s",
               estimating->resting == 1 ? "s" : "", estimating->resting == 1 ? "is" : "are");
}

static void print_finish(const struct estimating *estimating, const struct estimate_model *model)
{
    struct estimate_finish finish;
    char time[TIME_TEXT_BYTES];
    estimate_finish(estimating, model, &finish);
    if (!finish.asked || model->own.count == 0)
        return;
    struct buf text OWN_BUF, have OWN_BUF;
    buf_init(&text, 0);
    buf_init(&have, 0);
    printf("Until %.16sZ with %s: ", time_text_format(estimating->finish_by_ms, time),
           model->model->name);
    if (finish.met) {
        puts("yes.");
        return;
    }
    add_number(&have, finish.have);
    add_number(&text, finish.need);
    if (finish.limit == PLAN_TIME_NONE && finish.packed == 0)
        puts("no, whatever the limits: the calls of one job follow each other, and take longer.");
    else if (finish.limit == PLAN_TIME_NONE)
        printf("no; yes with %" PRId64 " documents packed into a request.\n", finish.packed);
    else
        printf("no at %s %s %s; yes at %s", buf_str(&have), estimate_limit_word(finish.limit),
               estimate_limit_per(finish.limit), buf_str(&text));
    if (finish.limit != PLAN_TIME_NONE && finish.packed > 0)
        printf(", or packed by %" PRId64, finish.packed);
    if (finish.limit != PLAN_TIME_NONE)
        puts(".");
}

static int show_text(const struct estimating *estimating)
{
    print_documents(estimating);
    print_models(estimating);
    for (size_t i = 0; i < estimating->model_count; i++)
        print_basis(&estimating->models[i]);
    for (size_t i = 0; i < estimating->model_count; i++)
        print_assumed(estimating, &estimating->models[i]);
    print_resting(estimating);
    for (size_t i = 0; i < estimating->model_count; i++)
        print_finish(estimating, &estimating->models[i]);
    return EXIT_DONE;
}

// ------------------------------------------------------------------------------- JSON

static json_t *usd_json(int64_t picousd)
{
    char text[MONEY_TEXT_BYTES];
    return json_string(money_format_usd(picousd, text, sizeof(text)));
}

static const char *limit_name(enum plan_time_limit limit)
{
    static const char *const names[] = {
        [PLAN_TIME_REQUESTS] = "rpm",     [PLAN_TIME_TOKENS] = "tpm",
        [PLAN_TIME_INPUT] = "itpm",       [PLAN_TIME_OUTPUT] = "otpm",
        [PLAN_TIME_REQUESTS_DAY] = "rpd", [PLAN_TIME_TOKENS_DAY] = "tpd",
        [PLAN_TIME_SLOTS] = "in_flight",
    };
    return names[limit];
}

static json_t *limit_json(enum plan_time_limit limit)
{
    return limit == PLAN_TIME_NONE ? json_null() : json_string(limit_name(limit));
}

// {"rpm": {"value": 84, "from": "set"}, …}
static json_t *limits_json(const struct estimate_model *model)
{
    json_t *json = json_object();
    for (int i = 0; i < PLAN_TIME_LIMITS; i++)
        if (model->limits.at[i] > 0)
            json_object_set_new(json, limit_name((enum plan_time_limit)i),
                                json_pack("{s:I, s:s}", "value", (json_int_t)model->limits.at[i],
                                          "from", estimate_source_word(model->limits.from[i])));
    return json;
}

static json_t *finish_json(const struct estimating *estimating, const struct estimate_model *model)
{
    struct estimate_finish finish;
    estimate_finish(estimating, model, &finish);
    if (!finish.asked || model->own.count == 0)
        return json_null();
    return json_pack("{s:b, s:o, s:o, s:o, s:o}", "met", finish.met, "limit",
                     limit_json(finish.limit), "have",
                     finish.need ? json_integer(finish.have) : json_null(), "need",
                     finish.need ? json_integer(finish.need) : json_null(), "packed",
                     finish.packed ? json_integer(finish.packed) : json_null());
}

static json_t *model_json(const struct estimating *estimating, const struct estimate_model *model)
{
    const struct estimate_sum *sum = model->own.jobs > 0 ? &model->own : &model->all;
    struct estimate_run run = estimate_run(estimating, model, sum);
    json_t *json = json_pack(
        "{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:o, s:o}",
        "model", model->model->name, "chosen", model->own.jobs > 0, "jobs", (json_int_t)sum->jobs,
        "calls", (json_int_t)run.time.requests, "split", (json_int_t)model->split, "truncated",
        (json_int_t)model->truncated, "too_long", (json_int_t)model->refused, "input_tokens",
        (json_int_t)run.time.input_tokens, "output_tokens", (json_int_t)run.time.output_tokens,
        "samples", (json_int_t)model->learned.samples, "cost_usd", usd_json(run.cost_picousd),
        "cost_low_usd", usd_json(cost_low(model, run.cost_picousd)), "cost_high_usd",
        usd_json(cost_high(model, run.cost_picousd)), "reserved_usd",
        usd_json(sum->at_most_picousd), "seconds", (json_int_t)((run.time.total_ms + 999) / 1000),
        "held_up_by", limit_json(run.time.bound), "finish_by", finish_json(estimating, model));
    json_object_set_new(json, "limits", limits_json(model));
    json_object_set_new(json, "over_limit", json_integer((json_int_t)model->over_limit));
    json_object_set_new(json, "jobs_before", json_integer(model->jobs_before));
    json_object_set_new(json, "closed", model->closed ? json_string(model->closed) : json_null());
    return json;
}

static int show_json(const struct estimating *estimating)
{
    const struct submit *submit = &estimating->submit;
    json_t *models = json_array();
    for (size_t i = 0; i < estimating->model_count; i++)
        if (is_shown(estimating, &estimating->models[i]))
            json_array_append_new(models, model_json(estimating, &estimating->models[i]));
    json_t *json = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O, s:O, s:o}", "documents",
        (json_int_t)estimating->documents, "twins", (json_int_t)estimating->twins,
        "answered_before", (json_int_t)estimating->answered, "without_text",
        (json_int_t)estimating->blank, "given_twice", (json_int_t)submit->twice, "ended_before",
        (json_int_t)submit->ended, "over_long", (json_int_t)estimating->longer, "workers",
        (json_int_t)estimating->workers, "jobs_before", (json_int_t)estimating->before,
        "jobs_resting", (json_int_t)estimating->resting, "copies", submit->copies, "unreadable",
        submit->problems, "models", models);
    char *text OWN_FREE = json_dumps(json, JSON_COMPACT);
    struct buf safe OWN_BUF;
    buf_init(&safe, 0);
    screen_add_json(&safe, text);
    printf("%s\n", buf_str(&safe));
    json_decref(json);
    return EXIT_DONE;
}

int estimate_show(struct estimating *estimating)
{
    return invocation_json(estimating->submit.invocation) ? show_json(estimating)
                                                          : show_text(estimating);
}
