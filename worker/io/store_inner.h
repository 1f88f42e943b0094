// SPDX-License-Identifier: Apache-2.0
// Inside the store: items, kinds, groups, and what the files of the store share. Nobody else
// includes this.
//
// An operation becomes an item (a copy of its request). Items of one kind gather in a group; a
// flush makes units of them; a unit's answer goes back, item by item, as events.
#ifndef PRECIS_IO_STORE_INNER_H
#define PRECIS_IO_STORE_INNER_H

#include "base/list.h"
#include "io/pg_array.h"
#include "io/pg_link.h"
#include "io/store.h"
#include "io/store_sql.h"

struct store_item {
    struct list_node node;
    uint64_t order; // of asking
    size_t bytes;
    void **blocks; // copies that go with the item
    size_t block_count;
    // a kind's own struct goes on after this
};

// The results of a unit's statements, in the order in which they were sent.
struct store_answer {
    PGresult *const *results;
    size_t count;
};

struct store_kind {
    const char *name;
    size_t most; // items of one unit
    bool unique; // items that compare as equal never share a unit; the later one follows
    bool lazy;   // the commit need not reach the disk before the answer
    int (*compare)(const struct store_item *a, const struct store_item *b); // NULL: as asked
    void (*send)(struct store *store, struct store_item **items, size_t count,
                 struct pg_link *link);
    void (*done)(struct store *store, struct store_item **items, size_t count,
                 const struct store_answer *answer);
    // PostgreSQL refuses this one item's data. True: the item was mended and runs again.
    bool (*rejected)(struct store *store, struct store_item *item, const char *sqlstate);
};

// In the order in which a flush goes through them.
enum store_kind_no {
    STORE_KIND_RENEW,
    STORE_KIND_QUOTA,
    STORE_KIND_BUDGETS,
    STORE_KIND_CLAIM,
    STORE_KIND_INTENT,
    STORE_KIND_RECORD,
    STORE_KIND_PARK,
    STORE_KIND_LOOK_UP,
    STORE_KIND_REUSE,
    STORE_KIND_BURY,
    STORE_KIND_FETCH,
    STORE_KIND_KEEP,
    STORE_KIND_SEAL,
    STORE_KIND_BEGIN,
    STORE_KIND_CLEAN,
    STORE_KIND_SUSPECT,
    STORE_KIND_INNOCENT,
    STORE_KIND_WAITING,
    STORE_KIND_ANNOUNCED,
    STORE_KIND_SWEEP,
    STORE_KIND_REQUEUED,
    STORE_KIND_CALIBRATE,
    STORE_KIND_GAUGES,
    STORE_KIND_RETAIN,
    STORE_KIND_RELEASE,
    STORE_KINDS,
};

extern const struct store_kind store_kind_park, store_kind_retain;
// Rows of a gauge's name, label, second label and thousandths, to on_gauge.
void store_gauges_done(struct store *store, struct store_item **items, size_t count,
                       const struct store_answer *answer);
extern const struct store_kind store_kind_renew, store_kind_claim, store_kind_intent,
    store_kind_record, store_kind_look_up, store_kind_bury, store_kind_fetch, store_kind_keep,
    store_kind_seal, store_kind_begin, store_kind_clean, store_kind_suspect, store_kind_innocent,
    store_kind_waiting, store_kind_announced, store_kind_sweep, store_kind_requeued,
    store_kind_release, store_kind_budgets, store_kind_quota, store_kind_reuse, store_kind_gauges,
    store_kind_calibrate;

struct store_group {
    struct list queue;
    size_t bytes;
};

// A partition that this worker reads; `used` once its row says so.
struct store_place {
    char *topic;
    int32_t partition;
    bool used;
};

struct store {
    uv_loop_t *loop;
    struct store_options options; // the strings are owned
    struct pg_link *link;
    struct pg_unit hello;
    char nonce[33];
    int64_t worker_id;
    char unbroken_since[48]; // as PostgreSQL wrote it last; "" before the first
    struct store_group groups[STORE_KINDS];
    struct list units; // every unit that was made and not ended
    uv_timer_t flush_timer;
    uint64_t next_order;
    int64_t next_serial; // of begins, suspects, takings, tellings and asks for quota
    int64_t *held;       // job_no of claims that are ours and have no outcome
    size_t held_len, held_room;
    struct store_place *places;
    size_t place_len;
    bool had_later; // take_requeued has brought a message that waited for a newer worker
    bool closed;
    size_t pending;
};

// ---------------------------------------------------------------- items (store_item.c)

void *store_item_new(struct store *store, size_t size);
void store_item_free(struct store_item *item);
// A copy that goes with the item: valid UTF-8 without NUL, whatever came. NULL stays NULL.
char *store_item_text(void *item, const char *text);
char *store_item_text_len(void *item, const char *text, size_t len);
void *store_item_bytes(void *item, const void *data, size_t len);
// The copy's topic and header names are cleaned; key, value and header values are as they came.
struct message store_item_message(void *item, const struct message *message);
// Header list as JSON: [[name, hex or null], …], for the column `headers`.
char *store_item_headers(void *item, const struct message *message);

// ---------------------------------------------------------------- parameters (store_item.c)

#define STORE_ARGS 28

// The parameters of a statement, in order.
struct store_args {
    struct pg_array arrays[STORE_ARGS];
    char numbers[STORE_ARGS][24];
    const char *values[STORE_ARGS];
    bool is_array[STORE_ARGS];
    size_t len;
};

void store_args_init(struct store_args *args);
void store_args_deinit(struct store_args *args);
void store_args_int(struct store_args *args, int64_t number);
// Borrowed until the statement was run.
void store_args_text(struct store_args *args, const char *text);
struct pg_array *store_args_array(struct store_args *args);
void store_args_run(struct store_args *args, struct pg_link *link, enum store_statement statement);
void store_add_ms(struct pg_array *array, int64_t unix_ms); // 0, -1 and "never" are NULL

// ---------------------------------------------------------------- answers (store_item.c)

int64_t store_int(const PGresult *result, int row, int column);
bool store_bool(const PGresult *result, int row, int column);
// NULL: SQL NULL. The result's.
const char *store_text(const PGresult *result, int row, int column);
void store_copy_sqlstate(char out[6], const char *sqlstate);

// ---------------------------------------------------------------- the store (store.c)

void store_ask(struct store *store, enum store_kind_no kind, void *item);
void store_emit(struct store *store, const struct store_event *event);
void store_hold(struct store *store, int64_t job_no);
void store_let_go(struct store *store, int64_t job_no);

// ---------------------------------------------------------------- announcements (store_letter.c)

// A dead letter as a message, made from the columns of LETTER_COLUMNS at `column`.
struct store_letter {
    struct announcement announcement;
    struct header *headers;
    void *root;          // the JSON that header names live in
    unsigned char *data; // key, value and header values
    char numbers[5][32];
    char job[620], stored[48];
};

bool store_letter_init(struct store_letter *letter, const PGresult *result, int row, int column);
void store_letter_deinit(struct store_letter *letter);
// A bytea column ("\\x…") decoded into `*data`, which moves on. NULL stays NULL.
const void *store_take_bytea(const char *text, unsigned char **data, size_t *out_len);
struct announcement store_result_message(const PGresult *result, int row, int column);

// ---------------------------------------------------------------- operations, a file each

void store_claim(void *store, const struct claim_request *request);
void store_intend(void *store, const struct intent_request *request);
void store_record(void *store, const struct record_request *request);
void store_look_up(void *store, struct slot_id owner, int64_t job_no);
// "cancelled", "superseded" or NULL.
enum job_stop store_stop_of(const char *name);
void store_reuse(void *store, const struct reuse_request *request);
void store_bury(void *store, const struct bury_request *request);
void store_waiting(void *store, int64_t job_no, const char *reason, int64_t earliest_start_ms);
void store_announced(void *store, enum announcement_kind kind, int64_t id);
void store_fetch(void *store, const struct fetch_request *request);
void store_keep_text(void *store, const struct text_row *row);
void store_seal(void *store, const struct seal_request *request);
void store_budgets(void *store, const struct budget *budgets, size_t count);
void store_partition_begin(void *store, const char *topic, int32_t partition);
void store_partition_clean(void *store, const char *topic, int32_t partition);
void store_suspect(void *store, const char *topic, int32_t partition, int64_t offset);
void store_suspects_clear(void *store, const char *topic, int32_t partition, int64_t offset);
void store_renew(void *store);
void store_sweep(void *store, size_t limit);
void store_quota(void *store, struct slot_id owner, const struct quota_ask *asks, size_t count);
void store_calibrate(void *store, const struct calibrate_request *request);
void store_park(void *store, const struct park_request *request);
void store_take_requeued(void *store, const struct take_request *request);
// A copy whose strings go with the item.
struct park_place store_item_place(void *item, const struct park_place *place);
void store_release(void *store);

// Marks the partition as used where it is not known to be: appends the statement (store_place.c).
struct store_use {
    const char *topic;
    int32_t partition;
};
bool store_use_send(struct store *store, const struct store_use *uses, size_t count,
                    struct pg_link *link);
void store_use_done(struct store *store, const struct store_use *uses, size_t count);

// What an intent's answer says of the budget that refuses it, from `column` on (store_budget.c).
void store_budget_refusal(const PGresult *read, int row, int column, struct budget_refusal *out);

#endif
