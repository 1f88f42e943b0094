// SPDX-License-Identifier: Apache-2.0
// The store's life, its groups and its units.
//
//   operation ──▶ item ──▶ group ─(2 ms, or full)─▶ unit ──▶ link ──▶ done: events
//                            ▲                        ▲        │
//                            │ link down or full:     └─ halves ┘ refused for its data
//                            └ items go on gathering
#include "io/store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/check.h"
#include "base/own.h"
#include "io/store_inner.h"

enum { GROUP_MS = 2, GROUP_BYTES = 4 << 20 };

struct store_unit {
    struct pg_unit unit;
    struct list_node node; // of store->units
    struct store *store;
    const struct store_kind *kind;
    struct store_item **items;
    size_t count;
};

static const struct store_kind *const kinds[STORE_KINDS] = {
    [STORE_KIND_RENEW] = &store_kind_renew,         [STORE_KIND_CLAIM] = &store_kind_claim,
    [STORE_KIND_INTENT] = &store_kind_intent,       [STORE_KIND_RECORD] = &store_kind_record,
    [STORE_KIND_LOOK_UP] = &store_kind_look_up,     [STORE_KIND_BURY] = &store_kind_bury,
    [STORE_KIND_FETCH] = &store_kind_fetch,         [STORE_KIND_KEEP] = &store_kind_keep,
    [STORE_KIND_SEAL] = &store_kind_seal,           [STORE_KIND_BEGIN] = &store_kind_begin,
    [STORE_KIND_CLEAN] = &store_kind_clean,         [STORE_KIND_SUSPECT] = &store_kind_suspect,
    [STORE_KIND_INNOCENT] = &store_kind_innocent,   [STORE_KIND_WAITING] = &store_kind_waiting,
    [STORE_KIND_ANNOUNCED] = &store_kind_announced, [STORE_KIND_SWEEP] = &store_kind_sweep,
    [STORE_KIND_REQUEUED] = &store_kind_requeued,   [STORE_KIND_RELEASE] = &store_kind_release,
    [STORE_KIND_BUDGETS] = &store_kind_budgets,     [STORE_KIND_QUOTA] = &store_kind_quota,
    [STORE_KIND_GAUGES] = &store_kind_gauges,       [STORE_KIND_PARK] = &store_kind_park,
    [STORE_KIND_REUSE] = &store_kind_reuse,         [STORE_KIND_RETAIN] = &store_kind_retain,
    [STORE_KIND_CALIBRATE] = &store_kind_calibrate,
};

static void flush(struct store *store);

// ------------------------------------------------------------------------------- units

static struct store_unit *unit_of(struct pg_unit *unit)
{
    return list_item(unit, struct store_unit, unit);
}

static void send_unit(struct pg_unit *pg_unit, struct pg_link *link)
{
    struct store_unit *unit = unit_of(pg_unit);
    if (unit->kind->lazy)
        pg_link_run_lazily(link);
    unit->kind->send(unit->store, unit->items, unit->count, link);
}

static void free_unit(struct store_unit *unit)
{
    list_remove(&unit->node);
    free(unit->items);
    free(unit);
}

static void free_items(struct store_unit *unit)
{
    for (size_t i = 0; i < unit->count; i++)
        store_item_free(unit->items[i]);
    unit->store->pending -= unit->count;
    unit->count = 0;
}

static void unit_done(struct pg_unit *pg_unit, PGresult *const *results, size_t count)
{
    struct store_unit *unit = unit_of(pg_unit);
    struct store *store = unit->store;
    size_t lazy = unit->kind->lazy ? 1 : 0; // the statement that made it so
    struct store_answer answer = {results + lazy, count - lazy};
    unit->kind->done(store, unit->items, unit->count, &answer);
    free_items(unit);
    free_unit(unit);
    flush(store);
}

static void unit_failed(struct pg_unit *pg_unit, const struct pg_error *error);

static const struct pg_unit_ops unit_ops = {
    .send = send_unit, .done = unit_done, .failed = unit_failed};

static struct store_unit *new_unit(struct store *store, const struct store_kind *kind,
                                   struct store_item *const *items, size_t count)
{
    struct store_unit *unit = own_alloc(sizeof(*unit));
    unit->unit.ops = &unit_ops;
    unit->store = store;
    unit->kind = kind;
    unit->items = own_array(count, sizeof(struct store_item *));
    unit->count = count;
    for (size_t i = 0; i < count; i++) {
        unit->items[i] = items[i];
        unit->unit.bytes += items[i]->bytes;
    }
    list_append(&store->units, &unit->node);
    return unit;
}

static void reject_single(struct store_unit *unit, const struct pg_error *error)
{
    struct store *store = unit->store;
    struct store_item *item = unit->items[0];
    log_event(store->options.log, LOG_LEVEL_ERROR, "store_rejected",
              LOG_TEXT("operation", unit->kind->name), LOG_TEXT("reason", error->text));
    if (unit->kind->rejected && unit->kind->rejected(store, item, error->sqlstate)) {
        struct store_unit *mended = new_unit(store, unit->kind, &item, 1);
        free_unit(unit);
        pg_link_push_first(store->link, &mended->unit);
        return;
    }
    free_items(unit);
    free_unit(unit);
}

// Halves, until the row that PostgreSQL refuses stands alone.
static void unit_failed(struct pg_unit *pg_unit, const struct pg_error *error)
{
    struct store_unit *unit = unit_of(pg_unit);
    struct store *store = unit->store;
    if (unit->count == 1) {
        reject_single(unit, error);
        return;
    }
    size_t half = unit->count / 2;
    struct store_unit *left = new_unit(store, unit->kind, unit->items, half);
    struct store_unit *right = new_unit(store, unit->kind, unit->items + half, unit->count - half);
    free_unit(unit);
    pg_link_push_first(store->link, &right->unit);
    pg_link_push_first(store->link, &left->unit);
}

// ------------------------------------------------------------------------------- groups

// By the kind's key, then as asked; kinds without a key keep the order of asking.
static int compare_items(const void *a, const void *b, void *kind_pointer)
{
    const struct store_item *const *left = a, *const *right = b;
    const struct store_kind *kind = kind_pointer;
    int order = kind->compare ? kind->compare(*left, *right) : 0;
    if (order == 0)
        order = (*left)->order < (*right)->order ? -1 : (*left)->order > (*right)->order;
    return order;
}

// Of each run of equal items all but the first go back to the front of the queue.
static size_t put_equals_back(const struct store_kind *kind, struct store_group *group,
                              struct store_item **items, size_t count)
{
    size_t behind = group->queue.len, kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && kind->compare(items[kept - 1], items[i]) == 0) {
            list_append(&group->queue, &items[i]->node);
            group->bytes += items[i]->bytes;
        } else {
            items[kept++] = items[i];
        }
    }
    for (; kept < count && behind > 0; behind--) {
        struct list_node *node = list_first(&group->queue);
        list_remove(node);
        list_append(&group->queue, node);
    }
    return kept;
}

static void make_unit(struct store *store, const struct store_kind *kind, struct store_group *group)
{
    struct store_item *items[500];
    size_t count = 0, bytes = 0;
    struct list_node *node;
    CHECK(kind->most <= sizeof(items) / sizeof(items[0]));
    while (count < kind->most && (node = list_first(&group->queue)) != NULL) {
        struct store_item *item = list_item(node, struct store_item, node);
        if (count > 0 && bytes + item->bytes > GROUP_BYTES)
            break;
        list_remove(node);
        group->bytes -= item->bytes;
        bytes += item->bytes;
        items[count++] = item;
    }
    qsort_r(items, count, sizeof(items[0]), compare_items, (void *)(uintptr_t)kind);
    if (kind->unique)
        count = put_equals_back(kind, group, items, count);
    struct store_unit *unit = new_unit(store, kind, items, count);
    pg_link_push(store->link, &unit->unit);
}

// While the link is down or has enough to do, items go on gathering.
static void flush(struct store *store)
{
    if (store->closed)
        return;
    for (size_t i = 0; i < STORE_KINDS; i++) {
        struct store_group *group = &store->groups[i];
        while (group->queue.len > 0 && pg_link_is_up(store->link) &&
               pg_link_load(store->link) < PG_LINK_UNITS)
            make_unit(store, kinds[i], group);
    }
}

static void on_flush(uv_timer_t *timer)
{
    flush(timer->data);
}

void store_ask(struct store *store, enum store_kind_no kind, void *item_of_kind)
{
    struct store_item *item = item_of_kind;
    struct store_group *group = &store->groups[kind];
    list_append(&group->queue, &item->node);
    group->bytes += item->bytes;
    store->pending++;
    bool full = group->queue.len >= kinds[kind]->most || group->bytes >= GROUP_BYTES;
    if (full && kinds[kind]->most > 1)
        uv_timer_start(&store->flush_timer, on_flush, 0, 0);
    else if (!uv_is_active((uv_handle_t *)&store->flush_timer))
        uv_timer_start(&store->flush_timer, on_flush, GROUP_MS, 0);
}

void store_emit(struct store *store, const struct store_event *event)
{
    if (!store->closed)
        store->options.on_event(store->options.context, event);
}

// ------------------------------------------------------------------------------- claims held

void store_hold(struct store *store, int64_t job_no)
{
    for (size_t i = 0; i < store->held_len; i++) {
        if (store->held[i] == job_no)
            return;
    }
    if (store->held_len == store->held_room) {
        store->held_room = store->held_room ? store->held_room * 2 : 256;
        store->held = own_grow(store->held, store->held_room, sizeof(*store->held));
    }
    store->held[store->held_len++] = job_no;
}

void store_let_go(struct store *store, int64_t job_no)
{
    for (size_t i = 0; i < store->held_len; i++) {
        if (store->held[i] == job_no) {
            store->held[i] = store->held[--store->held_len];
            return;
        }
    }
}

// ------------------------------------------------------------------------------- connection

static void send_hello(struct pg_unit *unit, struct pg_link *link)
{
    struct store *store = list_item(unit, struct store, hello);
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    struct store_args args;
    store_args_init(&args);
    store_args_text(&args, store->nonce);
    store_args_text(&args, store->options.worker);
    store_args_text(&args, host);
    store_args_int(&args, getpid());
    store_args_text(&args, PRECIS_VERSION);
    store_args_text(&args, store->options.group);
    store_args_text(&args, store->options.http_listen);
    store_args_int(&args, store->options.lease_ms);
    store_args_run(&args, link, STORE_SQL_hello);
    store_args_deinit(&args);
}

// A row that is there already keeps its lease: whether that has ended is for `renew` to find out.
static void hello_done(struct pg_unit *unit, PGresult *const *results, size_t count)
{
    struct store *store = list_item(unit, struct store, hello);
    CHECK(count == 1 && PQntuples(results[0]) == 1);
    store->worker_id = store_int(results[0], 0, 0);
    if (store->unbroken_since[0] == '\0')
        snprintf(store->unbroken_since, sizeof(store->unbroken_since), "%s",
                 store_text(results[0], 0, 1));
}

static const struct pg_unit_ops hello_ops = {.send = send_hello, .done = hello_done};

static void on_up(void *context)
{
    struct store *store = context;
    store_emit(store, &(struct store_event){.kind = STORE_UP});
    flush(store);
}

static void on_down(void *context)
{
    store_emit(context, &(struct store_event){.kind = STORE_DOWN});
}

static void on_refused(void *context, const char *text)
{
    struct store *store = context;
    if (!store->closed)
        store->options.on_refused(store->options.context, text);
}

static void on_notice(void *context, const char *what)
{
    struct store_event event = {.kind = STORE_NOTICE};
    event.u.notice.what = what;
    store_emit(context, &event);
}

static void make_nonce(char out[33])
{
    unsigned char bytes[16];
    CHECK(getrandom(bytes, sizeof(bytes), 0) == sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void copy_options(struct store *store, const struct store_options *options)
{
    store->options = *options;
    store->options.database = own_strdup(options->database);
    store->options.worker = own_strdup(options->worker);
    store->options.group = own_strdup(options->group);
    store->options.http_listen = own_strdup(options->http_listen);
    if (options->lease_ms == 0)
        store->options.lease_ms = STORE_LEASE_MS;
    if (options->message_version == 0)
        store->options.message_version = STORE_MESSAGE_VERSION;
}

static struct pg_link *make_link(struct store *store)
{
    struct pg_link_options options = {
        .loop = store->loop,
        .conninfo = store->options.database,
        .name = store->options.worker,
        .statements = store_statements,
        .statement_count = STORE_SQL_COUNT,
        .hello = &store->hello,
        .up = on_up,
        .down = on_down,
        .refused = on_refused,
        .channel = "precis",
        .notice = on_notice,
        .context = store,
        .log = store->options.log,
    };
    return pg_link_new(&options);
}

struct store *store_new(uv_loop_t *loop, const struct store_options *options)
{
    struct store *store = own_alloc(sizeof(*store));
    store->loop = loop;
    store->hello.ops = &hello_ops;
    copy_options(store, options);
    make_nonce(store->nonce);
    list_init(&store->units);
    for (size_t i = 0; i < STORE_KINDS; i++)
        list_init(&store->groups[i].queue);
    uv_timer_init(loop, &store->flush_timer);
    store->flush_timer.data = store;
    store->link = make_link(store);
    return store;
}

static void free_queues(struct store *store)
{
    struct list_node *node;
    while ((node = list_first(&store->units)) != NULL) {
        struct store_unit *unit = list_item(node, struct store_unit, node);
        free_items(unit);
        free_unit(unit);
    }
    for (size_t i = 0; i < STORE_KINDS; i++) {
        while ((node = list_first(&store->groups[i].queue)) != NULL) {
            list_remove(node);
            store_item_free(list_item(node, struct store_item, node));
        }
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct store *store = handle->data;
    free_queues(store);
    for (size_t i = 0; i < store->place_len; i++)
        free(store->places[i].topic);
    free(store->places);
    free(store->held);
    free((char *)(uintptr_t)store->options.database);
    free((char *)(uintptr_t)store->options.worker);
    free((char *)(uintptr_t)store->options.group);
    free((char *)(uintptr_t)store->options.http_listen);
    free(store);
}

void store_free(struct store *store)
{
    if (store == NULL || store->closed)
        return;
    store->closed = true;
    pg_link_free(store->link);
    uv_close((uv_handle_t *)&store->flush_timer, on_closed);
}

int64_t store_worker_id(const struct store *store)
{
    return store->worker_id;
}

size_t store_pending(const struct store *store)
{
    return store->pending;
}

const struct store_ops *store_ops_pg(void)
{
    static const struct store_ops ops = {
        .claim = store_claim,
        .intend = store_intend,
        .record = store_record,
        .look_up = store_look_up,
        .reuse = store_reuse,
        .bury = store_bury,
        .waiting = store_waiting,
        .announced = store_announced,
        .fetch = store_fetch,
        .keep_text = store_keep_text,
        .seal = store_seal,
        .budgets = store_budgets,
        .partition_begin = store_partition_begin,
        .partition_clean = store_partition_clean,
        .suspect = store_suspect,
        .suspects_clear = store_suspects_clear,
        .renew = store_renew,
        .sweep = store_sweep,
        .park = store_park,
        .take_requeued = store_take_requeued,
        .quota = store_quota,
        .calibrate = store_calibrate,
        .release = store_release,
    };
    return &ops;
}
