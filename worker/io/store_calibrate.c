// SPDX-License-Identifier: Apache-2.0
// What the fleet learns of models: one call of the function precis_data.calibrate.
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/own.h"
#include "io/store_inner.h"

struct calibrate_item {
    struct store_item item;
    int64_t serial;
    struct calibration_row *told;
    size_t told_count;
    const char **providers, **models;
    size_t model_count;
};

static const struct calibrate_item *calibrate_of(const struct store_item *item)
{
    return (const struct calibrate_item *)(const void *)item;
}

static const char **copy_names(void *item, const char *const *names, size_t count)
{
    const char **copies =
        (const char **)(void *)store_item_bytes(item, names, count * sizeof(*names));
    for (size_t i = 0; i < count; i++)
        copies[i] = store_item_text(item, names[i]);
    return copies;
}

void store_calibrate(void *store_pointer, const struct calibrate_request *request)
{
    struct store *store = store_pointer;
    struct calibrate_item *item = store_item_new(store, sizeof(*item));
    item->serial = ++store->next_serial;
    item->told_count = request->told_count;
    item->told =
        store_item_bytes(item, request->told, request->told_count * sizeof(*request->told));
    for (size_t i = 0; i < item->told_count; i++) {
        item->told[i].provider = store_item_text(item, request->told[i].provider);
        item->told[i].model = store_item_text(item, request->told[i].model);
    }
    item->providers = copy_names(item, request->providers, request->model_count);
    item->models = copy_names(item, request->models, request->model_count);
    item->model_count = request->model_count;
    store_ask(store, STORE_KIND_CALIBRATE, item);
}

// Every digit, so that it comes back as it was.
static void add_double(struct pg_array *array, double number)
{
    char text[40];
    snprintf(text, sizeof(text), "%.17g", number);
    pg_array_add_text(array, text);
}

static void add_told(struct store_args *args, const struct calibrate_item *item)
{
    struct pg_array *provider = store_args_array(args), *model = store_args_array(args),
                    *subject = store_args_array(args), *samples = store_args_array(args),
                    *mean = store_args_array(args), *square = store_args_array(args),
                    *most = store_args_array(args), *cut = store_args_array(args);
    for (size_t i = 0; i < item->told_count; i++) {
        const struct calibration_row *row = &item->told[i];
        pg_array_add_text(provider, row->provider);
        pg_array_add_text(model, row->model);
        pg_array_add_int(subject, row->subject);
        add_double(samples, row->learned.samples);
        add_double(mean, row->learned.mean);
        add_double(square, row->learned.square);
        add_double(most, row->learned.most);
        pg_array_add_bool(cut, row->learned.cut);
    }
}

static void send_calibrate(struct store *store, struct store_item **items, size_t count,
                           struct pg_link *link)
{
    const struct calibrate_item *item = calibrate_of(items[0]);
    CHECK(count == 1);
    struct store_args args;
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    store_args_int(&args, item->serial);
    store_args_int(&args, CALIBRATE_FORM);
    struct pg_array *providers = store_args_array(&args), *models = store_args_array(&args);
    for (size_t i = 0; i < item->model_count; i++) {
        pg_array_add_text(providers, item->providers[i]);
        pg_array_add_text(models, item->models[i]);
    }
    add_told(&args, item);
    store_args_run(&args, link, STORE_SQL_calibrate);
    store_args_deinit(&args);
}

static double number(const PGresult *read, int row, int column)
{
    return strtod(store_text(read, row, column), NULL);
}

static void answer_calibrate(struct store *store, const struct calibration_row *rows, size_t count)
{
    struct store_event event = {.kind = STORE_CALIBRATED};
    event.u.calibrated.rows = rows;
    event.u.calibrated.count = count;
    store_emit(store, &event);
}

static void calibrate_done(struct store *store, struct store_item **items, size_t count,
                           const struct store_answer *answer)
{
    (void)items;
    (void)count;
    const PGresult *read = answer->results[0];
    size_t found = (size_t)PQntuples(read);
    struct calibration_row *rows = own_array(found + 1, sizeof(*rows));
    for (int i = 0; i < (int)found; i++)
        rows[i] = (struct calibration_row){.provider = store_text(read, i, 0),
                                           .model = store_text(read, i, 1),
                                           .subject = (int32_t)store_int(read, i, 2),
                                           .learned = {.samples = number(read, i, 3),
                                                       .mean = number(read, i, 4),
                                                       .square = number(read, i, 5),
                                                       .most = number(read, i, 6)}};
    answer_calibrate(store, rows, found);
    free(rows);
}

// What was told is lost, and nothing waits for it.
static bool calibrate_rejected(struct store *store, struct store_item *item, const char *sqlstate)
{
    (void)item;
    (void)sqlstate;
    answer_calibrate(store, NULL, 0);
    return false;
}

const struct store_kind store_kind_calibrate = {
    .name = "calibrate",
    .most = 1,
    .lazy = true,
    .send = send_calibrate,
    .done = calibrate_done,
    .rejected = calibrate_rejected,
};
