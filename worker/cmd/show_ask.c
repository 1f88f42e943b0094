// SPDX-License-Identifier: Apache-2.0
// The statements of `precis show`. at_ms is a time in unix ms, so that the story can be put in
// order.
#include "cmd/show_ask.h"

#define NAMED     "tenant = $1 and batch = $2 and job_id = $3 and revision = $4"
#define AT(time)  " round(extract(epoch from " time ") * 1000)::bigint"
#define THIS(job) job ".tenant = $1 and " job ".batch = $2 and " job ".id = $3"

const char show_job_sql[] =
    "select tenant, batch, job_id, revision, labels, kind, state, waiting_for, earliest_start_at,"
    " priority, deadline, attempts, error_code, error, suggestion, submitted_at, started_at,"
    " finished_at, worker, kafka_topic, kafka_partition, kafka_offset, cost_usd::text,"
    " extract(epoch from finished_at - submitted_at) * 1000 as took_ms,"
    " extract(epoch from earliest_start_at - clock_timestamp()) * 1000 as starts_in_ms,"
    " (select trim_scale(sum(c.at_most_usd))::text from precis.costs c where c.tenant = $1"
    "  and c.batch = $2 and c.job_id = $3 and c.revision = $4 and c.outcome = 'in_doubt')"
    "  as in_doubt_usd," //
    AT("submitted_at") " as submitted_ms," AT("finished_at") " as finished_ms"
                                                             " from precis.jobs where " NAMED;

const char show_request_sql[] =
    "select model, document_name, document_sha256, document_url, document_bytes, media_type, pages,"
    " parameters, parameters ->> 'template' as template, parameters ->> 'language' as language,"
    " parameters ->> 'instructions' as instructions, parameters ->> 'max_chars' as max_chars,"
    " parameters -> 'output_schema' is not null as has_schema"
    " from precis.requests where " NAMED;

const char show_summary_sql[] =
    "select summary, to_json(key_points) as key_points, output, to_json(warnings) as warnings,"
    " document_name, document_uri, document_sha256, language, pages, model, response_model,"
    " prompt_version, cached_from, input_tokens, output_tokens, cost_usd::text,"
    " (select r.parameters -> 'output_schema' from precis.requests r where r.tenant = s.tenant"
    "  and r.batch = s.batch and r.job_id = s.job_id and r.revision = s.revision) as schema"
    " from precis.summaries s where " NAMED;

const char show_citations_sql[] =
    "select point, path, quote, found, page, char_start, char_end from precis.citations "
    "where " NAMED " order by point, path, char_start";

const char show_calls_sql[] =
    "select call_id, step, attempt, provider, model, response_model, key_name, reasoning_mode,"
    " outcome, http_status, error_code, input_tokens, cached_input_tokens, output_tokens,"
    " reasoning_tokens, cost_usd::text, at_most_usd::text, cost_source, price_version,"
    " cost_reported_usd::text, request_id, finish_reason, started_at, ttft_ms, duration_ms, "
    "pack," AT("started_at") " as at_ms"
                             " from precis.costs where " NAMED
                             " order by started_at, call_id, attempt";

const char show_letters_sql[] =
    "select id, error_code, error, suggestion, kafka_topic, kafka_partition, kafka_offset,"
    " failed_at, replayed_at, dropped_at," AT(
        "failed_at") " as at_ms from precis.dead_letters"
                     " where tenant is not distinct from $1 and batch is not distinct from $2 and "
                     "job_id = $3"
                     " and coalesce(revision, 0) = $4 order by id";

const char show_earlier_sql[] =
    "select epoch, state, error_code, error, suggestion, worker, finished_at, reopened_at," AT(
        "finished_at") " as at_ms," AT("reopened_at") " as reopened_ms"
                                                      " from precis.earlier_outcomes where " NAMED
                                                      " order by epoch";

const char show_plans_sql[] =
    "select p.plan_no, p.model, p.prompt_version, p.calls::json as calls, p.why,"
    " (select" AT("min(a.sent_at)") " from precis_data.attempts a where a.job_no = p.job_no"
                                    "  and a.plan_no = p.plan_no) as at_ms from precis_data.plans p"
                                    " join precis_data.jobs j on j.job_no = p.job_no where " THIS(
                                        "j") " and j.revision = $4::bigint order by p.plan_no";

const char show_errors_sql[] =
    "select a.plan_no, a.call_no as step, a.attempt_no as attempt, a.error"
    " from precis_data.attempts a join precis_data.jobs j on j.job_no = a.job_no"
    " where " THIS("j") " and j.revision = $4::bigint and a.error is not null"
                        " order by a.sent_at, a.plan_no, a.call_no, a.attempt_no";

struct ask show_ask(const char *sql, const struct job_name *name)
{
    return (struct ask){sql, {name->tenant, name->batch, name->id, name->revision}, 4};
}

struct pg_rows *show_rows(struct invocation *invocation, const char *sql,
                          const struct job_name *name)
{
    struct ask ask = show_ask(sql, name);
    struct pg_rows *rows = ask_try(invocation, &ask);
    if (rows && pg_rows_count(rows) > 0)
        return rows;
    pg_rows_free(rows);
    return NULL;
}
