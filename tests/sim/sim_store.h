// SPDX-License-Identifier: Apache-2.0
// One worker's connection to the simulated database: store_ops that take time, lose the
// connection, and lose answers of what was committed. What was not answered is applied again on
// the next connection, as the real store does.
#ifndef PRECIS_SIM_STORE_H
#define PRECIS_SIM_STORE_H

#include "db.h"
#include "world.h"

struct sim_store;

// `on_event(context, event)` for each answer. `worker` is its number in the database.
struct sim_store *sim_store_new(struct world *world, struct db *db, int64_t worker,
                                void (*on_event)(void *context, const struct store_event *event),
                                void *context);
// The process is dead: what was on its way is still applied, all of it (`clean`) or a random part;
// nothing is answered.
void sim_store_kill(struct sim_store *store, bool clean);
// The database is out of reach for so long.
void sim_store_away(struct sim_store *store, int64_t for_ms);
// The next group is committed, its answers are lost, and the connection with them.
void sim_store_lose_answers(struct sim_store *store);
bool sim_store_idle(const struct sim_store *store);
// Nothing that is asked from now on is heard: the process has just been killed in mid-step.
void sim_store_mute(struct sim_store *store);

extern const struct store_ops sim_store_ops;

#endif
