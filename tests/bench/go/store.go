// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"
)

const tables = `
create schema if not exists plain;
create table if not exists plain.summaries (
  job text primary key, summary text not null, key_points text[] not null, output jsonb not null,
  model text not null, finished_at timestamptz not null default clock_timestamp());
create table if not exists plain.costs (
  job text primary key, model text not null, input_tokens bigint not null, cached_input_tokens bigint not null,
  output_tokens bigint not null, cost_picousd bigint not null, duration_ms bigint not null);`

const insertSummaries = `
insert into plain.summaries (job, summary, key_points, output, model)
select r.job, r.summary, array(select p->>'point' from jsonb_array_elements(r.output->'key_points') p), r.output, r.model
from unnest($1::text[], $2::text[], $3::jsonb[], $4::text[]) r(job, summary, output, model)
on conflict do nothing`

const insertCosts = `
insert into plain.costs (job, model, input_tokens, cached_input_tokens, output_tokens, cost_picousd, duration_ms)
select * from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
on conflict do nothing`

const (
	batchRows = 500
	batchWait = 5 * time.Millisecond
	writers   = 4
)

type row struct {
	job    string
	answer answer
	record *kgo.Record
}

// Gathers rows and inserts them by the hundred, each group in one transaction.
type writer struct {
	pool  *pgxpool.Pool
	kafka *kgo.Client
	rows  chan row
	done  chan struct{}
}

func newWriter(ctx context.Context, o options, kafka *kgo.Client) (*writer, error) {
	pool, err := pgxpool.New(ctx, o.database)
	if err != nil {
		return nil, err
	}
	if _, err := pool.Exec(ctx, tables); err != nil {
		return nil, err
	}
	w := &writer{pool: pool, kafka: kafka, rows: make(chan row, batchRows), done: make(chan struct{}, writers)}
	for range writers {
		go w.run()
	}
	return w, nil
}

// After the last row was sent.
func (w *writer) close() {
	close(w.rows)
	for range writers {
		<-w.done
	}
	w.pool.Close()
}

func (w *writer) run() {
	defer func() { w.done <- struct{}{} }()
	group := make([]row, 0, batchRows)
	for first := range w.rows {
		group = w.gather(append(group[:0], first))
		if err := w.insert(group); err != nil {
			log.Fatalf("PostgreSQL: %v", err)
		}
		for i := range group {
			w.kafka.MarkCommitRecords(group[i].record)
		}
	}
}

// What comes within a few milliseconds goes together.
func (w *writer) gather(group []row) []row {
	timeout := time.NewTimer(batchWait)
	defer timeout.Stop()
	for len(group) < batchRows {
		select {
		case r, open := <-w.rows:
			if !open {
				return group
			}
			group = append(group, r)
		case <-timeout.C:
			return group
		}
	}
	return group
}

func (w *writer) insert(group []row) error {
	n := len(group)
	jobs, models := make([]string, n), make([]string, n)
	summaries, outputs := make([]string, n), make([]string, n)
	input, cached, output := make([]int64, n), make([]int64, n), make([]int64, n)
	cost, duration := make([]int64, n), make([]int64, n)
	for i := range group {
		a := &group[i].answer
		jobs[i], models[i] = group[i].job, a.model
		summaries[i], outputs[i] = a.summary.Summary, a.raw
		input[i], cached[i] = a.usage.PromptTokens, a.usage.PromptTokensDetails.CachedTokens
		output[i], cost[i] = a.usage.CompletionTokens, a.usage.picousd()
		duration[i] = a.duration.Milliseconds()
	}
	var batch pgx.Batch
	batch.Queue("begin")
	batch.Queue(insertSummaries, jobs, summaries, outputs, models)
	batch.Queue(insertCosts, jobs, models, input, cached, output, cost, duration)
	batch.Queue("commit")
	return w.pool.SendBatch(context.Background(), &batch).Close()
}
