// SPDX-License-Identifier: Apache-2.0
// One job's state machine: events in, actions out, no I/O.
//
//                                             PACKED (core/pack.h): one call for several jobs
//                                              │  ▲│
//   NEW ─ CLAIM ───────────────── PLAN ─ ADMIT ─ INTENT ─ CALL ─ RECORD ─┐
//            │   │                 ▲      ▲                               │ next call, retry,
//            repair
//           HELD │                 │      └───────────────────────────────┤
//           TWIN │                 │ (another job makes its answer)        │
//            │   DOCUMENT ─ FETCH ─┤                                   FINISH ─ END
//            │       └── EXTRACT ─ KEEP
//         (another worker's)          BURY, SEAL: messages that are no jobs
//
// What has to wait long goes from DOCUMENT or ADMIT to PARK: PostgreSQL keeps it, this object ends.
//
// job_step is the only entry. The engine gives it what happened; the job changes its own fields,
// asks for I/O by adding actions, and says whether it wants to go on, waits or has ended. steps.def
// is the map. What a call costs and how it ended is written by RECORD (T3) before anything else
// happens; the call that ends the job is written together with its outcome by FINISH.
#ifndef PRECIS_JOB_JOB_H
#define PRECIS_JOB_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/list.h"
#include "core/calibrate.h"
#include "core/config.h"
#include "core/order.h"
#include "core/pack.h"
#include "core/prompt.h"
#include "core/seams.h"
#include "core/spec.h"
#include "core/summary.h"
#include "provider/provider.h"

// Workers that may end while they hold a job before it fails with crashed_workers.
#define JOB_CRASHES_MAX 5
// Plans of one job: each too_long or change of model makes another.
#define JOB_PLANS_MAX 8
// What waits longer than this, by its own will or a key's, waits in PostgreSQL.
#define JOB_PARK_MS 30000
// How often a held job is looked up.
#define JOB_HELD_MS 500
// How often a job asks whether its twin's answer is there.
#define JOB_TWIN_MS 500
// How long a stream may stay open after its finish_reason.
#define JOB_GRACE_MS 2000

enum step {
#define STEP(name, text, function, handles, ignores, follow) STEP_##name,
#include "job/steps.def"
#undef STEP
    STEP_COUNT
};

enum job_event_kind {
    JOB_START, // a new object: once
    JOB_GO,    // the step was just entered
    JOB_WAKE,  // its wake-up time has come
    JOB_STOP,  // the worker is draining and its time is up
    JOB_CLAIMED,
    JOB_LOOKED_UP,
    JOB_FETCHED,
    JOB_ADMITTED,  // limits let the next call pass; of DOCUMENT: there is room for it
    JOB_REROUTE,   // another model of the route can, and the plan's cannot
    JOB_EXTRACTED, // the extractor has ended
    JOB_KEPT,
    JOB_INTENDED,
    JOB_SEND,   // all of its pack have their intent: it leads, and sends for all
    JOB_SHARE,  // its part of what the pack's call came to
    JOB_UNPACK, // the pack sends nothing
    JOB_CUT,    // all that share its call are cancelled, and nobody waits for it
    JOB_HTTP,
    JOB_RECORDED,
    JOB_REUSED,
    JOB_BURIED,
    JOB_SEALED,
    JOB_PARK, // it is to wait in PostgreSQL
    JOB_PARKED,
    JOB_EVENT_COUNT
};

// Of SEND: those that the request is for, the leader first. Alone, it is an ordinary call.
struct job_pack {
    struct job *const *members;
    size_t count;
    char (*ids)[PROMPT_ID_BYTES]; // set by the event: of their documents in the request
};

// Of SHARE: what one member has of the call; answer, by job_share_answer.
struct job_share {
    struct model_answer answer; // taken by the event
    int64_t begun_ms, first_token_ms, started_unix_ms;
};

struct job_event {
    enum job_event_kind kind;
    // of CLAIMED, LOOKED_UP, FETCHED, KEPT, INTENDED, RECORDED, REUSED
    const struct store_event *store;
    const struct http_event *http;       // of HTTP
    const struct extract_event *extract; // of EXTRACTED
    const struct job_pack *pack;         // of SEND
    struct job_share *share;             // of SHARE
    const struct park_place *park;       // of PARK: why and until when
};

// How soon a model can take calls.
struct model_outlook {
    int64_t closed_ms; // from now; 0: it is open. INT64_MAX: nobody knows
    const char *why;   // it is closed; lives as long as the program
};

// What the rules may know of the outside at this moment.
struct job_now {
    const struct config *config;
    int64_t now_ms;    // monotonic
    int64_t db_now_ms; // unix ms by the database's clock
    uint64_t random;
    bool lease_valid;                  // a call may begin
    bool can_extract;                  // there is an extractor
    bool can_park;                     // PostgreSQL takes jobs that have to wait
    int64_t tokens_per_second;         // measured speed of the job's model; 0: unknown
    const struct fact_words *words;    // NULL: each check of a summary makes its own
    struct prompt_overhead *overhead;  // of the last job planned; NULL: each job counts its own
    const struct calibrate *calibrate; // what the job's model taught; NULL: nothing yet
    int load_percent;                  // how much of the worker's window is taken; -1: not known
    // What is known of a model; NULL: all are open.
    void (*outlook)(const void *context, const struct config_model *model,
                    struct model_outlook *out);
    const void *outlook_context;
};

enum action_kind {
    ACTION_CLAIM,
    ACTION_LOOK_UP,
    ACTION_REUSE,
    ACTION_FETCH,       // a stored or kept text, or the size of the bytes
    ACTION_FETCH_BYTES, // the document's bytes
    ACTION_EXTRACT,     // from job->document.bytes, which are the event's, or its URL
    ACTION_CANCEL_EXTRACT,
    ACTION_KEEP_TEXT,
    ACTION_INTEND,
    ACTION_CALL,
    ACTION_CANCEL_CALL,
    ACTION_SHARE, // job->call.answer is the whole pack's
    ACTION_RECORD,
    ACTION_PARK, // as job->place says
    ACTION_BURY,
    ACTION_SEAL,
    ACTION_KEY_FAILED, // job->call.answer.failure says how; before the job leaves the call
    ACTION_KEY_SUCCEEDED,
};

#define JOB_ACTIONS_MAX 8

struct job_actions {
    enum action_kind kinds[JOB_ACTIONS_MAX];
    size_t count;
};

enum job_verdict { JOB_WAITS, JOB_ENDED };

enum plan_call_kind { PLAN_WHOLE, PLAN_PART, PLAN_COMBINE };

struct plan_call {
    enum plan_call_kind kind;
    int64_t from, to; // code points of the text; for COMBINE: calls of this plan, half open
    char *answer;     // the checked answer, once there is one; owned
};

// What the job will ask, in order. The cursor is the first call without an answer.
struct plan {
    int32_t no; // 0: none yet
    const struct config_model *model;
    struct plan_call *calls;
    size_t count, cursor;
    char *calls_json;
    char *why;           // this model and reasoning; NULL: there was no choice
    bool asked;          // an intent with it was sent: its number is taken
    bool stored;         // its row is in PostgreSQL
    bool truncated;      // the text was cut to fit
    int64_t part_tokens; // what a part was made to fit
};

// The call at the cursor: what was tried, and the attempt under way.
struct call {
    int32_t last_attempt_no; // highest number used
    int attempts_used;       // counted against retry.attempts
    int doubtful;            // counted against retry.doubtful
    bool repaired;           // the one repair was asked for
    bool widened;            // the one larger output limit was asked for
    bool alone;              // asked packed, it gave nothing to use: not packed again
    char *bad_answer;        // what the repair is about; owned
    char *bad_reason;

    uint32_t serial; // of the request under way; 0: none
    struct reader *reader;
    struct buf body;
    char url[512];
    int64_t at_most_picousd, input_tokens_estimate, max_output_tokens;
    int64_t input_tokens_most; // what may be billed of its input
    int64_t plain_tokens;      // the estimate of its input, without any margin
    int64_t pack_tokens;       // of a pack's leader: that of the whole request
    int64_t reserve_input_tokens, reserve_output_tokens; // of the quota
    int64_t output_bound; // its output limit as it follows from the request alone
    enum calibrate_script script;
    int answer_kind; // of core/calibrate.h
    int64_t begun_ms;
    int64_t sent_ms, first_byte_ms, first_token_ms, content_ms, finished_ms; // -1: not yet
    int64_t started_unix_ms;
    int64_t content_events;
    int64_t total_ms; // limit of the whole answer
    struct model_answer answer;
    bool has_answer;
};

// What is known of the document beside its text.
struct document {
    char sha256[65];  // of the text or the bytes; "" of a URL that was not read yet
    char *media_type; // the message's, else what PostgreSQL or the extractor said; NULL: not known
    char *extractor;  // what made the text; NULL: none, or in an earlier run
    char *uri;        // of the URL, without what may be secret
    char **warnings;  // of the extractor
    size_t warning_count;
    int32_t pages;     // 0: it has none
    int64_t size;      // of the stored bytes; 0 of a URL
    const void *bytes; // while ACTION_EXTRACT is carried out
    bool looked;       // it has no text that is stored or kept: an extractor is needed
    bool under_way;    // the extractor works for it
    int tries;         // that failed in passing
};

// What RECORD or FINISH writes; strings point into the job.
struct record_draft {
    bool has_attempt, has_part, has_outcome;
    bool counted; // in the metrics
    struct attempt_result attempt;
    char error[1200];
    char code[40];
    struct part_row part;
    struct outcome_row outcome;
    char outcome_code[40];
    char outcome_error[1200];
    char outcome_suggestion[FAILURE_SUGGESTION_BYTES];
    struct summary_row summary;
    struct citation_row *citations; // owned
    char **warnings;                // owned, each too; the summary's all
    size_t warning_count;
    char *output_json;    // owned
    char *prompt_version; // owned
};

// A message kept for as long as its job lives; one block of memory.
struct raw_message {
    struct message message;
    size_t bytes;
    bool requeued; // given by PostgreSQL, not read from its partition
};

struct job {
    struct slot_id id;
    enum step step;
    struct list_node in_step;    // the engine's list of this step
    struct list_node in_queue;   // the engine's queue for documents
    struct order_entry in_order; // the engine's queue for admission
    struct list_node in_pack;    // the engine's list of those that may be packed
    uint64_t pack_hash;          // pack_hash of its spec; 0: not made yet
    struct pack *pack;           // the engine's, while it shares a call; NULL: it has its own
    uint64_t came;               // when it came, among the jobs of this process
    struct heap_node wake;       // key: wake_ms
    int64_t wake_ms;             // INT64_MAX: no wake-up wanted
    int64_t step_since_ms;
    int64_t born_ms;

    struct raw_message *raw;
    struct slot_id partition; // dead once the partition was revoked; none for requeued jobs
    struct job_spec *spec;    // NULL for BURY and SEAL
    struct failure failure;   // why it is buried or fails; code NONE: no reason
    enum bury_kind bury;
    int32_t version;                // of a message that is too new
    char *seal_tenant, *seal_batch; // of a seal, or of a buried message
    int64_t bad_revision;
    char *bad_id; // of a buried message; NULL: it could not be read
    int64_t seal_total;
    bool is_seal;

    int64_t serial;         // of its claim
    uint32_t calls_begun;   // numbers its requests
    uint32_t cancel_serial; // of ACTION_CANCEL_CALL
    int64_t job_no;
    int32_t epoch;
    enum job_stop stop;
    bool cut; // cancelled while it shares a call: it takes its part of the answer, and ends
    struct claim_reply saved;
    unsigned char answer_key[ANSWER_KEY_BYTES]; // of the question to this model, in this mode
    const struct config_model *answer_model;    // NULL: not made yet
    enum reasoning_mode answer_reasoning;
    bool was_twin; // since it was claimed, or before
    bool copied;   // its outcome is a twin's

    struct document document;
    char *text; // the extracted text; owned unless it is spec->text
    size_t text_len;
    int64_t text_chars;
    char text_sha256[65];
    int64_t text_tokens, overhead_tokens; // estimates of plan.c; 0: not made yet
    int64_t overhead_bytes;               // with overhead_tokens
    struct plan plan;
    const char *route;             // or model: the spec's, or a rule's; NULL before the first plan
    size_t route_place;            // which model of the route
    uint64_t route_out;            // a bit a place that cannot have this job
    char *route_why;               // why those are out
    enum reasoning_mode reasoning; // the spec's, or a rule's
    bool reasoning_ruled;
    struct call call;
    int64_t not_before_ms;      // monotonic: backoff; 0: none
    int64_t spent_picousd;      // by all attempts; the bound where one is in doubt
    int32_t attempts_all;       // of all calls, for the dead letter
    struct json_schema *schema; // of the user's own form; NULL: none
    struct summary summary;
    struct park_place place; // where it waits; `reason` is a literal, `after_batch` the spec's
    struct record_draft draft;
    enum step after_record; // where RECORD goes on to
    bool walled;            // a budget refused its next call
    bool wall_frees;        // calls under way may leave some of what they hold of it
    int64_t wall_ends_ms;   // unix ms: when that budget's period ends; INT64_MAX: never
    bool forbidden;         // 403 came: fails at its next admission, if its key proves good
    const struct config_model *slot_model; // while holds_slot
    size_t key;                         // which of its provider's keys the last admission gave it
    int64_t reserved[QUOTA_DIMENSIONS]; // of the quota, while holds_slot
    uint32_t reserved_calls;            // calls_begun when it was
    bool probes;                        // its call tries a closed key
    int64_t need_tokens;                // estimate of the next call's text; -1: not made yet
    int64_t need_bytes;                 // of that text, with need_tokens
    int script;                         // of its text (core/calibrate.h); -1: not looked at yet
    int64_t charged_tokens;             // what its tenant was charged for the call
    bool holds_slot;                    // the engine counts it as in flight for its model
    bool holds_extractor;               // the engine counts it as under way at the extractor
    size_t counted_bytes;               // what the engine has counted for it
    bool dropped;         // ended without an outcome: the worker leaves, the job stays claimed free
    bool had_outcome;     // an outcome is durable, ours or another's, or it is parked
    bool parked;          // it ended here to be taken up again
    int64_t looked_ms;    // the engine asked last whether it was stopped while it waits; 0: never
    char waiting_for[16]; // last reason that was written; "" none
    int64_t waiting_until; // and its start, unix ms; 0: not known
};

// A job object for a message that was decoded. Takes `raw` and `spec`.
struct job *job_new(struct raw_message *raw, struct job_spec *spec, int64_t now_ms);
// One that only buries its message: takes `raw`.
struct job *job_new_bury(struct raw_message *raw, enum bury_kind kind,
                         const struct failure *failure, int64_t now_ms);
struct job *job_new_seal(struct raw_message *raw, const char *tenant, const char *batch,
                         int64_t total, int64_t now_ms);
void job_free(struct job *job);

// The only entry. Steps that go on by themselves are run here, until the job waits or ends.
enum job_verdict job_step(struct job *job, const struct job_event *event, const struct job_now *now,
                          struct job_actions *actions);

// Whether the job's admission is only a matter of the model's limits now.
bool job_is_ready(const struct job *job, int64_t now_ms);
// What its next call will use, input and output: an estimate.
int64_t job_need_tokens(const struct job *job);
// The same apart, as it is reserved of the quota: the input with its margin, and the output as it
// is expected.
void call_need(struct job *job, const struct calibrate *calibrate, int64_t *out_input,
               int64_t *out_output);
// Of what its prompt begins with: jobs with equal numbers can share a provider's prompt cache.
uint32_t job_prefix(const struct job *job);
// Whether its next call may be shared: a short document, whole, asked for the first time.
bool job_can_pack(const struct job *job);
// What it takes of a pack's room.
struct pack_room job_pack_need(struct job *job);
// Takes what the pack's call came to apart, `whole` and times are the leader's: a share for each
// member, in their order.
void job_share_answer(struct job *const *members, size_t count, char (*ids)[PROMPT_ID_BYTES],
                      struct job_share *out);
// What its calls ask for: of the job, or of a rule, where the model takes it.
enum reasoning_mode job_reasoning(const struct job *job);
// Whether it waits for a model that is closed for long, and another of its route is open.
bool job_wants_other_model(const struct job *job, const struct job_now *now);
// Whether it waits for nothing but room for its document, or a free extractor.
bool job_wants_document(const struct job *job, int64_t now_ms);
// The key of the job's question: that of its plan, before there is one that of the plan it will
// have. NULL: its document's hash is not known yet, or its model or reasoning are not.
const unsigned char *twin_key(struct job *job, const struct config *config);
// Whether it pays for its answer in any case.
bool twin_is_fresh(const struct job *job);
// Whether a text that is stored as such is the document's text (else the bytes of one).
bool document_is_plain(const struct job *job, const struct config *config);
// Bytes that the job holds in memory, roughly; while it is extracted, the document's too.
size_t job_bytes(const struct job *job);
const char *step_name(enum step step);
unsigned step_handles(enum step step);
unsigned step_ignores(enum step step);

struct raw_message *raw_message_copy(const struct message *message);

#endif
