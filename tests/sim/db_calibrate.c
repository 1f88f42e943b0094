// SPDX-License-Identifier: Apache-2.0
// The model's calibrations, which are the rule of core/calibrate.c.
#include "db.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"

#define STALE_MS (INT64_C(30) * 24 * 3600 * 1000)

static bool is_of(const struct db_calibration *row, const char *provider, const char *model)
{
    return strcmp(row->provider, provider) == 0 && strcmp(row->model, model) == 0;
}

static struct db_calibration *row_of(struct db *db, const struct calibration_row *told)
{
    for (size_t i = 0; i < db->calibrations_count; i++)
        if (db->calibrations[i].subject == told->subject &&
            is_of(&db->calibrations[i], told->provider, told->model))
            return &db->calibrations[i];
    db->calibrations =
        own_grow(db->calibrations, db->calibrations_count + 1, sizeof(*db->calibrations));
    struct db_calibration *row = &db->calibrations[db->calibrations_count++];
    *row = (struct db_calibration){.provider = own_strdup(told->provider),
                                   .model = own_strdup(told->model),
                                   .subject = told->subject};
    return row;
}

// The last row takes the place of one that goes.
static void forget_stale(struct db *db, int64_t now_ms)
{
    for (size_t i = db->calibrations_count; i-- > 0;) {
        struct db_calibration *row = &db->calibrations[i];
        if (row->at_ms >= now_ms - STALE_MS)
            continue;
        free(row->provider);
        free(row->model);
        *row = db->calibrations[--db->calibrations_count];
    }
}

static void tell(struct db *db, int64_t now_ms, const struct calibrate_request *request)
{
    for (size_t i = 0; i < request->told_count; i++) {
        struct db_calibration *row = row_of(db, &request->told[i]);
        calibrate_merge(&row->learned, &request->told[i].learned, now_ms - row->at_ms);
        row->at_ms = now_ms;
    }
    forget_stale(db, now_ms);
}

struct calibration_row *db_calibrate(struct db *db, const struct db_asker *asker,
                                     const struct calibrate_request *request, size_t *out_count)
{
    struct db_worker *worker = &db->workers[asker->worker - 1];
    if (request->told_count > 0 && worker->calibrated < asker->serial) {
        worker->calibrated = asker->serial;
        tell(db, asker->now_ms, request);
    }
    struct calibration_row *rows = own_array(db->calibrations_count + 1, sizeof(*rows));
    *out_count = 0;
    for (size_t i = 0; i < request->model_count; i++)
        for (size_t j = 0; j < db->calibrations_count; j++) {
            const struct db_calibration *row = &db->calibrations[j];
            if (!is_of(row, request->providers[i], request->models[i]))
                continue;
            struct calibration_row *out = &rows[(*out_count)++];
            *out = (struct calibration_row){.provider = row->provider,
                                            .model = row->model,
                                            .subject = row->subject,
                                            .learned = row->learned};
            out->learned.samples =
                calibrate_worth(row->learned.samples, asker->now_ms - row->at_ms);
        }
    return rows;
}

void db_calibrate_deinit(struct db *db)
{
    for (size_t i = 0; i < db->calibrations_count; i++) {
        free(db->calibrations[i].provider);
        free(db->calibrations[i].model);
    }
    free(db->calibrations);
}
