-- oldest-program: 0.1.0
-- The results and costs of a whole batch, by plans that grow with it whatever PostgreSQL believes
-- about its tables: from its jobs, and the rest looked up for each (`offset 0` keeps it from being
-- joined).

create or replace view precis.summaries as
select j.tenant, j.batch, j.id as job_id, j.revision, j.labels,
  s.summary, s.key_points, s.output, s.warnings, s.document_name, s.document_uri,
  s.document_sha256, s.language, s.pages, s.model, s.response_model, s.prompt_version,
  s.cached_from, a.input_tokens, a.output_tokens, trim_scale(a.cost * 0.000000000001) as cost_usd,
  s.finished_at
from precis_data.jobs j
cross join lateral (
  select m.*, o.finished_at from precis_data.outcomes o, precis_data.summaries m
  where o.job_no = j.job_no and m.job_no = j.job_no offset 0) s
cross join lateral (
  select coalesce(sum(a.input_tokens), 0)::bigint as input_tokens,
    coalesce(sum(a.output_tokens), 0)::bigint as output_tokens,
    coalesce(sum(a.cost_picousd), 0) as cost
  from precis_data.attempts a where a.job_no = s.job_no) a;

create or replace view precis.citations as
select j.tenant, j.batch, j.id as job_id, j.revision, j.labels,
  c.point, c.path, c.quote, c.found, c.page, c.char_start, c.char_end
from precis_data.jobs j
cross join lateral (
  select * from precis_data.citations t where t.job_no = j.job_no offset 0) c;

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
from precis_data.jobs j
cross join lateral (
  select * from precis_data.attempts t where t.job_no = j.job_no offset 0) a;
