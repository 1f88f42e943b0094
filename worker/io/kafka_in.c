// SPDX-License-Identifier: Apache-2.0
// The consumer side of the broker edge.
//
// The way of an assignment:
//
//   group assigns ── assign(nothing) ── committed? ── OFFERED ── begin × n ── commit ── assign(all)
//                    (at once)          (thread)      (engine)   (engine)    (thread)
//
// The empty assign at once ends librdkafka's rebalance. Otherwise the whole group's next rebalance
// would wait for this worker's database. Reading begins with the second assign, which is one call
// for all partitions, because in the eager protocol each assign starts every partition afresh.
// A partition that the engine stopped is not in it: it stays ours, and nothing is fetched.
//
// `epoch` counts assignments. Answers from the thread pool carry the epoch they were asked in; a
// revoke or a new assignment makes them void.
//
// A start at the first or last offset is made concrete and committed before the assign, so that
// a crash right after it does not find a known partition without an offset.
//
// Pauses: librdkafka keeps its paused flag across a rebalance, and a resume of what is not paused
// rewinds. So what is paused is resumed when it is revoked, before the unassign: the two reach the
// partition in this order, and the next assignment starts unpaused, as the engine thinks.
#include "io/kafka_in.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/own.h"
#include "io/kafka_ask.h"
#include "io/kafka_conf.h"
#include "io/kafka_map.h"
#include "io/kafka_message.h"
#include "io/kafka_queue.h"

#define RETRY_MS      1000
#define LAG_MS        10000
#define CLOSE_LOOK_MS 20

enum closing { OPEN, LEAVING, DESTROYING, CLOSED, ABANDONED };

struct kafka_in {
    uv_loop_t *loop;
    struct log *log;
    const struct config_kafka *config;
    kafka_event_fn *on_event;
    void *context;
    rd_kafka_t *client;
    struct kafka_queue *queue;
    struct kafka_map map;
    uint64_t epoch;
    int asking;    // questions under way
    bool settling; // the begin offsets are being committed
    bool probing, down, ends_asked, fatal;
    bool told_up; // BROKER_UP was told once
    uv_timer_t retry, probe, lag, closer;
    int handles;
    struct kafka_headers headers;
    enum closing closing;
    bool cannot_leave;
    uint64_t close_by; // loop time
    void (*closed)(void *context, bool clean);
    void *closed_context;
    struct kafka_in_stats stats;
};

static void emit(struct kafka_in *in, const struct broker_event *event)
{
    in->on_event(in->context, event);
}

static void emit_kind(struct kafka_in *in, enum broker_event_kind kind, const char *reason)
{
    emit(in, &(struct broker_event){.kind = kind, .reason = reason, .offset = -1});
}

static void log_error(struct kafka_in *in, const char *what, rd_kafka_resp_err_t err)
{
    log_event(in->log, LOG_LEVEL_WARN, what, LOG_TEXT("code", rd_kafka_err2name(err)),
              LOG_TEXT("text", rd_kafka_err2str(err)));
}

static void ask(struct kafka_in *in, enum kafka_question question,
                rd_kafka_topic_partition_list_t *list, kafka_ask_fn *fn)
{
    in->asking++;
    kafka_ask(in->loop, &(struct kafka_ask){.question = question,
                                            .client = in->client,
                                            .list = list,
                                            .epoch = in->epoch,
                                            .fn = fn,
                                            .context = in});
}

// ---------------------------------------------------------------------------- beginning to read

static void go_on(struct kafka_in *in);

static void on_retry(uv_timer_t *timer)
{
    struct kafka_in *in = timer->data;
    go_on(in);
}

static void retry_later(struct kafka_in *in)
{
    uv_timer_start(&in->retry, on_retry, RETRY_MS, 0);
}

// True where the answer still counts.
static bool answer_counts(struct kafka_in *in, const struct kafka_ask *answer)
{
    in->asking--;
    return in->closing == OPEN && answer->epoch == in->epoch;
}

static void offer_all(struct kafka_in *in, uint64_t epoch)
{
    for (size_t i = 0; epoch == in->epoch && i < in->map.len; i++) {
        struct kafka_part *part = &in->map.parts[i];
        emit(in, &(struct broker_event){.kind = BROKER_OFFERED,
                                        .topic = part->topic,
                                        .partition = part->partition,
                                        .offset = part->committed});
    }
}

static void on_committed(void *context, const struct kafka_ask *answer)
{
    struct kafka_in *in = context;
    if (!answer_counts(in, answer))
        return;
    if (answer->err) {
        log_error(in, "kafka_committed_unknown", answer->err);
        retry_later(in);
        return;
    }
    for (int i = 0; i < answer->list->cnt; i++) {
        const rd_kafka_topic_partition_t *from = &answer->list->elems[i];
        struct kafka_part *part = kafka_map_find(&in->map, from->topic, from->partition);
        CHECK(part);
        part->committed = from->offset >= 0 ? from->offset : -1;
        part->place = KAFKA_OFFERED;
    }
    offer_all(in, answer->epoch);
}

static void start_reading(struct kafka_in *in, const rd_kafka_topic_partition_list_t *begins)
{
    rd_kafka_resp_err_t err = rd_kafka_assign(in->client, begins);
    if (err) {
        log_error(in, "kafka_assign_failed", err);
        retry_later(in);
        return;
    }
    for (int i = 0; i < begins->cnt; i++) {
        const rd_kafka_topic_partition_t *from = &begins->elems[i];
        struct kafka_part *part = kafka_map_find(&in->map, from->topic, from->partition);
        CHECK(part);
        part->place = KAFKA_READING;
        part->next = from->offset;
        if (part->paused) { // asked for before the reading began
            part->paused = false;
            kafka_in_pause(in, part->topic, part->partition);
        }
    }
    log_event(in->log, LOG_LEVEL_INFO, "kafka_reading", LOG_NUMBER("partitions", begins->cnt));
}

static void on_begins(void *context, const struct kafka_ask *answer)
{
    struct kafka_in *in = context;
    if (!answer_counts(in, answer))
        return;
    in->settling = false;
    if (answer->err) {
        log_error(in, "kafka_start_not_committed", answer->err);
        retry_later(in);
        return;
    }
    start_reading(in, answer->list);
}

// Takes the assignment one stage further: from what is committed to an offer, and from answers to
// reading. Called when a stage has become possible, and again by the retry timer.
static void go_on(struct kafka_in *in)
{
    if (in->map.len == 0 || in->settling || in->fatal)
        return;
    if (!kafka_map_reached(&in->map, KAFKA_OFFERED)) {
        ask(in, KAFKA_ASK_COMMITTED, kafka_map_list(&in->map, KAFKA_ASKED), on_committed);
        return;
    }
    if (!kafka_map_reached(&in->map, KAFKA_ANSWERED))
        return;
    rd_kafka_topic_partition_list_t *begins = kafka_map_list(&in->map, KAFKA_ANSWERED);
    if (begins->cnt == 0) {
        rd_kafka_topic_partition_list_destroy(begins);
        return;
    }
    in->settling = true;
    ask(in, KAFKA_ASK_BEGINNINGS, begins, on_begins);
}

void kafka_in_begin(struct kafka_in *in, const char *topic, int32_t partition,
                    enum broker_start start, int64_t offset)
{
    struct kafka_part *part = kafka_map_find(&in->map, topic, partition);
    if (!part || part->place != KAFKA_OFFERED || in->closing != OPEN)
        return;
    bool at = start == BROKER_START_AT || start == BROKER_START_GAP;
    CHECK(!at || offset >= 0); // librdkafka would take -1 for the end
    part->start = start;
    part->offset = offset;
    part->place = start == BROKER_START_STOPPED ? KAFKA_STOPPED : KAFKA_ANSWERED;
    go_on(in);
}

// ---------------------------------------------------------------------------- rebalances

static void unpause_all(struct kafka_in *in)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)in->map.len);
    for (size_t i = 0; i < in->map.len; i++)
        if (in->map.parts[i].paused && in->map.parts[i].place == KAFKA_READING)
            rd_kafka_topic_partition_list_add(list, in->map.parts[i].topic,
                                              in->map.parts[i].partition);
    if (list->cnt > 0)
        rd_kafka_resume_partitions(in->client, list);
    rd_kafka_topic_partition_list_destroy(list);
}

// Everything goes: the eager protocol knows nothing else.
static void revoke_all(struct kafka_in *in)
{
    bool lost = rd_kafka_assignment_lost(in->client) != 0;
    in->epoch++;
    in->settling = false;
    uv_timer_stop(&in->retry);
    unpause_all(in);
    struct kafka_map old = in->map;
    in->map = (struct kafka_map){0};
    for (size_t i = 0; i < old.len; i++)
        if (old.parts[i].place > KAFKA_ASKED)
            emit(in, &(struct broker_event){.kind = BROKER_REVOKED,
                                            .topic = old.parts[i].topic,
                                            .partition = old.parts[i].partition,
                                            .offset = -1,
                                            .lost = lost});
    if (old.len > 0)
        log_event(in->log, lost ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "kafka_revoked",
                  LOG_NUMBER("partitions", old.len), LOG_NUMBER("lost", lost));
    kafka_map_clear(&old);
}

static void accept_all(struct kafka_in *in, const rd_kafka_topic_partition_list_t *list)
{
    revoke_all(in);
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
    rd_kafka_assign(in->client, none);
    rd_kafka_topic_partition_list_destroy(none);
    kafka_map_fill(&in->map, list);
    log_event(in->log, LOG_LEVEL_INFO, "kafka_assigned", LOG_NUMBER("partitions", list->cnt));
    if (in->closing == OPEN)
        go_on(in);
}

static void on_rebalance(struct kafka_in *in, rd_kafka_event_t *event)
{
    if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        accept_all(in, rd_kafka_event_topic_partition_list(event));
        return;
    }
    revoke_all(in);
    rd_kafka_assign(in->client, NULL); // commits what was stored
}

// ---------------------------------------------------------------------------- messages

// The message is borrowed from librdkafka for the event only. Holding it would hold the whole
// fetched buffer that it lies in.
static void on_message(struct kafka_in *in, const rd_kafka_message_t *from)
{
    const char *topic = rd_kafka_topic_name(from->rkt);
    struct kafka_part *part = kafka_map_find(&in->map, topic, from->partition);
    if (!part || part->place != KAFKA_READING || in->closing != OPEN) {
        in->stats.unwanted++;
        return;
    }
    struct message message;
    kafka_message_read(&in->headers, from, &message);
    emit(in, &(struct broker_event){.kind = BROKER_MESSAGE,
                                    .topic = topic,
                                    .partition = from->partition,
                                    .offset = from->offset,
                                    .message = &message});
}

static rd_kafka_topic_partition_list_t *list_of_one(const char *topic, int32_t partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition);
    return list;
}

static void set_paused(struct kafka_in *in, const char *topic, int32_t partition, bool paused)
{
    struct kafka_part *part = kafka_map_find(&in->map, topic, partition);
    if (!part || part->paused == paused)
        return;
    part->paused = paused;
    if (part->place != KAFKA_READING)
        return; // applied when the reading begins
    rd_kafka_topic_partition_list_t *list = list_of_one(topic, partition);
    rd_kafka_resp_err_t err = paused ? rd_kafka_pause_partitions(in->client, list)
                                     : rd_kafka_resume_partitions(in->client, list);
    err = err ? err : list->elems[0].err;
    if (err)
        log_error(in, paused ? "kafka_pause_failed" : "kafka_resume_failed", err);
    rd_kafka_topic_partition_list_destroy(list);
}

void kafka_in_pause(struct kafka_in *in, const char *topic, int32_t partition)
{
    set_paused(in, topic, partition, true);
}

void kafka_in_resume(struct kafka_in *in, const char *topic, int32_t partition)
{
    set_paused(in, topic, partition, false);
}

void kafka_in_store(struct kafka_in *in, const char *topic, int32_t partition, int64_t next)
{
    struct kafka_part *part = kafka_map_find(&in->map, topic, partition);
    if (!part || part->place != KAFKA_READING || next <= part->next)
        return;
    rd_kafka_topic_partition_list_t *list = list_of_one(topic, partition);
    list->elems[0].offset = next;
    rd_kafka_resp_err_t err = rd_kafka_offsets_store(in->client, list);
    err = err ? err : list->elems[0].err;
    rd_kafka_topic_partition_list_destroy(list);
    if (err)
        in->stats.unstored++; // revoked under our hands: its next owner reads it again
    else
        part->next = next;
}

// ---------------------------------------------------------------------------- errors

static void probe_start(struct kafka_in *in, uint64_t delay_ms);

static void tell_down(struct kafka_in *in, const char *reason)
{
    if (in->down)
        return;
    in->down = true;
    log_event(in->log, LOG_LEVEL_WARN, "kafka_down", LOG_TEXT("text", reason));
    emit_kind(in, BROKER_DOWN, reason);
}

static void on_alive(void *context, const struct kafka_ask *answer)
{
    struct kafka_in *in = context;
    in->asking--;
    in->probing = false;
    if (in->closing != OPEN)
        return;
    if (answer->err) {
        if (in->told_up)
            tell_down(in, "no broker answers");
        probe_start(in, RETRY_MS);
        return;
    }
    bool news = in->down || !in->told_up;
    in->down = false;
    in->told_up = true;
    if (!news)
        return;
    log_event(in->log, LOG_LEVEL_INFO, "kafka_up", LOG_TEXT("brokers", in->config->brokers));
    emit_kind(in, BROKER_UP, NULL);
}

static void on_probe(uv_timer_t *timer)
{
    struct kafka_in *in = timer->data;
    ask(in, KAFKA_ASK_ALIVE, NULL, on_alive);
}

static void probe_start(struct kafka_in *in, uint64_t delay_ms)
{
    if (in->probing)
        return;
    in->probing = true;
    uv_timer_start(&in->probe, on_probe, delay_ms, 0);
}

static void on_all_down(struct kafka_in *in, const char *reason)
{
    tell_down(in, reason);
    probe_start(in, RETRY_MS);
}

// A fatal error comes under its own code (FENCED_INSTANCE_ID), not only as _FATAL.
static bool is_fatal(struct kafka_in *in)
{
    char text[512] = "";
    rd_kafka_resp_err_t err = rd_kafka_fatal_error(in->client, text, sizeof(text));
    if (!err)
        return false;
    if (in->fatal)
        return true;
    const char *reason = text;
    in->fatal = true;
    uv_timer_stop(&in->retry);
    log_event(in->log, LOG_LEVEL_ERROR, "kafka_fatal", LOG_TEXT("code", rd_kafka_err2name(err)),
              LOG_TEXT("text", reason));
    emit_kind(in, BROKER_FATAL, reason);
    return true;
}

static void on_out_of_range(struct kafka_in *in, rd_kafka_event_t *event)
{
    rd_kafka_topic_partition_t *at = rd_kafka_event_topic_partition(event);
    if (!at)
        return;
    struct kafka_part *part = kafka_map_find(&in->map, at->topic, at->partition);
    if (part && part->place == KAFKA_READING) {
        log_event(in->log, LOG_LEVEL_ERROR, "kafka_offset_out_of_range",
                  LOG_TEXT("topic", at->topic), LOG_NUMBER("partition", at->partition),
                  LOG_NUMBER("offset", part->next));
        emit(in, &(struct broker_event){.kind = BROKER_STUCK,
                                        .topic = at->topic,
                                        .partition = at->partition,
                                        .offset = part->next,
                                        .reason = rd_kafka_event_error_string(event)});
    }
    rd_kafka_topic_partition_destroy(at);
}

static void on_error(struct kafka_in *in, rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t err = rd_kafka_event_error(event);
    const char *text = rd_kafka_event_error_string(event);
    if (is_fatal(in))
        return;
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        on_all_down(in, text);
    else if (err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
             err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        on_out_of_range(in, event);
    else
        log_event(in->log, LOG_LEVEL_WARN, "kafka_error", LOG_TEXT("code", rd_kafka_err2name(err)),
                  LOG_TEXT("text", text));
    // librdkafka does not always notice that the last one is gone: a lost connection is looked
    // into.
    if (err == RD_KAFKA_RESP_ERR__TRANSPORT)
        probe_start(in, 0);
}

// _NO_OFFSET: there was nothing to commit.
static void on_commit(struct kafka_in *in, rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t err = rd_kafka_event_error(event);
    if (!err || err == RD_KAFKA_RESP_ERR__NO_OFFSET || in->fatal)
        return;
    in->stats.uncommitted++;
    log_error(in, "kafka_commit_failed", err);
}

static void on_queue_event(void *context, rd_kafka_event_t *event)
{
    struct kafka_in *in = context;
    const rd_kafka_message_t *message;
    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_FETCH:
        while ((message = rd_kafka_event_message_next(event)))
            on_message(in, message);
        return;
    case RD_KAFKA_EVENT_REBALANCE:
        on_rebalance(in, event);
        return;
    case RD_KAFKA_EVENT_OFFSET_COMMIT:
        on_commit(in, event);
        return;
    case RD_KAFKA_EVENT_ERROR:
        on_error(in, event);
        return;
    default:
        kafka_queue_log(in->log, event);
        return;
    }
}

// ---------------------------------------------------------------------------- lag

static void on_ends(void *context, const struct kafka_ask *answer)
{
    struct kafka_in *in = context;
    in->ends_asked = false;
    if (!answer_counts(in, answer) || answer->err)
        return;
    for (int i = 0; i < answer->list->cnt; i++) {
        const rd_kafka_topic_partition_t *from = &answer->list->elems[i];
        struct kafka_part *part = kafka_map_find(&in->map, from->topic, from->partition);
        if (part)
            part->end = from->offset;
    }
}

static void on_lag(uv_timer_t *timer)
{
    struct kafka_in *in = timer->data;
    if (in->ends_asked || in->down || in->closing != OPEN)
        return;
    rd_kafka_topic_partition_list_t *list = kafka_map_list(&in->map, KAFKA_READING);
    if (list->cnt == 0) {
        rd_kafka_topic_partition_list_destroy(list);
        return;
    }
    in->ends_asked = true;
    ask(in, KAFKA_ASK_ENDS, list, on_ends);
}

void kafka_in_stats(const struct kafka_in *in, struct kafka_in_stats *out)
{
    *out = in->stats;
    out->missed = in->queue ? kafka_queue_missed(in->queue) : in->stats.missed;
    for (size_t i = 0; i < in->map.len; i++) {
        const struct kafka_part *part = &in->map.parts[i];
        out->stopped += part->place == KAFKA_STOPPED;
        out->partitions += part->place == KAFKA_READING;
        if (part->place == KAFKA_READING && part->end > part->next)
            out->lag += part->end - part->next;
    }
}

// ---------------------------------------------------------------------------- life

static rd_kafka_t *new_client(const struct config_kafka *config, char *problem, size_t bytes)
{
    rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_ROLE_CONSUMER, problem, bytes);
    if (!conf)
        return NULL;
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT |
                                       RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG |
                                       RD_KAFKA_EVENT_FETCH);
    rd_kafka_t *client = kafka_conf_client(RD_KAFKA_CONSUMER, conf, problem, bytes);
    if (client)
        rd_kafka_poll_set_consumer(client);
    return client;
}

static void init_timers(struct kafka_in *in)
{
    uv_timer_t *const timers[] = {&in->retry, &in->probe, &in->lag, &in->closer};
    for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
        uv_timer_init(in->loop, timers[i]);
        timers[i]->data = in;
        in->handles++;
    }
}

struct kafka_in *kafka_in_new(uv_loop_t *loop, const struct kafka_options *options, char *problem,
                              size_t problem_bytes)
{
    rd_kafka_t *client = new_client(options->config, problem, problem_bytes);
    if (!client)
        return NULL;
    struct kafka_in *in = own_alloc(sizeof(*in));
    in->loop = loop;
    in->log = options->log;
    in->config = options->config;
    in->on_event = options->on_event;
    in->context = options->context;
    in->client = client;
    in->queue = kafka_queue_new(loop, rd_kafka_queue_get_consumer(client), on_queue_event, in);
    if (!in->queue) {
        snprintf(problem, problem_bytes, "no file descriptor is left for Kafka");
        rd_kafka_destroy(client);
        free(in);
        return NULL;
    }
    init_timers(in);
    uv_timer_start(&in->lag, on_lag, LAG_MS, LAG_MS);
    in->down = true; // until the first answer
    probe_start(in, 1);
    return in;
}

bool kafka_in_join(struct kafka_in *in, char *problem, size_t problem_bytes)
{
    rd_kafka_topic_partition_list_t *topics =
        list_of_one(in->config->topic_jobs, RD_KAFKA_PARTITION_UA);
    for (size_t i = 1; i < in->config->job_topic_count; i++)
        rd_kafka_topic_partition_list_add(topics, in->config->job_topics[i].name,
                                          RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(in->client, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (err)
        snprintf(problem, problem_bytes, "%s", rd_kafka_err2str(err));
    return !err;
}

static void end_close(struct kafka_in *in, enum closing how)
{
    uv_timer_stop(&in->closer);
    in->closing = how;
    kafka_queue_close(in->queue);
    in->queue = NULL;
    if (how == ABANDONED)
        log_event(in->log, LOG_LEVEL_WARN, "kafka_close_abandoned",
                  LOG_NUMBER("asking", in->asking));
    in->closed(in->closed_context, how == CLOSED);
}

static void on_destroyed(void *context, const struct kafka_ask *answer)
{
    (void)answer;
    struct kafka_in *in = context;
    in->asking--;
    in->client = NULL;
    if (in->closing == DESTROYING)
        end_close(in, CLOSED);
}

// librdkafka has no signal for "closed", so it is asked every few milliseconds.
static void on_close_look(uv_timer_t *timer)
{
    struct kafka_in *in = timer->data;
    if (uv_now(in->loop) >= in->close_by) {
        end_close(in, ABANDONED);
        return;
    }
    if (in->closing != LEAVING || in->asking > 0)
        return;
    if (!in->cannot_leave && !rd_kafka_consumer_closed(in->client))
        return;
    in->closing = DESTROYING;
    in->stats.missed = kafka_queue_missed(in->queue);
    kafka_queue_close(in->queue);
    in->queue = NULL;
    ask(in, KAFKA_ASK_DESTROY, NULL, on_destroyed);
}

void kafka_in_close(struct kafka_in *in, uint64_t deadline_ms,
                    void (*closed)(void *context, bool clean), void *context)
{
    CHECK(in->closing == OPEN);
    in->closing = LEAVING;
    in->closed = closed;
    in->closed_context = context;
    in->close_by = uv_now(in->loop) + deadline_ms;
    uv_timer_stop(&in->retry);
    uv_timer_stop(&in->probe);
    uv_timer_stop(&in->lag);
    rd_kafka_error_t *error =
        rd_kafka_consumer_close_queue(in->client, kafka_queue_handle(in->queue));
    if (error) { // after a fatal error; destroying is all that is left
        in->cannot_leave = true;
        log_error(in, "kafka_close_failed", rd_kafka_error_code(error));
        rd_kafka_error_destroy(error);
    }
    uv_timer_start(&in->closer, on_close_look, CLOSE_LOOK_MS, CLOSE_LOOK_MS);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct kafka_in *in = handle->data;
    if (--in->handles > 0)
        return;
    kafka_map_clear(&in->map);
    kafka_headers_deinit(&in->headers);
    free(in);
}

void kafka_in_free(struct kafka_in *in)
{
    if (!in)
        return;
    kafka_queue_close(in->queue);
    in->queue = NULL;
    if (in->closing == OPEN || in->closing == LEAVING) {
        in->closing = ABANDONED;
        if (in->asking == 0)
            rd_kafka_destroy_flags(in->client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
    if (in->asking > 0)
        return; // a thread still works for it
    uv_close((uv_handle_t *)&in->retry, on_handle_closed);
    uv_close((uv_handle_t *)&in->probe, on_handle_closed);
    uv_close((uv_handle_t *)&in->lag, on_handle_closed);
    uv_close((uv_handle_t *)&in->closer, on_handle_closed);
}
