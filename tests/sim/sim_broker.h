// SPDX-License-Identifier: Apache-2.0
// A simulated Kafka: one topic, a consumer group whose members come and go, committed offsets, and
// what real brokers do to a consumer: redelivery, revokes, lost partitions, silence.
#ifndef PRECIS_SIM_BROKER_H
#define PRECIS_SIM_BROKER_H

#include "core/seams.h"
#include "world.h"

#define SIM_TOPIC      "jobs"
#define SIM_PARTITIONS 4
#define SIM_MEMBERS    8

struct sim_message {
    char *key, *value; // value NULL: a tombstone
    int64_t timestamp_ms;
};

struct sim_partition {
    struct sim_message *log;
    size_t log_len;
    int64_t committed; // -1: none
    int owner;         // member's place; -1: none
    // of the owner
    bool begun, paused;
    int64_t position, stored;
    uint64_t assignment; // counts; old deliveries are recognised by it
    bool revoking;
};

struct sim_member {
    bool here;
    void (*on_event)(void *context, const struct broker_event *event);
    void *context;
    uint64_t joined; // tells its life from those before it at this place
};

struct sim_broker {
    struct world *world;
    struct sim_partition partitions[SIM_PARTITIONS];
    struct sim_member members[SIM_MEMBERS];
    bool no_watermark; // the protection that is switched off: any stored offset is the last read
    int64_t away_until_ms;
    uint64_t assignments;
    bool pumping;
    // An offset was committed: promises look at it.
    void (*on_commit)(void *context, int partition, int64_t next);
    void *context;
    size_t produced;
};

void sim_broker_init(struct sim_broker *broker, struct world *world);
void sim_broker_deinit(struct sim_broker *broker);
void sim_broker_append(struct sim_broker *broker, int partition, const char *key,
                       const char *value);

// A member's edge: broker_ops' context.
struct sim_client;
struct sim_client *
sim_client_join(struct sim_broker *broker,
                void (*on_event)(void *context, const struct broker_event *event), void *context);
// Leaves at once (`clean`: after a revoke, its stored offsets committed), or just stops answering.
void sim_client_leave(struct sim_client *client, bool clean);
void sim_client_mute(struct sim_client *client);
// Deals the partitions out again among those who are there.
void sim_broker_rebalance(struct sim_broker *broker, bool lost);
void sim_broker_away(struct sim_broker *broker, int64_t for_ms);
// Everything was read and committed.
bool sim_broker_is_done(const struct sim_broker *broker);

extern const struct broker_ops sim_broker_ops;

#endif
