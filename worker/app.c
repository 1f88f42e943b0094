// SPDX-License-Identifier: Apache-2.0
// The life of a worker process.
//
//   log ─ loop ─ web ─ kafka ─ store ─ http ─ extractor ─ engine      built from left to right
//   drain ─ kafka leaves ─ claims freed ─ loop closed          taken down
//
// The engine is run once in each turn of the loop, just before it waits; what it answers is when
// the loop's one timer is due.
#include "app.h"

#include "app_gauges.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/check.h"
#include "base/own.h"
#include "base/redact.h"
#include "base/rng.h"
#include "cmd/command.h"
#include "engine.h"
#include "io/config_yaml.h"
#include "io/extractor.h"
#include "io/kafka.h"
#include "io/model_http.h"
#include "io/pg_params.h"
#include "io/secrets.h"
#include "io/store.h"
#include "io/web.h"

#define LEAVE_MS  5000 // for Kafka, and for PostgreSQL, to say goodbye
#define SIGNALS   3
#define HOUSE_MS  100
#define GAUGES_MS 10000
#define REREAD_MS 30000

enum phase { PHASE_RUN, PHASE_DRAIN, PHASE_LEAVE, PHASE_RELEASE, PHASE_OVER };

struct app {
    const struct app_options *options;
    struct config *config;
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_timer_t timer, house;
    uv_signal_t signals[SIGNALS];
    struct redactor *redactor;
    struct log *log;
    int log_fd;
    struct metrics *metrics;
    struct store *store;
    struct kafka *kafka;
    struct model_http *http;
    struct extractor *extractor;
    struct engine *engine;
    struct web *web;
    struct rng rng;
    char name[128];
    char listen[128];
    enum phase phase;
    int64_t phase_until_ms;
    int64_t house_due_ms, next_gauges_ms;
    bool joined, jobs_stopped;
    bool told_reading;
    bool abandoned; // librdkafka could not be stopped: its threads are left running
    int exit_code;
    char crash_point[40];
    int crash_after;
    uv_work_t reread;
    bool rereading;
    bool hup, hup_reread; // HUP came; the reread under way is of a HUP
    struct config *reread_config;
    struct config_errors reread_errors;
    int64_t next_reread_ms;
};

// ------------------------------------------------------------------------------- the world

static int64_t monotonic_ms(void *context)
{
    (void)context;
    return (int64_t)(uv_hrtime() / 1000000);
}

static uint64_t random_number(void *context)
{
    return rng_next(&((struct app *)context)->rng);
}

static int64_t unix_ms(void *context)
{
    (void)context;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// PRECIS_CRASH_AT=after_intent:3 ends the process the third time that it comes there: how the
// tests kill a worker at a moment that no outside kill can meet.
static void at_point(void *context, const char *name)
{
    struct app *app = context;
    if (app->crash_after > 0 && strcmp(app->crash_point, name) == 0 && --app->crash_after == 0)
        kill(getpid(), SIGKILL);
}

static void read_crash_point(struct app *app)
{
    const char *text = getenv("PRECIS_CRASH_AT");
    const char *colon = text ? strchr(text, ':') : NULL;
    if (!colon)
        return;
    snprintf(app->crash_point, sizeof(app->crash_point), "%.*s", (int)(colon - text), text);
    app->crash_after = (int)strtol(colon + 1, NULL, 10);
}

// ------------------------------------------------------------------------------- the log

// A reader of our log that is slow must not stop the loop: what does not fit is dropped.
static void write_line(void *context, const char *line, size_t len)
{
    struct app *app = context;
    ssize_t written = write(app->log_fd, line, len);
    (void)written;
}

static int open_log(void)
{
    int fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 ? fd : STDERR_FILENO;
}

static void add_secret(void *context, const char *secret)
{
    redactor_add_secret(context, secret);
}

static void build_log(struct app *app)
{
    struct log_sink sink = {app, write_line, unix_ms};
    app->log_fd = open_log();
    app->redactor = redactor_new();
    config_secrets(app->config, add_secret, app->redactor);
    app->log = log_new(&sink, app->config->log.level, app->redactor, app->name);
}

// ------------------------------------------------------------------------------- leaving

static void begin_phase(struct app *app, enum phase phase, int64_t for_ms)
{
    app->phase = phase;
    app->phase_until_ms = monotonic_ms(NULL) + for_ms;
}

static void over(struct app *app)
{
    app->phase = PHASE_OVER;
    uv_stop(&app->loop);
}

static void release(struct app *app)
{
    begin_phase(app, PHASE_RELEASE, LEAVE_MS);
    store_ops_pg()->release(app->store);
}

static void on_kafka_closed(void *context, bool clean)
{
    struct app *app = context;
    app->abandoned = !clean;
    log_event(app->log, LOG_LEVEL_INFO, "left_group", LOG_NUMBER("clean", clean));
    if (app->phase != PHASE_LEAVE)
        return;
    if (app->joined)
        release(app);
    else
        over(app); // it never had a claim
}

static void leave(struct app *app)
{
    begin_phase(app, PHASE_LEAVE, 2 * LEAVE_MS);
    kafka_close(app->kafka, LEAVE_MS, on_kafka_closed, app);
}

static void drain(struct app *app)
{
    if (app->phase != PHASE_RUN)
        return;
    begin_phase(app, PHASE_DRAIN, app->config->worker.drain_timeout_ms);
    engine_drain(app->engine);
}

static void on_phase_timeout(struct app *app)
{
    if (app->phase == PHASE_DRAIN && !app->jobs_stopped) {
        log_event(app->log, LOG_LEVEL_WARN, "drain_timeout", LOG_TEXT("what", "jobs are left"));
        app->jobs_stopped = true;
        app->phase_until_ms = monotonic_ms(NULL) + LEAVE_MS;
        engine_stop_jobs(app->engine);
    } else if (app->phase == PHASE_DRAIN) {
        leave(app);
    } else if (app->phase == PHASE_LEAVE) {
        release(app);
    } else if (app->phase == PHASE_RELEASE) {
        app->exit_code = EXIT_FAILED; // PostgreSQL is away: the lease will end by itself
        over(app);
    }
}

static void look_at_phase(struct app *app)
{
    if (app->phase == PHASE_RUN || app->phase == PHASE_OVER)
        return;
    if (app->phase == PHASE_DRAIN && engine_is_empty(app->engine))
        leave(app);
    else if (monotonic_ms(NULL) >= app->phase_until_ms)
        on_phase_timeout(app);
}

static void fail(struct app *app, int exit_code, const char *text)
{
    fprintf(stderr, "error: %s\n", text);
    app->exit_code = exit_code;
    drain(app); // what is paid for is kept, and Kafka is left as it wants to be
}

// ------------------------------------------------------------------------------- events

static void on_store(void *context, const struct store_event *event)
{
    struct app *app = context;
    if (event->kind == STORE_RELEASED) {
        over(app);
        return;
    }
    engine_on_store(app->engine, event);
    if (event->kind != STORE_UP || app->joined || app->phase != PHASE_RUN)
        return;
    char problem[500];
    app->joined = true; // only now: whoever joins must be able to claim
    if (!kafka_join(app->kafka, problem, sizeof(problem)))
        fail(app, EXIT_USAGE, problem);
}

static void on_refused(void *context, const char *text)
{
    fail(context, EXIT_USAGE, text);
}

static void on_broker(void *context, const struct broker_event *event)
{
    struct app *app = context;
    engine_on_broker(app->engine, event);
    if (event->kind == BROKER_FATAL)
        fail(app, EXIT_FAILED, event->reason);
}

static void on_http(void *context, const struct http_event *event)
{
    engine_on_http(((struct app *)context)->engine, event);
}

static void on_extract(void *context, const struct extract_event *event)
{
    engine_on_extract(((struct app *)context)->engine, event);
}

// ------------------------------------------------------------------------------- HUP

static void reread(uv_work_t *work)
{
    struct app *app = work->data;
    struct config_source source = {
        .path = app->options->config_path,
        .env_file = app->options->env_file,
        .secrets = app->options->secrets,
    };
    app->reread_config = config_load(&source, &app->reread_errors);
}

static void swap_texts(char **one, char **other)
{
    char *text = *one;
    *one = *other;
    *other = text;
}

// By their names: what was added or taken out needs a restart.
static void take_provider_keys(struct app *app, struct config_provider *old,
                               struct config_provider *new)
{
    for (size_t i = 0; i < old->keys.len; i++)
        for (size_t j = 0; j < new->keys.len; j++) {
            struct config_key *one = &old->keys.items[i], *other = &new->keys.items[j];
            if (strcmp(one->name, other->name) != 0)
                continue;
            swap_texts(&one->key, &other->key);
            if (one->key && other->key && strcmp(one->key, other->key) != 0)
                engine_key_changed(app->engine, old->first_key + i);
        }
}

static void take_configuration(struct app *app, struct config *fresh)
{
    for (size_t i = 0; i < app->config->provider_count; i++)
        for (size_t j = 0; j < fresh->provider_count; j++) {
            struct config_provider *old = &app->config->providers[i], *new = &fresh->providers[j];
            if (strcmp(old->name, new->name) != 0)
                continue;
            swap_texts(&old->key, &new->key);
            take_provider_keys(app, old, new);
        }
    config_secrets(app->config, add_secret, app->redactor);
    log_set_level(app->log, fresh->log.level);
    if (app->hup_reread) // a reread of our own, after a 401, leaves the other closed keys alone
        engine_keys_reread(app->engine);
    engine_take_budgets(app->engine, fresh);
    log_event(app->log, LOG_LEVEL_INFO, "configuration_reread",
              LOG_TEXT("taken", "keys, budgets and log level; other changes need a restart"));
}

static void reread_soon(struct app *app);

static void on_reread(uv_work_t *work, int status)
{
    struct app *app = work->data;
    (void)status;
    app->rereading = false;
    if (app->phase == PHASE_OVER) // the engine is gone
        app->next_reread_ms = INT64_MAX;
    else if (app->reread_config)
        take_configuration(app, app->reread_config);
    else
        log_event(app->log, LOG_LEVEL_ERROR, "configuration_refused",
                  LOG_TEXT("reason", app->reread_errors.len > 0
                                         ? app->reread_errors.items[0].message
                                         : "it cannot be read"),
                  LOG_TEXT("suggestion", "the old configuration stays; `precis config check` "
                                         "lists all mistakes"));
    config_free(app->reread_config);
    app->reread_config = NULL;
    config_errors_deinit(&app->reread_errors);
    app->reread_errors = (struct config_errors){0};
    if (app->hup)
        reread_soon(app);
}

static void reread_soon(struct app *app)
{
    if (app->rereading || app->phase == PHASE_OVER || !app->options->config_path)
        return;
    app->rereading = true;
    app->hup_reread = app->hup;
    app->hup = false;
    app->reread.data = app;
    app->next_reread_ms = monotonic_ms(NULL) + REREAD_MS;
    uv_queue_work(&app->loop, &app->reread, reread, on_reread);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct app *app = handle->data;
    if (number == SIGHUP) {
        app->hup = true; // where a reread is under way, another one follows
        reread_soon(app);
        return;
    }
    if (app->phase != PHASE_RUN)
        _exit(EXIT_INTERRUPTED);
    drain(app);
}

// ------------------------------------------------------------------------------- turns

static void on_timer(uv_timer_t *timer)
{
    (void)timer; // the engine is run before the loop waits again
}

static void on_prepare(uv_prepare_t *handle)
{
    struct app *app = handle->data;
    if (app->phase == PHASE_OVER)
        return;
    int64_t next_ms = engine_run(app->engine);
    look_at_phase(app);
    if (next_ms == INT64_MAX) {
        uv_timer_stop(&app->timer);
        return;
    }
    int64_t wait_ms = next_ms - monotonic_ms(NULL);
    uv_timer_start(&app->timer, on_timer, wait_ms > 1 ? (uint64_t)wait_ms : 1, 0);
}

// Every ten seconds; the answer comes to on_gauge.
static void ask_gauges(struct app *app, int64_t now_ms)
{
    if (now_ms < app->next_gauges_ms || app->phase != PHASE_RUN)
        return;
    app->next_gauges_ms = now_ms + GAUGES_MS;
    store_gauges(app->store, app_unread(app->kafka), app_calls_most(app->config));
    const struct config_retention *keep = &app->config->retention;
    store_retain(app->store,
                 &(struct store_retention){keep->documents_ms, keep->traces_ms, keep->results_ms});
}

static void on_gauge(void *context, const struct store_gauge *gauge)
{
    app_gauge_take(((struct app *)context)->metrics, gauge);
}

static void tell_reading(struct app *app)
{
    struct kafka_stats stats;
    if (app->told_reading || !app->options->on_reading)
        return;
    kafka_stats(app->kafka, &stats);
    app->told_reading = stats.in.partitions > 0;
    if (app->told_reading)
        app->options->on_reading(app->options->context);
}

static void on_house(uv_timer_t *timer)
{
    struct app *app = timer->data;
    int64_t now_ms = monotonic_ms(NULL);
    metrics_set(app->metrics, METRIC_LOOP_LAG, NULL, NULL,
                now_ms > app->house_due_ms ? now_ms - app->house_due_ms : 0);
    app->house_due_ms = now_ms + HOUSE_MS;
    if (app->options->stop && *app->options->stop)
        drain(app);
    if (engine_key_is_refused(app->engine) && now_ms >= app->next_reread_ms)
        reread_soon(app); // it may have been changed where ${file:} or ${exec:} reads it
    tell_reading(app);
    ask_gauges(app, now_ms);
}

// ------------------------------------------------------------------------------- web

static void get_health(void *context, const struct web_request *request, struct web_answer *answer)
{
    (void)request;
    struct app *app = context;
    answer->status = engine_health(app->engine, &answer->body) ? 200 : 503;
}

static void get_live(void *context, const struct web_request *request, struct web_answer *answer)
{
    (void)request;
    (void)context;
    buf_add_str(&answer->body, "{\"status\":\"ok\"}\n");
}

static void get_metrics(void *context, const struct web_request *request, struct web_answer *answer)
{
    (void)request;
    struct app *app = context;
    engine_measure(app->engine);
    metrics_set(app->metrics, METRIC_KAFKA_LAG, NULL, NULL, app_unread(app->kafka));
    answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_print(app->metrics, &answer->body);
}

// ------------------------------------------------------------------------------- building

static void harden(void)
{
    pg_params_forget_environment(); // what the configuration took of it is taken
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_DUMPABLE, 0); // keys are in this memory
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void name_worker(struct app *app)
{
    char host[64] = "host";
    gethostname(host, sizeof(host) - 1);
    if (app->options->name)
        snprintf(app->name, sizeof(app->name), "%s", app->options->name);
    else
        snprintf(app->name, sizeof(app->name), "%s:%d", host, (int)getpid());
}

static bool build_web(struct app *app)
{
    static const struct web_route routes[] = {
        {"GET", "/health", true, get_health},
        {"GET", "/health/live", true, get_live},
        {"GET", "/metrics", false, get_metrics},
    };
    struct web_options options = {
        .listen = app->config->http.listen,
        .tokens = app->config->http.tokens,
        .routes = routes,
        .route_count = sizeof(routes) / sizeof(routes[0]),
        .max_body_bytes = 8192,
        .context = app,
    };
    char problem[300];
    if (!app->config->http.listen)
        return true;
    app->web = web_new(&app->loop, &options, problem, sizeof(problem));
    if (!app->web) {
        fprintf(stderr, "error: %s\n", problem);
        return false;
    }
    snprintf(app->listen, sizeof(app->listen), "%s", web_address(app->web));
    log_event(app->log, LOG_LEVEL_INFO, "http_listening", LOG_TEXT("address", app->listen));
    return true;
}

static void build_store(struct app *app)
{
    struct store_options options = {
        .database = app->config->database,
        .worker = app->name,
        .group = app->config->kafka.group,
        .http_listen = app->listen[0] ? app->listen : NULL,
        .log = app->log,
        .context = app,
        .on_event = on_store,
        .on_gauge = on_gauge,
        .on_refused = on_refused,
    };
    app->store = store_new(&app->loop, &options);
}

static bool build_kafka(struct app *app)
{
    char problem[500];
    struct kafka_options options = {&app->config->kafka, app->log, on_broker, app};
    app->kafka = kafka_new(&app->loop, &options, problem, sizeof(problem));
    if (!app->kafka)
        fprintf(stderr, "error: %s\n", problem);
    return app->kafka != NULL;
}

static void build_extractor(struct app *app)
{
    struct extractor_options options = {
        .on_event = on_extract, .context = app, .documents = &app->config->documents};
    app->extractor = extractor_new(&app->loop, &options);
}

static void build_engine(struct app *app)
{
    struct edges edges = {
        .store = app->store,
        .store_ops = store_ops_pg(),
        .broker = app->kafka,
        .broker_ops = kafka_broker_ops(),
        .http = app->http,
        .http_ops = model_http_ops(),
        .extractor = app->extractor,
        .extract_ops = extractor_ops(),
        .world = app,
        .now_ms = monotonic_ms,
        .random = random_number,
        .at_point = at_point,
    };
    struct engine_options options = {
        .config = app->config,
        .log = app->log,
        .metrics = app->metrics,
        .redactor = app->redactor,
        .program_version = PRECIS_VERSION,
        .extractors = (size_t)app->config->documents.children,
        .accept_gap = app->options->accept_gap,
    };
    app->engine = engine_new(&options, &edges);
}

static void build_loop(struct app *app)
{
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
    CHECK(uv_loop_init(&app->loop) == 0);
    uv_prepare_init(&app->loop, &app->prepare);
    uv_timer_init(&app->loop, &app->timer);
    uv_timer_init(&app->loop, &app->house);
    app->prepare.data = app->timer.data = app->house.data = app;
    for (int i = 0; i < SIGNALS && !app->options->embedded; i++) {
        uv_signal_init(&app->loop, &app->signals[i]);
        app->signals[i].data = app;
        uv_signal_start(&app->signals[i], on_signal, numbers[i]);
    }
}

static bool build(struct app *app)
{
    harden();
    name_worker(app);
    read_crash_point(app);
    uint64_t seed = uv_hrtime();
    (void)!getrandom(&seed, sizeof(seed), GRND_NONBLOCK);
    rng_init(&app->rng, seed);
    build_log(app);
    app->metrics = metrics_new();
    build_loop(app);
    if (!build_web(app) || !build_kafka(app))
        return false;
    build_store(app);
    struct model_http_options http = {on_http, app, app->log};
    app->http = model_http_new(&app->loop, &http);
    build_extractor(app);
    build_engine(app);
    uv_prepare_start(&app->prepare, on_prepare);
    uv_timer_start(&app->house, on_house, HOUSE_MS, HOUSE_MS);
    app->house_due_ms = monotonic_ms(NULL) + HOUSE_MS;
    log_event(app->log, LOG_LEVEL_INFO, "started", LOG_TEXT("version", PRECIS_VERSION),
              LOG_TEXT("group", app->config->kafka.group));
    return true;
}

// ------------------------------------------------------------------------------- taking down

static void on_http_closed(void *context)
{
    struct app *app = context;
    model_http_free(app->http);
    app->http = NULL;
}

static void on_extractor_closed(void *context)
{
    struct app *app = context;
    extractor_free(app->extractor);
    app->extractor = NULL;
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void take_down(struct app *app)
{
    app->phase = PHASE_OVER;
    if (app->engine)
        uv_prepare_stop(&app->prepare);
    while (app->rereading) // a thread writes into `app`; ${exec:} ends within 10 s
        uv_run(&app->loop, UV_RUN_ONCE);
    engine_free(app->engine);
    web_close(app->web);
    if (app->http)
        model_http_close(app->http, on_http_closed, app);
    if (app->extractor)
        extractor_close(app->extractor, on_extractor_closed, app);
    if (app->store)
        store_free(app->store);
    kafka_free(app->kafka);
    uv_close((uv_handle_t *)&app->prepare, NULL);
    uv_close((uv_handle_t *)&app->timer, NULL);
    uv_close((uv_handle_t *)&app->house, NULL);
    for (int i = 0; i < SIGNALS && !app->options->embedded; i++)
        uv_close((uv_handle_t *)&app->signals[i], NULL);
    for (int turn = 0; turn < 100 && uv_run(&app->loop, UV_RUN_NOWAIT); turn++)
        continue;
    uv_walk(&app->loop, close_handle, NULL);
    for (int turn = 0; turn < 100 && uv_run(&app->loop, UV_RUN_NOWAIT); turn++)
        continue;
    uv_loop_close(&app->loop);
    metrics_free(app->metrics);
    log_free(app->log);
    redactor_free(app->redactor);
    config_free(app->config);
}

int app_run(const struct app_options *options)
{
    struct app *app = own_alloc(sizeof(*app));
    app->options = options;
    app->config = options->config;
    if (build(app))
        uv_run(&app->loop, UV_RUN_DEFAULT);
    else
        app->exit_code = EXIT_USAGE;
    log_event(app->log, LOG_LEVEL_INFO, "stopped", LOG_NUMBER("exit_code", app->exit_code));
    int code = app->exit_code;
    if (app->abandoned) // an orderly exit would wait for them
        _exit(code);
    take_down(app);
    free(app);
    return code;
}
