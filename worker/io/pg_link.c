// SPDX-License-Identifier: Apache-2.0
// The pipelined connection.
//
//            push                      pump                        Sync answered
//   owner ─────────▶ waiting ────────────────────▶ sent ─────────────────────────▶ owner (done)
//                     ▲   ▲                          │  │
//                     │   └── 50 ms ── later ◀───────┘  │   lock, deadlock, timeout
//                     └─────────────────────────────────┘   connection lost
//
// The three units of a new connection (session and schema, prepare, hello) go through the same
// machinery: each waits for the one before it, and `waiting` is not touched before the last.
#include "io/pg_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "io/migrate.h"
#include "io/pg_connect.h"
#include "io/pg_error.h"
#include "io/pg_params.h"
#include "io/pg_watch.h"

enum {
    CONNECT_MS = 10000,
    BACKOFF_FIRST_MS = 20,
    BACKOFF_MOST_MS = 2000,
    LATER_MS = 50,
    SILENCE_MS = 45000, // longer than statement_timeout: no answer for so long is a dead server
    INTERNAL_FAULTS = 3,
};

enum link_state { LINK_DOWN, LINK_SETTING_UP, LINK_UP, LINK_REFUSED, LINK_CLOSED };

struct pg_link {
    struct pg_link_options options;
    char *conninfo, *name;
    enum link_state state;
    struct pg_connect *connect;
    PGconn *connection;
    struct pg_watch *watch;
    uv_timer_t retry, later_timer, silence, kick;
    int closing;
    struct list waiting, sent, later;
    size_t sent_bytes;
    struct pg_unit session, prepare;
    size_t steps; // statements of the unit that is being sent
    PGresult *results[PG_UNIT_STEPS];
    size_t result_count;
    bool failed; // the unit that is being answered
    struct pg_error error;
    int64_t heard_at_ms;
    int64_t backoff_ms;
    bool sent_any; // since the last pump
    bool reading;  // inside the handling of answers: nothing is sent before its end
    bool must_end; // the connection is to be dropped after the answers at hand
    bool told_why; // of must_end: the reason is in the log already
    char told[sizeof(((struct pg_error *)0)->text)]; // the last text that was logged
};

static void pump(struct pg_link *link);
static void on_kick(uv_timer_t *timer);
static void refuse(struct pg_link *link, enum migrate_verdict verdict);
static void lose(struct pg_link *link, const char *text);

static struct pg_link *link_of_session(struct pg_unit *unit)
{
    return list_item(unit, struct pg_link, session);
}

static struct pg_link *link_of_prepare(struct pg_unit *unit)
{
    return list_item(unit, struct pg_link, prepare);
}

static bool is_setup(const struct pg_link *link, const struct pg_unit *unit)
{
    return unit == &link->session || unit == &link->prepare || unit == link->options.hello;
}

static void tell(struct pg_link *link, const char *event, const char *text)
{
    if (strcmp(link->told, text) == 0)
        return;
    snprintf(link->told, sizeof(link->told), "%s", text);
    log_event(link->options.log, LOG_LEVEL_WARN, event, LOG_TEXT("reason", text));
}

// ------------------------------------------------------------------------------- sending

static void send_unit(struct pg_link *link, struct pg_unit *unit)
{
    link->steps = 0;
    link->sent_any = true;
    unit->ops->send(unit, link);
    CHECK(link->steps > 0);
    unit->sent_at_ms = (int64_t)uv_now(link->options.loop);
    if (link->sent.len == 0)
        link->heard_at_ms = unit->sent_at_ms;
    list_append(&link->sent, &unit->node);
    link->sent_bytes += unit->bytes;
    if (PQpipelineSync(link->connection) != 1)
        link->must_end = true;
}

static void count_step(struct pg_link *link, int sent)
{
    CHECK(link->steps < PG_UNIT_STEPS);
    link->steps++;
    if (sent != 1)
        link->must_end = true;
}

void pg_link_run(struct pg_link *link, size_t statement, const char *const *values, size_t count)
{
    CHECK(statement < link->options.statement_count);
    count_step(link, PQsendQueryPrepared(link->connection, link->options.statements[statement].name,
                                         (int)count, values, NULL, NULL,
                                         link->options.statements[statement].binary ? 1 : 0));
}

static void run_text(struct pg_link *link, const char *sql)
{
    count_step(link, PQsendQueryParams(link->connection, sql, 0, NULL, NULL, NULL, NULL, 0));
}

void pg_link_run_lazily(struct pg_link *link)
{
    // SET LOCAL would warn: a pipeline's transaction has no block.
    run_text(link, "select set_config('synchronous_commit', 'off', true)");
}

static bool has_room(const struct pg_link *link, const struct pg_unit *next)
{
    if (link->sent.len == 0)
        return true;
    return link->sent.len < PG_LINK_UNITS && link->sent_bytes + next->bytes <= PG_LINK_BYTES;
}

// Sends what can be sent. libpq buffers what the socket does not take; while it holds any, both
// directions are watched, else the server could wait for us to read and we for it. A send that
// finds the socket full reads as well: answers may then lie in libpq's buffer that the socket will
// never announce, so they are looked for here (`kick`, since nobody is answered from a push).
static void pump(struct pg_link *link)
{
    if (link->reading || link->connection == NULL)
        return;
    while (link->state == LINK_UP && !link->must_end) {
        struct list_node *node = list_first(&link->waiting);
        if (node == NULL || !has_room(link, list_item(node, struct pg_unit, node)))
            break;
        list_remove(node);
        send_unit(link, list_item(node, struct pg_unit, node));
    }
    int left = PQflush(link->connection);
    if (left < 0 || link->must_end || PQstatus(link->connection) != CONNECTION_OK)
        lose(link, link->told_why ? NULL : "the connection broke");
    else
        pg_watch_set(link->watch, true, left > 0);
    if (link->connection && link->sent_any && !PQisBusy(link->connection))
        uv_timer_start(&link->kick, on_kick, 0, 0);
    link->sent_any = false;
}

void pg_link_push(struct pg_link *link, struct pg_unit *unit)
{
    list_append(&link->waiting, &unit->node);
    pump(link);
}

// The first `count` items go to the end, in their order.
static void rotate(struct list *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct list_node *node = list_first(list);
        list_remove(node);
        list_append(list, node);
    }
}

static void put_first(struct list *list, struct pg_unit *unit)
{
    list_append(list, &unit->node);
    rotate(list, list->len - 1);
}

// Everything of `from`, in its order, before everything of `to`.
static void put_all_first(struct list *from, struct list *to)
{
    size_t behind = to->len;
    struct list_node *node;
    while ((node = list_first(from)) != NULL) {
        list_remove(node);
        list_append(to, node);
    }
    rotate(to, behind);
}

void pg_link_push_first(struct pg_link *link, struct pg_unit *unit)
{
    put_first(&link->waiting, unit);
    pump(link);
}

// ------------------------------------------------------------------------------- answers

static void forget_results(struct pg_link *link)
{
    for (size_t i = 0; i < link->result_count; i++)
        PQclear(link->results[i]);
    link->result_count = 0;
    link->failed = false;
}

static void on_later(uv_timer_t *timer)
{
    struct pg_link *link = timer->data;
    put_all_first(&link->later, &link->waiting);
    pump(link);
}

static void run_later(struct pg_link *link, struct pg_unit *unit)
{
    list_append(&link->later, &unit->node);
    if (!uv_is_active((uv_handle_t *)&link->later_timer))
        uv_timer_start(&link->later_timer, on_later, LATER_MS, 0);
}

static bool is_schema_missing(const char *sqlstate)
{
    return strcmp(sqlstate, "42P01") == 0 || strcmp(sqlstate, "3F000") == 0;
}

static void end_failed(struct pg_link *link, struct pg_unit *unit)
{
    if (unit == &link->session && is_schema_missing(link->error.sqlstate)) {
        refuse(link, MIGRATE_TOO_OLD);
        return;
    }
    enum pg_class class = pg_error_class(link->error.sqlstate);
    if (is_setup(link, unit))
        class = PG_CLASS_RECONNECT;
    else if (strncmp(link->error.sqlstate, "XX", 2) == 0 && ++unit->faults >= INTERNAL_FAULTS)
        class = PG_CLASS_DATA;
    switch (class) {
    case PG_CLASS_DATA:
        unit->ops->failed(unit, &link->error);
        break;
    case PG_CLASS_AGAIN:
        run_later(link, unit);
        break;
    case PG_CLASS_RECONNECT:
        tell(link, "store_failed", link->error.text);
        if (!is_setup(link, unit))
            put_first(&link->waiting, unit);
        link->must_end = true;
        link->told_why = true;
        break;
    }
}

static void end_done(struct pg_link *link, struct pg_unit *unit)
{
    unit->ops->done(unit, link->results, link->result_count);
    if (unit == link->options.hello && link->state == LINK_SETTING_UP) {
        link->state = LINK_UP;
        link->told[0] = '\0';
        log_event(link->options.log, LOG_LEVEL_INFO, "store_connected",
                  LOG_NUMBER("waiting", link->waiting.len));
        link->options.up(link->options.context);
    }
}

// The Sync of the first unit under way was answered.
static void end_unit(struct pg_link *link)
{
    struct list_node *node = list_first(&link->sent);
    CHECK(node != NULL);
    struct pg_unit *unit = list_item(node, struct pg_unit, node);
    list_remove(node);
    link->sent_bytes -= unit->bytes;
    // Success of real work, not of the setting up, is what a server has to show to be tried again
    // at once the next time.
    if (!link->failed && !is_setup(link, unit))
        link->backoff_ms = BACKOFF_FIRST_MS;
    if (link->failed)
        end_failed(link, unit);
    else
        end_done(link, unit);
    forget_results(link);
}

static void take_result(struct pg_link *link, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_PIPELINE_SYNC) {
        PQclear(result);
        end_unit(link);
        return;
    }
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && !link->failed) {
        link->failed = true; // those after it are PGRES_PIPELINE_ABORTED
        pg_error_of_result(&link->error, link->connection, result);
    }
    struct list_node *first = list_first(&link->sent);
    if (list_item(first, struct pg_unit, node) == &link->prepare) {
        PQclear(result);
        return;
    }
    CHECK(link->result_count < PG_UNIT_STEPS);
    link->results[link->result_count++] = result;
}

// Everything that can be read without waiting. A NULL ends a statement; none follows a Sync.
static void take_results(struct pg_link *link)
{
    bool ended = false;
    while (link->connection && !link->must_end && link->sent.len > 0 &&
           !PQisBusy(link->connection)) {
        PGresult *result = PQgetResult(link->connection);
        if (result == NULL && ended)
            break;
        ended = result == NULL;
        if (result)
            take_result(link, result);
    }
}

// A worker's own notices tell it nothing new.
static void take_notices(struct pg_link *link)
{
    PGnotify *notify;
    while (link->connection && (notify = PQnotifies(link->connection)) != NULL) {
        if (link->state == LINK_UP && notify->be_pid != PQbackendPID(link->connection))
            link->options.notice(link->options.context, notify->extra);
        PQfreemem(notify);
    }
}

static void on_socket(void *context)
{
    struct pg_link *link = context;
    link->heard_at_ms = (int64_t)uv_now(link->options.loop);
    bool read = PQconsumeInput(link->connection) == 1;
    link->reading = true;
    take_results(link);
    take_notices(link);
    link->reading = false;
    if (link->connection == NULL) // closed by one of those who were answered
        return;
    if (!read || PQstatus(link->connection) != CONNECTION_OK)
        lose(link, link->failed ? link->error.text : "the connection broke");
    else
        pump(link);
}

static void on_kick(uv_timer_t *timer)
{
    struct pg_link *link = timer->data;
    if (link->connection)
        on_socket(link);
}

// ------------------------------------------------------------------------------- setting up

static void send_session(struct pg_unit *unit, struct pg_link *link)
{
    (void)unit;
    run_text(link, pg_params_session_sql);
    run_text(link, migrate_judge_sql);
    if (link->options.channel) {
        char sql[80];
        snprintf(sql, sizeof(sql), "listen %.63s", link->options.channel);
        run_text(link, sql);
    }
}

static void refuse(struct pg_link *link, enum migrate_verdict verdict)
{
    link->state = LINK_REFUSED;
    link->must_end = true;
    link->told_why = true;
    const char *text = verdict == MIGRATE_TOO_OLD
                           ? "The database's schema is older than this program (" PRECIS_VERSION
                             "). Run: precis migrate"
                           : "The database's schema is newer than this program (" PRECIS_VERSION
                             ") can serve. Upgrade this worker.";
    log_event(link->options.log, LOG_LEVEL_ERROR, "store_refused", LOG_TEXT("reason", text));
    link->options.refused(link->options.context, text);
}

static void session_done(struct pg_unit *unit, PGresult *const *results, size_t count)
{
    struct pg_link *link = link_of_session(unit);
    CHECK(count == (link->options.channel ? 3 : 2));
    const char *version = PQgetisnull(results[1], 0, 0) ? NULL : PQgetvalue(results[1], 0, 0);
    const char *oldest = PQgetisnull(results[1], 0, 1) ? NULL : PQgetvalue(results[1], 0, 1);
    enum migrate_verdict verdict = migrate_judge(version, oldest);
    if (verdict == MIGRATE_FITS)
        send_unit(link, &link->prepare);
    else
        refuse(link, verdict);
}

static void send_prepare(struct pg_unit *unit, struct pg_link *link)
{
    (void)unit;
    const struct pg_link_options *options = &link->options;
    for (size_t i = 0; i < options->statement_count; i++) {
        if (PQsendPrepare(link->connection, options->statements[i].name, options->statements[i].sql,
                          0, NULL) != 1)
            link->must_end = true;
    }
    link->steps = 1;
}

static void prepare_done(struct pg_unit *unit, PGresult *const *results, size_t count)
{
    (void)results;
    (void)count;
    struct pg_link *link = link_of_prepare(unit);
    send_unit(link, link->options.hello);
}

static const struct pg_unit_ops session_ops = {.send = send_session, .done = session_done};
static const struct pg_unit_ops prepare_ops = {.send = send_prepare, .done = prepare_done};

// ------------------------------------------------------------------------------- connections

static void on_retry(uv_timer_t *timer);

static void retry_later(struct pg_link *link)
{
    // Half of the wait is spread, so that a fleet does not come back in one step.
    int64_t spread = (int64_t)(uv_hrtime() / 1000) % (link->backoff_ms / 2 + 1);
    int64_t wait_ms = link->backoff_ms / 2 + spread;
    uv_timer_start(&link->retry, on_retry, (uint64_t)(wait_ms > 0 ? wait_ms : 1), 0);
    link->backoff_ms =
        link->backoff_ms * 2 < BACKOFF_MOST_MS ? link->backoff_ms * 2 : (int64_t)BACKOFF_MOST_MS;
}

// Units of the setting up are sent anew on the next connection; the others go back in front.
static void take_back_sent(struct pg_link *link)
{
    struct list_node *next = NULL;
    for (struct list_node *node = list_first(&link->sent); node; node = next) {
        next = list_next(&link->sent, node);
        if (is_setup(link, list_item(node, struct pg_unit, node)))
            list_remove(node);
    }
    put_all_first(&link->sent, &link->waiting);
    link->sent_bytes = 0;
}

static void drop_connection(struct pg_link *link)
{
    pg_watch_free(link->watch);
    link->watch = NULL;
    PQfinish(link->connection);
    link->connection = NULL;
    link->must_end = false;
    link->told_why = false;
}

static void lose(struct pg_link *link, const char *text)
{
    bool was_up = link->state == LINK_UP;
    if (text)
        tell(link, "store_lost", text);
    drop_connection(link);
    forget_results(link);
    take_back_sent(link);
    if (link->state != LINK_REFUSED) {
        link->state = LINK_DOWN;
        retry_later(link);
    }
    if (was_up)
        link->options.down(link->options.context);
}

static void set_up(struct pg_link *link, PGconn *connection)
{
    link->connection = connection;
    link->state = LINK_SETTING_UP;
    link->watch = pg_watch_new(link->options.loop, PQsocket(connection), on_socket, link);
    if (link->watch == NULL || PQenterPipelineMode(connection) != 1) {
        lose(link, "the connection cannot be used");
        return;
    }
    send_unit(link, &link->session);
    pump(link);
}

static void on_connected(void *context, PGconn *connection, const struct pg_error *error)
{
    struct pg_link *link = context;
    link->connect = NULL;
    if (connection) {
        set_up(link, connection);
    } else {
        tell(link, "store_unreachable", error->text);
        retry_later(link);
    }
}

static void on_retry(uv_timer_t *timer)
{
    struct pg_link *link = timer->data;
    link->connect = pg_connect_start(link->options.loop, link->conninfo, link->name, CONNECT_MS,
                                     on_connected, link);
}

static void on_silence(uv_timer_t *timer)
{
    struct pg_link *link = timer->data;
    int64_t now_ms = (int64_t)uv_now(link->options.loop);
    if (link->connection && link->sent.len > 0 && now_ms - link->heard_at_ms > SILENCE_MS)
        lose(link, "the server did not answer for 45 s");
}

static void init_timer(struct pg_link *link, uv_timer_t *timer)
{
    uv_timer_init(link->options.loop, timer);
    timer->data = link;
}

struct pg_link *pg_link_new(const struct pg_link_options *options)
{
    struct pg_link *link = own_alloc(sizeof(*link));
    link->options = *options;
    link->conninfo = own_strdup(options->conninfo);
    link->name = own_strdup(options->name);
    link->backoff_ms = BACKOFF_FIRST_MS;
    link->session.ops = &session_ops;
    link->prepare.ops = &prepare_ops;
    list_init(&link->waiting);
    list_init(&link->sent);
    list_init(&link->later);
    init_timer(link, &link->retry);
    init_timer(link, &link->later_timer);
    init_timer(link, &link->silence);
    init_timer(link, &link->kick);
    uv_timer_start(&link->retry, on_retry, 0, 0);
    uv_timer_start(&link->silence, on_silence, SILENCE_MS, SILENCE_MS / 4);
    return link;
}

static void on_closed(uv_handle_t *handle)
{
    struct pg_link *link = handle->data;
    if (--link->closing > 0)
        return;
    free(link->conninfo);
    free(link->name);
    free(link);
}

void pg_link_free(struct pg_link *link)
{
    if (link == NULL)
        return;
    if (link->connect)
        pg_connect_cancel(link->connect);
    if (!link->reading)
        forget_results(link);
    drop_connection(link);
    link->state = LINK_CLOSED;
    link->closing = 4;
    uv_close((uv_handle_t *)&link->retry, on_closed);
    uv_close((uv_handle_t *)&link->later_timer, on_closed);
    uv_close((uv_handle_t *)&link->silence, on_closed);
    uv_close((uv_handle_t *)&link->kick, on_closed);
}

void pg_link_restart(struct pg_link *link)
{
    if (link->connection == NULL)
        return;
    link->must_end = true;
    pump(link);
}

bool pg_link_is_up(const struct pg_link *link)
{
    return link->state == LINK_UP;
}

size_t pg_link_load(const struct pg_link *link)
{
    return link->waiting.len + link->sent.len + link->later.len;
}
