// SPDX-License-Identifier: Apache-2.0
// A model of what PostgreSQL holds for precis, and of what each unit of the store does to it. The
// semantics are those of io/store.h; the differential test holds this model against the real one.
// Each function is one transaction: it happens whole or not at all.
#ifndef PRECIS_SIM_DB_H
#define PRECIS_SIM_DB_H

#include "core/seams.h"

// Protections that a test may switch off, to see that their absence is found.
struct db_switches {
    bool no_fence;         // epochs are not looked at
    bool no_write_ahead;   // intents leave no row
    bool no_idempotence;   // an outcome is stored although one is there
    bool no_wall;          // budgets refuse nothing
    bool no_single_flight; // intents do not ask who leads
    bool no_stop;          // nor whether the job was cancelled
};

struct db_job {
    int64_t job_no; // index + 1
    char *tenant, *batch, *id;
    int64_t revision;
    unsigned char content_hash[32];
    char *spec_json;
    char document_sha256[65]; // "" not known
    int32_t partition;
    int64_t offset;
    // its claim
    int64_t worker; // 0: none
    int64_t serial;
    int32_t epoch, crashes;
    enum job_stop stop;
    int64_t stopped_ms; // when
    bool cut;           // its call under way, too
    bool twin;
    // its row among the requeued ones
    bool requeued, ready, fails, was_parked;
    int64_t requeued_by, requeued_serial;
    int64_t due_ms; // unix; INT64_MAX: never by itself
    int urgency;    // 9 - priority; -1: it is only to be ended
    char reason[16], *after_batch;
    int64_t tokens; // 0: not known
    int priority;
    int64_t deadline_ms; // unix; INT64_MAX: none
    // its outcome
    int outcomes; // that were stored
    enum job_state state;
    int32_t outcome_epoch;
    int64_t outcome_worker;
    int64_t copied_from; // 0: its own answer
};

struct db_attempt {
    int64_t job_no;
    int32_t plan_no, call_no, attempt_no, epoch;
    int64_t worker;
    enum attempt_outcome outcome;
    char *code, *answer;
    char *provider, *key_name;
    int64_t sent_at_ms;
    char *pack; // NULL: its request was not shared
    int64_t cost_picousd, at_most_picousd;
    enum cost_source source;
};

struct db_plan {
    int64_t job_no;
    struct saved_plan plan;
    bool has_key; // a plan after the first, of a job that may have twins
    unsigned char answer_key[ANSWER_KEY_BYTES];
};

struct db_part {
    int64_t job_no;
    int32_t plan_no, call_no;
    char *answer;
};

struct db_batch { // that was sealed
    char *tenant, *name;
    int64_t total;
    bool ended;
};

struct db_pause {
    char *scope, *name;
};

struct db_letter { // a dead letter, an outbox row or a message for later
    int64_t id;
    enum announcement_kind kind;
    int64_t job_no; // 0: of no job
    bool later;
    char *key, *value, *code;
    int32_t partition; // -1: of a job
    int64_t offset;
    bool announced;
    int64_t at_ms;
};

struct db_answer {
    unsigned char key[ANSWER_KEY_BYTES];
    int64_t job_no; // who leads
    int64_t begun_ms;
};

struct db_worker {
    int64_t lease_until_ms, unbroken_since_ms;
    bool ended;
    int64_t calibrated; // serial of its last telling
};

struct db_calibration {
    char *provider, *model;
    int32_t subject;
    struct calibration learned;
    int64_t at_ms;
};

struct db_partition {
    char *topic;
    int32_t partition;
    int64_t worker;
    bool clean;
};

struct db_suspect {
    char *topic;
    int32_t partition;
    int64_t offset;
    int32_t times;
};

struct db_document {
    char sha256[65];
    char *text, *bytes; // the one or the other
    size_t len;
    char *media_type;
};

struct db_text { // that an extractor made
    char sha256[65];
    char *extractor, *text, *media_type;
    int32_t pages;
    char **warnings;
    size_t warning_count;
};

struct db_listener { // a connection that listens
    void *context;
    void (*on_notice)(void *context, const char *what);
};

#define DB_LIST(type, name)                                                                        \
    struct type *name;                                                                             \
    size_t name##_count

struct db {
    struct db_switches switches;
    int64_t started_ms; // of the server
    int64_t unix_ms;    // of the clock's 0
    DB_LIST(db_job, jobs);
    DB_LIST(db_attempt, attempts);
    DB_LIST(db_plan, plans);
    DB_LIST(db_part, parts);
    DB_LIST(db_letter, letters);
    DB_LIST(db_worker, workers);
    DB_LIST(db_partition, partitions);
    DB_LIST(db_suspect, suspects);
    DB_LIST(db_document, documents);
    DB_LIST(db_text, texts);
    DB_LIST(db_batch, batches);
    DB_LIST(db_pause, pauses);
    DB_LIST(db_listener, listeners);
    struct quota_fleet *quota;
    DB_LIST(budget, budgets); // the names are the database's
    DB_LIST(db_calibration, calibrations);
    DB_LIST(db_answer, answers);
    bool cancelled; // the batch of all jobs: those that are still to come, too
};

#define DB_LEASE_MS 15000

struct db_asker { // of quota and calibrations
    int64_t worker, serial;
    int64_t now_ms;   // the model's, for leases
    int64_t now_us;   // unix
    const void *from; // its connection
};

void db_init(struct db *db, int64_t now_ms);
void db_deinit(struct db *db);
// Returns the worker's number; its lease runs from now.
int64_t db_register(struct db *db, int64_t now_ms);
// As text, or as bytes where `text` is NULL.
void db_add_document(struct db *db, const char *sha256, const char *text, const void *bytes,
                     size_t len, const char *media_type);

// What of a job message the claim keeps.
struct db_claim {
    const char *tenant, *batch, *id;
    int64_t revision;
    const unsigned char *content_hash;
    const char *spec_json, *document_sha256, *media_type;
    const char *document_text, *document_bytes; // both NULL: none to store
    size_t bytes_len;
    int64_t serial;
    int32_t partition;
    int64_t offset;
    int priority;
    int64_t deadline_ms;
    bool is_read;                    // from Kafka
    const struct park_place *park;   // NULL: it is to run now
    const unsigned char *answer_key; // NULL: none
};

// The reply's arrays are the caller's.
void db_claim(struct db *db, int64_t worker, int64_t now_ms, const struct db_claim *claim,
              struct claim_reply *out);
// *out_refusal is filled with INTENT_BUDGET.
enum intent_verdict db_intend(struct db *db, int64_t worker, int64_t now_ms,
                              const struct intent_request *request, enum job_stop *out_stop,
                              struct budget_refusal *out_refusal);
// A budget that is set, or raised; a limit of -1 is none. Who is parked for money looks again.
void db_set_budget(struct db *db, const struct budget *budget, int64_t now_ms);
// What the attempts of the budget's scope have cost, or may have, in the period of that moment;
// `reserved` is the part of it that is under way.
int64_t db_budget_used(const struct db *db, const struct budget *budget, int64_t now_ms,
                       int64_t *out_reserved);
// Announcements: ids of the letters it made, at most 2.
enum record_verdict db_record(struct db *db, int64_t worker, int64_t now_ms,
                              const struct record_request *request, int64_t *out_letters,
                              size_t *out_count);
// Announcement: the id of the letter that has to be announced; 0: none.
enum reuse_verdict db_reuse(struct db *db, int64_t worker, int64_t now_ms,
                            const struct reuse_request *request, enum job_stop *out_stop,
                            int64_t *out_letter);
// Of a job without an outcome.
enum job_stop db_stop(const struct db *db, int64_t job_no);
enum lookup_verdict db_look_up(const struct db *db, int64_t worker, int64_t now_ms, int64_t job_no);
// The id of its letter; 0 where it was there already, or is for later.
int64_t db_bury(struct db *db, int64_t now_ms, const struct bury_request *request);
void db_partition_begin(struct db *db, int64_t worker, const char *topic, int32_t partition,
                        struct partition_reply *out);
void db_partition_clean(struct db *db, int64_t worker, const char *topic, int32_t partition);
int32_t db_suspect(struct db *db, const char *topic, int32_t partition, int64_t offset);
void db_suspects_clear(struct db *db, const char *topic, int32_t partition, int64_t below);
// True: the lease had ended.
bool db_renew(struct db *db, int64_t worker, int64_t now_ms);
void db_release(struct db *db, int64_t worker);
void db_announced(struct db *db, int64_t id);
// Fills u.fetched; what it points to is the database's.
void db_fetch(const struct db *db, const struct fetch_request *request, struct store_event *out);
void db_keep_text(struct db *db, int64_t worker, const struct text_row *row);
// The clock of what is due.
int64_t db_unix_ms(int64_t now_ms);
void db_place(const struct db *db, struct db_job *job, const struct park_place *place,
              int64_t now_ms);
enum park_verdict db_park(struct db *db, int64_t worker, int64_t now_ms,
                          const struct park_request *request);
// Jobs to run again: their numbers into `out`, which has room for the request's limit. `serial` is
// the request's: one that is applied again finds what it took.
size_t db_take_requeued(struct db *db, const struct take_request *request, int64_t worker,
                        int64_t serial, int64_t now_ms, int64_t *out);
// Whether more are due than were taken, and how many rows there are.
bool db_more_due(const struct db *db, int64_t *out_rows, int64_t *out_bytes);
void db_seal(struct db *db, const char *tenant, const char *batch, int64_t total);
// As a command does; a job without a worker is due at once.
void db_stop_job(struct db_job *job, enum job_stop stop, int64_t now_ms);
void db_pause(struct db *db, const char *scope, const char *name);
void db_resume(struct db *db, const char *scope, const char *name, int64_t now_ms);

bool db_has_lease(const struct db *db, int64_t worker, int64_t now_ms);
// One answer for each ask, into `out`. `now_us`: unix.
void db_quota(struct db *db, const struct db_asker *asker, const struct quota_ask *asks,
              size_t count, struct quota_grant *out);
// The rows asked for; the caller frees them, but not their names.
struct calibration_row *db_calibrate(struct db *db, const struct db_asker *asker,
                                     const struct calibrate_request *request, size_t *out_count);
void db_calibrate_deinit(struct db *db);
// `precis quota set`.
void db_quota_set(struct db *db, const struct quota_ask *lane, enum quota_dimension dimension,
                  int64_t most);
void db_listen(struct db *db, void *context, void (*on_notice)(void *context, const char *what));
void db_unlisten(struct db *db, const void *context);
// `precis cancel`: the jobs of an id, or with NULL the batch; `cut`: --running stop. How many calls
// under way it cuts.
size_t db_cancel(struct db *db, const char *id, bool cut, int64_t now_ms);
// Whether the job's call under way is to be cut.
bool db_is_cut(const struct db *db, int64_t job_no);
// pg_notify: all who listen, but for `from`.
void db_notify(struct db *db, const void *from, const char *what);

// Whether it has an attempt that is sent, ok or in doubt.
bool db_has_paid(const struct db *db, int64_t job_no);
struct db_job *db_find_job(const struct db *db, const char *tenant, const char *batch,
                           const char *id, int64_t revision);
struct db_letter *db_find_letter(const struct db *db, int64_t id);

#endif
