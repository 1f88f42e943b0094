// SPDX-License-Identifier: Apache-2.0
// A connection to the simulated database. Requests wait in order; every few milliseconds a group
// of them is applied, and its answers travel back.
#include "sim_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "core/spec.h"

enum op_kind {
    OP_CLAIM,
    OP_INTEND,
    OP_RECORD,
    OP_PARK,
    OP_LOOK_UP,
    OP_REUSE,
    OP_BURY,
    OP_ANNOUNCED,
    OP_FETCH,
    OP_KEEP,
    OP_SEAL,
    OP_BEGIN,
    OP_CLEAN,
    OP_SUSPECT,
    OP_CLEAR,
    OP_RENEW,
    OP_SWEEP,
    OP_TAKE,
    OP_QUOTA,
    OP_CALIBRATE,
    OP_RELEASE,
};

#define OP_TEXTS  12
#define OP_SHARES 8

// A request that is kept: one struct for all kinds, with its strings.
struct op {
    enum op_kind kind;
    struct slot_id owner;
    int64_t number; // job_no, offset, letter or limit
    int32_t partition;
    char *texts[OP_TEXTS];
    size_t text_count;
    struct db_claim claim;
    unsigned char hash[32], answer_key[ANSWER_KEY_BYTES];
    struct reuse_request reuse;
    struct intent_request intent;
    struct plan_row plan;
    struct record_request record;
    struct attempt_result attempt;
    struct part_row part;
    struct outcome_row outcome;
    struct bury_request bury;
    struct fetch_request fetch;
    struct text_row text;
    const char *warnings[1];
    struct message message;
    struct failure failure;
    struct quota_ask *asks;
    size_t ask_count;
    struct calibration_row *told;
    size_t told_count;
    char **providers, **models;
    size_t model_count;
    struct park_place place;
    struct park_request park;
    struct take_request take;
    struct take_share shares[OP_SHARES];
};

struct sim_store {
    struct world *world;
    struct db *db;
    int64_t worker;
    int64_t next_serial;
    void (*on_event)(void *context, const struct store_event *event);
    void *context;
    struct op **ops; // waiting, oldest first
    size_t op_count;
    bool up, dead, muted, flushing, lose_next;
    int64_t away_until_ms;
    int on_the_way; // events of the world that still point here
};

static char *keep(struct op *op, const char *text)
{
    if (!text)
        return NULL;
    CHECK(op->text_count < OP_TEXTS);
    return op->texts[op->text_count++] = own_strdup(text);
}

static void op_free(struct op *op)
{
    for (size_t i = 0; i < op->text_count; i++)
        free(op->texts[i]);
    for (size_t i = 0; i < op->ask_count; i++) {
        free((char *)(uintptr_t)op->asks[i].provider);
        free((char *)(uintptr_t)op->asks[i].key_name);
        free((char *)(uintptr_t)op->asks[i].model);
    }
    free(op->asks);
    for (size_t i = 0; i < op->told_count; i++) {
        free((char *)(uintptr_t)op->told[i].provider);
        free((char *)(uintptr_t)op->told[i].model);
    }
    free(op->told);
    for (size_t i = 0; i < op->model_count; i++) {
        free(op->providers[i]);
        free(op->models[i]);
    }
    free(op->providers);
    free(op->models);
    free(op);
}

// ------------------------------------------------------------------------------- answers

static void emit(struct sim_store *store, struct store_event *event)
{
    if (!store->dead)
        store->on_event(store->context, event);
}

static void announcement_of(const struct db_letter *letter, struct announcement *out)
{
    *out = (struct announcement){.kind = letter->kind, .id = letter->id};
    out->message.key = letter->key;
    out->message.key_len = letter->key ? strlen(letter->key) : 0;
}

static void answer_claim(struct sim_store *store, const struct op *op)
{
    struct claim_reply reply;
    struct store_event event = {.kind = STORE_CLAIMED, .owner = op->owner};
    db_claim(store->db, store->worker, store->world->now_ms, &op->claim, &reply);
    event.u.claimed = &reply;
    emit(store, &event);
    claim_reply_deinit(&reply); // empty where the engine took it
}

static void answer_intend(struct sim_store *store, const struct op *op)
{
    struct store_event event = {.kind = STORE_INTENDED, .owner = op->owner};
    struct budget_refusal refusal = {0};
    event.u.intended.verdict = db_intend(store->db, store->worker, store->world->now_ms,
                                         &op->intent, &event.u.intended.stop, &refusal);
    event.u.intended.refusal = &refusal;
    emit(store, &event);
}

static void answer_record(struct sim_store *store, const struct op *op)
{
    struct store_event event = {.kind = STORE_RECORDED, .owner = op->owner};
    int64_t letters[2];
    size_t count;
    event.u.recorded.verdict =
        db_record(store->db, store->worker, store->world->now_ms, &op->record, letters, &count);
    struct announcement announcements[2];
    for (size_t i = 0; i < count; i++)
        announcement_of(db_find_letter(store->db, letters[i]), &announcements[i]);
    event.u.recorded.announcements = announcements;
    event.u.recorded.announcement_count = count;
    emit(store, &event);
}

static void answer_reuse(struct sim_store *store, const struct op *op)
{
    struct store_event event = {.kind = STORE_REUSED, .owner = op->owner};
    struct announcement announcement;
    int64_t letter;
    event.u.reused.verdict = db_reuse(store->db, store->worker, store->world->now_ms, &op->reuse,
                                      &event.u.reused.stop, &letter);
    if (letter) {
        announcement_of(db_find_letter(store->db, letter), &announcement);
        event.u.reused.announcement = &announcement;
    }
    emit(store, &event);
}

static void answer_bury(struct sim_store *store, const struct op *op)
{
    struct store_event event = {.kind = STORE_BURIED, .owner = op->owner};
    struct announcement announcement;
    int64_t id = db_bury(store->db, store->world->now_ms, &op->bury);
    if (id) {
        announcement_of(db_find_letter(store->db, id), &announcement);
        event.u.buried.announcement = &announcement;
    }
    emit(store, &event);
}

static void answer_sweep(struct sim_store *store)
{
    struct db *db = store->db;
    struct announcement *list = own_array(db->letters_count, sizeof(*list));
    size_t count = 0;
    for (size_t i = 0; i < db->letters_count; i++)
        if (!db->letters[i].announced && store->world->now_ms - db->letters[i].at_ms > 10000)
            announcement_of(&db->letters[i], &list[count++]);
    struct store_event event = {.kind = STORE_SWEPT};
    event.u.swept.announcements = list;
    event.u.swept.announcement_count = count;
    emit(store, &event);
    free(list);
}

static void answer_take(struct sim_store *store, const struct op *op)
{
    struct db *db = store->db;
    int64_t *numbers = own_array(op->take.limit + op->take.ends + 1, sizeof(*numbers));
    struct requeued_job *jobs = own_array(op->take.limit + op->take.ends + 1, sizeof(*jobs));
    struct pause_row *pauses = own_array(db->pauses_count + 1, sizeof(*pauses));
    size_t count =
        db_take_requeued(db, &op->take, store->worker, op->number, store->world->now_ms, numbers);
    for (size_t i = 0; i < count; i++) {
        const char *spec = db->jobs[numbers[i] - 1].spec_json;
        jobs[i] = (struct requeued_job){.job_no = numbers[i]};
        jobs[i].message = (struct message){
            .topic = "jobs", .partition = -1, .value = spec, .value_len = strlen(spec)};
        jobs[i].message.key = "default/default/";
        jobs[i].message.key_len = strlen("default/default/");
    }
    struct store_event event = {.kind = STORE_REQUEUED};
    event.u.requeued.jobs = jobs;
    event.u.requeued.job_count = count;
    event.u.requeued.more =
        db_more_due(db, &event.u.requeued.parked_rows, &event.u.requeued.parked_bytes);
    for (size_t i = 0; i < db->pauses_count; i++)
        pauses[i] = (struct pause_row){db->pauses[i].scope, db->pauses[i].name};
    event.u.requeued.pauses = pauses;
    event.u.requeued.pause_count = db->pauses_count;
    emit(store, &event);
    free(numbers);
    free(jobs);
    free(pauses);
}

static void answer_park(struct sim_store *store, const struct op *op)
{
    struct store_event event = {.kind = STORE_PARKED, .owner = op->owner};
    event.u.parked.verdict = db_park(store->db, store->worker, store->world->now_ms, &op->park);
    emit(store, &event);
}

static void answer_begin(struct sim_store *store, const struct op *op)
{
    struct partition_reply reply;
    struct store_event event = {.kind = STORE_PARTITION};
    db_partition_begin(store->db, store->worker, op->texts[0], op->partition, &reply);
    event.u.partition = &reply;
    emit(store, &event);
    free(reply.topic);
}

static void answer_suspect(struct sim_store *store, const struct op *op)
{
    struct store_event event = {.kind = STORE_SUSPECTED};
    event.u.suspected.topic = op->texts[0];
    event.u.suspected.partition = op->partition;
    event.u.suspected.offset = op->number;
    event.u.suspected.times = db_suspect(store->db, op->texts[0], op->partition, op->number);
    emit(store, &event);
}

static void answer_renew(struct sim_store *store)
{
    struct store_event event = {.kind = STORE_RENEWED};
    event.u.renewed.broken = db_renew(store->db, store->worker, store->world->now_ms);
    event.u.renewed.db_now_ms = SIM_START_UNIX_MS + store->world->now_ms;
    emit(store, &event);
}

static void answer_fetch(struct sim_store *store, const struct op *op)
{
    struct store_event event = {.kind = STORE_FETCHED, .owner = op->owner};
    db_fetch(store->db, &op->fetch, &event);
    emit(store, &event);
}

static void answer_quota(struct sim_store *store, const struct op *op)
{
    struct db_asker asker = {.worker = store->worker,
                             .serial = op->number,
                             .now_ms = store->world->now_ms,
                             .now_us = (SIM_START_UNIX_MS + store->world->now_ms) * 1000,
                             .from = store};
    struct quota_grant *grants = own_array(op->ask_count + 1, sizeof(*grants));
    db_quota(store->db, &asker, op->asks, op->ask_count, grants);
    struct store_event event = {.kind = STORE_QUOTA, .owner = op->owner};
    event.u.quota.grants = grants;
    event.u.quota.count = op->ask_count;
    emit(store, &event);
    free(grants);
}

static void answer_calibrate(struct sim_store *store, const struct op *op)
{
    struct db_asker asker = {
        .worker = store->worker, .serial = op->number, .now_ms = store->world->now_ms};
    struct calibrate_request request = {.told = op->told,
                                        .told_count = op->told_count,
                                        .providers = (const char *const *)op->providers,
                                        .models = (const char *const *)op->models,
                                        .model_count = op->model_count};
    size_t count;
    struct calibration_row *rows = db_calibrate(store->db, &asker, &request, &count);
    struct store_event event = {.kind = STORE_CALIBRATED};
    event.u.calibrated.rows = rows;
    event.u.calibrated.count = count;
    emit(store, &event);
    free(rows);
}

static void apply(struct sim_store *store, const struct op *op)
{
    struct store_event event = {.owner = op->owner};
    switch (op->kind) {
    case OP_CLAIM:
        answer_claim(store, op);
        break;
    case OP_INTEND:
        answer_intend(store, op);
        break;
    case OP_RECORD:
        answer_record(store, op);
        break;
    case OP_PARK:
        answer_park(store, op);
        break;
    case OP_REUSE:
        answer_reuse(store, op);
        break;
    case OP_LOOK_UP:
        event.kind = STORE_LOOKED_UP;
        event.u.looked_up.verdict =
            db_look_up(store->db, store->worker, store->world->now_ms, op->number);
        event.u.looked_up.stop = db_stop(store->db, op->number);
        event.u.looked_up.cut = db_is_cut(store->db, op->number);
        emit(store, &event);
        break;
    case OP_BURY:
        answer_bury(store, op);
        break;
    case OP_ANNOUNCED:
        db_announced(store->db, op->number);
        break;
    case OP_FETCH:
        answer_fetch(store, op);
        break;
    case OP_KEEP:
        db_keep_text(store->db, store->worker, &op->text);
        event.kind = STORE_KEPT;
        emit(store, &event);
        break;
    case OP_SEAL:
        db_seal(store->db, op->texts[0], op->texts[1], op->number);
        event.kind = STORE_SEALED;
        emit(store, &event);
        break;
    case OP_BEGIN:
        answer_begin(store, op);
        break;
    case OP_CLEAN:
        db_partition_clean(store->db, store->worker, op->texts[0], op->partition);
        break;
    case OP_SUSPECT:
        answer_suspect(store, op);
        break;
    case OP_CLEAR:
        db_suspects_clear(store->db, op->texts[0], op->partition, op->number);
        break;
    case OP_RENEW:
        answer_renew(store);
        break;
    case OP_SWEEP:
        answer_sweep(store);
        break;
    case OP_TAKE:
        answer_take(store, op);
        break;
    case OP_QUOTA:
        answer_quota(store, op);
        break;
    case OP_CALIBRATE:
        answer_calibrate(store, op);
        break;
    case OP_RELEASE:
        db_release(store->db, store->worker);
        event.kind = STORE_RELEASED;
        emit(store, &event);
        break;
    }
}

// ------------------------------------------------------------------------------- time

static void flush(void *context, void *data);

static void free_if_gone(struct sim_store *store)
{
    if (store->dead && store->on_the_way == 0) {
        free(store->ops);
        free(store);
    }
}

static void schedule_flush(struct sim_store *store, int64_t delay_ms)
{
    if (store->flushing)
        return;
    store->flushing = true;
    store->on_the_way++;
    world_after(store->world, delay_ms, flush, store, NULL);
}

static void set_up(struct sim_store *store, bool up)
{
    if (store->up == up)
        return;
    store->up = up;
    struct store_event event = {.kind = up ? STORE_UP : STORE_DOWN};
    world_trace(store->world, "worker %d: database %s", (int)store->worker, up ? "up" : "away");
    emit(store, &event);
}

// The group is applied, but its answers never come: it waits to be applied again.
static void apply_unheard(struct sim_store *store, size_t count)
{
    void (*heard)(void *, const struct store_event *) = store->on_event;
    world_trace(store->world, "worker %d: answers of %zu committed requests are lost",
                (int)store->worker, count);
    store->lose_next = false;
    bool dead = store->dead;
    store->dead = true; // emit says nothing
    for (size_t i = 0; i < count; i++)
        apply(store, store->ops[i]);
    store->dead = dead;
    store->on_event = heard;
    store->away_until_ms = store->world->now_ms + world_range(store->world, 1, 3000);
}

static void flush(void *context, void *data)
{
    (void)data;
    struct sim_store *store = context;
    store->flushing = false;
    store->on_the_way--;
    if (store->dead) {
        free_if_gone(store);
        return;
    }
    if (store->world->now_ms < store->away_until_ms) {
        set_up(store, false);
        schedule_flush(store, store->away_until_ms - store->world->now_ms);
        return;
    }
    set_up(store, true);
    size_t count = store->op_count;
    if (store->lose_next && count > 0) {
        apply_unheard(store, count);
        set_up(store, false);
        schedule_flush(store, store->away_until_ms - store->world->now_ms);
        return;
    }
    // Answers may ask for more and may kill this very worker: the group is taken out first.
    struct op **group = store->ops;
    store->ops = NULL;
    store->op_count = 0;
    store->on_the_way++;
    for (size_t i = 0; i < count; i++) {
        if (!store->dead)
            apply(store, group[i]);
        op_free(group[i]);
    }
    free(group);
    store->on_the_way--;
    if (store->op_count > 0 && !store->dead)
        schedule_flush(store, world_range(store->world, 1, 8));
    free_if_gone(store);
}

static struct op *add(void *context, enum op_kind kind, struct slot_id owner)
{
    struct sim_store *store = context;
    struct op *op = own_alloc(sizeof(*op));
    op->kind = kind;
    op->owner = owner;
    if (store->muted) { // never heard: it goes to nobody
        store->ops = own_grow(store->ops, store->op_count + 1, sizeof(*store->ops));
        store->ops[store->op_count++] = op;
        return op;
    }
    store->ops = own_grow(store->ops, store->op_count + 1, sizeof(*store->ops));
    store->ops[store->op_count++] = op;
    schedule_flush(store, world_range(store->world, 1, 8));
    return op;
}

// ------------------------------------------------------------------------------- notices

static void notice_comes(void *context, void *what)
{
    struct sim_store *store = context;
    store->on_the_way--;
    struct store_event event = {.kind = STORE_NOTICE, .u.notice.what = what};
    if (store->up && !store->muted)
        emit(store, &event);
    free_if_gone(store);
}

static void on_notice(void *context, const char *what)
{
    struct sim_store *store = context;
    if (store->dead || !store->up)
        return; // lost: nobody listens
    store->on_the_way++;
    world_after(store->world, world_range(store->world, 1, 5), notice_comes, store,
                own_strdup(what));
}

// ------------------------------------------------------------------------------- life

struct sim_store *sim_store_new(struct world *world, struct db *db, int64_t worker,
                                void (*on_event)(void *context, const struct store_event *event),
                                void *context)
{
    struct sim_store *store = own_alloc(sizeof(*store));
    *store = (struct sim_store){
        .world = world, .db = db, .worker = worker, .on_event = on_event, .context = context};
    db_listen(db, store, on_notice);
    schedule_flush(store, world_range(world, 1, 20));
    return store;
}

void sim_store_mute(struct sim_store *store)
{
    store->muted = true;
}

void sim_store_kill(struct sim_store *store, bool clean)
{
    size_t applied = clean ? store->op_count : 0;
    if (!clean && store->op_count > 0 && store->world->now_ms >= store->away_until_ms &&
        !store->muted)
        applied = (size_t)world_range(store->world, 0, (int64_t)store->op_count);
    store->dead = true;
    db_unlisten(store->db, store);
    for (size_t i = 0; i < store->op_count; i++) {
        if (i < applied)
            apply(store, store->ops[i]);
        op_free(store->ops[i]);
    }
    store->op_count = 0;
    free_if_gone(store);
}

void sim_store_away(struct sim_store *store, int64_t for_ms)
{
    store->away_until_ms = store->world->now_ms + for_ms;
    schedule_flush(store, 1);
}

void sim_store_lose_answers(struct sim_store *store)
{
    store->lose_next = true;
}

bool sim_store_idle(const struct sim_store *store)
{
    return store->op_count == 0;
}

// ------------------------------------------------------------------------------- store_ops

static struct park_place keep_place(struct op *op, const struct park_place *place)
{
    struct park_place copy = *place;
    copy.reason = keep(op, place->reason);
    copy.after_batch = keep(op, place->after_batch);
    return copy;
}

static const unsigned char *keep_key(struct op *op, const unsigned char *key)
{
    if (!key)
        return NULL;
    memcpy(op->answer_key, key, ANSWER_KEY_BYTES);
    return op->answer_key;
}

static void ask_claim(void *store, const struct claim_request *request)
{
    const struct job_spec *spec = request->spec;
    struct op *op = add(store, OP_CLAIM, request->owner);
    memcpy(op->hash, spec->content_hash, 32);
    op->claim = (struct db_claim){
        .tenant = keep(op, spec->tenant),
        .batch = keep(op, spec->batch),
        .id = keep(op, spec->id),
        .revision = spec->revision,
        .content_hash = op->hash,
        .spec_json = keep(op, spec->spec_json),
        .document_sha256 = keep(op, spec->document_sha256),
        .document_text = keep(op, spec->text),
        .document_bytes = keep(op, spec->data),
        .bytes_len = spec->data_len,
        .media_type = keep(op, spec->media_type),
        .serial = request->serial,
        .partition = request->partition,
        .offset = request->offset,
        .priority = spec->priority,
        .deadline_ms = spec->deadline_ms,
        .is_read = request->topic != NULL,
        .answer_key = keep_key(op, request->answer_key),
    };
    if (request->park && request->topic) {
        op->place = keep_place(op, request->park);
        op->claim.park = &op->place;
    }
}

static void ask_park(void *store, const struct park_request *request)
{
    struct op *op = add(store, OP_PARK, request->owner);
    op->park = *request;
    op->park.place = keep_place(op, &request->place);
}

static void ask_intend(void *store, const struct intent_request *request)
{
    struct op *op = add(store, OP_INTEND, request->owner);
    op->intent = *request;
    op->intent.pack = keep(op, request->pack);
    op->intent.answer_key = keep_key(op, request->answer_key);
    if (!request->plan)
        return;
    op->plan = *request->plan;
    op->plan.model = keep(op, request->plan->model);
    op->plan.prompt_version = keep(op, request->plan->prompt_version);
    op->plan.text_sha256 = keep(op, request->plan->text_sha256);
    op->plan.calls_json = keep(op, request->plan->calls_json);
    op->plan.reasoning_mode = keep(op, request->plan->reasoning_mode);
    op->plan.why = keep(op, request->plan->why);
    op->plan.answer_key = request->plan->answer_key ? op->answer_key : NULL; // the request's
    op->intent.plan = &op->plan;
}

static void ask_record(void *store, const struct record_request *request)
{
    struct op *op = add(store, OP_RECORD, request->owner);
    op->record = *request;
    if (request->attempt) {
        op->attempt = *request->attempt;
        op->attempt.error_code = keep(op, request->attempt->error_code);
        op->attempt.answer = keep(op, request->attempt->answer);
        op->record.attempt = &op->attempt;
    }
    if (request->part) {
        op->part = *request->part;
        op->part.answer = keep(op, request->part->answer);
        op->record.part = &op->part;
    }
    if (request->outcome) {
        op->outcome = *request->outcome;
        op->outcome.error_code = keep(op, request->outcome->error_code);
        op->outcome.summary = NULL;
        op->record.outcome = &op->outcome;
        if (request->outcome->dead_letter)
            op->outcome.dead_letter = &op->message;
    }
}

static void ask_look_up(void *store, struct slot_id owner, int64_t job_no)
{
    add(store, OP_LOOK_UP, owner)->number = job_no;
}

static void ask_reuse(void *store, const struct reuse_request *request)
{
    struct op *op = add(store, OP_REUSE, request->owner);
    op->reuse = *request;
    op->reuse.answer_key = keep_key(op, request->answer_key);
    op->reuse.document_uri = NULL;
}

static void ask_bury(void *store, const struct bury_request *request)
{
    struct op *op = add(store, OP_BURY, request->owner);
    op->bury = *request;
    op->message.partition = request->message->partition;
    op->message.offset = request->message->offset;
    op->bury.message = &op->message;
    op->failure = *request->failure;
    op->bury.failure = &op->failure;
    op->bury.tenant = keep(op, request->tenant);
    op->bury.batch = keep(op, request->batch);
    op->bury.job_id = keep(op, request->job_id);
}

static void ask_waiting(void *store, int64_t job_no, const char *reason, int64_t start_ms)
{
    (void)store;
    (void)job_no;
    (void)reason;
    (void)start_ms;
}

static void ask_announced(void *store, enum announcement_kind kind, int64_t id)
{
    (void)kind;
    add(store, OP_ANNOUNCED, (struct slot_id){0})->number = id;
}

static void ask_fetch(void *store, const struct fetch_request *request)
{
    struct op *op = add(store, OP_FETCH, request->owner);
    op->fetch = *request;
    op->fetch.document_sha256 = keep(op, request->document_sha256);
    op->fetch.extractor = keep(op, request->extractor);
}

static void ask_keep(void *store, const struct text_row *row)
{
    struct op *op = add(store, OP_KEEP, row->owner);
    CHECK(row->warning_count <= 1);
    op->text = *row;
    op->text.document_sha256 = keep(op, row->document_sha256);
    op->text.extractor = keep(op, row->extractor);
    op->text.text = keep(op, row->text);
    op->text.media_type = keep(op, row->media_type);
    if (row->warning_count > 0)
        op->warnings[0] = keep(op, row->warnings[0]);
    op->text.warnings = op->warnings;
}

static void ask_seal(void *store, const struct seal_request *request)
{
    struct op *op = add(store, OP_SEAL, request->owner);
    keep(op, request->tenant);
    keep(op, request->batch);
    op->number = request->total;
}

// The schedule sets them in the database itself.
static void ask_budgets(void *store, const struct budget *budgets, size_t count)
{
    (void)store;
    (void)budgets;
    (void)count;
}

static struct op *about_partition(void *store, enum op_kind kind, const char *topic,
                                  int32_t partition)
{
    struct op *op = add(store, kind, (struct slot_id){0});
    keep(op, topic);
    op->partition = partition;
    return op;
}

static void ask_begin(void *store, const char *topic, int32_t partition)
{
    about_partition(store, OP_BEGIN, topic, partition);
}

static void ask_clean(void *store, const char *topic, int32_t partition)
{
    about_partition(store, OP_CLEAN, topic, partition);
}

static void ask_suspect(void *store, const char *topic, int32_t partition, int64_t offset)
{
    about_partition(store, OP_SUSPECT, topic, partition)->number = offset;
}

static void ask_clear(void *store, const char *topic, int32_t partition, int64_t offset)
{
    about_partition(store, OP_CLEAR, topic, partition)->number = offset;
}

static void ask_renew(void *store)
{
    add(store, OP_RENEW, (struct slot_id){0});
}

static void ask_sweep(void *store, size_t limit)
{
    add(store, OP_SWEEP, (struct slot_id){0})->number = (int64_t)limit;
}

static void ask_take(void *context, const struct take_request *request)
{
    struct sim_store *store = context;
    struct op *op = add(store, OP_TAKE, (struct slot_id){0});
    CHECK(request->share_count <= OP_SHARES);
    op->number = ++store->next_serial;
    op->take = *request;
    op->take.after_tenant = keep(op, request->after_tenant);
    for (size_t i = 0; i < request->share_count; i++) {
        op->shares[i] = request->shares[i];
        op->shares[i].tenant = keep(op, request->shares[i].tenant);
    }
    op->take.shares = op->shares;
}

static void ask_quota(void *context, struct slot_id owner, const struct quota_ask *asks,
                      size_t count)
{
    struct sim_store *store = context;
    struct op *op = add(store, OP_QUOTA, owner);
    op->number = ++store->next_serial;
    op->asks = own_array(count + 1, sizeof(*op->asks));
    op->ask_count = count;
    for (size_t i = 0; i < count; i++) {
        op->asks[i] = asks[i];
        op->asks[i].provider = own_strdup(asks[i].provider);
        op->asks[i].key_name = own_strdup(asks[i].key_name);
        op->asks[i].model = own_strdup(asks[i].model);
    }
}

static void ask_calibrate(void *context, const struct calibrate_request *request)
{
    struct sim_store *store = context;
    struct op *op = add(store, OP_CALIBRATE, (struct slot_id){0});
    op->number = ++store->next_serial;
    op->told_count = request->told_count;
    op->told = own_array(request->told_count + 1, sizeof(*op->told));
    for (size_t i = 0; i < request->told_count; i++) {
        op->told[i] = request->told[i];
        op->told[i].provider = own_strdup(request->told[i].provider);
        op->told[i].model = own_strdup(request->told[i].model);
    }
    op->model_count = request->model_count;
    op->providers = own_array(request->model_count + 1, sizeof(*op->providers));
    op->models = own_array(request->model_count + 1, sizeof(*op->models));
    for (size_t i = 0; i < request->model_count; i++) {
        op->providers[i] = own_strdup(request->providers[i]);
        op->models[i] = own_strdup(request->models[i]);
    }
}

static void ask_release(void *store)
{
    add(store, OP_RELEASE, (struct slot_id){0});
}

const struct store_ops sim_store_ops = {
    .claim = ask_claim,
    .intend = ask_intend,
    .record = ask_record,
    .look_up = ask_look_up,
    .reuse = ask_reuse,
    .bury = ask_bury,
    .waiting = ask_waiting,
    .announced = ask_announced,
    .fetch = ask_fetch,
    .keep_text = ask_keep,
    .seal = ask_seal,
    .budgets = ask_budgets,
    .partition_begin = ask_begin,
    .partition_clean = ask_clean,
    .suspect = ask_suspect,
    .suspects_clear = ask_clear,
    .renew = ask_renew,
    .sweep = ask_sweep,
    .park = ask_park,
    .take_requeued = ask_take,
    .quota = ask_quota,
    .calibrate = ask_calibrate,
    .release = ask_release,
};
