// SPDX-License-Identifier: Apache-2.0
// Series are few (models times outcomes), so each metric keeps them in a plain array.
#include "core/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"

enum metric_kind { COUNTER, COUNTER_PICO, GAUGE, GAUGE_MILLI, HISTOGRAM };

struct metric_row {
    const char *name;
    enum metric_kind kind;
    const char *label, *second, *help;
};

static const struct metric_row rows[] = {
#define METRIC(name, text, kind, label, second, help) {text, kind, label, second, help},
#include "core/metrics.def"
#undef METRIC
};

static const int64_t bounds_ms[] = {5,    10,   25,    50,    100,   250,    500,   1000,
                                    2500, 5000, 10000, 30000, 60000, 120000, 300000};
#define BOUNDS (sizeof(bounds_ms) / sizeof(bounds_ms[0]))

struct series {
    char *label, *second;
    int64_t value;   // also a histogram's sum
    int64_t *counts; // of a histogram: BOUNDS + 1
};

struct metrics {
    struct series *series[METRIC_COUNT];
    size_t counts[METRIC_COUNT];
};

struct metrics *metrics_new(void)
{
    return own_alloc(sizeof(struct metrics));
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    for (int m = 0; m < METRIC_COUNT; m++) {
        for (size_t i = 0; i < metrics->counts[m]; i++) {
            free(metrics->series[m][i].label);
            free(metrics->series[m][i].second);
            free(metrics->series[m][i].counts);
        }
        free(metrics->series[m]);
    }
    free(metrics);
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static struct series *find(const struct metrics *metrics, enum metric metric, const char *label,
                           const char *second)
{
    for (size_t i = 0; i < metrics->counts[metric]; i++) {
        struct series *series = &metrics->series[metric][i];
        if (same(series->label, label) && same(series->second, second))
            return series;
    }
    return NULL;
}

static struct series *get(struct metrics *metrics, enum metric metric, const char *label,
                          const char *second)
{
    CHECK(!rows[metric].label == !label && !rows[metric].second == !second);
    struct series *series = find(metrics, metric, label, second);
    if (series)
        return series;
    size_t count = ++metrics->counts[metric];
    metrics->series[metric] = own_grow(metrics->series[metric], count, sizeof(*series));
    series = &metrics->series[metric][count - 1];
    *series = (struct series){.label = own_strdup(label), .second = own_strdup(second)};
    if (rows[metric].kind == HISTOGRAM)
        series->counts = own_array(BOUNDS + 1, sizeof(int64_t));
    return series;
}

void metrics_add(struct metrics *metrics, enum metric metric, const char *label, const char *second,
                 int64_t amount)
{
    if (metrics)
        get(metrics, metric, label, second)->value += amount;
}

void metrics_set(struct metrics *metrics, enum metric metric, const char *label, const char *second,
                 int64_t value)
{
    if (metrics)
        get(metrics, metric, label, second)->value = value;
}

void metrics_observe_ms(struct metrics *metrics, enum metric metric, const char *label,
                        int64_t value_ms)
{
    if (!metrics)
        return;
    struct series *series = get(metrics, metric, label, NULL);
    CHECK(series->counts); // only a histogram is observed
    size_t i = 0;
    while (i < BOUNDS && value_ms > bounds_ms[i])
        i++;
    series->counts[i]++;
    series->value += value_ms;
}

int64_t metrics_value(const struct metrics *metrics, enum metric metric, const char *label,
                      const char *second)
{
    const struct series *series = find(metrics, metric, label, second);
    return series ? series->value : 0;
}

static void print_escaped(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            buf_add_char(out, '\\');
        if (*text == '\n')
            buf_add_str(out, "\\n");
        else
            buf_add_char(out, *text);
    }
}

static void print_labels(struct buf *out, const struct metric_row *row, const struct series *series,
                         const char *bound)
{
    const char *names[] = {row->label, row->second, bound ? "le" : NULL};
    const char *values[] = {series->label, series->second, bound};
    const char *before = "{";
    for (int i = 0; i < 3; i++) {
        if (!names[i])
            continue;
        buf_printf(out, "%s%s=\"", before, names[i]);
        print_escaped(out, values[i]);
        buf_add_char(out, '"');
        before = ",";
    }
    if (*before == ',')
        buf_add_char(out, '}');
}

// A whole number of `unit`ths as a decimal.
static void print_scaled(struct buf *out, int64_t value, int64_t unit, int digits)
{
    const char *sign = value < 0 ? "-" : "";
    int64_t whole = value < 0 ? -value : value;
    if (unit == 1)
        buf_printf(out, "%s%" PRId64 "\n", sign, whole);
    else
        buf_printf(out, "%s%" PRId64 ".%0*" PRId64 "\n", sign, whole / unit, digits, whole % unit);
}

static void print_histogram(struct buf *out, const struct metric_row *row,
                            const struct series *series)
{
    int64_t count = 0;
    for (size_t i = 0; i <= BOUNDS; i++) {
        char bound[32] = "+Inf";
        if (i < BOUNDS)
            snprintf(bound, sizeof(bound), "%" PRId64 ".%03d", bounds_ms[i] / 1000,
                     (int)(bounds_ms[i] % 1000));
        count += series->counts[i];
        buf_printf(out, "%s_bucket", row->name);
        print_labels(out, row, series, bound);
        buf_printf(out, " %" PRId64 "\n", count);
    }
    buf_printf(out, "%s_sum", row->name);
    print_labels(out, row, series, NULL);
    buf_add_char(out, ' ');
    print_scaled(out, series->value, 1000, 3);
    buf_printf(out, "%s_count", row->name);
    print_labels(out, row, series, NULL);
    buf_printf(out, " %" PRId64 "\n", count);
}

static void print_series(struct buf *out, const struct metric_row *row, const struct series *series)
{
    if (row->kind == HISTOGRAM) {
        print_histogram(out, row, series);
        return;
    }
    buf_add_str(out, row->name);
    print_labels(out, row, series, NULL);
    buf_add_char(out, ' ');
    if (row->kind == COUNTER_PICO)
        print_scaled(out, series->value, INT64_C(1000000000000), 12);
    else
        print_scaled(out, series->value, row->kind == GAUGE_MILLI ? 1000 : 1, 3);
}

void metrics_print(const struct metrics *metrics, struct buf *out)
{
    for (int m = 0; m < METRIC_COUNT; m++) {
        const struct metric_row *row = &rows[m];
        const char *type = row->kind == HISTOGRAM                              ? "histogram"
                           : row->kind == COUNTER || row->kind == COUNTER_PICO ? "counter"
                                                                               : "gauge";
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name, type);
        for (size_t i = 0; i < metrics->counts[m]; i++)
            print_series(out, row, &metrics->series[m][i]);
    }
}
