// SPDX-License-Identifier: Apache-2.0
// Calls that several jobs share: who goes together, and when the request leaves. core/pack.h has
// the whole way.
//
// A pack is made of what waits: when a job is admitted that had to wait, in a model whose requests
// are scarcer than its tokens, others of its kind that wait behind it go with it. So a queue that
// is empty packs nothing, and one that grows is packed the more the longer it is.
//
//   FORMING ─ members are in INTENT, or already in PACKED
//   SENT    ─ the leader is in CALL; where all members are cancelled, and nobody waits, it is cut
//   ANSWERED  its answer is there; members get their shares at the next turn
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "engine_parts.h"

// A job that was admitted sooner did not wait for requests.
#define PATIENCE_MS 100
// Jobs of other kinds that are looked at in one bucket, before no more are looked for.
#define LOOK_MOST 64

enum pack_state { PACK_FORMING, PACK_SENT, PACK_ANSWERED };

struct pack {
    struct list_node in_list; // of engine->packs
    enum pack_state state;
    struct slot_id members[PACK_MOST]; // the leader first; of one that has left, none
    size_t count;
    size_t left; // that have not left
    char ids[PACK_MOST][PROMPT_ID_BYTES];
    char *name;
};

void packs_init(struct engine *engine)
{
    struct packs *packs = &engine->packs;
    for (size_t i = 0; i < PACK_BUCKETS; i++)
        for (size_t p = 0; p < PRIORITIES; p++)
            list_init(&packs->waiting[i][p]);
    list_init(&packs->under_way);
    list_init(&packs->due);
}

static struct pack *pack_of(struct list_node *node)
{
    return list_item(node, struct pack, in_list);
}

static void pack_free(struct pack *pack)
{
    list_remove(&pack->in_list);
    free(pack->name);
    free(pack);
}

void packs_deinit(struct engine *engine)
{
    struct list *lists[] = {&engine->packs.under_way, &engine->packs.due};
    for (size_t i = 0; i < 2; i++)
        for (struct list_node *node; (node = list_first(lists[i]));)
            pack_free(pack_of(node));
}

bool packs_keeps_slot(const struct job *job)
{
    return job->step == STEP_PACKED && job->pack->state != PACK_ANSWERED;
}

const char *packs_name(const struct job *job)
{
    return job->pack ? job->pack->name : NULL;
}

// NULL: it has left, or was never admitted.
static struct job *member(const struct engine *engine, const struct pack *pack, size_t i)
{
    struct job *job = slots_get(&engine->jobs, pack->members[i]);
    return job && job->pack == pack ? job : NULL;
}

// ------------------------------------------------------------------------------- forming

// Tokens that the fleet has for each request of the lane: past them tokens are the scarcer. 0:
// requests have no limit, and nothing is gained.
static int64_t tokens_a_request(const struct lane *lane)
{
    const int64_t *rate = lane->rate;
    bool daily = rate[QUOTA_REQUESTS] <= 0;
    int64_t requests = rate[daily ? QUOTA_REQUESTS_DAY : QUOTA_REQUESTS];
    int64_t tokens = rate[daily ? QUOTA_TOKENS_DAY : QUOTA_TOKENS];
    if (requests <= 0)
        return 0;
    if (!daily && rate[QUOTA_INPUT] > 0 && (tokens <= 0 || rate[QUOTA_INPUT] < tokens))
        tokens = rate[QUOTA_INPUT];
    return tokens > 0 ? tokens / requests : INT64_MAX;
}

static struct pack_room room_of(const struct engine *engine, const struct job *leader)
{
    const struct config_packing *packing = &engine->config->packing;
    const struct config_model *model = leader->plan.model;
    int64_t scarce = tokens_a_request(&engine->gates[model->index].lanes[leader->key]);
    int64_t context = model->context_tokens - model->context_tokens / 100;
    struct pack_room room = {
        .documents = packing->size < PACK_MOST ? packing->size : PACK_MOST,
        .tokens = packing->tokens < scarce ? packing->tokens : scarce,
        .output_tokens = model->max_output_tokens,
        .doubt_picousd = packing->doubt_picousd,
    };
    if (context < room.tokens)
        room.tokens = context;
    return room;
}

static bool has_waited(const struct engine *engine, const struct job *job)
{
    int64_t since_ms = job->step_since_ms;
    if (job->not_before_ms > since_ms)
        since_ms = job->not_before_ms;
    return engine_now(engine) - since_ms >= PATIENCE_MS;
}

static struct list *bucket_of(struct engine *engine, struct job *job, int priority)
{
    if (job->pack_hash == 0)
        job->pack_hash = pack_hash(job->spec);
    return &engine->packs.waiting[job->pack_hash % PACK_BUCKETS][priority];
}

static bool goes_with(const struct job *job, const struct job *leader)
{
    return job != leader && job->pack_hash == leader->pack_hash &&
           job->plan.model == leader->plan.model && job_reasoning(job) == job_reasoning(leader) &&
           pack_same(job->spec, leader->spec);
}

// Those that wait beside the leader and fit in, higher priorities first, into the pack.
static void gather(struct engine *engine, struct job *leader, struct pack_room *room,
                   struct pack *pack)
{
    int looked = 0;
    for (int p = PRIORITIES - 1; p >= 0; p--) {
        struct list *bucket = bucket_of(engine, leader, p);
        struct list_node *node = list_first(bucket);
        for (; node && room->documents > 0 && looked < LOOK_MOST; node = list_next(bucket, node)) {
            struct job *job = list_item(node, struct job, in_pack);
            struct pack_room need;
            looked++;
            if (job->in_order.in == NULL || !goes_with(job, leader))
                continue;
            need = job_pack_need(job);
            if (pack_take(room, &need))
                pack->members[pack->count++] = job->id;
        }
    }
}

static char *name_of(const struct job *leader)
{
    struct buf name;
    buf_init(&name, 0);
    engine_name_call(leader, &name);
    buf_printf(&name, "/%d/%d", leader->plan.no, leader->call.last_attempt_no + 1);
    return buf_take(&name);
}

void packs_form(struct engine *engine, struct job *leader)
{
    if (!job_can_pack(leader) || !has_waited(engine, leader))
        return;
    struct pack_room room = room_of(engine, leader), need = job_pack_need(leader);
    if (!pack_take(&room, &need))
        return;
    struct pack *pack = own_alloc(sizeof(*pack));
    pack->members[pack->count++] = leader->id;
    gather(engine, leader, &room, pack);
    if (pack->count == 1) {
        free(pack);
        return;
    }
    pack->name = name_of(leader);
    list_append(&engine->packs.under_way, &pack->in_list);
    leader->pack = pack;
    pack->left = 1;
}

void packs_admit(struct engine *engine, struct job *leader, int64_t *io_input, int64_t *io_output)
{
    struct pack *pack = leader->pack;
    for (size_t i = 1; pack && i < pack->count; i++) {
        struct job *job = slots_get(&engine->jobs, pack->members[i]);
        CHECK(job && job->step == STEP_ADMIT);
        job->pack = pack;
        job->key = leader->key;
        leader->charged_tokens += job->in_order.tokens;
        order_take(&job->in_order);
        pack->left++;
        engine_step(engine, job, &(struct job_event){.kind = JOB_ADMITTED});
        job = slots_get(&engine->jobs, pack->members[i]);
        if (job && job->pack == pack) {
            *io_input += job->call.reserve_input_tokens;
            *io_output += job->call.reserve_output_tokens;
        }
    }
}

// ------------------------------------------------------------------------------- keeping

// False: it was the last one, and the pack is gone.
static bool leave(struct job *job)
{
    struct pack *pack = job->pack;
    job->pack = NULL;
    for (size_t i = 0; i < pack->count; i++)
        if (slot_id_equal(pack->members[i], job->id))
            pack->members[i] = (struct slot_id){0};
    if (--pack->left > 0)
        return true;
    pack_free(pack);
    return false;
}

// Nobody's intent is waited for any more, nobody waits for the call, or the answer is there.
static bool is_due(const struct engine *engine, const struct pack *pack)
{
    if (pack->state == PACK_ANSWERED)
        return true;
    for (size_t i = 0; i < pack->count; i++) {
        const struct job *job = member(engine, pack, i);
        if (job && (pack->state == PACK_FORMING ? job->step == STEP_INTENT : !job->cut))
            return false;
    }
    return true;
}

static void keep_pack(struct engine *engine, struct job *job)
{
    struct pack *pack = job->pack;
    bool stays = job->step == STEP_INTENT || job->step == STEP_PACKED || job->step == STEP_CALL;
    if (!stays && !leave(job))
        return;
    if (pack->in_list.in == &engine->packs.due || !is_due(engine, pack))
        return;
    list_remove(&pack->in_list);
    list_append(&engine->packs.due, &pack->in_list);
}

void packs_update(struct engine *engine, struct job *job)
{
    if (job->pack)
        keep_pack(engine, job);
    if (job->step != STEP_ADMIT || job->in_order.in == NULL || job->in_pack.in != NULL)
        return;
    if (engine->config->packing.size > 1 && job_can_pack(job))
        list_append(bucket_of(engine, job, job->spec->priority), &job->in_pack);
}

// ------------------------------------------------------------------------------- the call

// Those that are still there, the leader first where it is; all of them are in PACKED.
static size_t present(const struct engine *engine, const struct pack *pack, struct job **out)
{
    size_t count = 0;
    for (size_t i = 0; i < pack->count; i++) {
        struct job *job = member(engine, pack, i);
        if (!job)
            continue;
        CHECK(job->step == STEP_PACKED);
        out[count++] = job;
    }
    return count;
}

// Nothing leaves. The pack is gone with its last member.
static void unpack(struct engine *engine, const struct pack *pack)
{
    struct job *jobs[PACK_MOST];
    size_t count = present(engine, pack, jobs);
    for (size_t i = 0; i < count; i++)
        engine_step(engine, jobs[i], &(struct job_event){.kind = JOB_UNPACK});
}

static void send_off(struct engine *engine, struct pack *pack)
{
    struct job *jobs[PACK_MOST];
    struct job_pack event = {.members = jobs, .ids = pack->ids};
    struct job *leader = member(engine, pack, 0);
    if (!leader) {
        unpack(engine, pack);
        return;
    }
    event.count = pack->count = present(engine, pack, jobs);
    for (size_t i = 0; i < pack->count; i++)
        pack->members[i] = jobs[i]->id;
    pack->state = PACK_SENT;
    if (event.count == 1) { // a call of its own after all
        leave(leader);
        pack = NULL;
    }
    engine_step(engine, leader, &(struct job_event){.kind = JOB_SEND, .pack = &event});
    if (pack && !member(engine, pack, 0)) // nothing was sent
        unpack(engine, pack);
}

void packs_answered(struct engine *engine, struct job *leader)
{
    (void)engine;
    leader->pack->state = PACK_ANSWERED;
}

static void share_out(struct engine *engine, struct pack *pack)
{
    struct job *jobs[PACK_MOST];
    struct job_share shares[PACK_MOST];
    size_t count = present(engine, pack, jobs);
    CHECK(count == pack->count);
    job_share_answer(jobs, count, pack->ids, shares);
    quota_shared(engine, jobs, shares, count);
    for (size_t i = 0; i < count; i++)
        engine_step(engine, jobs[i], &(struct job_event){.kind = JOB_SHARE, .share = &shares[i]});
}

void packs_pump(struct engine *engine)
{
    struct list_node *node;
    while ((node = list_first(&engine->packs.due))) {
        struct pack *pack = pack_of(node);
        list_remove(node);
        list_append(&engine->packs.under_way, node);
        if (pack->state == PACK_FORMING)
            send_off(engine, pack);
        else if (pack->state == PACK_SENT)
            engine_step(engine, member(engine, pack, 0), &(struct job_event){.kind = JOB_CUT});
        else
            share_out(engine, pack);
    }
}

bool packs_leads(const struct engine *engine, const struct job *job)
{
    return !job->pack || member(engine, job->pack, 0) == job;
}
