// SPDX-License-Identifier: Apache-2.0
// What the parts of `precis dlq` share: which dead letters are meant.
//
// A dead letter is of a job (it failed; replaying reopens it) or of a message that never became
// one (replaying sends its bytes again). It is open until it was replayed or dropped; a letter that
// is named by its number is meant in any case.
#ifndef PRECIS_CMD_DLQ_H
#define PRECIS_CMD_DLQ_H

#include "cmd/command.h"
#include "io/pg_query.h"

// Parameters of a statement: those of the filter, then the statement's own.
enum {
    DLQ_IDS, // bigint[]; NULL: by the filter
    DLQ_CODE,
    DLQ_TENANT,
    DLQ_BATCH,
    DLQ_TOPIC,
    DLQ_AGO,    // an interval; NULL: none
    DLQ_SINCE,  // a time; NULL: none
    DLQ_CLOSED, // "true": those that were replayed or dropped too
    DLQ_PARAMS
};

// The condition on `d`, a row of precis_data.dead_letters or of the view: they call the code and
// the topic differently.
#define DLQ_WHERE(code, topic)                                                                     \
    " ($1::bigint[] is null or d.id = any($1::bigint[]))"                                          \
    " and ($1::bigint[] is not null or $8::boolean"                                                \
    "  or (d.replayed_at is null and d.dropped_at is null))"                                       \
    " and ($2::text is null or d." code " = $2) and ($3::text is null or d.tenant = $3)"           \
    " and ($4::text is null or d.batch = $4) and ($5::text is null or d." topic " = $5)"           \
    " and ($6::text is null or d.failed_at >= clock_timestamp() - $6::text::interval)"             \
    " and ($7::text is null or d.failed_at >= $7::text::timestamptz)"
#define DLQ_WHERE_VIEW  DLQ_WHERE("error_code", "kafka_topic")
#define DLQ_WHERE_TABLE DLQ_WHERE("code", "topic")

struct dlq {
    struct invocation *invocation;
    struct pg_session *session;
    const char *params[DLQ_PARAMS + 1]; // the last one is the statement's limit
    char *ids, *tenant, *batch, *since; // what params point at, and
    char limit[24];
};

// Each is one word of `precis dlq` and returns an exit code.
int dlq_show(struct dlq *dlq);
int dlq_replay(struct dlq *dlq);

// A count option; `fallback` where it was not given. -1: it was said that it is no count.
long dlq_count_option(struct invocation *invocation, const char *name, long fallback);

#endif
