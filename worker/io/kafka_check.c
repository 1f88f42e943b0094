// SPDX-License-Identifier: Apache-2.0
// Start-up checks against the brokers.
#include "io/kafka_check.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#include "base/own.h"
#include "io/kafka_conf.h"

#define METADATA_TIMEOUT_MS 5000
#define CONFIGS_TIMEOUT_MS  2000 // the in-memory Kafka never answers this question
#define TOPIC_TRIES         8
#define TOPIC_PAUSE_MS      250
#define LISTEN_MS           1000
#define JOBS_PARTITIONS     12
#define FRAME_BYTES         512 // what librdkafka wants beside the record in a response
// An answer of 64,000 tokens, or any summary with its labels: only results of an own form are
// longer.
#define RESULT_BYTES 262144

struct client {
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
};

static bool open_client(struct client *out, const struct config_kafka *config,
                        struct kafka_check *check)
{
    rd_kafka_conf_t *conf =
        kafka_conf_new(config, KAFKA_ROLE_PRODUCER, check->problem, sizeof(check->problem));
    if (!conf)
        return false;
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
    out->client =
        kafka_conf_client(RD_KAFKA_PRODUCER, conf, check->problem, sizeof(check->problem));
    if (!out->client)
        return false;
    out->queue = rd_kafka_queue_get_main(out->client);
    return true;
}

static void close_client(struct client *client)
{
    rd_kafka_queue_destroy(client->queue);
    rd_kafka_destroy(client->client);
}

static bool connects(const struct addrinfo *to)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    int problem = -1;
    socklen_t size = sizeof(problem);
    if (fd < 0)
        return false;
    bool begun = connect(fd, to->ai_addr, to->ai_addrlen) == 0 || errno == EINPROGRESS;
    if (begun && poll(&wait, 1, LISTEN_MS) == 1)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size);
    close(fd);
    return problem == 0;
}

// Does anything take a connection at the first of the brokers? A server of another sort gives
// librdkafka nothing to say.
static bool something_listens(const char *brokers)
{
    char host[256], *port;
    const char *scheme = strstr(brokers, "://");
    snprintf(host, sizeof(host), "%s", scheme ? scheme + 3 : brokers);
    host[strcspn(host, ", ")] = '\0';
    port = strrchr(host, ':');
    if (port)
        *port++ = '\0';
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    bool listens =
        getaddrinfo(host, port ? port : "9092", &hints, &found) == 0 && found && connects(found);
    if (found)
        freeaddrinfo(found);
    return listens;
}

// The last of the client's own words about why nobody answers.
static void explain(struct client *client, const struct config_kafka *config,
                    struct kafka_check *check)
{
    char words[300] = "";
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(client->queue, 0))) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR &&
            rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
            snprintf(words, sizeof(words), ": %s", rd_kafka_event_error_string(event));
        rd_kafka_event_destroy(event);
    }
    bool foreign = strstr(words, "Invalid response size") != NULL;
    if (foreign || (!words[0] && something_listens(config->brokers))) {
        snprintf(check->problem, sizeof(check->problem),
                 "something listens at %s, but it does not answer as a Kafka broker does",
                 config->brokers);
        snprintf(
            check->suggestion, sizeof(check->suggestion),
            "Check kafka.brokers: is it the port of another server? A broker that wants TLS or "
            "a password needs security.protocol in kafka.properties.");
        return;
    }
    snprintf(check->problem, sizeof(check->problem), "no Kafka broker answers at %s%s",
             config->brokers, words);
    snprintf(check->suggestion, sizeof(check->suggestion),
             "Check kafka.brokers and kafka.properties, and that the broker is started.");
}

static int partitions_of(const struct rd_kafka_metadata *metadata, const char *topic)
{
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, topic) == 0)
            return metadata->topics[i].err ? 0 : metadata->topics[i].partition_cnt;
    return 0;
}

static void add_words(char *text, size_t bytes, const char *before, const char *words)
{
    size_t len = strlen(text);
    snprintf(text + len, bytes - len, "%s%s", before, words);
}

// Adds a topic that is missing to the sentences, so that all of them are told at once.
static void check_topic(const struct rd_kafka_metadata *metadata, const struct config_kafka *config,
                        const char *topic, struct kafka_check *check)
{
    if (!topic || partitions_of(metadata, topic) > 0)
        return;
    char command[500];
    snprintf(command, sizeof(command),
             "\n  kafka-topics.sh --bootstrap-server %s --create --topic %s --partitions %d",
             config->brokers, topic,
             topic == config->topic_dlq || topic == config->topic_results ? 1 : JOBS_PARTITIONS);
    if (check->missing++ == 0)
        snprintf(check->suggestion, sizeof(check->suggestion),
                 "Create what is missing, with more partitions than workers will run:");
    add_words(check->problem, sizeof(check->problem), check->missing > 1 ? ", " : "", topic);
    add_words(check->suggestion, sizeof(check->suggestion), command, "");
}

static bool check_all_topics(const struct rd_kafka_metadata *metadata,
                             const struct config_kafka *config, struct kafka_check *check)
{
    check->problem[0] = check->suggestion[0] = 0;
    check->missing = 0;
    check_topic(metadata, config, config->topic_jobs, check);
    for (size_t i = 1; i < config->job_topic_count; i++)
        check_topic(metadata, config, config->job_topics[i].name, check);
    check_topic(metadata, config, config->topic_dlq, check);
    check_topic(metadata, config, config->topic_results, check);
    if (check->missing > 0)
        add_words(check->problem, sizeof(check->problem),
                  check->missing > 1 ? ": these topics do not exist"
                                     : ": this topic does not exist",
                  ", or this user may not describe them");
    return check->missing == 0;
}

static bool look_at_topics(struct client *client, const struct config_kafka *config,
                           struct kafka_check *check)
{
    const struct rd_kafka_metadata *metadata;
    check->answered = !rd_kafka_metadata(client->client, 1, NULL, &metadata, METADATA_TIMEOUT_MS);
    if (!check->answered)
        return false;
    check->jobs_partitions = partitions_of(metadata, config->topic_jobs);
    for (size_t i = 1; i < config->job_topic_count; i++)
        check->jobs_partitions += partitions_of(metadata, config->job_topics[i].name);
    bool good = check_all_topics(metadata, config, check);
    rd_kafka_metadata_destroy(metadata);
    return good;
}

// A topic that was created a moment ago is not yet known to every broker.
static bool check_topics(struct client *client, const struct config_kafka *config,
                         struct kafka_check *check)
{
    for (int tries = 0; tries < TOPIC_TRIES; tries++) {
        if (look_at_topics(client, config, check)) {
            check->problem[0] = check->suggestion[0] = 0;
            return true;
        }
        if (!check->answered) {
            explain(client, config, check);
            return false;
        }
        nanosleep(&(struct timespec){.tv_nsec = TOPIC_PAUSE_MS * 1000000L}, NULL);
    }
    return false;
}

static int64_t max_bytes_of(const rd_kafka_ConfigResource_t *resource)
{
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    if (rd_kafka_ConfigResource_error(resource))
        return -1;
    for (size_t i = 0; i < count; i++)
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), "max.message.bytes") == 0 &&
            rd_kafka_ConfigEntry_value(entries[i]))
            return strtoll(rd_kafka_ConfigEntry_value(entries[i]), NULL, 10);
    return -1;
}

// What each topic takes: max.message.bytes; -1: the broker does not say.
struct limits {
    const char **topics; // those of jobs, then that of dead letters, then that of results, if any
    int64_t *bytes;
    size_t jobs, count;
};

static void limits_init(struct limits *out, const struct config_kafka *config)
{
    *out = (struct limits){.topics = own_array(config->job_topic_count + 3, sizeof(char *)),
                           .bytes = own_array(config->job_topic_count + 3, sizeof(int64_t))};
    out->topics[out->count++] = config->topic_jobs;
    for (size_t i = 1; i < config->job_topic_count; i++)
        out->topics[out->count++] = config->job_topics[i].name;
    out->jobs = out->count;
    out->topics[out->count++] = config->topic_dlq;
    if (config->topic_results)
        out->topics[out->count++] = config->topic_results;
    for (size_t i = 0; i < out->count; i++)
        out->bytes[i] = -1;
}

static void limits_deinit(struct limits *limits)
{
    free(limits->topics);
    free(limits->bytes);
}

static void read_limits(rd_kafka_event_t *event, struct limits *limits)
{
    const rd_kafka_DescribeConfigs_result_t *result = rd_kafka_event_DescribeConfigs_result(event);
    if (!result || rd_kafka_event_error(event))
        return;
    size_t count;
    const rd_kafka_ConfigResource_t **list =
        rd_kafka_DescribeConfigs_result_resources(result, &count);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < limits->count; k++)
            if (strcmp(rd_kafka_ConfigResource_name(list[i]), limits->topics[k]) == 0)
                limits->bytes[k] = max_bytes_of(list[i]);
}

static void ask_limits(struct client *client, struct limits *limits)
{
    char words[200];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->client);
    rd_kafka_ConfigResource_t **resources = own_array(limits->count, sizeof(*resources));
    for (size_t i = 0; i < limits->count; i++)
        resources[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, limits->topics[i]);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(client->client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_AdminOptions_set_request_timeout(options, CONFIGS_TIMEOUT_MS, words, sizeof(words));
    rd_kafka_DescribeConfigs(client->client, resources, limits->count, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CONFIGS_TIMEOUT_MS);
    if (event) {
        read_limits(event, limits);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy_array(resources, limits->count);
    free(resources);
    rd_kafka_queue_destroy(queue);
}

static int64_t receive_limit(const struct config_kafka *config)
{
    char problem[200];
    rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_ROLE_CONSUMER, problem, sizeof(problem));
    if (!conf)
        return -1;
    int64_t limit = kafka_conf_number(conf, "receive.message.max.bytes");
    rd_kafka_conf_destroy(conf);
    return limit;
}

// No job topic may have a record that this consumer does not take.
static bool judge_jobs(const struct limits *limits, int64_t receive, struct kafka_check *check)
{
    size_t refused = 0;
    for (size_t i = 0; i < limits->jobs; i++) {
        char words[400];
        if (limits->bytes[i] > check->jobs_max_bytes)
            check->jobs_max_bytes = limits->bytes[i];
        if (receive < 0 || limits->bytes[i] < 0 || limits->bytes[i] + FRAME_BYTES <= receive)
            continue;
        snprintf(words, sizeof(words), "the topic %s takes messages of %lld bytes",
                 limits->topics[i], (long long)limits->bytes[i]);
        add_words(check->problem, sizeof(check->problem), refused++ ? "; " : "", words);
    }
    if (refused == 0)
        return true;
    char words[100];
    snprintf(words, sizeof(words), ", and this consumer only %lld", (long long)receive);
    add_words(check->problem, sizeof(check->problem), words, "");
    snprintf(check->suggestion, sizeof(check->suggestion),
             "Lower the topic's max.message.bytes, or set receive.message.max.bytes in "
             "kafka.properties to at least %lld.",
             (long long)check->jobs_max_bytes + FRAME_BYTES);
    return false;
}

static void warn_of_others(const struct limits *limits, struct kafka_check *check)
{
    char words[600];
    int64_t wanted = check->jobs_max_bytes + KAFKA_HEADER_ROOM_BYTES;
    check->dlq_max_bytes = limits->bytes[limits->jobs];
    if (limits->count > limits->jobs + 1)
        check->results_max_bytes = limits->bytes[limits->jobs + 1];
    if (check->jobs_max_bytes >= 0 && check->dlq_max_bytes >= 0 && check->dlq_max_bytes < wanted) {
        snprintf(words, sizeof(words),
                 "The largest messages do not fit into %s (max.message.bytes %lld): such dead "
                 "letters come without their value, which stays in PostgreSQL. %lld would do.",
                 limits->topics[limits->jobs], (long long)check->dlq_max_bytes, (long long)wanted);
        add_words(check->warning, sizeof(check->warning), "", words);
    }
    if (check->results_max_bytes >= 0 && check->results_max_bytes < RESULT_BYTES) {
        snprintf(words, sizeof(words),
                 "Long results may not fit into %s (max.message.bytes %lld): those are sent again "
                 "and again and never arrive; the view `summaries` has them. %d would do.",
                 limits->topics[limits->jobs + 1], (long long)check->results_max_bytes,
                 RESULT_BYTES);
        add_words(check->warning, sizeof(check->warning), check->warning[0] ? " " : "", words);
    }
}

static bool check_limits(struct client *client, const struct config_kafka *config,
                         struct kafka_check *check)
{
    struct limits limits;
    limits_init(&limits, config);
    ask_limits(client, &limits);
    bool good = judge_jobs(&limits, receive_limit(config), check);
    if (good)
        warn_of_others(&limits, check);
    limits_deinit(&limits);
    return good;
}

bool kafka_check(const struct config_kafka *config, struct kafka_check *out)
{
    *out = (struct kafka_check){.jobs_max_bytes = -1, .dlq_max_bytes = -1, .results_max_bytes = -1};
    struct client client;
    if (!open_client(&client, config, out)) {
        snprintf(out->suggestion, sizeof(out->suggestion),
                 "Correct kafka.properties in the configuration.");
        return false;
    }
    bool good = check_topics(&client, config, out) && check_limits(&client, config, out);
    close_client(&client);
    return good;
}
