-- oldest-program: 0.1.0
-- The tables of the spine: what a job is, who holds it, what was asked of a model and paid for it,
-- and how it ended. DESIGN: keys never contain a month; what grows carries the month in which its
-- job was first claimed, so that it can be partitioned later. Money is bigint, 1e-12 USD. There
-- are no foreign keys: the ledger is never refused for want of another row, and every row that
-- names a job is made by a statement that has joined the job.

create schema precis;

-- One row a worker process. `lease_until` by the database's clock; `unbroken_since`: since then
-- the lease never ended. A process knows its row by `nonce`.
create table precis_data.workers (
  id bigint generated always as identity primary key,
  nonce text not null unique,
  name text not null,
  host text not null,
  pid integer not null,
  version text not null,
  consumer_group text not null,
  http_listen text,
  started_at timestamptz not null default clock_timestamp(),
  lease_until timestamptz not null,
  unbroken_since timestamptz not null default clock_timestamp(),
  ended_at timestamptz
) with (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

create table precis_data.batches (
  tenant text not null,
  name text not null,
  sealed_total bigint,
  budget_picousd bigint,
  paused boolean not null default false,
  cancelled_at timestamptz,
  created_at timestamptz not null default clock_timestamp(),
  primary key (tenant, name)
);

-- Jobs that were cancelled before a worker claimed them.
create table precis_data.cancels (
  tenant text not null,
  batch text not null,
  id text not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (tenant, batch, id)
);

create table precis_data.jobs (
  tenant text not null,
  batch text not null,
  id text not null,
  revision bigint not null,
  job_no bigint generated always as identity unique,
  kind text not null,
  content_hash bytea not null,
  priority smallint not null,
  deadline timestamptz,
  not_before timestamptz,
  labels jsonb not null,
  spec text not null,                  -- the message again, the document as {"stored": sha256}
  document_sha256 text,
  document_name text,
  model text,
  traceparent text,
  submitted_at timestamptz,
  first_claimed_at timestamptz not null default clock_timestamp(),
  month date not null default date_trunc('month', clock_timestamp() at time zone 'UTC')::date,
  topic text,
  partition integer,
  kafka_offset bigint,
  waiting_for text,
  earliest_start_at timestamptz,
  primary key (tenant, batch, id, revision)
) with (fillfactor = 85);

-- Who holds a job. worker_id NULL: nobody (released, or reopened by `retry`). The epoch fences
-- outcomes and new attempts. Attempts of epochs before `reopened_epoch` use up no try.
create table precis_data.claims (
  job_no bigint primary key,
  worker_id bigint,
  serial bigint not null,
  epoch integer not null,
  crashes integer not null default 0,
  stop text check (stop in ('cancelled', 'superseded')),
  claimed_at timestamptz not null default clock_timestamp(),
  reopened_epoch integer not null default 0,
  reopened_at timestamptz
) with (fillfactor = 60);

create table precis_data.plans (
  job_no bigint not null,
  plan_no integer not null,
  model text not null,
  prompt_version text not null,
  text_sha256 text not null,
  calls text not null,                 -- JSON: ranges in code points
  month date not null,
  primary key (job_no, plan_no)
);

-- The ledger: a row before a request leaves (`sent`), completed by what came of it.
create table precis_data.attempts (
  job_no bigint not null,
  plan_no integer not null,
  call_no integer not null,
  attempt_no integer not null,
  epoch integer not null,
  worker_id bigint not null,
  month date not null,
  outcome text not null
    check (outcome in ('sent', 'ok', 'failed', 'throttled', 'in_doubt', 'cancelled')),
  provider text,
  model text,
  key_name text,
  reasoning_mode text,
  price_version text,
  at_most_picousd bigint not null,     -- counts while `sent` and `in_doubt`
  cost_picousd bigint,                 -- NULL while `sent` and `in_doubt`
  cost_source text not null check (cost_source in ('exact', 'estimated', 'in_doubt', 'none')),
  cost_reported_picousd bigint,
  input_tokens bigint,
  cached_input_tokens bigint,
  output_tokens bigint,
  reasoning_tokens bigint,
  http_status integer,
  error_code text,
  error text,
  answer text,                         -- a bad one, kept for the repair
  response_model text,
  request_id text,
  finish_reason text,
  sent_at timestamptz not null default clock_timestamp(),
  started_at timestamptz,
  ttft_ms bigint,
  duration_ms bigint,
  primary key (job_no, plan_no, call_no, attempt_no)
) with (fillfactor = 70);
create index attempts_sent_at on precis_data.attempts using brin (sent_at);

-- Paid and checked answers, one a call; the first stays.
create table precis_data.parts (
  job_no bigint not null,
  plan_no integer not null,
  call_no integer not null,
  model text not null,
  char_start bigint not null,
  char_end bigint not null,
  answer text not null,
  month date not null,
  primary key (job_no, plan_no, call_no)
);

create table precis_data.outcomes (
  tenant text not null,
  batch text not null,
  id text not null,
  revision bigint not null,
  job_no bigint not null unique,
  state text not null check (state in ('done', 'failed', 'cancelled')),
  error_code text,
  error text,
  suggestion text,
  epoch integer not null,
  worker_id bigint not null,
  finished_at timestamptz not null default clock_timestamp(),
  primary key (tenant, batch, id, revision)
);

create table precis_data.summaries (
  job_no bigint primary key,
  summary text,
  key_points text[],
  output jsonb not null,
  warnings text[] not null,
  document_name text,
  document_uri text,
  document_sha256 text,
  language text,
  pages integer,
  model text,
  response_model text,
  prompt_version text,
  cached_from text,
  month date not null
);

create table precis_data.citations (
  job_no bigint not null,
  n integer not null,
  point integer,
  path text,
  quote text not null,
  found boolean not null,
  page integer,
  char_start bigint,
  char_end bigint,
  month date not null,
  primary key (job_no, n)
);

-- Result messages that are not announced yet; a delivery report deletes the row.
create table precis_data.outbox (
  id bigint generated always as identity primary key,
  job_no bigint not null,
  epoch integer not null,
  key text not null,
  value text not null,
  created_at timestamptz not null default clock_timestamp(),
  tried_at timestamptz,                -- when a sweep last took it
  unique (job_no, epoch)
) with (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0);

-- Messages that could not become a job, and messages of jobs that failed. kafka_timestamp in unix
-- ms, -1 where the broker gave none: a topic that was made again has offsets of its own.
create table precis_data.dead_letters (
  id bigint generated always as identity primary key,
  tenant text,
  batch text,
  job_id text,
  revision bigint,
  code text not null,
  error text not null,
  suggestion text not null,
  topic text,
  partition integer,
  kafka_offset bigint,
  kafka_timestamp bigint not null default -1,
  key bytea,
  value bytea,
  headers jsonb not null default '[]', -- [[name, hex or null], …], in their order
  attempts integer not null default 0,
  worker text,
  failed_at timestamptz not null default clock_timestamp(),
  tried_at timestamptz,
  announced_at timestamptz,
  replayed_at timestamptz,
  dropped_at timestamptz
);
create unique index dead_letters_message on precis_data.dead_letters
  (topic, partition, kafka_offset, kafka_timestamp) where topic is not null;
create index dead_letters_job on precis_data.dead_letters (tenant, batch, job_id);
create index dead_letters_unannounced on precis_data.dead_letters (id) where announced_at is null;

-- Messages whose version is too new for the worker that read them.
create table precis_data.later_messages (
  topic text not null,
  partition integer not null,
  kafka_offset bigint not null,
  kafka_timestamp bigint not null,
  version integer not null,
  tenant text,
  batch text,
  job_id text,
  revision bigint,
  key bytea,
  value bytea,
  headers jsonb not null default '[]',
  taken_by bigint,
  taken_serial bigint,
  stored_at timestamptz not null default clock_timestamp(),
  primary key (topic, partition, kafka_offset, kafka_timestamp)
);

create table precis_data.documents (
  sha256 text primary key,             -- of `text` in UTF-8 where there is text, else of `bytes`
  text text,
  bytes bytea,
  media_type text,
  size bigint not null,
  created_at timestamptz not null default clock_timestamp()
);

-- Jobs that Kafka will not bring again: reopened by `retry`. Gone with the outcome.
create table precis_data.requeued (
  job_no bigint primary key,
  due_at timestamptz not null default clock_timestamp(),
  taken_by bigint,
  taken_serial bigint
) with (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
create index requeued_due on precis_data.requeued (due_at);

-- What a consumer group knows of a partition. `used`: something that was read there has reached
-- this database. The answer to the last `begin` is kept, so that it can be given again.
create table precis_data.partitions (
  consumer_group text not null,
  topic text not null,
  partition integer not null,
  worker_id bigint not null,
  clean boolean not null,
  used boolean not null default false,
  known_since timestamptz not null default clock_timestamp(),
  begin_serial bigint not null,
  was_known boolean not null,
  was_topic_known boolean not null,
  was_unclean boolean not null,
  primary key (consumer_group, topic, partition)
);

-- Messages that are about to be parsed where a worker ended before.
create table precis_data.suspects (
  consumer_group text not null,
  topic text not null,
  partition integer not null,
  kafka_offset bigint not null,
  times integer not null,
  worker_id bigint not null,
  serial bigint not null,
  primary key (consumer_group, topic, partition, kafka_offset)
);
