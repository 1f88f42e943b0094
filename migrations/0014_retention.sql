-- oldest-program: 0.1.0
-- What is kept how long: documents and texts of jobs that ended, what their runs left (answers of
-- parts, bad answers), results. One worker at a time removes a small batch; cursors walk through
-- jobs by number and through documents by age, and begin again when they are through.
--
-- Jobs, outcomes and the ledger's numbers stay: an id that comes again is still a duplicate, and
-- what was paid is still counted. A document goes in two steps, at least a minute apart: it is
-- marked, and removed if it is still marked then. Whoever stores it anew in between takes the mark
-- off, and a job that was claimed in between is seen by the second step.

alter table precis_data.documents add column doomed_at timestamptz;
create index documents_doomed on precis_data.documents (doomed_at) where doomed_at is not null;
create index documents_created on precis_data.documents (created_at, sha256);
create index texts_created on precis_data.texts (created_at, document_sha256, extractor);
create index jobs_of_document on precis_data.jobs using hash (document_sha256);

create table precis_data.retention (
  what text primary key,               -- documents, texts, traces, results
  removed bigint not null default 0,   -- rows, ever
  next_at timestamptz not null default '-infinity',
  after_job bigint not null default 0, -- the walk is here: a job, or
  after_time timestamptz not null default '-infinity', -- a document's age,
  after_name text not null default ''  -- and name
);
insert into precis_data.retention (what) values ('documents'), ('texts'), ('traces'), ('results');

-- A job that has this document is not at its end, or was not at `cutoff`.
create function precis_data.document_is_needed(a_sha256 text, cutoff timestamptz) returns boolean
language sql stable as $$
  select exists (select from precis_data.jobs j
    left join precis_data.outcomes o on o.job_no = j.job_no
    where j.document_sha256 = a_sha256 and (o.job_no is null or o.finished_at >= cutoff))
$$;

-- Where a walk goes on: behind this batch, or at the start again after a pause, when it is through.
create function precis_data.retention_move(a_what text, a_removed bigint, ended boolean,
  keep interval, job bigint, at timestamptz, name text) returns void language sql as $$
  update precis_data.retention set removed = removed + a_removed,
    next_at = case when ended
      then clock_timestamp() + least(interval '1 hour', keep / 10) else clock_timestamp() end,
    after_job = case when ended then 0 else job end,
    after_time = case when ended then '-infinity' else at end,
    after_name = case when ended then '' else name end
  where what = a_what
$$;

create function precis_data.retain_documents(keep interval, most integer) returns void
language plpgsql as $$
declare
  cutoff timestamptz := clock_timestamp() - keep;
  walk record;
  looked record;
  gone bigint;
begin
  with d as materialized (select c.sha256 from precis_data.documents c
      where c.doomed_at < clock_timestamp() - least(interval '1 minute', keep)
      order by c.doomed_at limit most for update skip locked),
    spared as (update precis_data.documents c set doomed_at = null from d
      where c.sha256 = d.sha256 and precis_data.document_is_needed(d.sha256, cutoff)),
    removed as (delete from precis_data.documents c using d
      where c.sha256 = d.sha256 and not precis_data.document_is_needed(d.sha256, cutoff)
      returning 1)
  select count(*) into gone from removed;
  update precis_data.retention set removed = removed + gone where what = 'documents';
  select * into walk from precis_data.retention r
    where r.what = 'documents' and r.next_at <= clock_timestamp();
  if not found then
    return;
  end if;
  with seen as materialized (select c.sha256, c.created_at, c.doomed_at from precis_data.documents c
      where (c.created_at, c.sha256) > (walk.after_time, walk.after_name) and c.created_at < cutoff
      order by c.created_at, c.sha256 limit most),
    marked as (update precis_data.documents c set doomed_at = clock_timestamp() from seen
      where c.sha256 = seen.sha256 and c.doomed_at is null and c.created_at < cutoff
        and not precis_data.document_is_needed(c.sha256, cutoff))
  select count(*) as rows, max(created_at) as at, (array_agg(sha256 order by created_at desc,
    sha256 desc))[1] as name into looked from seen;
  perform precis_data.retention_move('documents', 0, looked.rows < most, keep, 0, looked.at,
    looked.name);
end $$;

-- What extractors made of documents: it can be made again from the bytes.
create function precis_data.retain_texts(keep interval, most integer) returns void
language plpgsql as $$
declare
  cutoff timestamptz := clock_timestamp() - keep;
  walk record;
  looked record;
begin
  select * into walk from precis_data.retention r
    where r.what = 'texts' and r.next_at <= clock_timestamp();
  if not found then
    return;
  end if;
  with seen as materialized (select t.document_sha256, t.extractor, t.created_at
      from precis_data.texts t
      where (t.created_at, t.document_sha256) > (walk.after_time, walk.after_name)
        and t.created_at < cutoff
      order by t.created_at, t.document_sha256 limit most),
    removed as (delete from precis_data.texts t using seen
      where t.document_sha256 = seen.document_sha256 and t.extractor = seen.extractor
        and not precis_data.document_is_needed(seen.document_sha256, cutoff) returning 1)
  select count(*) as rows, max(created_at) as at, (array_agg(document_sha256 order by created_at
    desc, document_sha256 desc))[1] as name, (select count(*) from removed) as gone
  into looked from seen;
  perform precis_data.retention_move('texts', looked.gone, looked.rows < most, keep, 0, looked.at,
    looked.name);
end $$;

-- The next jobs of a walk, those that ended before `cutoff`. `last_no`: of the batch, whatever became
-- of it; NULL: none is left, or all that follow were claimed after it.
create function precis_data.retention_jobs(a_after bigint, cutoff timestamptz, most integer,
  out due bigint[], out last_no bigint, out rows bigint) language sql stable as $$
  select coalesce(array_agg(s.job_no) filter (where o.finished_at < cutoff), '{}'), max(s.job_no),
    count(*)
  from (select j.job_no, j.first_claimed_at from precis_data.jobs j where j.job_no > a_after
    order by j.job_no limit most) s
  left join precis_data.outcomes o on o.job_no = s.job_no
  where s.first_claimed_at < cutoff
$$;

create function precis_data.retain_traces(keep interval, most integer) returns void
language plpgsql as $$
declare
  walk record;
  batch record;
  gone bigint;
  emptied bigint;
begin
  select * into walk from precis_data.retention r
    where r.what = 'traces' and r.next_at <= clock_timestamp();
  if not found then
    return;
  end if;
  select * into batch
    from precis_data.retention_jobs(walk.after_job, clock_timestamp() - keep, most);
  delete from precis_data.parts p where p.job_no = any (batch.due);
  get diagnostics gone = row_count;
  update precis_data.attempts a set answer = null
    where a.job_no = any (batch.due) and a.answer is not null;
  get diagnostics emptied = row_count;
  perform precis_data.retention_move('traces', gone + emptied, batch.rows < most, keep,
    batch.last_no, '-infinity', '');
end $$;

create function precis_data.retain_results(keep interval, most integer) returns void
language plpgsql as $$
declare
  walk record;
  batch record;
  gone bigint;
  earlier bigint;
begin
  select * into walk from precis_data.retention r
    where r.what = 'results' and r.next_at <= clock_timestamp();
  if not found then
    return;
  end if;
  select * into batch
    from precis_data.retention_jobs(walk.after_job, clock_timestamp() - keep, most);
  delete from precis_data.citations c where c.job_no = any (batch.due);
  delete from precis_data.summaries s where s.job_no = any (batch.due);
  get diagnostics gone = row_count;
  update precis_data.outcome_history h set result = null
    where h.job_no = any (batch.due) and h.result is not null;
  get diagnostics earlier = row_count;
  perform precis_data.retention_move('results', gone + earlier, batch.rows < most, keep,
    batch.last_no, '-infinity', '');
end $$;

-- One batch of each, where it is time and nobody else is at it. NULL: kept for ever.
create function precis_data.retain(documents_ms bigint, traces_ms bigint, results_ms bigint,
  most integer) returns table (name text, label text, second text, milli bigint)
language plpgsql as $$
begin
  if pg_try_advisory_xact_lock(hashtext('precis retention')) then
    begin
      perform precis_data.retain_documents(documents_ms * interval '1 ms', most),
        precis_data.retain_texts(documents_ms * interval '1 ms', most)
      where documents_ms is not null;
      perform precis_data.retain_traces(traces_ms * interval '1 ms', most)
      where traces_ms is not null;
      perform precis_data.retain_results(results_ms * interval '1 ms', most)
      where results_ms is not null;
    exception when others then -- what is kept too long stops no worker
      raise warning 'precis: retention failed: %', sqlerrm;
    end;
  end if;
  return query select 'precis_retention_removed_rows'::text, r.what, null::text, r.removed * 1000
    from precis_data.retention r;
end $$;
