// SPDX-License-Identifier: Apache-2.0
// The options of `precis submit`.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/submit_parts.h"
#include "cmd/when.h"
#include "core/identity.h"
#include "core/money.h"
#include "core/text.h"
#include "core/time_text.h"
#include "job/decode.h"
#include "templates/template.h"

enum given_type { GIVEN_TEXT, GIVEN_NUMBER, GIVEN_FLAG, GIVEN_TIME, GIVEN_BATCH };

// Options that are members of a message.
static const struct given {
    const char *option, *member;
    enum given_type type;
    bool summarize; // a parameter, not of the top level
} givens[] = {
    {"kind", "kind", GIVEN_TEXT, false},
    {"tenant", "tenant", GIVEN_TEXT, false},
    {"batch", "batch", GIVEN_TEXT, false},
    {"priority", "priority", GIVEN_NUMBER, false},
    {"deadline", "deadline", GIVEN_TIME, false},
    {"on-deadline", "on_deadline", GIVEN_TEXT, false},
    {"not-before", "not_before", GIVEN_TIME, false},
    {"after", "after", GIVEN_BATCH, false},
    {"max-cost", "max_cost_usd", GIVEN_TEXT, false},
    {"fresh", "fresh", GIVEN_FLAG, false},
    {"model", "model", GIVEN_TEXT, true},
    {"max-chars", "max_chars", GIVEN_NUMBER, true},
    {"instructions", "instructions", GIVEN_TEXT, true},
    {"language", "language", GIVEN_TEXT, true},
    {"on-too-long", "on_too_long", GIVEN_TEXT, true},
    {"reasoning-mode", "reasoning_mode", GIVEN_TEXT, true},
    {"reasoning-effort", "reasoning_effort", GIVEN_TEXT, true},
};

static bool parse_whole(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    *out = value;
    return end != text && *end == '\0' && errno == 0;
}

static json_t *time_member(const char *value)
{
    char text[TIME_TEXT_BYTES];
    int64_t unix_ms;
    return when_read(value, when_now_ms(), &unix_ms) ? json_string(time_text_format(unix_ms, text))
                                                     : NULL;
}

static json_t *number_member(const char *value)
{
    int64_t number;
    return parse_whole(value, &number) ? json_integer(number) : NULL;
}

// NULL: the value is not of that type.
static json_t *member_of(enum given_type type, const char *value)
{
    switch (type) {
    case GIVEN_TEXT:
        return json_string(value);
    case GIVEN_NUMBER:
        return number_member(value);
    case GIVEN_FLAG:
        return json_true();
    case GIVEN_TIME:
        return time_member(value);
    case GIVEN_BATCH:
        return json_pack("{s:s}", "batch", value);
    }
    return NULL;
}

static int take_given(struct submit_order *order, struct invocation *invocation,
                      const struct given *given)
{
    static const char *const wrong[] = {
        [GIVEN_TEXT] = "is not valid UTF-8",  [GIVEN_NUMBER] = "needs a whole number",
        [GIVEN_FLAG] = "takes no value",      [GIVEN_TIME] = ("is " WHEN_FORMS),
        [GIVEN_BATCH] = "is not valid UTF-8",
    };
    const char *value = invocation_value(invocation, given->option);
    if (!value)
        return EXIT_DONE;
    json_t *member = member_of(given->type, value);
    if (!member)
        return invocation_misuse(invocation, "--%s %s", given->option, wrong[given->type]);
    json_object_set_new(given->summarize ? order->summarize : order->members, given->member,
                        member);
    return EXIT_DONE;
}

// ------------------------------------------------------------------------------- the template

// Its parameters are what options are laid upon.
static int take_template(struct submit_order *order, struct invocation *invocation)
{
    const char *which = invocation_value(invocation, "template");
    struct job_template template;
    struct config_errors errors = {0};
    if (!which)
        return EXIT_DONE;
    if (template_load(&template, which, &errors)) {
        json_object_update(order->summarize, template.summarize);
        template_deinit(&template);
        return EXIT_DONE;
    }
    config_errors_tell(&errors);
    config_errors_deinit(&errors);
    return EXIT_USAGE;
}

// --instructions is added to the template's own, which go with its schema.
static void join_instructions(struct submit_order *order, const char *templates)
{
    const char *added = json_string_value(json_object_get(order->summarize, "instructions"));
    if (!templates || !added || strcmp(templates, added) == 0)
        return;
    struct buf both OWN_BUF;
    buf_init(&both, 0);
    size_t len = strlen(templates);
    bool ended = len > 0 && templates[len - 1] == '\n';
    buf_printf(&both, "%s%sMoreover, and before all that stands above: %s", templates,
               ended ? "" : "\n", added);
    json_object_set_new(order->summarize, "instructions", json_string(buf_str(&both)));
}

// All parameters: the template's, then the options.
static int take_parameters(struct submit_order *order, struct invocation *invocation)
{
    int code = take_template(order, invocation);
    const json_t *instructions = json_object_get(order->summarize, "instructions");
    char *templates OWN_FREE = own_strdup(json_string_value(instructions));
    for (size_t i = 0; code == EXIT_DONE && i < sizeof(givens) / sizeof(givens[0]); i++)
        code = take_given(order, invocation, &givens[i]);
    if (code == EXIT_DONE)
        join_instructions(order, templates);
    return code;
}

// ------------------------------------------------------------------------------- checks

// What nobody wants to wait for.
static int check_times(const struct submit_order *order, struct invocation *invocation)
{
    const char *deadline = json_string_value(json_object_get(order->members, "deadline"));
    const char *start = json_string_value(json_object_get(order->members, "not_before"));
    int64_t deadline_ms = 0, start_ms = 0;
    if (deadline)
        time_text_parse(deadline, &deadline_ms);
    else if (invocation_flag(invocation, "on-deadline"))
        return invocation_misuse(invocation, "--on-deadline says what happens when --deadline "
                                             "cannot be met, and there is none");
    if (start)
        time_text_parse(start, &start_ms);
    if (deadline && start && start_ms >= deadline_ms)
        return invocation_misuse(invocation, "--not-before is not before --deadline: no job could "
                                             "be in time");
    return EXIT_DONE;
}

// The workers' own decoder looks at a message made of nothing but the options.
static int check_members(struct submit_order *order, struct invocation *invocation)
{
    json_t *probe = json_pack("{s:s, s:s, s:s, s:{s:s}, s:O, s:o}", "id", "x", "batch", "-", "kind",
                              "summarize", "document", "text", "x", "summarize", order->summarize,
                              "labels", labels_of(order->labels, "", NULL));
    json_object_update(probe, order->members);
    char *text OWN_FREE = json_dumps(probe, JSON_COMPACT);
    json_decref(probe);
    struct message message = {
        .topic = "", .timestamp_ms = -1, .value = text, .value_len = strlen(text)};
    struct decode_limits limits = {
        .value_bytes = SIZE_MAX / 2, .text_bytes = 1024, .nodes = 100000};
    struct decode_out out;
    int code = EXIT_DONE;
    if (job_decode(&message, &limits, &out) != DECODED_JOB)
        code = invocation_misuse(invocation, "%s. %s", out.failure.detail,
                                 failure_suggestion(&out.failure));
    decode_out_deinit(&out);
    return code;
}

static const char *nearest_model(const struct config *config, const char *name)
{
    const char **names = own_array(config->route_count + config->model_count + 1, sizeof(char *));
    size_t count = 0;
    for (size_t i = 0; i < config->route_count; i++)
        names[count++] = config->routes[i].name;
    for (size_t i = 0; i < config->model_count; i++)
        names[count++] = config->models[i].name;
    const char *near = text_nearest(name, names, count);
    free(names);
    return near;
}

static int check_model(struct invocation *invocation)
{
    const struct config *config = invocation_config(invocation);
    const char *model = invocation_value(invocation, "model");
    if (!config)
        return EXIT_USAGE;
    if (!model || config_find_model(config, model, 0))
        return EXIT_DONE;
    const char *near = nearest_model(config, model);
    return invocation_misuse(invocation, "the configuration has no route or model \"%s\"%s%s%s",
                             model, near ? "; did you mean \"" : "", near ? near : "",
                             near ? "\"?" : "");
}

static int take_labels(struct submit_order *order, struct invocation *invocation)
{
    const char *pair;
    for (size_t n = 0; (pair = invocation_nth(invocation, "label", n)); n++)
        if (!labels_add(order->labels, pair))
            return invocation_misuse(invocation, "--label needs the form name=value, in UTF-8");
    const char *path = invocation_value(invocation, "labels-from");
    char problem[300];
    if (path && !labels_load(order->labels, path, problem, sizeof(problem)))
        return invocation_misuse(invocation, "--labels-from %s: %s", path, problem);
    return EXIT_DONE;
}

// "12" or "5%".
static int take_max_failed(struct submit_order *order, struct invocation *invocation)
{
    const char *value = invocation_value(invocation, "max-failed");
    if (!value)
        return EXIT_DONE;
    order->stops_failed = order->wait;
    char *number OWN_FREE = own_strdup(value);
    size_t len = strlen(number);
    order->failed_percent = len > 0 && number[len - 1] == '%';
    if (order->failed_percent)
        number[len - 1] = '\0';
    if (!parse_whole(number, &order->max_failed) || order->max_failed < 0 ||
        (order->failed_percent && order->max_failed > 100))
        return invocation_misuse(invocation, "--max-failed is a number of jobs, or a percentage "
                                             "such as 5%%");
    return EXIT_DONE;
}

// "3MB", "500kB", "3000000".
static int take_hold_back(struct submit_order *order, struct invocation *invocation)
{
    const char *value = invocation_value(invocation, "hold-back");
    if (!value)
        return EXIT_DONE;
    char *end;
    double number = strtod(value, &end);
    double unit = strcasecmp(end, "MB") == 0                  ? 1e6
                  : strcasecmp(end, "kB") == 0                ? 1e3
                  : *end == '\0' || strcasecmp(end, "B") == 0 ? 1
                                                              : 0;
    if (end == value || unit == 0 || !(number * unit >= 1000) || number * unit > 1e15)
        return invocation_misuse(invocation, "--hold-back is a size such as 3MB, at least 1kB");
    order->hold_back_bytes = (int64_t)(number * unit);
    return EXIT_DONE;
}

static int take_canary(struct submit_order *order, struct invocation *invocation)
{
    const char *value = invocation_value(invocation, "canary");
    order->yes = invocation_flag(invocation, "yes");
    if (!value)
        return order->yes ? invocation_misuse(invocation, "--yes goes with --canary") : EXIT_DONE;
    if (order->dry_run)
        return invocation_misuse(invocation, "--dry-run sends no canary");
    return parse_whole(value, &order->canary) && order->canary > 0
               ? EXIT_DONE
               : invocation_misuse(invocation, "--canary is a number of jobs, at least 1");
}

static int take_budget(struct submit_order *order, struct invocation *invocation)
{
    const char *value = invocation_value(invocation, "budget");
    order->budget_picousd = -1;
    if (!value || money_parse_usd(value, &order->budget_picousd))
        return EXIT_DONE;
    return invocation_misuse(invocation, "--budget is an amount of USD such as 12.50");
}

static void take_flags(struct submit_order *order, struct invocation *invocation)
{
    order->tenant = invocation_value(invocation, "tenant");
    order->batch = own_strdup(invocation_value(invocation, "batch"));
    order->revise = invocation_flag(invocation, "revise");
    order->open = invocation_flag(invocation, "open");
    order->store_all = invocation_flag(invocation, "store-all");
    order->wait = invocation_flag(invocation, "wait");
    order->dry_run = invocation_flag(invocation, "dry-run");
}

int submit_order_read(struct submit_order *order, struct invocation *invocation)
{
    *order = (struct submit_order){.members = json_object(), .summarize = json_object()};
    order->labels = labels_new();
    take_flags(order, invocation);
    if (order->open && order->wait)
        return invocation_misuse(invocation, "an open batch does not end: --open and --wait "
                                             "exclude each other");
    if (order->dry_run && order->wait)
        return invocation_misuse(invocation, "--dry-run sends nothing that --wait could wait for");
    if (invocation_flag(invocation, "reasoning-mode") &&
        invocation_flag(invocation, "reasoning-effort"))
        return invocation_misuse(invocation, "--reasoning-mode and --reasoning-effort exclude "
                                             "each other");
    int code = take_parameters(order, invocation);
    code = code ? code : take_labels(order, invocation);
    code = code ? code : take_max_failed(order, invocation);
    code = code ? code : take_hold_back(order, invocation);
    code = code ? code : take_canary(order, invocation);
    code = code ? code : take_budget(order, invocation);
    code = code ? code : check_times(order, invocation);
    code = code ? code : check_members(order, invocation);
    return code ? code : check_model(invocation);
}

const char *submit_order_after(const struct submit_order *order)
{
    return json_string_value(json_object_get(json_object_get(order->members, "after"), "batch"));
}

int submit_order_check_batch(const struct submit_order *order, struct invocation *invocation)
{
    const char *after = submit_order_after(order);
    if (!after || !order->batch || strcmp(after, order->batch) != 0)
        return EXIT_DONE;
    return invocation_misuse(invocation,
                             "--after %s is the jobs' own batch, which would wait for "
                             "itself; --batch gives it another name",
                             after);
}

void submit_order_deinit(struct submit_order *order)
{
    json_decref(order->members);
    json_decref(order->summarize);
    labels_free(order->labels);
    free(order->batch);
    *order = (struct submit_order){0};
}
