// SPDX-License-Identifier: Apache-2.0
// Metrics: what is counted, and the text that Prometheus reads.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "core/metrics.h"

static void counts_each_series_by_itself(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_new();
    metrics_add(metrics, METRIC_CALLS, "a", "ok", 2);
    metrics_add(metrics, METRIC_CALLS, "a", "ok", 3);
    metrics_add(metrics, METRIC_CALLS, "a", "failed", 1);
    metrics_add(metrics, METRIC_CALLS, "b", "ok", 7);
    metrics_set(metrics, METRIC_JOBS_IN_FLIGHT, NULL, NULL, 9);
    metrics_set(metrics, METRIC_JOBS_IN_FLIGHT, NULL, NULL, 4);
    assert_int_equal(metrics_value(metrics, METRIC_CALLS, "a", "ok"), 5);
    assert_int_equal(metrics_value(metrics, METRIC_CALLS, "a", "failed"), 1);
    assert_int_equal(metrics_value(metrics, METRIC_CALLS, "b", "ok"), 7);
    assert_int_equal(metrics_value(metrics, METRIC_CALLS, "b", "failed"), 0);
    assert_int_equal(metrics_value(metrics, METRIC_JOBS_IN_FLIGHT, NULL, NULL), 4);
    metrics_free(metrics);
    metrics_free(NULL);
    metrics_add(NULL, METRIC_CALLS, "a", "ok", 1);
    metrics_set(NULL, METRIC_CALLS, "a", "ok", 1);
    metrics_observe_ms(NULL, METRIC_CALL_SECONDS, "a", 1);
}

static bool has_line(const char *text, const char *line)
{
    size_t len = strlen(line);
    for (const char *at = text; (at = strstr(at, line)); at++)
        if ((at == text || at[-1] == '\n') && at[len] == '\n')
            return true;
    print_error("no line: %s\n", line);
    return false;
}

static void prints_values_in_their_units(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_new();
    struct buf out OWN_BUF;
    buf_init(&out, 0);
    metrics_add(metrics, METRIC_CALLS, "a", "ok", 5);
    metrics_add(metrics, METRIC_COST, "a", NULL, 3750000001);
    metrics_add(metrics, METRIC_COST, "b", NULL, INT64_C(12345000000000000));
    metrics_set(metrics, METRIC_LOOP_LAG, NULL, NULL, 12);
    metrics_set(metrics, METRIC_KAFKA_LAG, NULL, NULL, -3);
    metrics_set(metrics, METRIC_DATABASE_UP, NULL, NULL, 1);
    metrics_set(metrics, METRIC_JOBS_WAITING, "a\"b\\c\nd", NULL, 2);
    metrics_print(metrics, &out);
    static const char *const lines[] = {
        "# TYPE precis_calls_total counter",
        "precis_calls_total{model=\"a\",outcome=\"ok\"} 5",
        "precis_cost_usd_total{model=\"a\"} 0.003750000001",
        "precis_cost_usd_total{model=\"b\"} 12345.000000000000",
        "# TYPE precis_loop_lag_seconds gauge",
        "precis_loop_lag_seconds 0.012",
        "precis_kafka_lag -3",
        "precis_database_up 1",
        "precis_jobs_waiting{reason=\"a\\\"b\\\\c\\nd\"} 2",
        "# TYPE precis_call_duration_seconds histogram",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_true(has_line(buf_str(&out), lines[i]));
    metrics_free(metrics);
}

static void histograms_are_cumulative(void **state)
{
    (void)state;
    static const int64_t observed_ms[] = {0, 5, 6, 100, 101, 300000, 300001, 9000000};
    struct metrics *metrics = metrics_new();
    struct buf out OWN_BUF;
    buf_init(&out, 0);
    for (size_t i = 0; i < sizeof(observed_ms) / sizeof(observed_ms[0]); i++)
        metrics_observe_ms(metrics, METRIC_CALL_SECONDS, "a", observed_ms[i]);
    metrics_print(metrics, &out);
    static const char *const lines[] = {
        "precis_call_duration_seconds_bucket{model=\"a\",le=\"0.005\"} 2",
        "precis_call_duration_seconds_bucket{model=\"a\",le=\"0.010\"} 3",
        "precis_call_duration_seconds_bucket{model=\"a\",le=\"0.050\"} 3",
        "precis_call_duration_seconds_bucket{model=\"a\",le=\"0.100\"} 4",
        "precis_call_duration_seconds_bucket{model=\"a\",le=\"0.250\"} 5",
        "precis_call_duration_seconds_bucket{model=\"a\",le=\"300.000\"} 6",
        "precis_call_duration_seconds_bucket{model=\"a\",le=\"+Inf\"} 8",
        "precis_call_duration_seconds_sum{model=\"a\"} 9600.213",
        "precis_call_duration_seconds_count{model=\"a\"} 8",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_true(has_line(buf_str(&out), lines[i]));
    metrics_free(metrics);
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

// A sample: name, labels or none, a blank, a number. Its name begins with `family`.
static void check_sample(const char *line, const char *end, const char *family, size_t family_len)
{
    assert_memory_equal(line, family, family_len);
    const char *at = line;
    while (at < end && is_name_byte(*at))
        at++;
    if (*at == '{') {
        bool quoted = false;
        for (at++; at < end && (quoted || *at != '}'); at++) {
            if (*at == '\\')
                at++;
            else if (*at == '"')
                quoted = !quoted;
        }
        at++;
    }
    assert_int_equal(*at, ' ');
    char *rest;
    strtod(at + 1, &rest);
    assert_ptr_equal(rest, end);
}

// The grammar of the exposition format, for every metric: HELP, TYPE, then its samples, and each
// family once.
static void every_line_is_of_the_format(void **state)
{
    (void)state;
    static const struct {
        const char *name, *label, *second;
    } rows[] = {
#define METRIC(name, text, kind, label, second, help) {text, label, second},
#include "core/metrics.def"
#undef METRIC
    };
    static const bool histograms[] = {
#define COUNTER                                       false
#define COUNTER_PICO                                  false
#define GAUGE                                         false
#define GAUGE_MILLI                                   false
#define HISTOGRAM                                     true
#define METRIC(name, text, kind, label, second, help) kind,
#include "core/metrics.def"
#undef METRIC
    };
    struct metrics *metrics = metrics_new();
    struct buf out OWN_BUF;
    buf_init(&out, 0);
    for (int m = 0; m < METRIC_COUNT; m++) {
        if (histograms[m])
            metrics_observe_ms(metrics, (enum metric)m, rows[m].label ? "l" : NULL, 70);
        else
            metrics_add(metrics, (enum metric)m, rows[m].label ? "l }\"\n" : NULL,
                        rows[m].second ? "s" : NULL, m);
    }
    metrics_print(metrics, &out);
    int family = -1;
    const char *line = buf_str(&out);
    while (*line) {
        const char *end = strchr(line, '\n');
        assert_non_null(end);
        if (strncmp(line, "# HELP ", 7) == 0) {
            family++;
            size_t len = strlen(rows[family].name);
            assert_memory_equal(line + 7, rows[family].name, len);
            assert_int_equal(line[7 + len], ' ');
            assert_memory_equal(end + 1, "# TYPE ", 7);
            assert_memory_equal(end + 8, rows[family].name, len);
            end = strchr(end + 1, '\n');
        } else {
            check_sample(line, end, rows[family].name, strlen(rows[family].name));
        }
        line = end + 1;
    }
    assert_int_equal(family, METRIC_COUNT - 1);
    metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_each_series_by_itself),
        cmocka_unit_test(prints_values_in_their_units),
        cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(every_line_is_of_the_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
