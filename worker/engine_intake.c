// SPDX-License-Identifier: Apache-2.0
// Partitions and messages: where reading starts, how a message becomes a job, when reading pauses,
// and how a finished job moves its partition's offset.
//
// A partition whose last owner ended while it read (rule 6) is read carefully: one message at a
// time, each after a durable row that says so. A message that is there already twice is buried
// unread.
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "engine_parts.h"
#include "job/decode.h"

// A message's value, and the values and members of its JSON.
#define VALUE_BYTES (8u * 1024 * 1024)
#define VALUE_NODES 100000
// Messages of a partition that may be unfinished while the oldest of them is stuck.
#define WINDOWS_PER_PARTITION 4
// Messages that are on their way to PostgreSQL while a full window reads on: half of them keep it
// busy for longer than Kafka needs to bring more after a pause.
#define CLAIMS_AHEAD 6000
// So often a message may be there from readers that ended.
#define SUSPECT_TIMES 2

#define SHARE_UNIT 1000000
// A topic that brought nothing for so long has nothing to bring: nobody holds back for it.
#define SHARE_IDLE_MS 1000

// ------------------------------------------------------------------------------- topics

void intake_init(struct engine *engine)
{
    const struct config_kafka *kafka = &engine->config->kafka;
    if (kafka->job_topic_count < 2)
        return;
    engine->topic_count = kafka->job_topic_count;
    engine->topics = own_array(engine->topic_count, sizeof(*engine->topics));
    for (size_t i = 0; i < engine->topic_count; i++)
        engine->topics[i] = (struct topic_share){.name = kafka->job_topics[i].name,
                                                 .weight = kafka->job_topics[i].weight};
}

static struct topic_share *share_of(const struct engine *engine, const char *topic)
{
    for (size_t i = 0; i < engine->topic_count; i++)
        if (strcmp(engine->topics[i].name, topic) == 0)
            return &engine->topics[i];
    return NULL;
}

static bool is_active(const struct engine *engine, const struct topic_share *share)
{
    return share->held_back ||
           (share->last_ms > 0 && engine_now(engine) - share->last_ms < SHARE_IDLE_MS);
}

// The least that was read of another topic which has messages; INT64_MAX: there is none.
static int64_t least_read(const struct engine *engine, const struct topic_share *but)
{
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < engine->topic_count; i++) {
        const struct topic_share *share = &engine->topics[i];
        if (share != but && is_active(engine, share) && share->read < least)
            least = share->read;
    }
    return least;
}

// Who was idle does not catch up on what it did not bring.
static void count_share(struct engine *engine, struct topic_share *share)
{
    if (!share)
        return;
    int64_t least = least_read(engine, share);
    if (!is_active(engine, share) && least != INT64_MAX && share->read < least)
        share->read = least;
    share->last_ms = engine_now(engine);
    share->read += SHARE_UNIT / share->weight;
}

// It had so much more than its part that another topic, which has messages, goes first.
static bool is_ahead(const struct engine *engine, const struct partition *partition)
{
    if (!partition->share)
        return false;
    int64_t least = least_read(engine, partition->share);
    int64_t messages = engine->config->worker.in_flight / (partition->paused ? 8 : 4) + 1;
    return least != INT64_MAX &&
           partition->share->read - least > messages * (SHARE_UNIT / partition->share->weight);
}

// ------------------------------------------------------------------------------- partitions

static struct partition *find_partition(const struct engine *engine, const char *topic,
                                        int32_t number)
{
    for (uint32_t i = 0; i < engine->partitions.room; i++) {
        struct partition *partition = engine->partitions.slots[i].object;
        if (partition && partition->number == number && strcmp(partition->topic, topic) == 0)
            return partition;
    }
    return NULL;
}

static void partition_free(struct partition *partition)
{
    for (size_t i = 0; i < partition->held_len; i++)
        free(partition->held[i]);
    free(partition->held);
    offsets_deinit(&partition->offsets);
    free(partition->topic);
    free(partition);
}

void intake_deinit(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->partitions.room; i++)
        if (engine->partitions.slots[i].object)
            partition_free(engine->partitions.slots[i].object);
    free(engine->topics);
}

static void offered(struct engine *engine, const struct broker_event *event)
{
    struct partition *partition = own_alloc(sizeof(*partition));
    partition->topic = own_strdup(event->topic);
    partition->number = event->partition;
    partition->share = share_of(engine, event->topic);
    partition->committed = event->offset;
    offsets_init(&partition->offsets);
    partition->id = slots_add(&engine->partitions, partition);
    engine->edges.store_ops->partition_begin(engine->edges.store, event->topic, event->partition);
}

static void revoked(struct engine *engine, const struct broker_event *event)
{
    struct partition *partition = find_partition(engine, event->topic, event->partition);
    if (!partition)
        return;
    if (partition->begun)
        engine->edges.store_ops->partition_clean(engine->edges.store, event->topic,
                                                 event->partition);
    slots_remove(&engine->partitions, partition->id);
    partition_free(partition);
}

static void stop_partition(struct engine *engine, struct partition *partition, const char *why)
{
    const char *go_on =
        "run the worker with --accept-gap to go on from the earliest message that is left";
    partition->stopped = why;
    log_event(engine->options.log, LOG_LEVEL_ERROR, "partition_stopped",
              LOG_TEXT("topic", partition->topic), LOG_NUMBER("partition", partition->number),
              LOG_TEXT("reason", why), LOG_TEXT("suggestion", go_on));
}

// Rule 7: where reading starts.
static enum broker_start start_of(const struct engine *engine, const struct partition *partition,
                                  const struct partition_reply *reply)
{
    if (partition->committed >= 0)
        return engine->options.accept_gap ? BROKER_START_GAP : BROKER_START_AT;
    if (reply->known && !engine->options.accept_gap)
        return BROKER_START_STOPPED;
    if (reply->known || reply->topic_known)
        return BROKER_START_FIRST;
    return strcmp(engine->config->kafka.start, "latest") == 0 ? BROKER_START_LAST
                                                              : BROKER_START_FIRST;
}

void intake_partition_known(struct engine *engine, const struct partition_reply *reply)
{
    struct partition *partition = find_partition(engine, reply->topic, reply->partition);
    if (!partition || partition->begun)
        return; // revoked meanwhile
    enum broker_start start = start_of(engine, partition, reply);
    if (start == BROKER_START_STOPPED)
        stop_partition(engine, partition, "known, but its committed offset is gone");
    partition->begun = true;
    if (partition->share)
        partition->share->last_ms = engine_now(engine); // it is waited for
    partition->careful = reply->unclean;
    partition->careful_left = engine->config->worker.in_flight;
    engine->edges.broker_ops->begin(engine->edges.broker, reply->topic, reply->partition, start,
                                    partition->committed);
}

static void stuck(struct engine *engine, const struct broker_event *event)
{
    struct partition *partition = find_partition(engine, event->topic, event->partition);
    if (partition)
        stop_partition(engine, partition, "its committed offset is out of range");
}

const char *intake_trouble(const struct engine *engine)
{
    for (uint32_t i = 0; i < engine->partitions.room; i++) {
        const struct partition *partition = engine->partitions.slots[i].object;
        if (partition && partition->stopped)
            return partition->stopped;
    }
    return NULL;
}

// ------------------------------------------------------------------------------- messages

static void count_message(struct engine *engine, const char *result)
{
    metrics_add(engine->options.metrics, METRIC_MESSAGES, result, NULL, 1);
}

static void finish_offset(struct engine *engine, struct partition *partition, int64_t offset)
{
    if (offsets_finish(&partition->offsets, offset)) {
        engine->edges.at_point(engine->edges.world, "before_store_offset");
        engine->edges.broker_ops->store_offset(engine->edges.broker, partition->topic,
                                               partition->number,
                                               offsets_watermark(&partition->offsets));
    }
}

void intake_finished(struct engine *engine, const struct job *job)
{
    struct partition *partition = slots_get(&engine->partitions, job->partition);
    if (partition)
        finish_offset(engine, partition, job->raw->message.offset);
}

static void bury(struct engine *engine, struct raw_message *raw, const struct decode_out *out,
                 enum bury_kind kind, struct slot_id partition)
{
    struct job *job = job_new_bury(raw, kind, &out->failure, engine_now(engine));
    job->version = out->version;
    job->seal_tenant = own_strdup(out->spec.tenant);
    job->seal_batch = own_strdup(out->spec.batch);
    job->bad_id = own_strdup(out->spec.id);
    job->bad_revision = out->spec.revision;
    engine_add(engine, job, partition);
}

static void skip(struct engine *engine, struct raw_message *raw, struct slot_id partition)
{
    struct partition *home = slots_get(&engine->partitions, partition);
    if (home)
        finish_offset(engine, home, raw->message.offset);
    free(raw);
}

static void begin(struct engine *engine, struct raw_message *raw, struct decode_out *out,
                  struct slot_id partition)
{
    struct job_spec *spec = own_alloc(sizeof(*spec));
    *spec = out->spec;
    job_spec_init(&out->spec);
    engine_add(engine, job_new(raw, spec, engine_now(engine)), partition);
}

// Takes `raw`. From here on the message is on its way to an outcome.
static void parse(struct engine *engine, struct raw_message *raw, struct slot_id partition)
{
    static const char *const results[] = {[DECODED_JOB] = "job",
                                          [DECODED_SEAL] = "seal",
                                          [DECODED_SKIP] = "skipped",
                                          [DECODED_LATER] = "later",
                                          [DECODED_BAD] = "bad"};
    const struct decode_limits limits = {
        .value_bytes = VALUE_BYTES,
        .text_bytes = (size_t)engine->config->documents.max_bytes,
        .nodes = VALUE_NODES,
        .extractors = engine->config->documents.extractors,
    };
    struct decode_out out;
    engine->edges.at_point(engine->edges.world, "parse");
    enum decoded decoded = job_decode(&raw->message, &limits, &out);
    count_message(engine, results[decoded]);
    if (decoded == DECODED_JOB)
        begin(engine, raw, &out, partition);
    else if (decoded == DECODED_SEAL)
        engine_add(
            engine,
            job_new_seal(raw, out.spec.tenant, out.spec.batch, out.seal_total, engine_now(engine)),
            partition);
    else if (decoded == DECODED_SKIP)
        skip(engine, raw, partition);
    else
        bury(engine, raw, &out, decoded == DECODED_LATER ? BURY_LATER : BURY_DEAD, partition);
    decode_out_deinit(&out);
}

static void ask_about_next(struct engine *engine, struct partition *partition)
{
    if (partition->asking || partition->held_len == 0)
        return;
    partition->asking = true;
    engine->edges.store_ops->suspect(engine->edges.store, partition->topic, partition->number,
                                     partition->held[0]->message.offset);
}

static void hold_message(struct engine *engine, struct partition *partition,
                         struct raw_message *raw)
{
    if (partition->held_len == partition->held_room) {
        partition->held_room = partition->held_room ? partition->held_room * 2 : 64;
        partition->held = own_grow(partition->held, partition->held_room, sizeof(*partition->held));
    }
    partition->held[partition->held_len++] = raw;
    ask_about_next(engine, partition);
}

static struct raw_message *take_held(struct partition *partition)
{
    struct raw_message *raw = partition->held[0];
    partition->held_len--;
    memmove(partition->held, partition->held + 1, partition->held_len * sizeof(*partition->held));
    return raw;
}

// The first window was read whole: what is still held is read as usual.
static void trust_again(struct engine *engine, struct partition *partition, int64_t offset)
{
    partition->careful = false;
    engine->edges.store_ops->suspects_clear(engine->edges.store, partition->topic,
                                            partition->number, offset);
    struct slot_id id = partition->id;
    while ((partition = slots_get(&engine->partitions, id)) && partition->held_len > 0)
        parse(engine, take_held(partition), id);
}

static void bury_poison(struct engine *engine, struct raw_message *raw, struct slot_id partition)
{
    struct decode_out out = {0};
    job_spec_init(&out.spec);
    failure_set(&out.failure, ERR_POISON, "%d workers ended while they read this message",
                SUSPECT_TIMES);
    count_message(engine, "bad");
    bury(engine, raw, &out, BURY_DEAD, partition);
}

void intake_suspected(struct engine *engine, const struct store_event *event)
{
    struct partition *partition =
        find_partition(engine, event->u.suspected.topic, event->u.suspected.partition);
    if (!partition || !partition->asking || partition->held_len == 0 ||
        partition->held[0]->message.offset != event->u.suspected.offset)
        return; // of an earlier assignment
    partition->asking = false;
    struct slot_id id = partition->id;
    struct raw_message *raw = take_held(partition);
    int64_t offset = raw->message.offset;
    if (event->u.suspected.times > SUSPECT_TIMES)
        bury_poison(engine, raw, id);
    else
        parse(engine, raw, id);
    partition = slots_get(&engine->partitions, id);
    if (!partition)
        return;
    if (--partition->careful_left <= 0)
        trust_again(engine, partition, offset + 1);
    else
        ask_about_next(engine, partition);
}

static void on_message(struct engine *engine, const struct message *message)
{
    struct partition *partition = find_partition(engine, message->topic, message->partition);
    if (!partition || engine->draining)
        return; // not ours, or not any more: it comes again to whoever owns it
    if (!offsets_deliver(&partition->offsets, message->offset)) {
        count_message(engine, "duplicate");
        return;
    }
    count_share(engine, partition->share);
    struct raw_message *raw = raw_message_copy(message);
    if (partition->careful)
        hold_message(engine, partition, raw);
    else
        parse(engine, raw, partition->id);
}

void intake_broker(struct engine *engine, const struct broker_event *event)
{
    if (event->kind == BROKER_MESSAGE)
        on_message(engine, event->message);
    else if (event->kind == BROKER_OFFERED)
        offered(engine, event);
    else if (event->kind == BROKER_REVOKED)
        revoked(engine, event);
    else if (event->kind == BROKER_STUCK)
        stuck(engine, event);
}

void intake_take(struct engine *engine, const struct requeued_job *job)
{
    struct raw_message *raw = raw_message_copy(&job->message);
    raw->requeued = job->job_no != 0;
    parse(engine, raw, (struct slot_id){0});
}

// ------------------------------------------------------------------------------- pausing

// Jobs that wait for a twin are not counted: the twin may be a job that died with its worker and
// has to be read again, and a window that is full of those who wait for it would never read it.
// What bounds them: they are parked after a while (job/twin.c).
static size_t jobs_in_window(const struct engine *engine)
{
    return engine->jobs.len - engine->steps[STEP_TWIN].len;
}

// Nor does their memory keep messages out where all that is here waits for jobs that are not (and
// nothing may be parked): the one that they wait for may have to be read.
static bool only_waits_for_others(const struct engine *engine)
{
    size_t waiting = engine->steps[STEP_TWIN].len + engine->steps[STEP_HELD].len;
    return engine->jobs.len == waiting && waiting < 2 * (size_t)engine->config->worker.in_flight;
}

static bool window_is_full(const struct engine *engine)
{
    const struct config_worker *worker = &engine->config->worker;
    return jobs_in_window(engine) >= (size_t)worker->in_flight ||
           (engine->bytes >= (size_t)worker->memory_bytes / 2 && !only_waits_for_others(engine));
}

bool intake_has_room(const struct engine *engine)
{
    return !window_is_full(engine);
}

static bool window_has_room(const struct engine *engine)
{
    const struct config_worker *worker = &engine->config->worker;
    return jobs_in_window(engine) <= (size_t)worker->in_flight * 3 / 4 &&
           (engine->bytes <= (size_t)worker->memory_bytes * 3 / 8 || only_waits_for_others(engine));
}

// Past a full window messages only go through to PostgreSQL: what bounds them is what is on its way
// there, and their memory.
static bool should_hold_back(const struct engine *engine, const struct partition *partition)
{
    size_t most = (size_t)engine->config->worker.in_flight * 2;
    size_t claims = partition->paused ? CLAIMS_AHEAD / 2 : CLAIMS_AHEAD;
    return engine->steps[STEP_CLAIM].len > claims || engine->steps[STEP_HELD].len > most ||
           engine->jobs.len > most + CLAIMS_AHEAD ||
           engine->bytes >= (size_t)engine->config->worker.memory_bytes / 4 * 3;
}

static bool should_pause(const struct engine *engine, const struct partition *partition)
{
    size_t unfinished = offsets_unfinished(&partition->offsets);
    size_t most = (size_t)engine->config->worker.in_flight * WINDOWS_PER_PARTITION;
    if (engine->draining || !engine->store_up || partition->held_len > 100)
        return true;
    if (parking_reads_on(engine) && !partition->careful)
        return should_hold_back(engine, partition);
    if (is_ahead(engine, partition))
        return true;
    if (partition->paused)
        return !window_has_room(engine) || unfinished > most * 3 / 4;
    return window_is_full(engine) || unfinished > most;
}

// What a topic would bring is not known while it is paused: it counts as it did before.
static void note_pause(const struct engine *engine, struct topic_share *share, bool pause)
{
    if (!share)
        return;
    if (!pause && share->held_back)
        share->last_ms = engine_now(engine);
    share->held_back = pause && is_active(engine, share);
}

void intake_adjust(struct engine *engine)
{
    const struct edges *edges = &engine->edges;
    for (uint32_t i = 0; i < engine->partitions.room; i++) {
        struct partition *partition = engine->partitions.slots[i].object;
        if (!partition || !partition->begun || partition->stopped)
            continue;
        bool pause = should_pause(engine, partition);
        if (pause == partition->paused)
            continue;
        partition->paused = pause;
        note_pause(engine, partition->share, pause);
        (pause ? edges->broker_ops->pause
               : edges->broker_ops->resume)(edges->broker, partition->topic, partition->number);
    }
}
