-- oldest-program: 0.1.0
-- Calls that several jobs share. Each has a row of its own, with its share of tokens and money;
-- `pack` is the name of the one request (its x-client-request-id), NULL where it was not shared.

alter table precis_data.attempts add column pack text;

create or replace view precis.costs as
select j.tenant, j.batch, j.id as job_id, j.revision, j.labels,
  j.tenant || '/' || j.batch || '/' || j.id || '/' || j.revision || '/'
    || case when a.plan_no > 1 then a.plan_no || '.' else '' end || a.call_no as call_id,
  a.call_no as step, a.attempt_no as attempt, a.provider, a.model, a.response_model, a.key_name,
  a.reasoning_mode, a.outcome, a.http_status, a.error_code, a.input_tokens,
  a.cached_input_tokens, a.output_tokens, a.reasoning_tokens,
  trim_scale(a.cost_picousd * 0.000000000001) as cost_usd,
  case when a.outcome in ('sent', 'in_doubt')
    then trim_scale(a.at_most_picousd * 0.000000000001) end as at_most_usd,
  a.cost_source, a.price_version,
  trim_scale(a.cost_reported_picousd * 0.000000000001) as cost_reported_usd,
  a.request_id, a.finish_reason, coalesce(a.started_at, a.sent_at) as started_at, a.ttft_ms,
  a.duration_ms, a.pack
from precis_data.attempts a
join precis_data.jobs j on j.job_no = a.job_no;
