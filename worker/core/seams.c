// SPDX-License-Identifier: Apache-2.0
// Names and clean-up of what crosses the seams.
#include "core/seams.h"

#include <stdlib.h>

#include "base/check.h"

void claim_reply_deinit(struct claim_reply *reply)
{
    for (size_t i = 0; i < reply->plan_count; i++) {
        free(reply->plans[i].model);
        free(reply->plans[i].prompt_version);
        free(reply->plans[i].calls_json);
        free(reply->plans[i].reasoning_mode);
        free(reply->plans[i].why);
    }
    for (size_t i = 0; i < reply->part_count; i++)
        free(reply->parts[i].answer);
    for (size_t i = 0; i < reply->attempt_count; i++) {
        free(reply->attempts[i].code);
        free(reply->attempts[i].answer);
    }
    free(reply->plans);
    free(reply->parts);
    free(reply->attempts);
    *reply = (struct claim_reply){0};
}

const char *attempt_outcome_name(enum attempt_outcome outcome)
{
    static const char *const names[] = {"sent",      "ok",       "failed",
                                        "throttled", "in_doubt", "cancelled"};
    CHECK((size_t)outcome < sizeof(names) / sizeof(names[0]));
    return names[outcome];
}

const char *cost_source_name(enum cost_source source)
{
    static const char *const names[] = {"exact", "estimated", "in_doubt", "none"};
    CHECK((size_t)source < sizeof(names) / sizeof(names[0]));
    return names[source];
}
