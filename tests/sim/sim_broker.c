// SPDX-License-Identifier: Apache-2.0
// The simulated Kafka. Offsets have holes, as real ones have: a record's offset is its place times
// two.
#include "sim_broker.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"

#define OFFSET_OF(place) ((int64_t)(place)*2)
#define PLACE_OF(offset) ((size_t)(((offset) + 1) / 2))

struct sim_client {
    struct sim_broker *broker;
    int place;
    bool muted;
};

void sim_broker_init(struct sim_broker *broker, struct world *world)
{
    *broker = (struct sim_broker){.world = world};
    for (int p = 0; p < SIM_PARTITIONS; p++) {
        broker->partitions[p].committed = -1;
        broker->partitions[p].owner = -1;
    }
}

void sim_broker_deinit(struct sim_broker *broker)
{
    for (int p = 0; p < SIM_PARTITIONS; p++) {
        struct sim_partition *partition = &broker->partitions[p];
        for (size_t i = 0; i < partition->log_len; i++) {
            free(partition->log[i].key);
            free(partition->log[i].value);
        }
        free(partition->log);
    }
}

static void wake(struct sim_broker *broker);

void sim_broker_append(struct sim_broker *broker, int number, const char *key, const char *value)
{
    struct sim_partition *partition = &broker->partitions[number];
    partition->log = own_grow(partition->log, partition->log_len + 1, sizeof(*partition->log));
    partition->log[partition->log_len++] = (struct sim_message){
        own_strdup(key), own_strdup(value), SIM_START_UNIX_MS + broker->world->now_ms};
    wake(broker);
}

static void emit(struct sim_broker *broker, int place, const struct broker_event *event)
{
    const struct sim_member *member = &broker->members[place];
    if (member->here)
        member->on_event(member->context, event);
}

// ------------------------------------------------------------------------------- delivery

static void deliver(struct sim_broker *broker, int number)
{
    struct sim_partition *partition = &broker->partitions[number];
    size_t place = PLACE_OF(partition->position);
    const struct sim_message *kept = &partition->log[place];
    struct message message = {
        .topic = SIM_TOPIC,
        .partition = number,
        .offset = OFFSET_OF(place),
        .timestamp_ms = kept->timestamp_ms,
        .key = kept->key,
        .key_len = strlen(kept->key),
        .value = kept->value,
        .value_len = kept->value ? strlen(kept->value) : 0,
    };
    partition->position = message.offset + 1;
    struct broker_event event = {.kind = BROKER_MESSAGE, .message = &message};
    emit(broker, partition->owner, &event);
}

static bool has_more(const struct sim_partition *partition)
{
    return partition->owner >= 0 && partition->begun && !partition->paused &&
           PLACE_OF(partition->position) < partition->log_len;
}

static void commit(struct sim_broker *broker, int number)
{
    struct sim_partition *partition = &broker->partitions[number];
    if (partition->stored < 0 || partition->stored <= partition->committed)
        return;
    partition->committed = partition->stored;
    broker->on_commit(broker->context, number, partition->committed);
}

static bool has_work(const struct sim_broker *broker)
{
    for (int p = 0; p < SIM_PARTITIONS; p++)
        if (has_more(&broker->partitions[p]) ||
            (broker->partitions[p].owner >= 0 &&
             broker->partitions[p].stored > broker->partitions[p].committed))
            return true;
    return false;
}

// One turn: a message for some partitions, and now and then the periodic commit.
static void pump(void *context, void *data)
{
    (void)data;
    struct sim_broker *broker = context;
    broker->pumping = false;
    if (broker->world->closing)
        return;
    if (broker->world->now_ms >= broker->away_until_ms) {
        int first = (int)world_range(broker->world, 0, SIM_PARTITIONS - 1);
        for (int i = 0; i < SIM_PARTITIONS; i++) {
            int number = (first + i) % SIM_PARTITIONS;
            if (has_more(&broker->partitions[number]) && world_chance(broker->world, 700))
                deliver(broker, number);
            if (broker->partitions[number].owner >= 0 && world_chance(broker->world, 300))
                commit(broker, number);
        }
    }
    if (has_work(broker))
        wake(broker);
}

static void wake(struct sim_broker *broker)
{
    if (broker->pumping)
        return;
    broker->pumping = true;
    world_after(broker->world, world_range(broker->world, 1, 60), pump, broker, NULL);
}

// ------------------------------------------------------------------------------- the group

static void revoke(struct sim_broker *broker, int number, bool lost)
{
    struct sim_partition *partition = &broker->partitions[number];
    if (partition->owner < 0)
        return;
    struct broker_event event = {
        .kind = BROKER_REVOKED, .topic = SIM_TOPIC, .partition = number, .lost = lost};
    emit(broker, partition->owner, &event);
    if (!lost)
        commit(broker, number); // librdkafka commits what is stored while it unassigns
    partition->owner = -1;
    partition->begun = partition->paused = false;
    partition->stored = -1;
}

static void offer(struct sim_broker *broker, int number, int place)
{
    struct sim_partition *partition = &broker->partitions[number];
    partition->owner = place;
    partition->begun = partition->paused = false;
    partition->stored = -1;
    partition->assignment = ++broker->assignments;
    struct broker_event event = {.kind = BROKER_OFFERED,
                                 .topic = SIM_TOPIC,
                                 .partition = number,
                                 .offset = partition->committed};
    world_trace(broker->world, "partition %d: offered to member %d at %d", number, place,
                (int)partition->committed);
    emit(broker, place, &event);
}

void sim_broker_rebalance(struct sim_broker *broker, bool lost)
{
    int here[SIM_MEMBERS];
    int count = 0;
    for (int place = 0; place < SIM_MEMBERS; place++)
        if (broker->members[place].here)
            here[count++] = place;
    for (int number = 0; number < SIM_PARTITIONS; number++)
        revoke(broker, number, lost);
    if (count == 0)
        return;
    int shift = (int)world_range(broker->world, 0, count - 1);
    for (int number = 0; number < SIM_PARTITIONS; number++)
        offer(broker, number, here[(number + shift) % count]);
    wake(broker);
}

void sim_broker_away(struct sim_broker *broker, int64_t for_ms)
{
    broker->away_until_ms = broker->world->now_ms + for_ms;
}

bool sim_broker_is_done(const struct sim_broker *broker)
{
    for (int p = 0; p < SIM_PARTITIONS; p++) {
        const struct sim_partition *partition = &broker->partitions[p];
        if (partition->log_len > 0 && PLACE_OF(partition->committed) < partition->log_len)
            return false;
    }
    return true;
}

static void rebalance_soon(void *context, void *data)
{
    (void)data;
    sim_broker_rebalance(context, false);
}

struct sim_client *
sim_client_join(struct sim_broker *broker,
                void (*on_event)(void *context, const struct broker_event *event), void *context)
{
    struct sim_client *client = own_alloc(sizeof(*client));
    client->broker = broker;
    while (broker->members[client->place].here)
        CHECK(++client->place < SIM_MEMBERS);
    broker->members[client->place] =
        (struct sim_member){true, on_event, context, ++broker->assignments};
    world_after(broker->world, world_range(broker->world, 10, 500), rebalance_soon, broker, NULL);
    return client;
}

static void forget(void *context, void *data)
{
    struct sim_broker *broker = context;
    int place = *(int *)data;
    for (int number = 0; number < SIM_PARTITIONS; number++)
        if (broker->partitions[number].owner == place && !broker->members[place].here)
            broker->partitions[number].owner = -1;
    sim_broker_rebalance(broker, false);
}

void sim_client_leave(struct sim_client *client, bool clean)
{
    struct sim_broker *broker = client->broker;
    int64_t delay_ms = 6000; // the session of a dead member runs out
    if (clean) {
        for (int number = 0; number < SIM_PARTITIONS; number++)
            if (broker->partitions[number].owner == client->place)
                revoke(broker, number, false);
        delay_ms = 10;
    }
    broker->members[client->place].here = false;
    int *place = own_alloc(sizeof(*place));
    *place = client->place;
    world_after(broker->world, delay_ms, forget, broker, place);
    free(client);
}

void sim_client_mute(struct sim_client *client)
{
    client->muted = true;
}

// ------------------------------------------------------------------------------- broker_ops

static struct sim_partition *mine(struct sim_client *client, int32_t number)
{
    struct sim_partition *partition = &client->broker->partitions[number];
    return partition->owner == client->place && !client->muted ? partition : NULL;
}

static void ask_begin(void *context, const char *topic, int32_t number, enum broker_start start,
                      int64_t offset)
{
    (void)topic;
    struct sim_client *client = context;
    struct sim_partition *partition = mine(client, number);
    if (!partition || start == BROKER_START_STOPPED)
        return;
    world_trace(client->broker->world, "partition %d: begun by member %d", number, client->place);
    partition->begun = true;
    bool at = start == BROKER_START_AT || start == BROKER_START_GAP;
    partition->position = at ? offset : 0;
    if (start == BROKER_START_FIRST && partition->committed < 0)
        partition->committed = 0; // committed at once
    wake(client->broker);
}

static void ask_pause(void *context, const char *topic, int32_t number)
{
    (void)topic;
    struct sim_partition *partition = mine(context, number);
    if (!partition)
        return;
    CHECK(partition->begun && !partition->paused); // strict pairs
    partition->paused = true;
    world_trace(((struct sim_client *)context)->broker->world, "partition %d: paused", number);
}

static void ask_resume(void *context, const char *topic, int32_t number)
{
    (void)topic;
    struct sim_partition *partition = mine(context, number);
    if (!partition)
        return;
    CHECK(partition->begun && partition->paused);
    partition->paused = false;
    world_trace(((struct sim_client *)context)->broker->world, "partition %d: resumed", number);
    wake(((struct sim_client *)context)->broker);
}

static void ask_store(void *context, const char *topic, int32_t number, int64_t next)
{
    (void)topic;
    struct sim_client *client = context;
    struct sim_partition *partition = mine(client, number);
    if (!partition)
        return;
    if (client->broker->no_watermark)
        next = partition->position;
    CHECK(next >= partition->stored);
    partition->stored = next;
    wake(client->broker);
}

struct delivery {
    struct sim_client *client;
    int place;
    uint64_t joined;
    uint64_t token;
    bool ok;
};

static void delivered(void *context, void *data)
{
    struct sim_broker *broker = context;
    struct delivery *delivery = data;
    if (broker->members[delivery->place].joined != delivery->joined)
        return; // that process is gone
    struct broker_event event = {
        .kind = BROKER_DELIVERED, .token = delivery->token, .ok = delivery->ok};
    emit(broker, delivery->place, &event);
}

static bool ask_produce(void *context, enum broker_topic topic, const struct message *message,
                        uint64_t token)
{
    (void)topic;
    (void)message;
    struct sim_client *client = context;
    if (client->muted)
        return true;
    struct sim_broker *broker = client->broker;
    if (world_chance(broker->world, 20))
        return false;
    struct delivery *delivery = own_alloc(sizeof(*delivery));
    *delivery = (struct delivery){client, client->place, broker->members[client->place].joined,
                                  token, world_chance(broker->world, 970)};
    broker->produced++;
    world_after(broker->world, world_range(broker->world, 1, 50), delivered, broker, delivery);
    return true;
}

const struct broker_ops sim_broker_ops = {
    .begin = ask_begin,
    .pause = ask_pause,
    .resume = ask_resume,
    .store_offset = ask_store,
    .produce = ask_produce,
};
