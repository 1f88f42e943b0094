// SPDX-License-Identifier: Apache-2.0
// What models showed: their newest answered calls are estimated again, from the same text and plan,
// and compared with what the provider counted.
#include <string.h>

#include "base/own.h"
#include "cmd/estimate_parts.h"
#include "job/decode.h"

// Of the newest jobs, so that the ledger's key finds them; their texts as they were stored, or as
// an extractor made them (whether it is the plan's, its hash tells). Texts over 400,000 bytes would
// make the answer slow, and tell no more.
static const char calls_sql[] =
    "select j.spec, p.plan_no, p.prompt_version, p.text_sha256, p.calls, a.call_no, a.input_tokens,"
    " a.cached_input_tokens, a.output_tokens, a.ttft_ms, a.duration_ms, d.text,"
    " case when a.pack is null then 1 else count(*) over (partition by a.pack) end as members"
    " from precis_data.attempts a join precis_data.jobs j on j.job_no = a.job_no"
    " join precis_data.plans p on p.job_no = a.job_no and p.plan_no = a.plan_no"
    " cross join lateral (select coalesce("
    "  (select s.text from precis_data.documents s where s.sha256 = p.text_sha256"
    "   and s.size < 400000),"
    "  (select t.text from precis_data.texts t where t.document_sha256 = j.document_sha256"
    "   and octet_length(t.text) < 400000 order by t.created_at desc limit 1)) as text) d"
    " where a.job_no > (select coalesce(max(job_no), 0) - 20000 from precis_data.jobs)"
    "  and a.outcome = 'ok' and a.cost_source = 'exact' and a.model = $1 and p.model = $1"
    "  and a.duration_ms is not null and d.text is not null"
    " order by a.job_no desc limit 60";

static bool decode(const struct config *config, const char *message_text, struct decode_out *out)
{
    struct message message = {
        .topic = "", .timestamp_ms = -1, .value = message_text, .value_len = strlen(message_text)};
    struct decode_limits limits = {.value_bytes = SIZE_MAX / 2,
                                   .text_bytes = (size_t)config->documents.max_bytes,
                                   .nodes = 1000000};
    if (job_decode(&message, &limits, out) == DECODED_JOB)
        return true;
    decode_out_deinit(out);
    return false;
}

static void learn_call(struct estimating *estimating, struct estimate_model *model,
                       const struct pg_rows *rows, size_t row)
{
    struct decode_out decoded;
    if (!decode(estimating->submit.config, ask_value(rows, row, "spec"), &decoded))
        return;
    const char *text = ask_value(rows, row, "text");
    struct estimate_order order = {.spec = &decoded.spec,
                                   .text = text,
                                   .text_len = text ? strlen(text) : 0,
                                   .model = model->model};
    struct plan_row plan = {.plan_no = (int32_t)ask_number(rows, row, "plan_no"),
                            .prompt_version = ask_value(rows, row, "prompt_version"),
                            .text_sha256 = ask_value(rows, row, "text_sha256"),
                            .calls_json = ask_value(rows, row, "calls")};
    struct estimate_sample sample = {
        .usage = {.known = true,
                  .input_tokens = ask_number(rows, row, "input_tokens"),
                  .cached_tokens = ask_number(rows, row, "cached_input_tokens"),
                  .output_tokens = ask_number(rows, row, "output_tokens")},
        .ttft_ms = ask_value(rows, row, "ttft_ms") ? ask_number(rows, row, "ttft_ms") : -1,
        .duration_ms = ask_number(rows, row, "duration_ms"),
        .members = ask_number(rows, row, "members"),
    };
    int32_t call_no = (int32_t)ask_number(rows, row, "call_no");
    if (text && estimate_saved_call(&order, &plan, call_no, &sample.call))
        estimate_learn(&model->learned, &sample);
    decode_out_deinit(&decoded);
}

void estimate_learn_models(struct estimating *estimating)
{
    for (size_t i = 0; i < estimating->model_count; i++) {
        struct estimate_model *model = &estimating->models[i];
        struct ask ask = {calls_sql, {model->model->name}, 1};
        struct pg_rows *rows = ask_try(estimating->submit.invocation, &ask);
        for (size_t row = 0; rows && row < pg_rows_count(rows); row++)
            learn_call(estimating, model, rows, row);
        pg_rows_free(rows);
    }
}
