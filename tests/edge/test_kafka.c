// SPDX-License-Identifier: Apache-2.0
// The broker edge against librdkafka and its in-memory cluster; with PRECIS_TEST_KAFKA=host:port,
// against that broker, where the tests that break the mock are left out; with
// PRECIS_TEST_KAFKA_DIR=DIR, too, that broker is one of tools/kafka's, and is killed and started.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <uv.h>

#include "io/kafka.h"
#include "io/kafka_check.h"
#include "io/kafka_mock.h"
#include "io/kafka_send.h"

#define PARTITIONS  KAFKA_MOCK_PARTITIONS
#define OFFSETS_MAX 4096
#define WAIT_MS     30000

static char jobs_topic[64] = "jobs", dlq_topic[64] = "jobs.dlq", group[64] = "g";
static const char *const topics[] = {jobs_topic, dlq_topic, NULL};

struct bench;

// One worker's broker edge, and what it has said.
struct member {
    uv_loop_t *loop;
    struct bench *bench;
    struct config_kafka config;
    struct kafka *kafka;
    enum broker_start start; // the answer to offers without a committed offset
    int64_t start_at;
    bool store; // store each message's offset
    bool held[PARTITIONS];
    int64_t committed[PARTITIONS];
    int64_t seen[PARTITIONS][OFFSETS_MAX];
    size_t seen_count[PARTITIONS];
    int offers, revokes, stuck, ups, downs, delivered, failed, messages, fatal;
    char reason[64];
    struct message last; // with copies below
    char last_value[64], last_header[64];
    bool last_value_null;
    size_t last_headers;
    bool closed, clean;
};

struct bench {
    uv_loop_t loop;
    bool seen[PARTITIONS][OFFSETS_MAX]; // by any member
    int distinct;
    struct kafka_mock *mock;
    rd_kafka_mock_cluster_t *cluster; // NULL with a real broker
    char *brokers;
    struct member members[2];
};

static void keep_message(struct member *member, const struct message *message)
{
    int32_t p = message->partition;
    assert_true(p >= 0 && p < PARTITIONS && member->seen_count[p] < OFFSETS_MAX);
    bool *seen = &member->bench->seen[p][message->offset];
    member->bench->distinct += !*seen;
    *seen = true;
    member->seen[p][member->seen_count[p]++] = message->offset;
    member->messages++;
    member->last = *message;
    member->last_value_null = message->value == NULL;
    snprintf(member->last_value, sizeof(member->last_value), "%.*s", (int)message->value_len,
             message->value ? (const char *)message->value : "");
    member->last_headers = message->header_count;
    if (message->header_count > 0)
        snprintf(member->last_header, sizeof(member->last_header), "%s=%.*s",
                 message->headers[0].name, (int)message->headers[0].value_len,
                 (const char *)message->headers[0].value);
    if (member->store)
        kafka_broker_ops()->store_offset(member->kafka, message->topic, p, message->offset + 1);
}

static void on_offer(struct member *member, const struct broker_event *event)
{
    member->offers++;
    member->held[event->partition] = true;
    member->committed[event->partition] = event->offset;
    enum broker_start start = event->offset >= 0 ? BROKER_START_AT : member->start;
    int64_t at = event->offset >= 0 ? event->offset : member->start_at;
    kafka_broker_ops()->begin(member->kafka, event->topic, event->partition, start, at);
}

static void on_event(void *context, const struct broker_event *event)
{
    struct member *member = context;
    if (event->reason)
        snprintf(member->reason, sizeof(member->reason), "%s", event->reason);
    switch (event->kind) {
    case BROKER_OFFERED:
        on_offer(member, event);
        return;
    case BROKER_REVOKED:
        member->revokes++;
        member->held[event->partition] = false;
        return;
    case BROKER_MESSAGE:
        keep_message(member, event->message);
        return;
    case BROKER_DELIVERED:
        member->delivered += event->ok;
        member->failed += !event->ok;
        return;
    case BROKER_STUCK:
        member->stuck++;
        return;
    case BROKER_UP:
        member->ups++;
        return;
    case BROKER_DOWN:
        member->downs++;
        return;
    case BROKER_FATAL:
        member->fatal++;
        return;
    }
}

static void on_alarm(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

// Turns the loop until `done` says so; fails after WAIT_MS.
static void turn_until(uv_loop_t *loop, bool (*done)(const void *), const void *context)
{
    bool late = false;
    uv_timer_t timer;
    uv_timer_init(loop, &timer);
    timer.data = &late;
    uv_timer_start(&timer, on_alarm, WAIT_MS, 0);
    while (!done(context) && !late)
        uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    assert_false(late);
}

static void turn_for(uv_loop_t *loop, uint64_t ms)
{
    bool late = false;
    uv_timer_t timer;
    uv_timer_init(loop, &timer);
    timer.data = &late;
    uv_timer_start(&timer, on_alarm, ms, 0);
    while (!late)
        uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
}

static void member_start(struct bench *bench, struct member *member, bool join)
{
    char problem[512];
    member->loop = &bench->loop;
    member->bench = bench;
    member->config.brokers = bench->brokers;
    member->config.group = group;
    member->config.topic_jobs = jobs_topic;
    member->config.topic_results = jobs_topic;
    member->config.topic_dlq = dlq_topic;
    member->kafka = kafka_new(
        &bench->loop,
        &(struct kafka_options){.config = &member->config, .on_event = on_event, .context = member},
        problem, sizeof(problem));
    if (!member->kafka)
        fail_msg("%s", problem);
    if (join)
        assert_true(kafka_join(member->kafka, problem, sizeof(problem)));
}

static void on_closed(void *context, bool clean)
{
    struct member *member = context;
    member->closed = true;
    member->clean = clean;
}

static bool is_closed(const void *member)
{
    return ((const struct member *)member)->closed;
}

static void member_stop(struct member *member)
{
    if (!member->kafka)
        return;
    struct kafka_stats stats;
    kafka_close(member->kafka, 20000, on_closed, member);
    turn_until(member->loop, is_closed, member);
    kafka_stats(member->kafka, &stats);
    assert_int_equal(stats.in.missed, 0);
    assert_true(member->clean);
    kafka_free(member->kafka);
    uv_run(member->loop, UV_RUN_NOWAIT);
    member->kafka = NULL;
    member->closed = false;
}

// Fresh topics and a fresh group for each test.
static void create_topics(const char *brokers, int test)
{
    char problem[256];
    snprintf(jobs_topic, sizeof(jobs_topic), "edge.%d.%d", (int)getpid(), test);
    snprintf(dlq_topic, sizeof(dlq_topic), "edge.%d.%d.dlq", (int)getpid(), test);
    snprintf(group, sizeof(group), "edge.%d.%d", (int)getpid(), test);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, problem, sizeof(problem));
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, problem, sizeof(problem));
    assert_non_null(client);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_NewTopic_t *wanted[2];
    for (int i = 0; i < 2; i++)
        wanted[i] = rd_kafka_NewTopic_new(topics[i], PARTITIONS, 1, problem, sizeof(problem));
    rd_kafka_CreateTopics(client, wanted, 2, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 20000);
    assert_non_null(event);
    assert_int_equal(rd_kafka_event_error(event), 0);
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy_array(wanted, 2);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
}

static int setup(void **state)
{
    static int test;
    char problem[256];
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    uv_loop_init(&bench->loop);
    bench->brokers = getenv("PRECIS_TEST_KAFKA");
    if (bench->brokers) {
        create_topics(bench->brokers, ++test);
    } else {
        bench->mock = kafka_mock_start(topics, problem, sizeof(problem));
        assert_non_null(bench->mock);
        bench->cluster = kafka_mock_cluster(bench->mock);
        bench->brokers = (char *)(uintptr_t)kafka_mock_brokers(bench->mock);
    }
    bench->members[0].start = bench->members[1].start = BROKER_START_FIRST;
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    member_stop(&bench->members[0]);
    member_stop(&bench->members[1]);
    while (uv_loop_close(&bench->loop) == UV_EBUSY)
        uv_run(&bench->loop, UV_RUN_ONCE);
    kafka_mock_stop(bench->mock);
    free(bench);
    return 0;
}

static void produce(struct member *member, enum broker_topic topic, const char *value,
                    uint64_t token)
{
    struct header header = {"h", "v", 1};
    struct message message = {.key = &token,
                              .key_len = sizeof(token),
                              .value = value,
                              .value_len = value ? strlen(value) : 0,
                              .headers = &header,
                              .header_count = 1};
    assert_true(kafka_broker_ops()->produce(member->kafka, topic, &message, token));
}

static int produced_wanted;

static bool all_reported(const void *context)
{
    const struct member *member = context;
    return member->delivered + member->failed >= produced_wanted;
}

// Spread over the partitions by the token as the key.
static void produce_many(struct member *member, int count)
{
    produced_wanted = member->delivered + member->failed + count;
    for (int i = 0; i < count; i++)
        produce(member, TOPIC_RESULTS, "work", (uint64_t)i);
    turn_until(member->loop, all_reported, member);
    assert_int_equal(member->failed, 0);
}

static int messages_wanted;

static bool got_messages(const void *context)
{
    const struct bench *bench = context;
    return bench->members[0].messages + bench->members[1].messages >= messages_wanted;
}

static void wait_messages(struct bench *bench, int total)
{
    messages_wanted = total;
    turn_until(&bench->loop, got_messages, bench);
}

static int distinct_wanted;

static bool got_distinct(const void *context)
{
    return ((const struct bench *)context)->distinct >= distinct_wanted;
}

static void wait_distinct(struct bench *bench, int total)
{
    distinct_wanted = total;
    turn_until(&bench->loop, got_distinct, bench);
}

// Each partition's offsets came once, in order, without a gap.
static void check_once(const struct member *member)
{
    for (int p = 0; p < PARTITIONS; p++)
        for (size_t i = 1; i < member->seen_count[p]; i++)
            assert_int_equal(member->seen[p][i], member->seen[p][i - 1] + 1);
}

static void test_message_as_it_came(void **state)
{
    struct bench *bench = *state;
    struct member *one = &bench->members[0];
    member_start(bench, one, true);
    produced_wanted = 1;
    produce(one, TOPIC_RESULTS, "hello", 7);
    turn_until(&bench->loop, all_reported, one);
    wait_messages(bench, 1);
    assert_int_equal(one->ups, 1);
    assert_string_equal(one->last_value, "hello");
    assert_string_equal(one->last_header, "h=v");
    assert_int_equal(one->last.key_len, 8);
    assert_true(one->last.timestamp_ms > 0);
    produce(one, TOPIC_RESULTS, NULL, 7);
    wait_messages(bench, 2);
    assert_true(one->last_value_null); // a tombstone
    produce(one, TOPIC_RESULTS, "", 7);
    wait_messages(bench, 3);
    assert_false(one->last_value_null); // an empty value is not
}

// More than a budget's worth at once: the drain has to go on by itself.
static void test_many_without_a_stall(void **state)
{
    struct bench *bench = *state;
    struct member *one = &bench->members[0];
    member_start(bench, one, true);
    produce_many(one, 5000);
    wait_messages(bench, 5000);
    check_once(one);
}

static void test_offsets_survive(void **state)
{
    struct bench *bench = *state;
    struct member *one = &bench->members[0], *two = &bench->members[1];
    one->store = true;
    member_start(bench, one, true);
    produce_many(one, 200);
    wait_messages(bench, 200);
    int64_t ends[PARTITIONS];
    for (int p = 0; p < PARTITIONS; p++) {
        assert_int_equal(one->committed[p], -1);
        ends[p] = one->seen_count[p] > 0 ? (int64_t)one->seen_count[p] : 0;
    }
    member_stop(one);
    assert_int_equal(one->revokes, PARTITIONS);
    member_start(bench, two, true);
    produce_many(two, 80);
    wait_messages(bench, 280);
    for (int p = 0; p < PARTITIONS; p++)
        assert_int_equal(two->committed[p], ends[p]);
    assert_int_equal(two->messages, 80);
}

// Nothing is stored, but where the group began is committed at once.
static void test_begin_is_committed(void **state)
{
    struct bench *bench = *state;
    struct member *one = &bench->members[0], *two = &bench->members[1];
    member_start(bench, one, false);
    produce_many(one, 100);
    member_stop(one);
    memset(one, 0, sizeof(*one));
    one->start = BROKER_START_LAST;
    member_start(bench, one, true);
    messages_wanted = 0;
    turn_for(&bench->loop, 6000);
    assert_int_equal(one->offers, PARTITIONS);
    produce_many(one, 10);
    wait_messages(bench, 10);
    member_stop(one);
    assert_int_equal(one->messages, 10);
    member_start(bench, two, true);
    wait_messages(bench, 20); // read again: not stored
    int64_t sum = 0;
    for (int p = 0; p < PARTITIONS; p++) {
        assert_true(two->committed[p] >= 0);
        sum += two->committed[p];
    }
    assert_int_equal(sum, 100);
}

static void pause_all(struct member *member, bool pause)
{
    for (int32_t p = 0; p < PARTITIONS; p++)
        if (pause)
            kafka_broker_ops()->pause(member->kafka, jobs_topic, p);
        else
            kafka_broker_ops()->resume(member->kafka, jobs_topic, p);
}

static void test_pause_and_resume(void **state)
{
    struct bench *bench = *state;
    struct member *one = &bench->members[0];
    member_start(bench, one, true);
    produce_many(one, 3000);
    for (int i = 1; i <= 5; i++) {
        wait_messages(bench, i * 300);
        pause_all(one, true);
        pause_all(one, true); // the second one does nothing
        int before = one->messages;
        turn_for(&bench->loop, 300);
        assert_int_equal(one->messages, before);
        pause_all(one, false);
        pause_all(one, false);
    }
    wait_messages(bench, 3000);
    check_once(one);
    assert_int_equal(one->messages, 3000);
}

static bool both_hold(const void *context)
{
    const struct bench *bench = context;
    int held = 0, second = 0;
    for (int p = 0; p < PARTITIONS; p++) {
        held += bench->members[0].held[p];
        second += bench->members[1].held[p];
    }
    return held == PARTITIONS / 2 && second == PARTITIONS / 2;
}

static bool first_holds_all(const void *context)
{
    const struct bench *bench = context;
    for (int p = 0; p < PARTITIONS; p++)
        if (!bench->members[0].held[p])
            return false;
    return true;
}

// Partitions that were paused when they were revoked are read when they come back.
static void test_pause_ends_with_the_assignment(void **state)
{
    struct bench *bench = *state;
    struct member *one = &bench->members[0], *two = &bench->members[1];
    one->store = two->store = true;
    member_start(bench, one, true);
    produce_many(one, 400);
    wait_messages(bench, 400);
    pause_all(one, true);
    member_start(bench, two, true);
    turn_until(&bench->loop, both_hold, bench);
    produce_many(one, 400);
    wait_distinct(bench, 800);
    pause_all(one, true);
    produce_many(one, 100);
    member_stop(two);
    turn_until(&bench->loop, first_holds_all, bench);
    produce_many(one, 300);
    wait_distinct(bench, 1200);
    if (!bench->cluster) // the mock refuses some commits, so some come twice
        assert_int_equal(one->messages + two->messages, 1200);
}

// A pause that comes before the first message holds.
static void test_pause_before_reading(void **state)
{
    struct bench *bench = *state;
    struct member *one = &bench->members[0];
    member_start(bench, one, true);
    turn_until(&bench->loop, first_holds_all, bench);
    pause_all(one, true);
    produce_many(one, 100);
    turn_for(&bench->loop, 3000);
    assert_int_equal(one->messages, 0);
    pause_all(one, false);
    wait_messages(bench, 100);
    check_once(one);
}

static bool is_stuck(const void *context)
{
    return ((const struct member *)context)->stuck >= PARTITIONS;
}

static void test_out_of_range(void **state)
{
    struct bench *bench = *state;
    struct member *one = &bench->members[0];
    one->start = BROKER_START_AT;
    one->start_at = 1000;
    member_start(bench, one, true);
    produce_many(one, 100);
    turn_until(&bench->loop, is_stuck, one);
    assert_int_equal(one->messages, 0);
    assert_int_equal(one->stuck, PARTITIONS);
}

static void test_gap_accepted(void **state)
{
    struct bench *bench = *state;
    struct member *one = &bench->members[0];
    one->start = BROKER_START_GAP;
    one->start_at = 1000;
    member_start(bench, one, true);
    produce_many(one, 100);
    wait_messages(bench, 100);
    check_once(one);
    assert_int_equal(one->stuck, 0);
}

static void test_stopped(void **state)
{
    struct bench *bench = *state;
    struct member *one = &bench->members[0];
    one->start = BROKER_START_STOPPED;
    member_start(bench, one, true);
    produce_many(one, 100);
    turn_until(&bench->loop, first_holds_all, bench);
    turn_for(&bench->loop, 2000);
    struct kafka_stats stats;
    kafka_stats(one->kafka, &stats);
    assert_int_equal(one->messages, 0);
    assert_int_equal(stats.in.stopped, PARTITIONS);
    assert_int_equal(stats.in.unwanted, 0);
}

static bool is_down(const void *context)
{
    return ((const struct member *)context)->downs > 0;
}

static bool is_up_again(const void *context)
{
    const struct member *member = context;
    return member->ups >= 1 + member->downs;
}

static void test_down_and_up(void **state)
{
    struct bench *bench = *state;
    struct member *one = &bench->members[0];
    member_start(bench, one, true);
    produce_many(one, 10);
    wait_messages(bench, 10);
    rd_kafka_mock_broker_set_down(bench->cluster, 1);
    turn_until(&bench->loop, is_down, one);
    rd_kafka_mock_broker_set_up(bench->cluster, 1);
    turn_until(&bench->loop, is_up_again, one);
    produce_many(one, 10);
    wait_messages(bench, 20);
}

// Without a broker the group cannot be left; closing ends all the same.
static void test_close_without_brokers(void **state)
{
    struct bench *bench = *state;
    struct member *one = &bench->members[0];
    one->store = true;
    member_start(bench, one, true);
    produce_many(one, 10);
    wait_messages(bench, 10);
    rd_kafka_mock_broker_set_down(bench->cluster, 1);
    turn_until(&bench->loop, is_down, one);
    member_stop(one);
    assert_int_equal(one->revokes, PARTITIONS);
}

// A dead letter that does not fit goes without its value and says where that is.
static void test_large_dead_letter(void **state)
{
    struct bench *bench = *state;
    struct member *one = &bench->members[0];
    static char name[] = "message.max.bytes", value[] = "1000";
    struct config_pair property = {name, value};
    one->config.properties = &property;
    one->config.property_count = 1;
    char large[2001];
    memset(large, 'x', 2000);
    large[2000] = 0;
    member_start(bench, one, false);
    produced_wanted = 2;
    produce(one, TOPIC_DEAD_LETTERS, large, 1);
    produce(one, TOPIC_RESULTS, large, 2);
    assert_int_equal(one->failed, 0); // never from inside the call
    turn_until(&bench->loop, all_reported, one);
    assert_int_equal(one->delivered, 1);
    assert_int_equal(one->failed, 1);
    assert_string_equal(one->reason, "MSG_SIZE_TOO_LARGE");
}

// The same, found by the broker.
static void test_dead_letter_too_large_for_the_topic(void **state)
{
    struct bench *bench = *state;
    struct member *one = &bench->members[0];
    size_t len = 2000000;
    char *large = calloc(1, len + 1);
    memset(large, 'x', len);
    member_start(bench, one, false);
    produced_wanted = 2;
    produce(one, TOPIC_DEAD_LETTERS, large, 1);
    produce(one, TOPIC_RESULTS, large, 2);
    turn_until(&bench->loop, all_reported, one);
    free(large);
    assert_int_equal(one->delivered, 1);
    assert_int_equal(one->failed, 1);
    member_stop(one);
    memcpy(jobs_topic, dlq_topic, sizeof(jobs_topic)); // read it
    member_start(bench, one, true);
    wait_messages(bench, 1);
    assert_true(one->last_value_null);
    assert_int_equal(one->last_headers, 2);
    assert_string_equal(one->last_header, "h=v");
    assert_int_equal(one->last.key_len, 8);
}

static bool is_fatal(const void *context)
{
    return ((const struct member *)context)->fatal > 0;
}

// A second worker with the same group.instance.id ends the first one.
static void test_fenced(void **state)
{
    struct bench *bench = *state;
    static char name[] = "group.instance.id", value[] = "slot-1";
    struct config_pair property = {name, value};
    struct member *one = &bench->members[0], *two = &bench->members[1];
    one->config.properties = two->config.properties = &property;
    one->config.property_count = two->config.property_count = 1;
    member_start(bench, one, true);
    turn_until(&bench->loop, first_holds_all, bench);
    member_start(bench, two, true);
    turn_until(&bench->loop, is_fatal, one);
    assert_int_equal(two->fatal, 0);
}

// A process that ends at once; the next one finds nothing lost.
static void test_free_without_close(void **state)
{
    struct bench *bench = *state;
    struct member *one = &bench->members[0], *two = &bench->members[1];
    member_start(bench, one, true);
    produce_many(one, 100);
    wait_messages(bench, 100);
    produce(one, TOPIC_RESULTS, "unreported", 1);
    kafka_free(one->kafka);
    one->kafka = NULL;
    int revokes = one->revokes;
    two->start = BROKER_START_FIRST;
    member_start(bench, two, true);
    wait_messages(bench, 200); // when the group has noticed
    assert_int_equal(one->revokes, revokes);
}

static void test_bad_property(void **state)
{
    struct bench *bench = *state;
    static char name[] = "no.such.property", value[] = "1";
    struct config_pair property = {name, value};
    struct config_kafka config = {.brokers = group,
                                  .group = group,
                                  .topic_jobs = jobs_topic,
                                  .properties = &property,
                                  .property_count = 1};
    char problem[256];
    struct kafka_options options = {.config = &config, .on_event = on_event};
    assert_null(kafka_new(&bench->loop, &options, problem, sizeof(problem)));
    assert_non_null(strstr(problem, "no.such.property"));
}

// ---------------------------------------------------------------------------- commands

static struct config_kafka config_of(struct bench *bench)
{
    return (struct config_kafka){.brokers = bench->brokers,
                                 .group = group,
                                 .topic_jobs = jobs_topic,
                                 .topic_dlq = dlq_topic};
}

static void test_check(void **state)
{
    static char missing[] = "no.such.topic", nobody[] = "127.0.0.1:1";
    struct config_kafka config = config_of(*state);
    struct kafka_check check;
    if (!kafka_check(&config, &check)) // the mock does not describe configurations
        fail_msg("%s", check.problem);
    assert_int_equal(check.jobs_partitions, PARTITIONS);
    bool mock = ((const struct bench *)*state)->cluster != NULL;
    assert_int_equal(check.jobs_max_bytes, mock ? -1 : 1048588);
    assert_int_equal(check.results_max_bytes, -1);
    assert_int_equal(check.warning[0] == 0, mock); // its dead letters have no room for headers
    config.topic_results = missing;
    assert_false(kafka_check(&config, &check));
    assert_non_null(strstr(check.problem, missing));
    assert_non_null(strstr(check.suggestion, "--create --topic no.such.topic"));
    config.brokers = nobody;
    assert_false(kafka_check(&config, &check));
    print_message("%s. %s\n", check.problem, check.suggestion);
    assert_non_null(strstr(check.problem, nobody));
    assert_non_null(strstr(check.problem, "Connection refused"));
}

static void count_delivered(void *context, uint64_t token, const char *reason)
{
    assert_null(reason);
    *(uint64_t *)context += token;
}

static bool give_up(void *context)
{
    return --*(int *)context > 0;
}

static void test_send(void **state)
{
    struct config_kafka config = config_of(*state);
    char problem[256];
    uint64_t sum = 0;
    struct kafka_send_options options = {.delivered = count_delivered, .context = &sum};
    struct kafka_send *sender = kafka_send_open(&config, &options, problem, sizeof(problem));
    assert_non_null(sender);
    struct kafka_backlog backlog;
    if (!kafka_send_backlog(sender, jobs_topic, &backlog))
        fail_msg("%s", kafka_send_problem(sender));
    assert_int_equal(backlog.partitions, PARTITIONS);
    assert_int_equal(backlog.total, 0);
    for (uint64_t i = 1; i <= 100; i++)
        assert_true(kafka_send_push(
            sender, jobs_topic,
            &(struct message){.key = "one", .key_len = 3, .value = "v", .value_len = 1}, i));
    assert_true(kafka_send_flush(sender, 10000));
    assert_int_equal(sum, 5050);
    assert_true(kafka_send_backlog(sender, jobs_topic, &backlog));
    assert_int_equal(backlog.total, 100);
    assert_int_equal(backlog.most, 100); // one key, one partition
    kafka_send_close(sender);
}

static void test_send_to_nobody(void **state)
{
    static char nobody[] = "127.0.0.1:1";
    struct config_kafka config = config_of(*state);
    config.brokers = nobody;
    char problem[256];
    int rounds = 5;
    struct kafka_send_options options = {.wait = give_up, .context = &rounds};
    struct kafka_send *sender = kafka_send_open(&config, &options, problem, sizeof(problem));
    assert_non_null(sender);
    assert_true(kafka_send_push(sender, jobs_topic, &(struct message){0}, 1));
    assert_false(kafka_send_flush(sender, 60000));
    assert_int_equal(rounds, 0);
    assert_non_null(strstr(kafka_send_problem(sender), "refused"));
    kafka_send_close(sender);
}

static void kafka_tool(const char *verb)
{
    char command[1024];
    snprintf(command, sizeof(command), "%s/tools/kafka %s %s >/dev/null 2>&1", PRECIS_SOURCE_DIR,
             verb, getenv("PRECIS_TEST_KAFKA_DIR"));
    assert_int_equal(system(command), 0);
}

// The broker dies and comes back: nothing is lost, and what was stored is not read again.
static void test_broker_restarts(void **state)
{
    struct bench *bench = *state;
    struct member *one = &bench->members[0];
    one->store = true;
    member_start(bench, one, true);
    produce_many(one, 100);
    wait_messages(bench, 100);
    turn_for(&bench->loop, 3000); // committed
    kafka_tool("kill");
    turn_until(&bench->loop, is_down, one);
    kafka_tool("start");
    turn_until(&bench->loop, is_up_again, one);
    produce_many(one, 100);
    wait_messages(bench, 200);
    check_once(one);
    assert_int_equal(one->messages, 200);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_message_as_it_came),
        TEST(test_many_without_a_stall),
        TEST(test_offsets_survive),
        TEST(test_begin_is_committed),
        TEST(test_pause_and_resume),
        TEST(test_pause_ends_with_the_assignment),
        TEST(test_pause_before_reading),
        TEST(test_out_of_range),
        TEST(test_gap_accepted),
        TEST(test_stopped),
        TEST(test_large_dead_letter),
        TEST(test_free_without_close),
        TEST(test_bad_property),
        TEST(test_check),
        TEST(test_send),
        TEST(test_send_to_nobody),
    };
    const struct CMUnitTest mock_only[] = {
        TEST(test_down_and_up),
        TEST(test_close_without_brokers),
    };
    const struct CMUnitTest real_only[] = {
        // the mock neither fences nor has limits
        TEST(test_dead_letter_too_large_for_the_topic),
        TEST(test_fenced),
    };
    const struct CMUnitTest restarts[] = {
        TEST(test_broker_restarts),
    };
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (getenv("PRECIS_TEST_KAFKA_DIR"))
        failed += cmocka_run_group_tests(restarts, NULL, NULL);
    return failed + (getenv("PRECIS_TEST_KAFKA") ? cmocka_run_group_tests(real_only, NULL, NULL)
                                                 : cmocka_run_group_tests(mock_only, NULL, NULL));
}
