// SPDX-License-Identifier: Apache-2.0
// The rows of the fleet's quota, and where an ask goes through them.
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/quota_inner.h"

struct quota_fleet *quota_fleet_new(void)
{
    struct quota_fleet *fleet = own_alloc(sizeof(*fleet));
    fleet->since_us = INT64_MIN / 2;
    return fleet;
}

void quota_fleet_free(struct quota_fleet *fleet)
{
    if (fleet == NULL)
        return;
    for (size_t i = 0; i < fleet->lane_count; i++) {
        free(fleet->lanes[i].provider);
        free(fleet->lanes[i].key_name);
        free(fleet->lanes[i].model);
        free(fleet->lanes[i].rows);
    }
    for (size_t i = 0; i < fleet->key_count; i++) {
        free(fleet->keys[i].provider);
        free(fleet->keys[i].key_name);
        free(fleet->keys[i].model);
    }
    for (size_t i = 0; i < fleet->setting_count; i++) {
        free(fleet->settings[i].provider);
        free(fleet->settings[i].key_name);
        free(fleet->settings[i].model);
    }
    free(fleet->lanes);
    free(fleet->keys);
    free(fleet->settings);
    free(fleet);
}

void quota_fleet_crashed(struct quota_fleet *fleet, int64_t now_us)
{
    fleet->since_us = now_us;
}

struct quota_lane *quota_find_lane(struct quota_fleet *fleet, const struct quota_ask *ask,
                                   int64_t now_us)
{
    for (size_t i = 0; i < fleet->lane_count; i++) {
        struct quota_lane *lane = &fleet->lanes[i];
        if (strcmp(lane->provider, ask->provider) == 0 &&
            strcmp(lane->key_name, ask->key_name) == 0 && strcmp(lane->model, ask->model) == 0)
            return lane;
    }
    fleet->lanes = own_grow(fleet->lanes, fleet->lane_count + 1, sizeof(*fleet->lanes));
    struct quota_lane *lane = &fleet->lanes[fleet->lane_count++];
    *lane = (struct quota_lane){.provider = own_strdup(ask->provider),
                                .key_name = own_strdup(ask->key_name),
                                .model = own_strdup(ask->model)};
    for (int d = 0; d < QUOTA_MINUTES; d++)
        lane->buckets[d] = (struct quota_bucket){
            .free_at_us = now_us, .factor_ppm = QUOTA_WHOLE_PPM, .factor_at_us = now_us};
    return lane;
}

struct quota_key *quota_find_key(struct quota_fleet *fleet, const struct quota_ask *ask,
                                 bool of_model, bool make)
{
    for (size_t i = 0; i < fleet->key_count; i++) {
        struct quota_key *key = &fleet->keys[i];
        if (strcmp(key->provider, ask->provider) == 0 &&
            strcmp(key->key_name, ask->key_name) == 0 && (key->model != NULL) == of_model &&
            (!of_model || strcmp(key->model, ask->model) == 0))
            return key;
    }
    if (!make)
        return NULL;
    fleet->keys = own_grow(fleet->keys, fleet->key_count + 1, sizeof(*fleet->keys));
    struct quota_key *key = &fleet->keys[fleet->key_count++];
    *key = (struct quota_key){.provider = own_strdup(ask->provider),
                              .key_name = own_strdup(ask->key_name),
                              .model = of_model ? own_strdup(ask->model) : NULL};
    return key;
}

// Of workers that ended long ago.
static void forget_rows(struct quota_lane *lane, const struct quota_asker *asker)
{
    for (size_t i = 0; i < lane->row_count;) {
        const struct quota_row *row = &lane->rows[i];
        if (row->asked_at_us < asker->now_us - QUOTA_HOUR_US &&
            !asker->is_live(asker->context, row->worker))
            lane->rows[i] = lane->rows[--lane->row_count];
        else
            i++;
    }
}

struct quota_row *quota_find_row(struct quota_lane *lane, const struct quota_asker *asker)
{
    for (size_t i = 0; i < lane->row_count; i++)
        if (lane->rows[i].worker == asker->worker)
            return &lane->rows[i];
    forget_rows(lane, asker);
    lane->rows = own_grow(lane->rows, lane->row_count + 1, sizeof(*lane->rows));
    struct quota_row *row = &lane->rows[lane->row_count++];
    *row = (struct quota_row){.worker = asker->worker};
    return row;
}

// ------------------------------------------------------------------------------- settings

static struct quota_setting *find_setting(const struct quota_fleet *fleet,
                                          const struct quota_ask *lane, const char *key_name,
                                          enum quota_dimension dimension)
{
    for (size_t i = 0; i < fleet->setting_count; i++) {
        struct quota_setting *setting = &fleet->settings[i];
        if (setting->dimension == dimension && strcmp(setting->provider, lane->provider) == 0 &&
            strcmp(setting->model, lane->model) == 0 && strcmp(setting->key_name, key_name) == 0)
            return setting;
    }
    return NULL;
}

void quota_fleet_set(struct quota_fleet *fleet, const struct quota_ask *lane,
                     enum quota_dimension dimension, int64_t most)
{
    struct quota_setting *setting = find_setting(fleet, lane, lane->key_name, dimension);
    if (!setting) {
        fleet->settings =
            own_grow(fleet->settings, fleet->setting_count + 1, sizeof(*fleet->settings));
        setting = &fleet->settings[fleet->setting_count++];
        *setting = (struct quota_setting){.provider = own_strdup(lane->provider),
                                          .key_name = own_strdup(lane->key_name),
                                          .model = own_strdup(lane->model),
                                          .dimension = dimension};
    }
    setting->most = most;
}

int64_t quota_limit(const struct quota_fleet *fleet, const struct quota_ask *ask,
                    enum quota_dimension dimension)
{
    const struct quota_setting *of_key = find_setting(fleet, ask, ask->key_name, dimension);
    if (of_key && of_key->most > 0)
        return of_key->most;
    const struct quota_setting *of_all = find_setting(fleet, ask, "", dimension);
    if (of_all && of_all->most > 0)
        return of_all->most;
    return dimension == QUOTA_DIMENSIONS ? ask->in_flight_most : ask->limits[dimension];
}

const char *quota_dimension_name(enum quota_dimension dimension)
{
    static const char *const names[] = {"requests", "input",        "output",
                                        "tokens",   "requests_day", "tokens_day"};
    return (unsigned)dimension < QUOTA_DIMENSIONS ? names[dimension] : "in_flight";
}
