// SPDX-License-Identifier: Apache-2.0
// The batches of a submission.
//
// A batch's total is the number of different ids that were ever submitted to it. PostgreSQL knows
// those that workers have read; those of this run are known here; those of an earlier run that
// workers have not read yet are known to nobody. So the total is the larger of what it was and of
// the first two together: right for a new batch, for one whose jobs were read, and for the same
// folder again. Where it is too low, the batch shows the jobs that were read beyond it.
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/submit_parts.h"

static const char make_sql[] =
    "insert into precis_data.batches (tenant, name) values ($1, $2) on conflict do nothing";

// A batch that has this budget already is left alone: setting one holds up the whole fleet.
static const char budget_sql[] =
    "select precis_data.budget_set('batch', $1 || '/' || $2, 'life', $3::bigint, null, false)"
    " where not exists (select from precis_data.budgets where scope = 'batch'"
    "  and name = $1 || '/' || $2 and period = 'life' and limit_picousd = $3::bigint)";

static const char look_sql[] = "select cancelled_at from precis_data.batches"
                               " where tenant = $1 and name = $2";

static const char known_sql[] =
    "select distinct on (j.id collate \"C\") j.id collate \"C\" as id, j.revision,"
    " encode(j.content_hash, 'hex') as hash, o.job_no is not null as ended"
    " from precis_data.jobs j left join precis_data.outcomes o on o.tenant = j.tenant"
    "  and o.batch = j.batch and o.id = j.id and o.revision = j.revision"
    " where j.tenant = $1 and j.batch = $2"
    " order by j.id collate \"C\", j.revision desc";

static const char seal_sql[] =
    "update precis_data.batches set sealed_total = greatest(coalesce(sealed_total, 0),"
    " (select count(*) from (select id from precis_data.jobs where tenant = $1 and batch = $2"
    "  union select unnest($3::text[])) ids)) where tenant = $1 and name = $2"
    " returning sealed_total";

// ------------------------------------------------------------------------------- what was before

static bool keep_known(void *context, const struct pg_rows *rows)
{
    struct submit_batch *batch = context;
    size_t count = pg_rows_count(rows);
    batch->known = own_grow(batch->known, batch->known_count + count + 1, sizeof(*batch->known));
    for (size_t i = 0; i < count; i++) {
        struct submit_known *known = &batch->known[batch->known_count++];
        known->id = own_strdup(ask_value(rows, i, "id"));
        known->revision = ask_number(rows, i, "revision");
        known->ended = ask_value(rows, i, "ended")[0] == 't';
        snprintf(known->hash, sizeof(known->hash), "%s", ask_value(rows, i, "hash"));
    }
    return true;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct submit_known *)a)->id, ((const struct submit_known *)b)->id);
}

const struct submit_known *submit_batch_known(const struct submit_batch *batch, const char *id)
{
    struct submit_known wanted = {.id = (char *)(uintptr_t)id};
    if (batch->known_count == 0)
        return NULL;
    return bsearch(&wanted, batch->known, batch->known_count, sizeof(wanted), by_id);
}

static bool is_cancelled(struct submit *submit, const struct submit_batch *batch, bool *out)
{
    struct ask ask = {look_sql, {batch->tenant, batch->name}, 2};
    struct pg_rows *rows = ask_rows(submit->invocation, &ask);
    if (!rows)
        return false;
    *out = ask_value(rows, 0, "cancelled_at") != NULL;
    pg_rows_free(rows);
    return true;
}

// False: it was said why not.
static bool set_budget(struct submit *submit, const struct submit_batch *batch)
{
    char budget[24];
    if (submit->order.budget_picousd < 0 || submit->order.dry_run)
        return true;
    snprintf(budget, sizeof(budget), "%lld", (long long)submit->order.budget_picousd);
    struct ask ask = {budget_sql, {batch->tenant, batch->name, budget}, 3};
    struct pg_rows *rows = ask_rows(submit->invocation, &ask);
    pg_rows_free(rows);
    return rows != NULL;
}

static const char ends_sql[] = "select state from precis.batches where tenant = $1 and batch = $2";

// Jobs that wait for a batch which nobody has heard of, or which is open, may wait for ever.
static void warn_of_after(struct submit *submit, const struct submit_batch *batch)
{
    const char *after = submit_order_after(&submit->order);
    struct ask ask = {ends_sql, {batch->tenant, after}, 2};
    struct pg_rows *rows = after ? ask_try(submit->invocation, &ask) : NULL;
    const char *state = ask_value(rows, 0, "state");
    if (rows && !state)
        fprintf(stderr,
                "warning: there is no batch %s/%s yet; the jobs wait until it has come and "
                "ended.\n",
                batch->tenant, after);
    else if (state && strcmp(state, "open") == 0)
        fprintf(stderr,
                "warning: the batch %s/%s is open; the jobs wait until it is sealed and has "
                "ended.\n",
                batch->tenant, after);
    pg_rows_free(rows);
}

// Makes the batch's row and reads its jobs. False: it was said why not.
static bool open_batch(struct submit *submit, struct submit_batch *batch)
{
    struct ask ask = {make_sql, {batch->tenant, batch->name}, 2};
    bool cancelled = false;
    if (submit->order.offline)
        return true;
    if (!submit->order.dry_run) {
        struct pg_rows *rows = ask_rows(submit->invocation, &ask);
        if (!rows)
            return false;
        pg_rows_free(rows);
    }
    if (!is_cancelled(submit, batch, &cancelled))
        return false;
    if (cancelled) {
        fprintf(stderr,
                "error: the batch %s/%s was cancelled; submit under another name with "
                "--batch, or reopen it with `precis retry --batch %s`.\n",
                batch->tenant, batch->name, batch->name);
        return false;
    }
    warn_of_after(submit, batch);
    ask.sql = known_sql;
    return set_budget(submit, batch) && ask_each(submit->invocation, &ask, keep_known, batch);
}

struct submit_batch *submit_batch_of(struct submit *submit, const char *tenant, const char *name)
{
    for (size_t i = submit->batch_count; i-- > 0;)
        if (strcmp(submit->batches[i].name, name) == 0 &&
            strcmp(submit->batches[i].tenant, tenant) == 0)
            return submit->stopped ? NULL : &submit->batches[i];
    submit->batches = own_grow(submit->batches, submit->batch_count + 1, sizeof(*submit->batches));
    struct submit_batch *batch = &submit->batches[submit->batch_count++];
    *batch = (struct submit_batch){.tenant = own_strdup(tenant), .name = own_strdup(name)};
    pg_array_init(&batch->revised);
    pg_array_init(&batch->revisions);
    submit->stopped = submit->stopped || !open_batch(submit, batch);
    return submit->stopped ? NULL : batch;
}

// ------------------------------------------------------------------------------- what is sent now

struct sent {
    char hash[65];
    char id[]; // with its NUL
};

static int by_sent_id(const void *a, const void *b)
{
    return strcmp(((const struct sent *)a)->id, ((const struct sent *)b)->id);
}

enum submit_seen submit_batch_note(struct submit_batch *batch, const char *id, const char *hash)
{
    size_t len = strlen(id) + 1;
    struct sent *sent = own_alloc(sizeof(*sent) + len);
    memcpy(sent->id, id, len);
    snprintf(sent->hash, sizeof(sent->hash), "%s", hash);
    struct sent *found = *(struct sent **)tsearch(sent, &batch->sent, by_sent_id);
    if (found == sent) {
        batch->sent_count++;
        return SUBMIT_NEW;
    }
    free(sent);
    return strcmp(found->hash, hash) == 0 ? SUBMIT_SAME : SUBMIT_OTHER;
}

void submit_batch_expect(struct submit_batch *batch, const char *id, int64_t revision)
{
    pg_array_add_text(&batch->revised, id);
    pg_array_add_int(&batch->revisions, revision);
}

// ------------------------------------------------------------------------------- copies

struct content {
    char sha256[65];
    char name[]; // with its NUL
};

static int by_sha256(const void *a, const void *b)
{
    return strcmp(((const struct content *)a)->sha256, ((const struct content *)b)->sha256);
}

void submit_note_copy(struct submit *submit, const char *sha256, const char *name)
{
    size_t len = strlen(name) + 1;
    struct content *content = own_alloc(sizeof(*content) + len);
    snprintf(content->sha256, sizeof(content->sha256), "%s", sha256);
    memcpy(content->name, name, len);
    struct content *found = *(struct content **)tsearch(content, &submit->contents, by_sha256);
    if (found == content)
        return;
    json_array_append_new(submit->copies, json_pack("{s:s%, s:s}", "document", name, len - 1,
                                                    "copy_of", found->name));
    free(content);
}

void submit_copies_free(struct submit *submit)
{
    tdestroy(submit->contents, free);
    json_decref(submit->copies);
}

// ------------------------------------------------------------------------------- sealing

static void add_id(const void *node, VISIT visit, void *context)
{
    if (visit == postorder || visit == leaf)
        pg_array_add_text(context, (*(const struct sent *const *)node)->id);
}

void submit_batch_ids(const struct submit_batch *batch, struct pg_array *out)
{
    twalk_r(batch->sent, add_id, out);
}

static bool seal(struct submit *submit, const struct submit_batch *batch)
{
    struct pg_array ids;
    pg_array_init(&ids);
    submit_batch_ids(batch, &ids);
    struct ask ask = {seal_sql, {batch->tenant, batch->name, pg_array_str(&ids)}, 3};
    struct pg_rows *rows = ask_rows(submit->invocation, &ask);
    pg_array_deinit(&ids);
    pg_rows_free(rows);
    return rows != NULL;
}

bool submit_batches_seal(struct submit *submit)
{
    bool good = true;
    for (size_t i = 0; good && i < submit->batch_count; i++)
        good = seal(submit, &submit->batches[i]);
    return good;
}

void submit_batches_free(struct submit *submit)
{
    for (size_t i = 0; i < submit->batch_count; i++) {
        struct submit_batch *batch = &submit->batches[i];
        for (size_t k = 0; k < batch->known_count; k++)
            free(batch->known[k].id);
        free(batch->known);
        tdestroy(batch->sent, free);
        pg_array_deinit(&batch->revised);
        pg_array_deinit(&batch->revisions);
        free(batch->tenant);
        free(batch->name);
    }
    free(submit->batches);
}
