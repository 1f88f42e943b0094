// SPDX-License-Identifier: Apache-2.0
// What the files of the engine share.
//   engine.c         jobs: stepping, events, ends, wake-ups, housekeeping
//   engine_act.c     what a job asks for becomes requests of the edges
//   engine_health.c  /health and gauges
//   engine_intake.c  partitions and messages: from Kafka to a job, and back to the offset
//   engine_park.c    what waits in PostgreSQL: who goes there, who is taken up, what is paused
//   engine_gate.c    admission: who goes next
//   engine_pack.c    calls that several jobs share
//   engine_documents.c  documents: how many are read at once
//   engine_quota.c   what each lane (a key with a model) asks of the fleet's quota
//   engine_learn.c   what answers teach: told to the fleet, and taken from it
//   engine_key.c     keys: which one a call goes with, what closes and opens them
//   engine_route.c   routes: what jobs are told of models, and who changes to another one
#ifndef PRECIS_ENGINE_PARTS_H
#define PRECIS_ENGINE_PARTS_H

#include "base/heap.h"
#include "base/list.h"
#include "base/slots.h"
#include "core/config_budget.h"
#include "core/keys.h"
#include "core/offsets.h"
#include "core/order.h"
#include "core/share.h"
#include "engine.h"
#include "engine_quota.h"
#include "job/job.h"

#define LEASE_MS        15000
#define LEASE_MARGIN_MS 2000 // no call begins in the last two seconds of a lease
#define RENEW_MS        3000
#define SWEEP_MS        10000
#define BUDGETS_MS      10000 // how often the configuration's budgets are told again
#define REQUEUED_MS     1000
#define SCAN_MS         1000  // how often waiting jobs' reasons are looked at
#define LOOK_MS         2000  // how often it is asked whether a waiting job was cancelled
#define LOOK_CALL_MS    10000 // and whether a call is to be cut; a notice tells it sooner
#define LOOK_BATCH      500   // jobs a scan asks for at most
#define ANNOUNCE_BATCH  200
#define REQUEUED_BATCH  200
#define EXCHANGE_BATCH  50 // jobs that come to a full window at once, for others that leave it

#define PRIORITIES 10

// What was read of a topic, against its weight.
struct topic_share {
    const char *name;
    int64_t weight;
    int64_t read;    // messages, each as SHARE_UNIT / weight
    int64_t last_ms; // when the last one came, or was waited for; 0: never
    bool held_back;  // it was paused while it brought messages
};

struct partition {
    struct slot_id id;
    char *topic;
    int32_t number;
    struct topic_share *share; // NULL: there is one topic
    struct offsets offsets;
    bool begun, paused;
    const char *stopped;       // why nothing is read; NULL: it is read
    int64_t committed;         // offered offset, -1 none
    bool careful;              // its last owner ended while reading it: one message at a time
    bool asking;               // a suspect row is being written
    int64_t careful_left;      // messages until it is trusted again
    struct raw_message **held; // messages that wait for their turn in careful mode
    size_t held_len, held_room;
};

struct gate {                        // of one model
    struct order *order;             // jobs that are ready for a call
    struct lane *lanes;              // one for each key of its provider, in their order
    struct forecast forecast;        // of calls that are wanted
    struct calibrate calibrate;      // what its answers taught
    int64_t usual[QUOTA_DIMENSIONS]; // what a call reserves, about; 0: not known yet
    int64_t tokens_per_second;       // measured; 0: not yet
    bool told_usage, told_model;     // what is odd about its answers was logged
};

struct key_state { // of one key of one provider
    struct key key;
    const struct config_provider *provider;
    const struct config_key *config;
    bool untold;   // it was closed here, and the fleet has to be told
    bool changed;  // its secret is another one, and the fleet has to be told
    bool checking; // GET /models is under way
    int check_status;
    int64_t check_until_ms; // it is given up then
    int64_t good_until_ms;  // what GET /models said of the key is believed until then
};

#define PACK_BUCKETS 64

// Calls that several jobs share (core/pack.h).
struct packs {
    struct list waiting[PACK_BUCKETS][PRIORITIES]; // jobs that may be packed, by pack_hash
    struct list under_way, due; // packs; due: all their members are where the next thing is done
};

// Order beyond the window.
struct parking {
    bool reads_on;         // the window is full of what has to wait: messages are parked
    int64_t full_since_ms; // it has been so since then; INT64_MAX: it is not
    bool more;             // others are due in PostgreSQL
    struct shares *shares; // what tenants were given, and what of them stands in the window
    size_t begun;          // calls that were ever admitted
    size_t paced;          // of them until paced_ms
    int64_t paced_ms;
    size_t newcomers;    // that the last question brought
    size_t begun_before; // calls that had been admitted by then
    size_t pace;         // jobs that may come to a full window at once
    int lowest;          // priority of a job in the window that may leave; -1: none
    int64_t before;      // of that priority those come that begin before this virtual time
    size_t straight;     // so many may come straight from Kafka for that
    bool exchanging;     // the question under way is one of a full window
    int64_t asked_ms;    // when the last question was asked
    size_t asked;        // how many it asked for at most
    size_t to_leave;     // jobs that came in exchange for others
    int64_t rows, bytes; // that the fleet has parked, with what was parked here since
    char *after_tenant;  // whose turn it was last
    struct pause *pauses;
    size_t pause_count;
};

struct documents { // that wait to be fetched, and those that wait for an extractor
    struct list to_fetch[PRIORITIES], to_extract[PRIORITIES];
    size_t under_way; // extractions: bytes fetched or being fetched, and not text yet
};

struct learning { // of models, by the fleet
    bool begun, asking;
    int64_t asked_ms;
};

struct engine {
    struct engine_options options;
    const struct config *config;
    struct edges edges;
    struct slots jobs, partitions;
    struct topic_share *topics; // where there are several
    size_t topic_count;
    struct list steps[STEP_COUNT];
    struct heap wakes;
    struct gate *gates;
    struct key_state *keys; // of all providers, from each one's first_key on
    size_t key_count;
    struct quota_link quota;
    struct learning learning;
    struct fact_words *words; // for every job's summary
    struct prompt_overhead overhead;
    struct documents documents;
    struct packs packs;
    struct parking parking;
    struct config_budgets budgets; // that this worker's configuration wants
    int64_t next_budgets_ms;
    int64_t next_serial;
    uint64_t came; // jobs that ever came
    size_t bytes;  // that jobs hold

    bool store_up, broker_up, draining, ever_up;
    bool stopping; // drain_timeout is over: no call begins any more
    bool fatal;
    char fatal_reason[200];
    bool renewing;
    int64_t renew_sent_ms, next_renew_ms, lease_until_ms; // monotonic; 0: no lease yet
    int64_t db_offset_ms;                                 // db_now = now + this
    bool sweeping, taking;
    int64_t next_sweep_ms, next_take_ms, next_scan_ms, next_park_ms;
    size_t announcing;
};

int64_t engine_now(const struct engine *engine);
int64_t engine_db_now(const struct engine *engine);
bool engine_lease_valid(const struct engine *engine);
// Gives the event to the job, carries out what it asks for; the job may be gone afterwards.
void engine_step(struct engine *engine, struct job *job, const struct job_event *event);
// A job of an intake: registers it and takes its first step.
void engine_add(struct engine *engine, struct job *job, struct slot_id partition);
// Carries one action out.
void engine_act(struct engine *engine, struct job *job, enum action_kind kind);
// "tenant/batch/id/revision/n": the call's name for the provider's support and for gateways that
// know idempotency keys.
void engine_name_call(const struct job *job, struct buf *out);
// Of an entry in engine->steps.
struct job *engine_job_of(struct list_node *node);
// What a job in ADMIT, HELD, DOCUMENT or EXTRACT waits for; the start is monotonic, 0 where none is
// known.
const char *engine_waiting_reason(const struct engine *engine, const struct job *job,
                                  int64_t *out_start_ms);
void engine_announce(struct engine *engine, const struct announcement *list, size_t count);

// engine_intake.c
void intake_init(struct engine *engine);
void intake_broker(struct engine *engine, const struct broker_event *event);
void intake_partition_known(struct engine *engine, const struct partition_reply *reply);
void intake_suspected(struct engine *engine, const struct store_event *event);
// A job that PostgreSQL gave.
void intake_take(struct engine *engine, const struct requeued_job *job);
// The job is over: its offset is finished.
void intake_finished(struct engine *engine, const struct job *job);
// Whether one more job fits into the window and the memory.
bool intake_has_room(const struct engine *engine);
// Pauses or resumes each partition as the window, the memory and the database say.
void intake_adjust(struct engine *engine);
void intake_deinit(struct engine *engine);
const char *intake_trouble(const struct engine *engine);

// engine_park.c
void parking_init(struct engine *engine);
void parking_deinit(struct engine *engine);
// Every second, and when there is room: asks for what is due.
void parking_ask(struct engine *engine);
// Calls of the tenant were given so many tokens more.
void parking_served(struct engine *engine, const char *tenant, int64_t tokens);
void parking_answered(struct engine *engine, const struct store_event *event);
// Whether PostgreSQL takes jobs that have to wait.
bool parking_has_room(const struct engine *engine);
// Whether a job that was just read is parked with its claim: job->place says where.
bool parking_of_new(struct engine *engine, struct job *job);
// The job's place in PostgreSQL is durable.
void parking_parked(struct engine *engine, const struct job *job);
// Sends those away whose wait will be long, and those that others came for. After each turn.
void parking_send_away(struct engine *engine);
// Whether reading goes on past a full window.
bool parking_reads_on(const struct engine *engine);
// Why nothing of the job may begin: users paused it. NULL: it may.
bool parking_is_paused(const struct engine *engine, const struct job *job);
bool parking_is_key_paused(const struct engine *engine, const char *key_name);

// engine_gate.c
void gate_init(struct engine *engine);
void gate_deinit(struct engine *engine);
// A tenant's share against others.
int64_t gate_weight(const struct engine *engine, const char *tenant);
// Tokens that a tenant is let off which comes to this worker for the model (core/order).
int64_t gate_credit(const struct engine *engine, size_t model);
// After each step of a job: counts its slot, queues it where it is ready.
void gate_update(struct engine *engine, struct job *job);
// Lets pass what may pass. Returns when to look again (INT64_MAX: on an event).
int64_t gate_pump(struct engine *engine);
// Jobs that are ready for a call of the model, and the one whose turn it is (NULL: none).
size_t gate_ready(struct gate *gate, struct job **out_first);
// What the job's next call will use, in each dimension; where it is not known yet, an estimate.
void gate_need(const struct engine *engine, struct job *job, int64_t out[QUOTA_DIMENSIONS]);
// A call of the job was answered: the speed of its model, what is odd, what its counts teach.
void gate_answered(struct engine *engine, const struct job *job);
// A budget was set: those that wait for money ask again.
void gate_budget_changed(struct engine *engine);
// What a job in ADMIT waits for.
const char *gate_reason(const struct engine *engine, const struct job *job, int64_t *out_start_ms);

// engine_key.c
void keys_init(struct engine *engine);
void keys_deinit(struct engine *engine);
#define KEYS_NONE SIZE_MAX
// The key that a call of the model with such a need goes with, by its place in its provider: one
// that this worker may probe, else the open one with most room left. KEYS_NONE: all have to wait;
// *out_next_ms says until when, INT64_MAX for an event.
size_t keys_choose(const struct engine *engine, const struct config_model *model,
                   const int64_t need[QUOTA_DIMENSIONS], int64_t *out_next_ms);
// What is short, where none can be chosen: "key_closed", "breaker", "slots", "requests", "tokens";
// NULL: one can be.
const char *keys_reason(const struct engine *engine, const struct config_model *model,
                        const int64_t need[QUOTA_DIMENSIONS], int64_t *out_start_ms);
// How soon the model can take calls, as far as its keys are concerned.
void keys_outlook(const struct engine *engine, const struct config_model *model,
                  struct model_outlook *out);
// Of the key with the job's last call.
struct key_state *keys_of_job(const struct engine *engine, const struct job *job);
void keys_failed(struct engine *engine, struct job *job);
void keys_succeeded(struct engine *engine, struct job *job);
// The answer to a probe begins with 200: what was closed opens before the answer is whole.
void keys_probe_answered(struct engine *engine, struct job *job);
// What the fleet says of the key.
void keys_told(struct engine *engine, struct key_state *state, enum key_cause cause,
               int64_t until_ms);
void keys_on_check(struct engine *engine, const struct http_event *event);
// Ends questions that nobody answers. Returns when to look again.
int64_t keys_limit_checks(struct engine *engine);

// engine_pack.c
void packs_init(struct engine *engine);
void packs_deinit(struct engine *engine);
// After each step of a job: keeps the list of those that may be packed, and its pack's state.
void packs_update(struct engine *engine, struct job *job);
// The job is about to be admitted with its key: looks for others that share its call. It gets a
// pack where there are any.
void packs_form(struct engine *engine, struct job *leader);
// The leader was admitted: so are the others. Adds the tokens that they reserve.
void packs_admit(struct engine *engine, struct job *leader, int64_t *io_input, int64_t *io_output);
// Sends what is ready to be sent, and shares what was answered.
void packs_pump(struct engine *engine);
// The call of the leader's pack is over.
void packs_answered(struct engine *engine, struct job *leader);
// The pack's call is still to come, with the leader's slot.
bool packs_keeps_slot(const struct job *job);
// Whether the job's call is its own, or it leads those that share it.
bool packs_leads(const struct engine *engine, const struct job *job);
// What all shares of its call are called by, of the same form as a call's own name; NULL: none.
const char *packs_name(const struct job *job);

// engine_learn.c
// Tells what is to be told, asks what the fleet knows. Returns when to look again.
int64_t learn_pump(struct engine *engine);
void learn_answered(struct engine *engine, const struct store_event *event);

// engine_route.c
// What the rules of routes may know: put into `now`.
void route_tell(const struct engine *engine, struct job_now *now);
// Jobs that wait for a model that is closed go to another of their route.
void route_scan(struct engine *engine);

// engine_documents.c
void documents_init(struct engine *engine);
// After each step of a job: queues it where it wants an extractor, counts those that have one.
void documents_update(struct engine *engine, struct job *job);
// Lets pass what may pass.
void documents_pump(struct engine *engine);
void documents_extracted(struct engine *engine, const struct extract_event *event);
const char *documents_reason(const struct engine *engine, const struct job *job,
                             int64_t *out_start_ms);

#endif
