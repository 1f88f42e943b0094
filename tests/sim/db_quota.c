// SPDX-License-Identifier: Apache-2.0
// The model's quota, which is the rule of core/quota.c, and its notices.
#include "db.h"

#include "base/own.h"

struct leases {
    const struct db *db;
    int64_t now_ms;
};

static bool is_live(const void *context, int64_t worker)
{
    const struct leases *leases = context;
    return db_has_lease(leases->db, worker, leases->now_ms);
}

void db_quota(struct db *db, const struct db_asker *asker, const struct quota_ask *asks,
              size_t count, struct quota_grant *out)
{
    struct leases leases = {db, asker->now_ms};
    struct quota_asker who = {.worker = asker->worker,
                              .serial = asker->serial,
                              .now_us = asker->now_us,
                              .context = &leases,
                              .is_live = is_live};
    bool news = false;
    for (size_t i = 0; i < count; i++)
        news |= quota_fleet_ask(db->quota, &who, &asks[i], &out[i]);
    if (news)
        db_notify(db, asker->from, "key");
}

void db_quota_set(struct db *db, const struct quota_ask *lane, enum quota_dimension dimension,
                  int64_t most)
{
    quota_fleet_set(db->quota, lane, dimension, most);
    db_notify(db, NULL, "quota");
}

void db_listen(struct db *db, void *context, void (*on_notice)(void *context, const char *what))
{
    db->listeners = own_grow(db->listeners, db->listeners_count + 1, sizeof(*db->listeners));
    db->listeners[db->listeners_count++] = (struct db_listener){context, on_notice};
}

void db_unlisten(struct db *db, const void *context)
{
    for (size_t i = 0; i < db->listeners_count; i++)
        if (db->listeners[i].context == context) {
            db->listeners[i] = db->listeners[--db->listeners_count];
            return;
        }
}

void db_notify(struct db *db, const void *from, const char *what)
{
    for (size_t i = 0; i < db->listeners_count; i++)
        if (db->listeners[i].context != from)
            db->listeners[i].on_notice(db->listeners[i].context, what);
}
