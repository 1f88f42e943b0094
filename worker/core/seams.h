// SPDX-License-Identifier: Apache-2.0
// The seams between the engine and the outside: what the engine asks of PostgreSQL, Kafka and the
// model APIs, and what they answer. The real edges are in io/; the simulation has its own. Only
// shapes are here, no code.
//
// Rules that hold for every edge:
// - All calls are asynchronous: nothing is answered from inside the call that asks.
// - What an edge is given (strings, structs) is borrowed for the duration of the call; it copies
//   what it keeps. What an event carries is borrowed for the duration of the event, except where
//   a member is documented as taken.
// - Work names its owner by slot id; the answer carries it back. An owner that is gone is the
//   engine's business, not the edge's.
// - The store answers each request exactly once while the process lives. Where a connection broke
//   before the answer, the store applies the same request again on the next connection: every
//   operation is idempotent, also across a commit whose answer was lost.
#ifndef PRECIS_CORE_SEAMS_H
#define PRECIS_CORE_SEAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slots.h"
#include "core/budget.h"
#include "core/calibrate.h"
#include "core/quota.h"
#include "core/share.h"
#include "core/usage.h"

struct job_spec;
struct config_provider;

// ---------------------------------------------------------------------------------- messages

struct header {
    const char *name;
    const void *value; // NULL possible
    size_t value_len;
};

// A Kafka message as it came. `value` NULL: a tombstone.
struct message {
    const char *topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; // the broker's; -1 where none
    const void *key;
    size_t key_len;
    const void *value;
    size_t value_len;
    const struct header *headers;
    size_t header_count;
};

enum announcement_kind { ANNOUNCE_RESULT, ANNOUNCE_DEAD_LETTER };

// A message that PostgreSQL holds as not yet announced (DESIGN.md, rule 5).
struct announcement {
    enum announcement_kind kind;
    int64_t id;             // of the outbox row or of the dead letter
    struct message message; // topic, partition and offset unused
};

// ---------------------------------------------------------------------------------- the store

enum job_stop { STOP_NONE, STOP_CANCELLED, STOP_SUPERSEDED };

enum claim_verdict {
    CLAIM_MINE,     // new, or resumed, or taken over
    CLAIM_HELD,     // a live worker (perhaps this one) holds it, or it cannot be taken over yet
    CLAIM_FINISHED, // an outcome is there
    CLAIM_CONFLICT, // same id, same revision (or none higher), other content
    CLAIM_STALE,    // a lower revision that was never claimed
    CLAIM_PARKED,   // PostgreSQL has it, and some worker will take it up: its message is not needed
    CLAIM_REJECTED, // PostgreSQL refuses the data; nothing of it is stored. `sqlstate` says why
};

// How a job waits in PostgreSQL, with no worker.
struct park_place {
    const char *reason; // one of the contract's `waiting_for`
    int64_t due_ms;     // unix ms; 0: as soon as it is its turn; INT64_MAX: when somebody says so
    int64_t start_ms;   // unix ms, what users are told; 0: not known
    int64_t tokens, bytes;   // that it will use, and that it takes there; estimates
    bool fails;              // it is due at its deadline, to fail
    const char *after_batch; // of its tenant: due when that has ended; NULL: none
};

// T1. One job of an intake group. `serial` is unique within the worker's life: a claim that is
// applied twice is recognised by it.
struct claim_request {
    struct slot_id owner;
    int64_t serial;
    const struct job_spec *spec;
    const char *topic; // NULL for a job that was taken from the requeued ones
    int32_t partition;
    int64_t offset;
    int64_t submitted_at_ms;         // unix ms
    const struct park_place *park;   // NULL: it is to run now. Else it is parked with its claim,
                                     // where it came from Kafka and nobody holds it
    const unsigned char *answer_key; // ANSWER_KEY_BYTES; NULL: not known yet
};

// Of the question that a job asks (core/identity.h): jobs with the same key are twins, of which
// one is paid and the others copy.
#define ANSWER_KEY_BYTES 32

enum attempt_outcome {
    ATTEMPT_SENT,
    ATTEMPT_OK,
    ATTEMPT_FAILED,
    ATTEMPT_THROTTLED,
    ATTEMPT_IN_DOUBT,
    ATTEMPT_CANCELLED,
};

// What earlier runs of the job left behind, by plan, call and attempt.
struct saved_attempt {
    int32_t plan_no, call_no, attempt_no;
    enum attempt_outcome outcome;
    bool reopened; // from before `retry` reopened the job: its number is taken, no try used up
    int64_t spent_picousd; // what it cost; its upper bound where that is in doubt
    char *code;            // error code as text; NULL where none
    char *answer; // what the model said, where it was not usable (for the repair); NULL else
};

struct saved_part {
    int32_t plan_no, call_no;
    char *answer; // the model's text as it was checked
};

struct saved_plan {
    int32_t plan_no;
    char *model;
    char *prompt_version;
    char text_sha256[65];
    char *calls_json;
    char *reasoning_mode; // that a rule chose; NULL: none did
    char *why;            // of model and reasoning; NULL: there was no choice
};

struct claim_reply {
    enum claim_verdict verdict;
    int64_t job_no; // the row's number; 0 for CONFLICT and STALE
    int32_t epoch;
    int32_t crashes; // workers that ended while they held it
    enum job_stop stop;
    char sqlstate[6];         // of CLAIM_REJECTED
    struct saved_plan *plans; // the engine takes these three (claim_reply_deinit)
    size_t plan_count;
    struct saved_part *parts;
    size_t part_count;
    struct saved_attempt *attempts;
    size_t attempt_count;
    // Of the bytes that its text was kept of, or that its message named; "" where not known yet.
    char document_sha256[65];
    bool twin; // another job makes or made its answer, as far as is known now: ask by `reuse`
    bool anew; // it is to be asked anew, although its answer may be there: a done job that was
               // reopened, or a higher revision with the content of a lower one
};

enum lookup_verdict {
    LOOKUP_HELD,
    LOOKUP_FINISHED,
    LOOKUP_FREE, // its claim can be taken over: claim again
};

struct plan_row {
    int32_t plan_no;
    const char *model;
    const char *prompt_version;
    const char *text_sha256;
    const char *calls_json;
    const char *reasoning_mode, *why; // NULL: see saved_plan
    // Of a plan after the first: what it asks (ANSWER_KEY_BYTES). Another question than that of an
    // earlier plan leaves that one to others. NULL: it has no twins, or is the first.
    const unsigned char *answer_key;
};

// T2. A request that is about to leave. The row is written with outcome `sent`.
struct intent_request {
    struct slot_id owner;
    int64_t job_no;
    int32_t epoch;
    int32_t plan_no, call_no, attempt_no;
    const char *provider, *model, *key_name, *reasoning_mode;
    const char *price_version;
    int64_t at_most_picousd; // upper bound of its cost
    const char *pack;        // what all shares of one request are called by; NULL: it is not shared
    const struct plan_row *plan;     // with the first attempt of a plan; else NULL
    const unsigned char *answer_key; // ANSWER_KEY_BYTES, with every attempt; NULL: it has no twins
    bool fresh;                      // goes also where another job makes or made the answer
    bool was_twin;                   // so its claim said, or an earlier intent
};

enum intent_verdict {
    INTENT_GO,
    INTENT_FENCED,   // another worker took the job over
    INTENT_STOPPED,  // cancelled or superseded: see `stop`
    INTENT_BUDGET,   // at_most does not fit into a budget: see `refusal`. The plan is written
    INTENT_TWIN,     // another job makes or made the answer: ask by `reuse`
    INTENT_NO_LEASE, // this worker's lease has ended; renew first
    INTENT_REJECTED, // PostgreSQL refuses the data; nothing of it is stored. `sqlstate` says why
};

enum cost_source { COST_EXACT, COST_ESTIMATED, COST_IN_DOUBT, COST_NONE };

// How an attempt ended. Written whatever the epoch says: the ledger is never fenced.
struct attempt_result {
    int32_t plan_no, call_no, attempt_no;
    enum attempt_outcome outcome;
    int http_status;        // 0: none
    const char *error_code; // NULL: none
    const char *error;      // one sentence; NULL: none
    const char *answer;     // a bad answer, kept for the repair; else NULL
    struct usage usage;
    int64_t cost_picousd;    // -1: unknown (in doubt)
    int64_t at_most_picousd; // for in doubt; else 0
    enum cost_source cost_source;
    int64_t cost_reported_picousd;                           // -1: not reported
    const char *response_model, *request_id, *finish_reason; // NULL: none
    int64_t started_at_ms;                                   // unix ms
    int64_t ttft_ms;                                         // -1: none
    int64_t duration_ms;
};

// A paid, checked answer of one call. Kept where none is, whatever the epoch says.
struct part_row {
    int32_t plan_no, call_no;
    const char *model;
    int64_t from, to; // code points of the extracted text
    const char *answer;
};

struct citation_row {
    int32_t point;    // 1-based; 0 where `path` names the leaf
    const char *path; // NULL for key points
    const char *quote;
    bool found;
    int64_t from, to; // code points; -1 where not found
    int32_t page;     // 1-based; 0: not found, or the document has no pages
};

enum job_state { JOB_DONE, JOB_FAILED, JOB_CANCELLED };

struct summary_row {
    const char *summary; // NULL where the user's own schema is used
    const char *const *key_points;
    size_t key_point_count;
    const char *output_json;
    const char *const *warnings;
    size_t warning_count;
    const struct citation_row *citations;
    size_t citation_count;
    // NULL where unknown. `document_uri` without user, password and query
    const char *document_name, *document_uri, *document_sha256, *language, *model, *response_model,
        *prompt_version;
    int32_t pages; // of the document; 0: it has none
};

struct outcome_row {
    enum job_state state;
    const char *error_code, *error, *suggestion; // NULL where done
    const struct summary_row *summary;           // for JOB_DONE
    const struct message *dead_letter;           // for JOB_FAILED: the message as it came
    int32_t attempts;                            // for the dead letter
    bool announce;                               // a result message is wanted
};

// T3. Any of attempt, part and outcome may be NULL.
struct record_request {
    struct slot_id owner;
    int64_t job_no;
    int32_t epoch;
    const struct attempt_result *attempt;
    const struct part_row *part;
    const struct outcome_row *outcome;
};

enum record_verdict {
    RECORD_DONE,
    RECORD_FENCED,   // attempt and part are stored; the outcome is not, the epoch has moved on
    RECORD_REJECTED, // PostgreSQL refuses the data; nothing of it is stored. `sqlstate` says why
};

// A claimed job goes back to PostgreSQL; any worker takes it up when it is due.
struct park_request {
    struct slot_id owner;
    int64_t job_no;
    int32_t epoch;
    struct park_place place;
};

enum park_verdict {
    PARK_DONE,   // it is there, or has an outcome already: nothing is lost
    PARK_FENCED, // another worker took the job over
};

// Which parked jobs are wanted: the highest priority first; within it by the virtual time at which
// they begin, a tenant's jobs one after the other, by deadline, then as they came.
struct take_request {
    size_t limit;
    size_t ends; // so many that are only to be ended may come, if that is more
    // Of a full window, for an exchange: of a higher priority than this, or of this one and with a
    // virtual time before this. -1: any.
    int least_priority;
    int64_t before;
    // So many go first of tenants of which nothing stands in the window, whatever their priority.
    size_t doors;
    const struct take_share *shares;
    size_t share_count;
    int64_t time_of_others;   // of tenants that are not among them; their weight is 1
    const char *after_tenant; // whose turn it was last, where times are equal; NULL: nobody's
};

// Something that users paused: CONTRACT.md, section 5.
struct pause_row {
    const char *scope; // job batch tenant model key all
    const char *name;  // tenant/batch/id, tenant/batch, tenant, model, key; "" of all
};

// A twin's question: is the other job's answer there? If so, it becomes this job's outcome, with
// summary, citations and result message, in the same transaction.
struct reuse_request {
    struct slot_id owner;
    int64_t job_no;
    int32_t epoch;
    const unsigned char *answer_key; // ANSWER_KEY_BYTES
    const char *document_uri;        // of this job's document; NULL: none
    bool announce;                   // a result message is wanted
};

enum reuse_verdict {
    REUSE_WAIT,    // the other job is at it
    REUSE_COPIED,  // the job is done
    REUSE_FREE,    // nobody makes the answer: the job may ask for it itself
    REUSE_STOPPED, // cancelled or superseded: see `stop`
    REUSE_FENCED,  // another worker took the job over, or it has an outcome
};

// What is looked for of a document, in this order: its text where it is stored as such and `plain`,
// the text that `extractor` made of it before, its bytes where `bytes`.
struct fetch_request {
    struct slot_id owner;
    const char *document_sha256;
    bool plain;
    const char *extractor; // NULL: no kept text is wanted
    bool bytes;            // else only their number
};

// The text that an extractor made, kept under (document_sha256, extractor) where none is kept
// there. Where the claim is still of this worker and epoch, the job remembers document_sha256 (a
// URL's job knows it only now).
struct text_row {
    struct slot_id owner;
    int64_t job_no;
    int32_t epoch;
    const char *document_sha256;
    const char *extractor;
    const char *text;
    size_t text_len;
    int32_t pages;
    const char *media_type; // NULL: not known
    const char *const *warnings;
    size_t warning_count;
};

enum bury_kind {
    BURY_DEAD,  // a dead letter without a job
    BURY_LATER, // a version that is too new: kept for a newer worker
};

// A message that never becomes a job here. `tenant`, `batch`, `job_id` NULL where unreadable.
struct bury_request {
    struct slot_id owner;
    enum bury_kind kind;
    const struct message *message;
    const char *tenant, *batch, *job_id;
    int64_t revision;
    int32_t version; // for BURY_LATER
    const struct failure *failure;
};

struct seal_request {
    struct slot_id owner;
    const char *tenant, *batch;
    int64_t total;
};

// What is known of a partition in this consumer group (DESIGN.md, rules 6 and 7).
struct partition_reply {
    char *topic;
    int32_t partition;
    bool known;       // it has a row, from before this call
    bool topic_known; // some partition of the topic has one
    bool unclean;     // its last owner, another worker, did not leave it clean
};

struct requeued_job {
    struct message message; // the job again, as its own message; headers none
    int64_t job_no;         // 0 for a message that waited for a newer worker
};

enum store_event_kind {
    STORE_CLAIMED,
    STORE_LOOKED_UP,
    STORE_INTENDED,
    STORE_RECORDED,
    STORE_PARKED,
    STORE_REUSED,
    STORE_FETCHED,
    STORE_KEPT,
    STORE_BURIED,
    STORE_SEALED,
    STORE_PARTITION,
    STORE_SUSPECTED,
    STORE_RENEWED,
    STORE_SWEPT,
    STORE_REQUEUED,
    STORE_RELEASED,
    STORE_QUOTA,
    STORE_CALIBRATED,
    STORE_NOTICE, // something that the fleet should know changed; none comes for what was missed
                  // while the store was down
    STORE_UP,     // connected, schema checked, ready
    STORE_DOWN,   // connection lost; requests are kept and answered later
};

struct store_event {
    enum store_event_kind kind;
    struct slot_id owner;
    union {
        struct claim_reply *claimed; // its arrays are taken by the engine
        struct {
            enum lookup_verdict verdict;
            enum job_stop stop; // of a job without an outcome, whoever holds it
            bool cut;           // its call under way is not waited for
        } looked_up;
        struct {
            enum intent_verdict verdict;
            enum job_stop stop;
            char sqlstate[6];
            const struct budget_refusal *refusal; // of INTENT_BUDGET
        } intended;
        struct {
            enum record_verdict verdict;
            char sqlstate[6];
            const struct announcement *announcements; // 0 to 2
            size_t announcement_count;
        } recorded;
        struct {
            enum park_verdict verdict;
        } parked;
        struct {
            enum reuse_verdict verdict;
            enum job_stop stop;
            const struct announcement *announcement; // NULL: none
        } reused;
        struct {
            bool found;       // such a document, or a kept text of it
            const char *text; // NULL: there is none of the kinds that were asked for
            size_t text_len;
            bool kept; // by an extractor; the next three are of such a text
            int32_t pages;
            const char *const *warnings;
            size_t warning_count;
            const char *media_type; // of the document; NULL: not known
            int64_t size;           // of its bytes; 0 where there are none
            const void *bytes;      // where they were asked for and there is no text; else NULL
        } fetched;
        struct {
            bool rejected; // PostgreSQL refuses the data: nothing is kept
            char sqlstate[6];
        } kept;
        struct {
            const struct announcement *announcement; // NULL where it was there already, or LATER
        } buried;
        const struct partition_reply *partition;
        struct {
            const char *topic;
            int32_t partition;
            int64_t offset;
            int32_t times; // including this one
        } suspected;
        struct {
            bool broken;       // the lease had ended before this renewal
            int64_t db_now_ms; // unix ms, the database's clock
        } renewed;
        struct {
            const struct announcement *announcements;
            size_t announcement_count;
        } swept;
        struct {
            const struct requeued_job *jobs;
            size_t job_count;
            bool more;                         // others are due
            int64_t parked_rows, parked_bytes; // of the fleet, as they were counted last
            const struct pause_row *pauses;    // all there are
            size_t pause_count;
        } requeued;
        struct {
            const struct quota_grant *grants; // in the order of the asks
            size_t count;
        } quota;
        struct calibration_rows calibrated; // of the fleet, with what was told
        struct {
            const char *what; // "key" "quota" "pause" "budget" "park"; an unknown one: nothing
        } notice;
    } u;
};

struct store_ops {
    // Grouped by the store: what is asked within 5 ms, or 500 rows, goes in one transaction.
    void (*claim)(void *store, const struct claim_request *request);
    void (*intend)(void *store, const struct intent_request *request);
    void (*record)(void *store, const struct record_request *request);
    void (*look_up)(void *store, struct slot_id owner, int64_t job_no);
    void (*reuse)(void *store, const struct reuse_request *request);
    void (*bury)(void *store, const struct bury_request *request);
    // No answer: written for jobs that wait for more than a second, and with reason NULL to clear.
    void (*waiting)(void *store, int64_t job_no, const char *reason, int64_t earliest_start_ms);
    // No answer.
    void (*announced)(void *store, enum announcement_kind kind, int64_t id);
    // One at a time.
    void (*fetch)(void *store, const struct fetch_request *request);
    void (*keep_text)(void *store, const struct text_row *row);
    void (*seal)(void *store, const struct seal_request *request);
    // No answer: the budgets of this worker's configuration, all of them. Told again now and then,
    // it also finds out whose workers have gone. io/store.h says which of them hold.
    void (*budgets)(void *store, const struct budget *budgets, size_t count);
    void (*partition_begin)(void *store, const char *topic, int32_t partition);
    // No answer.
    void (*partition_clean)(void *store, const char *topic, int32_t partition);
    void (*suspect)(void *store, const char *topic, int32_t partition, int64_t offset);
    // No answer: the first window was read whole, its suspects below `offset` are innocent.
    void (*suspects_clear)(void *store, const char *topic, int32_t partition, int64_t offset);
    void (*renew)(void *store);
    // Announcements that are older than 10 s, at most `limit`.
    void (*sweep)(void *store, size_t limit);
    void (*park)(void *store, const struct park_request *request);
    // Jobs that were parked or reopened and are due; this worker has them for one lease. The answer
    // says what is paused, too.
    void (*take_requeued)(void *store, const struct take_request *request);
    // Takes from the fleet's quota (core/quota.h): one answer for all the asks, each of another key
    // or model.
    void (*quota)(void *store, struct slot_id owner, const struct quota_ask *asks, size_t count);
    // Adds to what the fleet has learned of models, and asks for it.
    void (*calibrate)(void *store, const struct calibrate_request *request);
    // Ends this worker's lease and frees its unfinished claims; the last request there is.
    void (*release)(void *store);
};

// ---------------------------------------------------------------------------------- Kafka

enum broker_start {
    BROKER_START_AT,      // at `offset`
    BROKER_START_GAP,     // at `offset`; where that is gone, at the earliest, committed at once
    BROKER_START_FIRST,   // at the earliest, and commit that at once
    BROKER_START_LAST,    // at the end, and commit that at once
    BROKER_START_STOPPED, // assigned, but nothing is read
};

enum broker_topic { TOPIC_RESULTS, TOPIC_DEAD_LETTERS };

enum broker_event_kind {
    BROKER_OFFERED,   // a partition was assigned; answer with `begin`. offset: committed, or -1
    BROKER_REVOKED,   // also after `lost`; nothing may be stored for it any more
    BROKER_MESSAGE,   // `message`
    BROKER_DELIVERED, // of `produce`: token, ok
    BROKER_STUCK,     // the partition's offset is out of range: nothing is read until it is mended
    BROKER_UP,
    BROKER_DOWN,  // all brokers are unreachable
    BROKER_FATAL, // the client cannot go on: the process has to end. `reason`
};

struct broker_event {
    enum broker_event_kind kind;
    const char *topic;
    int32_t partition;
    int64_t offset;
    bool lost; // of BROKER_REVOKED
    const struct message *message;
    uint64_t token;
    bool ok;
    const char *reason;
};

struct broker_ops {
    void (*begin)(void *broker, const char *topic, int32_t partition, enum broker_start start,
                  int64_t offset);
    // In strict pairs; only for partitions that were begun and not revoked.
    void (*pause)(void *broker, const char *topic, int32_t partition);
    void (*resume)(void *broker, const char *topic, int32_t partition);
    // `next` is the offset to go on from; never lower than before in one assignment.
    void (*store_offset)(void *broker, const char *topic, int32_t partition, int64_t next);
    // False: the producer's queue is full; try again later.
    bool (*produce)(void *broker, enum broker_topic topic, const struct message *message,
                    uint64_t token);
};

// ---------------------------------------------------------------------------------- HTTP

struct http_request {
    struct slot_id owner;
    uint32_t serial; // the owner's count of its calls; comes back with each event
    const struct config_provider *provider;
    const char *url;
    const struct header *headers; // secrets among them; never logged
    size_t header_count;
    const char *body;
    size_t body_len;
};

enum http_event_kind {
    HTTP_SENT,   // the request's last byte was handed over; from here on it may be paid
    HTTP_STATUS, // a status line; a second one follows an interim answer
    HTTP_HEADER,
    HTTP_DATA,
    HTTP_END, // nothing follows. `failure` NULL: the transfer ended as HTTP says it should
};

struct http_event {
    enum http_event_kind kind;
    struct slot_id owner;
    uint32_t serial;
    int status;
    const char *name, *value;
    const char *data;
    size_t data_len;
    // doubtful where the server may have read the request
    const struct failure *failure;
};

struct http_ops {
    void (*start)(void *http, const struct http_request *request);
    // No event follows for this owner and serial.
    void (*cancel)(void *http, struct slot_id owner, uint32_t serial);
};

// ---------------------------------------------------------------------------------- documents
// Turns bytes into text in another process. One event for each start that was not cancelled.

struct extract_request {
    struct slot_id owner;
    const char *media_type; // NULL: by name and first bytes
    const char *name;       // NULL: none
    const char *url;        // file: or https:; NULL: `bytes` are the document
    const char *sha256;     // what the bytes of a url must have; NULL: not told
    const void *bytes;      // NULL where `url` is given
    size_t len;
};

struct extract_event {
    struct slot_id owner;
    // NULL: there is text. Of class input (no_text, too_large, unreadable, forbidden_url ...) or
    // transient (a child cannot be started, https 5xx, a fetch's time-out): it is tried again.
    const struct failure *failure;
    const char *text; // valid UTF-8, no NUL, no BOM, line ends \n; a form feed ends a page
    size_t text_len;
    int32_t pages;               // 0: the format has none
    const char *sha256;          // of the bytes, hex; NULL where nothing was read
    const char *media_type;      // what it turned out to be; NULL with a failure
    const char *extractor;       // name and version of what made the text, e.g. "pdftotext-22.12.0"
    const char *const *warnings; // sentences without document text
    size_t warning_count;
};

struct extract_ops {
    void (*start)(void *extractor, const struct extract_request *request);
    // No event follows for this owner.
    void (*cancel)(void *extractor, struct slot_id owner);
    // What would make the text of such a document: with the SHA-256 the key of the table of
    // extracted texts. The same string as the event's `extractor`; lives as long as the extractor.
    const char *(*version)(void *extractor, const char *media_type, const char *name);
};

// ---------------------------------------------------------------------------------- all of them

struct edges {
    void *store;
    const struct store_ops *store_ops;
    void *broker;
    const struct broker_ops *broker_ops;
    void *http;
    const struct http_ops *http_ops;
    void *extractor;
    const struct extract_ops *extract_ops; // NULL: documents that are not text fail as unreadable
    void *world;
    int64_t (*now_ms)(void *world); // monotonic
    uint64_t (*random)(void *world);
    // A named point that tests may end the process at; does nothing in production.
    void (*at_point)(void *world, const char *name);
};

// Frees what a claim reply's arrays hold.
void claim_reply_deinit(struct claim_reply *reply);
const char *attempt_outcome_name(enum attempt_outcome outcome);
const char *cost_source_name(enum cost_source source);

#endif
