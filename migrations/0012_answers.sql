-- oldest-program: 0.1.0
-- Never buy twice: which job makes, or made, the answer to a question. The key is a hash of tenant,
-- document, parameters, prompt and model; the row is written with the first attempt of the job, in
-- the same transaction, so a job leads from the moment at which it may be paid, whatever happens to
-- its worker. `begun_at`: of its latest attempt.

create table precis_data.answers (
  key bytea primary key,
  job_no bigint not null,
  begun_at timestamptz not null default clock_timestamp()
) with (fillfactor = 90);

-- What a plan after the first asks: with another model or reasoning it is another question, and who
-- led the earlier one no longer does.
alter table precis_data.plans add column answer_key bytea;

-- Another job makes this one's answer: it gets no attempt, and waits to copy.
alter table precis_data.claims add column twin boolean not null default false;

-- Of a job that is being cancelled: its call that is under way is cut, and may be paid for nothing.
alter table precis_data.claims add column cut boolean not null default false;
