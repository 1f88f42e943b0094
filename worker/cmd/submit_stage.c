// SPDX-License-Identifier: Apache-2.0
// Documents into PostgreSQL, then their messages to Kafka: in groups, since a commit for each of
// 40,000 documents would take minutes. No message leaves before its document is durable.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/interrupt.h"
#include "cmd/screen.h"
#include "cmd/submit_parts.h"
#include "core/identity.h"

#define GROUP_DOCUMENTS 200
#define GROUP_BYTES     (4 << 20)
#define GROUP_MESSAGES  1000

// In one order for all, so that two submits of the same documents don't lock each other. A document
// that is there becomes young again, so that retention keeps it for the new job.
static const char store_sql[] =
    "insert into precis_data.documents (sha256, text, bytes, media_type, size)"
    " select distinct on (d.sha256) d.sha256, d.text, d.bytes, d.media_type,"
    "  coalesce(octet_length(d.text), octet_length(d.bytes))"
    " from unnest($1::text[], $2::text[], $3::bytea[], $4::text[])"
    "  d(sha256, text, bytes, media_type) order by d.sha256"
    " on conflict (sha256) do update set created_at = clock_timestamp(),"
    "  doomed_at = null,"
    "  text = coalesce(precis_data.documents.text, excluded.text),"
    "  bytes = coalesce(precis_data.documents.bytes, excluded.bytes),"
    "  media_type = coalesce(precis_data.documents.media_type, excluded.media_type)";

struct staged {
    char *key, *value;
};

struct submit_stage {
    struct submit *submit;
    struct pg_array hashes, texts, bytes, media_types;
    size_t stored_bytes;
    struct staged messages[GROUP_MESSAGES];
    size_t count;
};

static void init_documents(struct submit_stage *stage)
{
    pg_array_init(&stage->hashes);
    pg_array_init(&stage->texts);
    pg_array_init(&stage->bytes);
    pg_array_init(&stage->media_types);
    stage->stored_bytes = 0;
}

static void drop_documents(struct submit_stage *stage)
{
    pg_array_deinit(&stage->hashes);
    pg_array_deinit(&stage->texts);
    pg_array_deinit(&stage->bytes);
    pg_array_deinit(&stage->media_types);
}

struct submit_stage *submit_stage_new(struct submit *submit)
{
    struct submit_stage *stage = own_alloc(sizeof(*stage));
    stage->submit = submit;
    init_documents(stage);
    return stage;
}

static void drop_messages(struct submit_stage *stage)
{
    for (size_t i = 0; i < stage->count; i++) {
        free(stage->messages[i].key);
        free(stage->messages[i].value);
    }
    stage->count = 0;
}

void submit_stage_free(struct submit_stage *stage)
{
    if (!stage)
        return;
    drop_messages(stage);
    drop_documents(stage);
    free(stage);
}

static bool store_documents(struct submit_stage *stage)
{
    if (stage->hashes.len == 0)
        return true;
    struct ask ask = {store_sql,
                      {pg_array_str(&stage->hashes), pg_array_str(&stage->texts),
                       pg_array_str(&stage->bytes), pg_array_str(&stage->media_types)},
                      4};
    struct pg_rows *rows = ask_rows(stage->submit->invocation, &ask);
    pg_rows_free(rows);
    drop_documents(stage);
    init_documents(stage);
    return rows != NULL;
}

static bool send_messages(struct submit_stage *stage)
{
    struct sender *sender = stage->submit->sender;
    for (size_t i = 0; i < stage->count; i++) {
        const struct staged *staged = &stage->messages[i];
        if (sender_send(sender, staged->key, staged->value, strlen(staged->value)))
            continue;
        screen_progress_end();
        if (!interrupt_came())
            fprintf(stderr, "error: %s.\n", sender_problem(sender));
        return false;
    }
    return true;
}

// Too many jobs have failed: what was to be sent stays here, and is no part of the report.
static void take_back(struct submit_stage *stage)
{
    struct submit *submit = stage->submit;
    submit->jobs -= stage->count;
    for (size_t i = 0; i < stage->count; i++)
        for (size_t b = 0; b < submit->batch_count; b++) {
            struct buf name OWN_BUF;
            buf_init(&name, 0);
            identity_full_name(&name, submit->batches[b].tenant, submit->batches[b].name, "");
            if (strncmp(stage->messages[i].key, buf_str(&name), name.len) == 0)
                submit->batches[b].sent_count--;
        }
}

bool submit_stage_flush(struct submit_stage *stage)
{
    if (stage->submit->held)
        take_back(stage);
    bool good = !stage->submit->stopped && store_documents(stage) && send_messages(stage);
    stage->submit->stopped = !good;
    drop_messages(stage);
    return good;
}

static void add_document(struct submit_stage *stage, const struct submit_stored *stored)
{
    pg_array_add_text(&stage->hashes, stored->sha256);
    pg_array_add_text(&stage->media_types, stored->media_type);
    if (stored->is_text) {
        pg_array_add_bytes_as_text(&stage->texts, stored->content, stored->len);
        pg_array_add_bytea(&stage->bytes, NULL, 0);
    } else {
        pg_array_add_null(&stage->texts);
        pg_array_add_bytea(&stage->bytes, stored->content, stored->len);
    }
    stage->stored_bytes += stored->len;
}

bool submit_stage_add(struct submit_stage *stage, const struct job_spec *spec,
                      const struct submit_stored *stored, char *value)
{
    struct buf key;
    buf_init(&key, 0);
    identity_full_name(&key, spec->tenant, spec->batch, spec->id);
    stage->messages[stage->count++] = (struct staged){buf_take(&key), value};
    if (stored)
        add_document(stage, stored);
    if (stage->count < GROUP_MESSAGES && stage->hashes.len < GROUP_DOCUMENTS &&
        stage->stored_bytes < GROUP_BYTES)
        return true;
    return submit_stage_flush(stage);
}
