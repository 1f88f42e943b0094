// SPDX-License-Identifier: Apache-2.0
// The usage of Chat Completions, in both shapes.
//
// Most servers count reasoning inside completion_tokens; xAI counts it beside them. The sum tells:
// total = prompt + completion + reasoning (with reasoning) means beside. A count that is negative,
// no integer, absurd, or a total that fits neither shape makes the usage unknown: it is estimated
// then, and marked; so is (in the reader) a zero beside content. A usage that comes again replaces
// the one before (it is cumulative).
#include "provider/codec.h"

#include <string.h>

#include <jansson.h>

#include "core/json_scan.h"
#include "core/money.h"

#define MAX_COUNT INT64_C(1000000000000)

static const struct json_limits usage_limits = {.bytes = 65536, .depth = 16, .nodes = 2000};

enum count { COUNT_NONE, COUNT_OK, COUNT_BAD };

static enum count count_of(const json_t *object, const char *name, int64_t *out)
{
    const json_t *value = json_object_get(object, name);
    *out = 0;
    if (!value || json_is_null(value))
        return COUNT_NONE;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > MAX_COUNT)
        return COUNT_BAD;
    *out = json_integer_value(value);
    return COUNT_OK;
}

// The count of a part, at most `whole`; what is absent is 0.
static int64_t part_of(const json_t *object, const char *name, int64_t whole, bool *alarm)
{
    int64_t part;
    if (count_of(object, name, &part) == COUNT_BAD || part > whole) {
        *alarm = true;
        return part > whole ? whole : 0;
    }
    return part;
}

static int64_t cached_of(const json_t *usage, int64_t input, bool *alarm)
{
    const json_t *details = json_object_get(usage, "prompt_tokens_details");
    if (json_object_get(details, "cached_tokens"))
        return part_of(details, "cached_tokens", input, alarm);
    return part_of(usage, "prompt_cache_hit_tokens", input, alarm);
}

// Counts and shape. False: nothing can be relied on.
static bool read_counts(const json_t *usage, struct usage *out, bool *alarm)
{
    int64_t input, output, total, reasoning;
    enum count has_input = count_of(usage, "prompt_tokens", &input);
    enum count has_output = count_of(usage, "completion_tokens", &output);
    enum count has_total = count_of(usage, "total_tokens", &total);
    const json_t *details = json_object_get(usage, "completion_tokens_details");
    enum count has_reasoning = count_of(details, "reasoning_tokens", &reasoning);
    if (has_input != COUNT_OK || has_output != COUNT_OK || has_total == COUNT_BAD)
        return false;
    *alarm |= has_reasoning == COUNT_BAD;
    bool beside = has_total == COUNT_OK && reasoning > 0 && total == input + output + reasoning;
    if (beside)
        output += reasoning;
    else if (has_total == COUNT_OK && total != input + output)
        return false;
    *alarm |= reasoning > output;
    *out = (struct usage){.known = true,
                          .input_tokens = input,
                          .cached_tokens = cached_of(usage, input, alarm),
                          .output_tokens = output,
                          .reasoning_tokens = reasoning > output ? output : reasoning};
    return true;
}

// The provider's own cost: ticks of 1e-10 USD, or dollars. It is compared, never booked.
static int64_t cost_of(const json_t *usage)
{
    const json_t *ticks = json_object_get(usage, "cost_in_usd_ticks");
    if (json_is_integer(ticks) && json_integer_value(ticks) >= 0 &&
        json_integer_value(ticks) < INT64_MAX / 100)
        return json_integer_value(ticks) * (PICOUSD_PER_USD / INT64_C(10000000000));
    double cost = json_number_value(json_object_get(usage, "cost"));
    if (json_is_number(json_object_get(usage, "cost")) && cost >= 0 && cost < 1e6)
        return (int64_t)(cost * 1e12 + 0.5);
    return -1;
}

void openai_usage_read(struct reader *reader, const char *json, size_t len)
{
    struct failure why;
    json_t *usage = json_load_checked(json, len, &usage_limits, 0, &why);
    struct usage counts = {.known = false};
    bool alarm = false;
    bool ok = usage && read_counts(usage, &counts, &alarm);
    if (!ok && json_object_size(usage) == 0 && usage) { // {} says nothing, and nothing wrong
        json_decref(usage);
        return;
    }
    reader->usage = ok ? counts : (struct usage){.known = false};
    reader->usage_alarm = alarm || !ok;
    int64_t cost = cost_of(usage);
    if (cost >= 0)
        reader->cost_reported_picousd = cost;
    json_decref(usage);
}
