// SPDX-License-Identifier: Apache-2.0
// The decoded job: its empty state, its end, and the words of its enums.
#include "core/spec.h"

#include <stdlib.h>

#include "base/check.h"

void job_spec_init(struct job_spec *spec)
{
    *spec = (struct job_spec){
        .priority = 5,
        .deadline_ms = INT64_MAX,
        .max_cost_picousd = -1,
        .max_chars = 300,
        .points_min = 3,
        .points_max = 5,
        .evidence_quotes = true,
        .pack = true,
    };
}

void job_spec_deinit(struct job_spec *spec)
{
    char *owned[] = {
        spec->tenant,
        spec->batch,
        spec->id,
        spec->labels_json,
        spec->text,
        spec->data,
        spec->media_type,
        spec->document_name,
        spec->document_url,
        spec->model,
        spec->language,
        spec->instructions,
        spec->temperature,
        spec->template_label,
        spec->output_schema_json,
        spec->reasoning_effort,
        spec->spec_json,
        spec->after_batch,
    };
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
        free(owned[i]);
    job_spec_init(spec);
}

const char *job_kind_text(enum job_kind kind)
{
    CHECK(kind == JOB_SUMMARIZE);
    return "summarize";
}

const char *too_long_text(enum too_long too_long)
{
    static const char *const names[] = {"split", "truncate", "fail"};
    CHECK((size_t)too_long < sizeof(names) / sizeof(names[0]));
    return names[too_long];
}

const char *reasoning_mode_text(enum reasoning_mode mode)
{
    static const char *const names[] = {"auto", "reasoning", "non-reasoning"};
    CHECK((size_t)mode < sizeof(names) / sizeof(names[0]));
    return names[mode];
}
