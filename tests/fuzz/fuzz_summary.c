// SPDX-License-Identifier: Apache-2.0
// A model's text. Byte 0 chooses the rule; what passes keeps to it, and failures don't quote.
#include "fuzz.h"

#include <string.h>

#include <jansson.h>

#include "core/summary.h"
#include "core/text.h"

static void check_text(const char *text)
{
    json_t *string = json_string(text); // refuses what is not UTF-8
    FUZZ_CHECK(string && !strchr(text, '\x1b'));
    json_decref(string);
}

static void check(const struct summary *summary, const struct summary_rule *rule)
{
    if (rule->own_schema) {
        json_t *output = json_loads(summary->output_json, 0, NULL);
        FUZZ_CHECK(json_is_object(output));
        json_decref(output);
    } else {
        check_text(summary->summary);
        FUZZ_CHECK(text_code_points(summary->summary, strlen(summary->summary)) <=
                   (size_t)rule->max_chars);
        FUZZ_CHECK(summary->point_count <= (size_t)rule->points_max);
        char *json = summary_output(summary);
        free(json);
    }
    for (size_t i = 0; i < summary->point_count; i++)
        check_text(summary->points[i]);
    for (size_t i = 0; i < (rule->evidence ? summary->point_count + summary->quote_count : 0); i++)
        check_text(summary->quotes[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    struct summary_rule rule = {.max_chars = 20,
                                .points_min = data[0] >> 4 & 3,
                                .points_max = 5,
                                .evidence = data[0] & 1,
                                .own_schema = data[0] >> 1 & 1,
                                .final = data[0] >> 2 & 1,
                                .source_chars = data[0] & 8 ? 10000 : 10};
    struct summary summary;
    struct failure failure = {.code = ERR_NONE};
    if (summary_parse(&summary, &rule, (const char *)data + 1, len - 1, &failure))
        check(&summary, &rule);
    else
        FUZZ_CHECK((failure.code == ERR_NOT_JSON || failure.code == ERR_SCHEMA_MISMATCH) &&
                   failure.detail[0] && !summary.summary && !summary.output_json);
    summary_deinit(&summary);
    return 0;
}
