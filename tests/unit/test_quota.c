// SPDX-License-Identifier: Apache-2.0
// The rule of the fleet's quota: single answers by table, then what has to hold whoever asks when:
// never over the limit, each in its turn, nothing lost with the dead.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/rng.h"
#include "core/quota_inner.h"

#define NOW    INT64_C(1795000000000000)
#define SECOND INT64_C(1000000)

struct bench {
    struct quota_fleet *fleet;
    int64_t now_us, serial;
    uint64_t dead; // workers, as bits
    bool news;     // of the last ask
    struct quota_grant grant;
};

static bool is_live(const void *context, int64_t worker)
{
    const struct bench *bench = context;
    return (bench->dead >> worker & 1) == 0;
}

static int set_up(void **state)
{
    struct bench *bench = own_alloc(sizeof(*bench));
    bench->fleet = quota_fleet_new();
    bench->now_us = NOW;
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    quota_fleet_free(bench->fleet);
    free(bench);
    return 0;
}

static struct quota_ask an_ask(int64_t rpm, int64_t wanted)
{
    struct quota_ask ask = {.provider = "p", .key_name = "k", .model = "m"};
    ask.limits[QUOTA_REQUESTS] = rpm;
    ask.wanted[QUOTA_REQUESTS] = wanted;
    for (int d = 0; d < QUOTA_DIMENSIONS; d++)
        ask.seen_limit[d] = ask.seen_left[d] = ask.seen_reset_ms[d] = -1;
    return ask;
}

static const struct quota_grant *ask_as(struct bench *bench, int64_t worker,
                                        const struct quota_ask *ask)
{
    struct quota_asker asker = {.worker = worker,
                                .serial = ++bench->serial,
                                .now_us = bench->now_us,
                                .context = bench,
                                .is_live = is_live};
    bench->news = quota_fleet_ask(bench->fleet, &asker, ask, &bench->grant);
    return &bench->grant;
}

static const struct quota_grant *ask_now(struct bench *bench, int64_t worker, int64_t rpm,
                                         int64_t wanted)
{
    struct quota_ask ask = an_ask(rpm, wanted);
    return ask_as(bench, worker, &ask);
}

static void pass(struct bench *bench, int64_t us)
{
    bench->now_us += us;
}

// ------------------------------------------------------------------------------- single answers

static void no_limit_gives_what_is_wanted(void **state)
{
    struct quota_ask ask = an_ask(0, 5);
    ask.wanted[QUOTA_TOKENS] = 70000;
    const struct quota_grant *grant = ask_as(*state, 1, &ask);
    assert_int_equal(grant->given[QUOTA_REQUESTS], 5);
    assert_int_equal(grant->given[QUOTA_TOKENS], 70000);
    assert_int_equal(grant->slots, INT64_MAX);
    assert_int_equal(grant->wait_ms, 0);
    assert_int_equal(grant->rate[QUOTA_REQUESTS], 0);
}

static void a_grant_is_a_second_at_most(void **state)
{
    struct bench *bench = *state;
    const struct quota_grant *grant = ask_now(bench, 1, 1200, 500);
    assert_int_equal(grant->given[QUOTA_REQUESTS], 20);
    assert_int_equal(grant->start_in_ms, 0);
    assert_int_equal(grant->spread_ms, 1000);
    assert_int_equal(grant->rate[QUOTA_REQUESTS], 1200);
    grant = ask_now(bench, 1, 1200, 500); // nothing is left of this second
    assert_int_equal(grant->given[QUOTA_REQUESTS], 0);
    assert_int_equal(grant->wait_ms, 250);
    assert_int_equal(grant->short_of, QUOTA_REQUESTS);
    pass(bench, 250000);
    grant = ask_now(bench, 1, 1200, 500); // a quarter of one, after the first
    assert_int_equal(grant->given[QUOTA_REQUESTS], 5);
    assert_int_equal(grant->start_in_ms, 750);
    assert_int_equal(grant->spread_ms, 250);
}

static void an_idle_bucket_saves_a_second(void **state)
{
    struct bench *bench = *state;
    int64_t given = 0;
    ask_now(bench, 1, 600, 1);
    pass(bench, 3600 * SECOND);
    for (const struct quota_grant *grant = ask_now(bench, 1, 600, 100); grant->wait_ms == 0;
         grant = ask_now(bench, 1, 600, 100))
        given += grant->given[QUOTA_REQUESTS];
    assert_int_equal(given, 20); // a second saved, a second ahead
}

static void all_dimensions_or_none(void **state)
{
    struct bench *bench = *state;
    struct quota_ask ask = an_ask(1200, 20);
    ask.limits[QUOTA_TOKENS] = 60000; // 1,000 a second: half of what is wanted
    ask.wanted[QUOTA_TOKENS] = 2000;
    const struct quota_grant *grant = ask_as(bench, 1, &ask);
    assert_int_equal(grant->given[QUOTA_REQUESTS], 10);
    assert_int_equal(grant->given[QUOTA_TOKENS], 1000);
    pass(bench, SECOND);
    grant = ask_as(bench, 1, &ask); // the requests that were not taken are there
    assert_int_equal(grant->given[QUOTA_REQUESTS], 10);
}

// More than a second's worth at once: when nothing is owed, and then there is a debt.
static void a_large_call_leaves_a_debt(void **state)
{
    struct bench *bench = *state;
    struct quota_ask ask = an_ask(0, 1);
    ask.limits[QUOTA_TOKENS] = 60000;
    ask.wanted[QUOTA_TOKENS] = ask.least[QUOTA_TOKENS] = 30000;
    const struct quota_grant *grant = ask_as(bench, 1, &ask);
    assert_int_equal(grant->given[QUOTA_TOKENS], 30000);
    assert_int_equal(grant->start_in_ms, 0);
    grant = ask_as(bench, 2, &ask);
    assert_int_equal(grant->given[QUOTA_TOKENS], 0);
    assert_int_equal(grant->wait_ms, 30000);
    assert_int_equal(grant->short_of, QUOTA_TOKENS);
}

// Small calls do not pass a large one for ever.
static void a_large_call_has_its_turn(void **state)
{
    struct bench *bench = *state;
    struct quota_ask large = an_ask(0, 1), small = an_ask(0, 1);
    large.limits[QUOTA_TOKENS] = small.limits[QUOTA_TOKENS] = 60000;
    large.wanted[QUOTA_TOKENS] = large.least[QUOTA_TOKENS] = 5000;
    small.wanted[QUOTA_TOKENS] = 1000;
    small.least[QUOTA_TOKENS] = 50;
    bool went = false;
    for (int tick = 0; tick < 400 && !went; tick++) { // each 10 ms
        for (int64_t worker = 2; worker <= 5; worker++)
            ask_as(bench, worker, &small);
        went = tick % 20 == 5 && ask_as(bench, 1, &large)->given[QUOTA_TOKENS] > 0;
        pass(bench, 10000);
    }
    assert_true(went);
}

static void what_comes_back_is_there(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(ask_now(bench, 1, 1200, 20)->given[QUOTA_REQUESTS], 20);
    assert_int_equal(ask_now(bench, 2, 1200, 20)->given[QUOTA_REQUESTS], 0);
    struct quota_ask back = an_ask(1200, 0);
    back.back[QUOTA_REQUESTS] = 18;
    ask_as(bench, 1, &back);
    pass(bench, 3 * SECOND); // the first one is no asker any more
    assert_int_equal(ask_now(bench, 2, 1200, 40)->given[QUOTA_REQUESTS], 20);
}

static void settling_moves_the_bucket(void **state)
{
    struct bench *bench = *state;
    struct quota_ask ask = an_ask(0, 1);
    ask.limits[QUOTA_TOKENS] = 60000;
    ask.wanted[QUOTA_TOKENS] = 1000;
    assert_int_equal(ask_as(bench, 1, &ask)->given[QUOTA_TOKENS], 1000);
    ask.settled[QUOTA_TOKENS] = 5000; // used more than was reserved: five seconds' worth
    ask.least[QUOTA_TOKENS] = 1000;
    assert_int_equal(ask_as(bench, 1, &ask)->wait_ms, 6000);
    ask.settled[QUOTA_TOKENS] = -6000;
    assert_int_equal(ask_as(bench, 1, &ask)->given[QUOTA_TOKENS], 1000);
}

// An ask that is applied again, since its answer was lost, brings nothing twice.
static void an_ask_that_comes_twice(void **state)
{
    struct bench *bench = *state;
    struct quota_ask ask = an_ask(600, 0);
    ask_now(bench, 1, 600, 10);
    ask.back[QUOTA_REQUESTS] = 5;
    ask_as(bench, 1, &ask);
    int64_t free_at_us = bench->fleet->lanes[0].buckets[QUOTA_REQUESTS].free_at_us;
    bench->serial--;
    ask_as(bench, 1, &ask);
    assert_int_equal(bench->fleet->lanes[0].buckets[QUOTA_REQUESTS].free_at_us, free_at_us);
}

static void a_day_is_never_exceeded(void **state)
{
    struct bench *bench = *state;
    struct quota_ask ask = an_ask(0, 40);
    ask.limits[QUOTA_REQUESTS_DAY] = 100;
    ask.wanted[QUOTA_REQUESTS_DAY] = 40;
    int64_t given[60] = {0};
    for (int hour = 0; hour < 60; hour++) {
        for (int i = 0; i < 40; i++)
            given[hour] += ask_as(bench, 1 + i % 4, &ask)->given[QUOTA_REQUESTS_DAY];
        pass(bench, 3600 * SECOND);
        int64_t day = 0;
        for (int h = hour > 23 ? hour - 23 : 0; h <= hour; h++)
            day += given[h];
        assert_true(day <= 100);
    }
    assert_int_equal(given[0], 100);
    assert_int_equal(given[24], 0);
    assert_int_equal(given[25], 100);
    ask.least[QUOTA_REQUESTS_DAY] = ask.wanted[QUOTA_REQUESTS_DAY] = 101;
    assert_int_equal(ask_as(bench, 1, &ask)->wait_ms, 25 * 3600 * 1000);
    assert_int_equal(bench->grant.short_of, QUOTA_REQUESTS_DAY);
}

// ------------------------------------------------------------------------------- the provider's
// word

static void headers_move_the_rate(void **state)
{
    (void)state;
    static const struct {
        int64_t limit, left;
        int64_t rate; // of 1,200, after a full bucket of 40 was seen
    } cases[] = {
        {-1, -1, 1200}, {1200, 40, 1200}, {1200, 20, 1200}, {1200, 10, 900},  {1200, 14, 1020},
        {1200, 0, 600}, {600, 40, 600},   {600, 9, 600},    {5000, 40, 1200}, {1200, 1201, 1200},
        {0, -7, 1200},  {-1, 10, 900},    {1200, -1, 1200}, {-5, 20, 1200},   {5000, 0, 1200},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bench bench = {.fleet = quota_fleet_new(), .now_us = NOW};
        struct quota_ask ask = an_ask(1200, 1);
        ask.seen_limit[QUOTA_REQUESTS] = 1200;
        ask.seen_left[QUOTA_REQUESTS] = 40;
        ask_as(&bench, 1, &ask);
        ask.seen_limit[QUOTA_REQUESTS] = cases[i].limit;
        ask.seen_left[QUOTA_REQUESTS] = cases[i].left;
        int64_t rate = ask_as(&bench, 2, &ask)->rate[QUOTA_REQUESTS];
        if (rate != cases[i].rate)
            fail_msg("limit %" PRId64 " left %" PRId64 ": %" PRId64 " a minute, not %" PRId64,
                     cases[i].limit, cases[i].left, rate, cases[i].rate);
        quota_fleet_free(bench.fleet);
    }
}

static struct quota_ask with_headers(int64_t rpm, int64_t left, int64_t reset_ms)
{
    struct quota_ask ask = an_ask(rpm, 1);
    ask.seen_limit[QUOTA_REQUESTS] = rpm;
    ask.seen_left[QUOTA_REQUESTS] = left;
    ask.seen_reset_ms[QUOTA_REQUESTS] = reset_ms;
    return ask;
}

// A provider's bucket of two seconds holds two or three: none or one are left after each call.
static void a_tiny_bucket_is_no_foreign_program(void **state)
{
    (void)state;
    static const struct {
        int64_t limit, most;
    } cases[] = {{10, 0}, {60, 1}, {100, 2}, {60, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bench bench = {.fleet = quota_fleet_new(), .now_us = NOW};
        for (int call = 0; call < 50; call++) {
            int64_t left = call % 2 == 0 ? cases[i].most : 0;
            struct quota_ask ask = with_headers(cases[i].limit, left, -1);
            assert_int_equal(ask_as(&bench, 1, &ask)->rate[QUOTA_REQUESTS], cases[i].limit);
            pass(&bench, 60 * SECOND / cases[i].limit);
        }
        quota_fleet_free(bench.fleet);
    }
}

// Half of a window's requests are somebody else's: ours are spread over the time that it lasts.
static void a_window_is_known_by_its_end(void **state)
{
    struct bench *bench = *state;
    int64_t rate = 0;
    for (int64_t s = 0; s < 30; s++) { // after 10 s 1,000 are left, after 40 s 400
        struct quota_ask ask = with_headers(1200, 1000 - 20 * s, 50000 - 1000 * s);
        rate = ask_as(bench, 1, &ask)->rate[QUOTA_REQUESTS];
        assert_int_equal(rate, 1200);
        pass(bench, SECOND);
    }
    struct quota_ask ask = with_headers(1200, 199, 20000);
    for (int i = 0; i < 10; i++)
        rate = ask_as(bench, 1, &ask)->rate[QUOTA_REQUESTS];
    assert_in_range(rate, 600, 601);
    pass(bench, 21 * SECOND);
    ask = with_headers(1200, 1199, 59000);
    for (int i = 0; i < 4; i++)
        rate = ask_as(bench, 1, &ask)->rate[QUOTA_REQUESTS];
    assert_in_range(rate, 1150, 1200);
}

// `shift_us`: by so much the named moment moves in a second. True: it waits until then.
static bool waits_for_reset(struct bench *bench, int64_t shift_ms)
{
    for (int64_t s = 0; s < 10; s++) {
        struct quota_ask ask = with_headers(600, 5, 30000 - (1000 - shift_ms) * s);
        ask_as(bench, 1, &ask);
        pass(bench, SECOND);
    }
    struct quota_ask ask = with_headers(600, 0, 20000 + shift_ms * 10);
    ask_as(bench, 1, &ask);
    int64_t given = 0;
    for (int i = 0; i < 37; i++) {
        pass(bench, SECOND / 2);
        given += ask_now(bench, 1, 600, 1)->given[QUOTA_REQUESTS];
    }
    pass(bench, 2 * SECOND);
    assert_true(ask_now(bench, 1, 600, 1)->given[QUOTA_REQUESTS] > 0);
    return given == 0;
}

static void nothing_goes_before_an_empty_window_ends(void **state)
{
    assert_true(waits_for_reset(*state, 0));
}

// The time until a bucket is full again, or a whole minute is forgotten, moves with each call.
static void a_bucket_that_refills_is_no_window(void **state)
{
    assert_false(waits_for_reset(*state, 1000));
}

// A minute's worth was seen: it may be a window that slides, whose last call must not meet its
// first.
static void a_minute_never_has_more_than_its_limit(void **state)
{
    static const int64_t limits[] = {10, 60, 420, 1200};
    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct bench bench = {.fleet = quota_fleet_new(), .now_us = NOW};
        struct quota_ask ask = with_headers(limits[i], limits[i] - 1, -1);
        int64_t given[1300] = {0}, sum = 0;
        ask_as(&bench, 1, &ask);
        pass(&bench, 30 * SECOND);                // idle, saving
        for (int tick = 0; tick < 1300; tick++) { // each 100 ms
            given[tick] = ask_now(&bench, 1, limits[i], limits[i])->given[QUOTA_REQUESTS];
            sum += given[tick] - (tick >= 600 ? given[tick - 600] : 0);
            // a second's worth is given ahead, and paced
            assert_true(sum <= limits[i] + limits[i] / 60);
            pass(&bench, SECOND / 10);
        }
        assert_true(sum * 1000 >= limits[i] * 970 || limits[i] - sum <= 1);
        quota_fleet_free(bench.fleet);
    }
}

// Refused though much was left: somebody else uses the key, and more has to be left for that.
static void after_a_429_more_has_to_be_left(void **state)
{
    (void)state;
    for (int32_t refusals = 0; refusals <= 1; refusals++) {
        struct bench bench = {.fleet = quota_fleet_new(), .now_us = NOW};
        struct quota_ask ask = with_headers(1200, 1199, -1);
        ask.refusals = refusals;
        assert_int_equal(ask_as(&bench, 1, &ask)->rate[QUOTA_REQUESTS], 1200);
        pass(&bench, 60 * SECOND);
        ask = with_headers(1200, 20, -1);
        int64_t rate = ask_as(&bench, 1, &ask)->rate[QUOTA_REQUESTS];
        assert_int_equal(rate, refusals > 0 ? 900 : 1200);
        quota_fleet_free(bench.fleet);
    }
}

// What is saved up goes at once: no more of it than half of what the provider's bucket holds.
static void no_more_is_saved_than_the_provider_holds(void **state)
{
    static const struct {
        int64_t most, refusals, at_once;
    } cases[] = {{-1, 0, 40}, {39, 0, 39}, {19, 0, 29}, {7, 0, 20}, {39, 1, 20}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bench bench = {.fleet = quota_fleet_new(), .now_us = NOW};
        struct quota_ask ask = with_headers(1200, cases[i].most, -1);
        ask.refusals = (int32_t)cases[i].refusals;
        ask_as(&bench, 1, &ask);
        pass(&bench, 60 * SECOND);
        int64_t given = 0;
        for (int ask_no = 0; ask_no < 8; ask_no++)
            given += ask_now(&bench, 1, 1200, 100)->given[QUOTA_REQUESTS];
        if (given != cases[i].at_once)
            fail_msg("most left %" PRId64 ": %" PRId64 " at once, not %" PRId64, cases[i].most,
                     given, cases[i].at_once);
        quota_fleet_free(bench.fleet);
    }
}

// Answers to calls from before a limit was lowered come late, and do not raise it again.
static void a_late_header_raises_nothing(void **state)
{
    struct bench *bench = *state;
    struct quota_ask low = an_ask(1200, 1), high = an_ask(1200, 1);
    low.seen_limit[QUOTA_REQUESTS] = 600;
    high.seen_limit[QUOTA_REQUESTS] = 1200;
    assert_int_equal(ask_as(bench, 1, &high)->rate[QUOTA_REQUESTS], 1200);
    assert_int_equal(ask_as(bench, 1, &low)->rate[QUOTA_REQUESTS], 600);
    for (int i = 0; i < 4; i++) {
        pass(bench, SECOND);
        assert_int_equal(ask_as(bench, 1, &high)->rate[QUOTA_REQUESTS], 600);
    }
    pass(bench, 2 * SECOND);
    assert_int_equal(ask_as(bench, 1, &high)->rate[QUOTA_REQUESTS], 1200);
}

static void a_429_without_headers_cuts(void **state)
{
    struct bench *bench = *state;
    struct quota_ask ask = an_ask(1000, 1);
    ask.refusals = 3;
    assert_int_equal(ask_as(bench, 1, &ask)->rate[QUOTA_REQUESTS], 700);
    assert_int_equal(ask_as(bench, 2, &ask)->rate[QUOTA_REQUESTS], 700); // of the same second
    pass(bench, 5 * SECOND);
    assert_int_equal(ask_now(bench, 2, 1000, 1)->rate[QUOTA_REQUESTS], 800);
    pass(bench, 3600 * SECOND);
    assert_int_equal(ask_now(bench, 2, 1000, 1)->rate[QUOTA_REQUESTS], 1000);
}

static void a_setting_counts_before_the_configuration(void **state)
{
    struct bench *bench = *state;
    struct quota_ask lane = an_ask(1000, 1);
    lane.key_name = "";
    quota_fleet_set(bench->fleet, &lane, QUOTA_REQUESTS, 50);
    assert_int_equal(ask_now(bench, 1, 1000, 1)->rate[QUOTA_REQUESTS], 50);
    lane.key_name = "k";
    quota_fleet_set(bench->fleet, &lane, QUOTA_REQUESTS, 7000);
    assert_int_equal(ask_now(bench, 1, 1000, 1)->rate[QUOTA_REQUESTS], 7000);
    quota_fleet_set(bench->fleet, &lane, QUOTA_REQUESTS, 0);
    assert_int_equal(ask_now(bench, 1, 1000, 1)->rate[QUOTA_REQUESTS], 50);
}

static void a_burst_is_borrowed_once(void **state)
{
    struct bench *bench = *state;
    struct quota_ask ask = an_ask(600, 100);
    ask.extra_percent = 20;
    ask.extra_ms = 3000;
    ask_now(bench, 1, 600, 0);
    pass(bench, 10 * SECOND);
    int64_t in_burst = 0, after = 0;
    for (int ms = 0; ms < 13000; ms += 50) {
        int64_t given = ask_as(bench, 1, &ask)->given[QUOTA_REQUESTS];
        *(ms < 3000 ? &in_burst : &after) += given;
        pass(bench, 50000);
    }
    // 12 a second for three seconds and a second saved and one ahead; then 10 a second
    assert_in_range(in_burst, 36 + 20, 36 + 24);
    assert_in_range(after, 96, 100);
}

// ------------------------------------------------------------------------------- keys

static struct quota_ask closing(enum key_cause cause, int64_t ms)
{
    struct quota_ask ask = an_ask(0, 1);
    ask.close_cause = cause;
    ask.close_ms = ms;
    return ask;
}

static void a_closed_key_is_closed_for_all(void **state)
{
    struct bench *bench = *state;
    struct quota_ask close = closing(KEY_EXHAUSTED, 30000), other = an_ask(0, 1);
    ask_as(bench, 1, &close);
    assert_true(bench->news);
    other.model = "another";
    const struct quota_grant *grant = ask_as(bench, 2, &other);
    assert_false(bench->news);
    assert_int_equal(grant->cause, KEY_EXHAUSTED);
    assert_int_equal(grant->closed_ms, 30000);
    assert_int_equal(grant->wait_ms, 30000);
    assert_int_equal(grant->given[QUOTA_REQUESTS], 0);
    other.key_name = "another";
    assert_int_equal(ask_as(bench, 2, &other)->given[QUOTA_REQUESTS], 1);
    // a late 429 makes it neither shorter nor smaller
    close = closing(KEY_THROTTLED, 1000);
    ask_as(bench, 3, &close);
    assert_false(bench->news);
    assert_int_equal(bench->grant.cause, KEY_EXHAUSTED);
    assert_int_equal(bench->grant.closed_ms, 30000);
}

static void a_breaker_is_of_one_model(void **state)
{
    struct bench *bench = *state;
    struct quota_ask close = closing(KEY_BROKEN, 5000), other = an_ask(0, 1);
    ask_as(bench, 1, &close);
    other.model = "another";
    assert_int_equal(ask_as(bench, 2, &other)->given[QUOTA_REQUESTS], 1);
    assert_int_equal(ask_now(bench, 2, 0, 1)->cause, KEY_BROKEN);
}

static void one_probe_at_a_time(void **state)
{
    struct bench *bench = *state;
    struct quota_ask close = closing(KEY_THROTTLED, 2000), report = an_ask(600, 5);
    ask_as(bench, 1, &close);
    pass(bench, 2 * SECOND);
    assert_false(ask_now(bench, 4, 600, 0)->probe); // wants nothing
    const struct quota_grant *grant = ask_now(bench, 2, 600, 5);
    assert_true(grant->probe);
    assert_int_equal(grant->given[QUOTA_REQUESTS], 1);
    assert_false(ask_now(bench, 3, 600, 5)->probe);
    assert_int_equal(bench->grant.closed_ms, 1000);
    assert_false(ask_now(bench, 2, 600, 5)->probe); // nor another one of its own
    bench->dead = 1 << 2;
    assert_true(ask_now(bench, 3, 600, 5)->probe); // with its worker it comes back
    report.probe = QUOTA_PROBE_ENDED;
    ask_as(bench, 3, &report);
    assert_true(bench->grant.probe);
    pass(bench, 61 * SECOND);
    assert_true(ask_now(bench, 1, 600, 5)->probe); // and after a minute
    report.probe = QUOTA_PROBE_OK;
    ask_as(bench, 3, &report); // not its probe any more
    assert_int_equal(bench->grant.cause, KEY_THROTTLED);
    ask_as(bench, 1, &report);
    assert_true(bench->news);
    assert_int_equal(bench->grant.cause, KEY_FINE);
    assert_true(bench->grant.given[QUOTA_REQUESTS] > 0);
}

static void a_failed_probe_closes_again(void **state)
{
    struct bench *bench = *state;
    struct quota_ask close = closing(KEY_REFUSED, 1000);
    ask_as(bench, 1, &close);
    pass(bench, SECOND);
    assert_true(ask_now(bench, 1, 0, 1)->probe);
    close.probe = QUOTA_PROBE_FAILED;
    close.close_ms = 9000;
    ask_as(bench, 1, &close);
    assert_int_equal(bench->grant.closed_ms, 9000);
    struct quota_ask changed = an_ask(0, 1);
    changed.key_changed = true;
    assert_true(ask_as(bench, 2, &changed)->probe);
}

// ------------------------------------------------------------------------------- slots

static const struct quota_grant *ask_slots(struct bench *bench, int64_t worker, int64_t held,
                                           int64_t wanted)
{
    struct quota_ask ask = an_ask(0, 1);
    ask.in_flight_most = 10;
    ask.slots_held = held;
    ask.slots_wanted = wanted;
    return ask_as(bench, worker, &ask);
}

static void slots_are_shared_by_wants(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(ask_slots(bench, 1, 0, 2)->slots, 2);
    assert_int_equal(ask_slots(bench, 2, 0, 9)->slots, 8);
    assert_int_equal(ask_slots(bench, 3, 0, 9)->slots, 0); // until another one asks again
    assert_int_equal(ask_slots(bench, 2, 5, 9)->slots, 5); // its part is 4, but 5 are under way
    assert_int_equal(ask_slots(bench, 3, 0, 9)->slots, 3);
    assert_int_equal(ask_slots(bench, 2, 4, 9)->slots, 4);
    assert_int_equal(ask_slots(bench, 3, 3, 9)->slots, 4);
}

static void slots_of_the_dead_come_back(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(ask_slots(bench, 1, 0, 20)->slots, 10);
    assert_int_equal(ask_slots(bench, 2, 0, 20)->slots, 0);
    bench->dead = 1 << 1;
    assert_int_equal(ask_slots(bench, 2, 0, 20)->slots, 10);
}

static void slots_go_round(void **state)
{
    struct bench *bench = *state;
    int64_t held[40] = {0}, turns[40] = {0};
    for (int round = 0; round < 200; round++)
        for (int64_t w = 1; w < 40; w++) {
            int64_t slots = ask_slots(bench, w, held[w], 3)->slots;
            turns[w] += slots > held[w];
            held[w] = held[w] ? 0 : slots; // each call lasts one round
            int64_t sum = 0;
            for (int64_t i = 1; i < 40; i++)
                sum += held[i];
            assert_true(sum <= 10);
            pass(bench, 1000);
        }
    for (int w = 1; w < 40; w++)
        assert_in_range(turns[w], 10, 40);
}

// ------------------------------------------------------------------------------- what always holds

struct given {
    int64_t at_us, amount;
};

// In any stretch of time no more than its worth, a second saved, a second ahead and one call.
static void check_windows(const struct given *list, size_t count, int64_t per_minute, int64_t call)
{
    for (size_t from = 0; from < count; from++) {
        int64_t sum = 0;
        for (size_t to = from; to < count; to++) {
            sum += list[to].amount;
            int64_t us = list[to].at_us - list[from].at_us + 2 * SECOND;
            int64_t most = us * per_minute / 60000000 + call;
            if (sum > most)
                fail_msg("%" PRId64 " in %" PRId64 " us: at most %" PRId64, sum,
                         list[to].at_us - list[from].at_us, most);
        }
    }
}

// Random workers, amounts and times, with grants given back at random.
static void random_asks(struct bench *bench, struct rng *rng, int64_t per_minute, int64_t call)
{
    struct given list[400];
    int64_t kept[8] = {0};
    for (size_t i = 0; i < 400; i++) {
        int64_t worker = 1 + (int64_t)rng_below(rng, 7);
        struct quota_ask ask = an_ask(0, 1);
        ask.limits[QUOTA_TOKENS] = per_minute;
        ask.wanted[QUOTA_TOKENS] = (int64_t)rng_below(rng, (uint64_t)call);
        ask.least[QUOTA_TOKENS] = (int64_t)rng_below(rng, (uint64_t)ask.wanted[QUOTA_TOKENS] + 1);
        if (rng_below(rng, 4) == 0) // of its last grant
            ask.back[QUOTA_TOKENS] = (int64_t)rng_below(rng, (uint64_t)kept[worker] + 1);
        kept[worker] -= ask.back[QUOTA_TOKENS];
        bench->dead = rng_below(rng, 10) == 0 ? UINT64_C(1) << (1 + rng_below(rng, 7)) : 0;
        const struct quota_grant *grant = ask_as(bench, worker, &ask);
        kept[worker] = grant->given[QUOTA_TOKENS];
        list[i] =
            (struct given){bench->now_us, grant->given[QUOTA_TOKENS] - ask.back[QUOTA_TOKENS]};
        pass(bench, (int64_t)rng_below(rng, rng_below(rng, 8) == 0 ? 3000000 : 200000));
    }
    check_windows(list, 400, per_minute, call);
}

static void never_over_the_limit(void **state)
{
    static const int64_t rates[] = {60, 1200, 400000, 12345678};
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct bench bench = {.fleet = quota_fleet_new(), .now_us = NOW};
        struct rng rng;
        rng_init(&rng, seed);
        int64_t rate = rates[seed % 4];
        random_asks(&bench, &rng, rate, 1 + rate / (seed % 3 == 0 ? 10 : 100));
        quota_fleet_free(bench.fleet);
    }
}

// The server crashes and forgets what it gave in its last 0.6 s: still not over the limit.
static void a_crash_gives_nothing_twice(void **state)
{
    struct bench *bench = *state;
    struct given list[400];
    struct quota_lane remembered = {0};
    for (size_t i = 0; i < 400; i++) {
        const struct quota_grant *grant = ask_now(bench, 1 + (int64_t)i % 3, 1200, 40);
        list[i] = (struct given){bench->now_us, grant->given[QUOTA_REQUESTS]};
        if (i % 40 == 20)
            remembered = bench->fleet->lanes[0];
        if (i % 40 == 26) { // 600 ms later
            memcpy(bench->fleet->lanes[0].buckets, remembered.buckets, sizeof(remembered.buckets));
            quota_fleet_crashed(bench->fleet, bench->now_us);
        }
        pass(bench, 100000);
    }
    check_windows(list, 400, 1200, 1);
}

// ------------------------------------------------------------------------------- a fleet

static void each_has_its_turn(void **state)
{
    struct bench *bench = *state;
    int64_t turns[51] = {0}, next_us[51] = {0};
    for (int64_t ms = -3000; ms < 60000; ms++) { // the first who asks is alone, and gets more
        for (int64_t w = 1; w <= 50; w++) {
            if (next_us[w] > bench->now_us)
                continue;
            const struct quota_grant *grant = ask_now(bench, w, 1200, 30);
            turns[w] += ms < 0 ? 0 : grant->given[QUOTA_REQUESTS];
            next_us[w] = bench->now_us +
                         (grant->wait_ms > 0 ? grant->wait_ms : grant->start_in_ms + 50) * 1000;
        }
        pass(bench, 1000);
    }
    int64_t sum = 0;
    for (int w = 1; w <= 50; w++) {
        assert_in_range(turns[w], 22, 26);
        sum += turns[w];
    }
    assert_in_range(sum, 1190, 1220);
}

// Ten a minute: one call every six seconds, for each in its turn, on time.
static void a_small_limit_goes_round(void **state)
{
    struct bench *bench = *state;
    int64_t turns[6] = {0}, next_us[6] = {0}, asks = 0;
    for (int64_t ms = 0; ms < 600000; ms += 5) {
        for (int64_t w = 1; w <= 5; w++) {
            if (next_us[w] > bench->now_us)
                continue;
            const struct quota_grant *grant = ask_now(bench, w, 10, 30);
            turns[w] += grant->given[QUOTA_REQUESTS];
            int64_t wait_ms = grant->wait_ms < 10000 ? grant->wait_ms : 10000;
            next_us[w] = bench->now_us + wait_ms * 1000;
            asks++;
        }
        pass(bench, 5000);
    }
    for (int w = 1; w <= 5; w++)
        assert_in_range(turns[w], 19, 21);
    assert_true(asks < 700); // without much polling
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(no_limit_gives_what_is_wanted),
        CASE(a_grant_is_a_second_at_most),
        CASE(an_idle_bucket_saves_a_second),
        CASE(all_dimensions_or_none),
        CASE(a_large_call_leaves_a_debt),
        CASE(a_large_call_has_its_turn),
        CASE(what_comes_back_is_there),
        CASE(settling_moves_the_bucket),
        CASE(an_ask_that_comes_twice),
        CASE(a_day_is_never_exceeded),
        CASE(headers_move_the_rate),
        CASE(a_tiny_bucket_is_no_foreign_program),
        CASE(a_window_is_known_by_its_end),
        CASE(nothing_goes_before_an_empty_window_ends),
        CASE(a_bucket_that_refills_is_no_window),
        CASE(a_minute_never_has_more_than_its_limit),
        CASE(after_a_429_more_has_to_be_left),
        CASE(no_more_is_saved_than_the_provider_holds),
        CASE(a_late_header_raises_nothing),
        CASE(a_429_without_headers_cuts),
        CASE(a_setting_counts_before_the_configuration),
        CASE(a_burst_is_borrowed_once),
        CASE(a_closed_key_is_closed_for_all),
        CASE(a_breaker_is_of_one_model),
        CASE(one_probe_at_a_time),
        CASE(a_failed_probe_closes_again),
        CASE(slots_are_shared_by_wants),
        CASE(slots_of_the_dead_come_back),
        CASE(slots_go_round),
        CASE(never_over_the_limit),
        CASE(a_crash_gives_nothing_twice),
        CASE(each_has_its_turn),
        CASE(a_small_limit_goes_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
