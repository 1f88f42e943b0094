// SPDX-License-Identifier: Apache-2.0
// precis dev: everything in one process tree. The broker is in this process, PostgreSQL and the
// model simulator are its children, and one worker runs in the foreground. A file DIR/precis.yaml
// lets other terminals use it.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "base/buf.h"
#include "base/own.h"
#include "cmd/command.h"
#include "io/children.h"
#include "io/config_yaml.h"
#include "io/kafka_mock.h"
#include "io/migrate.h"
#include "io/pg_params.h"
#include "io/secrets.h"

struct dev {
    struct invocation *invocation;
    char directory[400], config_path[420];
    struct kafka_mock *broker;
    struct private_postgres postgres;
    struct simulator simulator;
    char problem[500];
};

// The simulator knows the three models of the examples. The context is small, so that a long
// document is split before one's eyes.
static const char simulated_models[] =
    "models:\n"
    "  grok-4.3:\n"
    "    provider: simulator\n"
    "    context_tokens: 12000\n"
    "    max_output_tokens: 4096\n"
    "    limits: {in_flight: 100}\n"
    "    reasoning: {parameter: reasoning_mode}\n"
    "    price: {per_1k: {input: 0.00025, cached: 0.00006, output: 0.001}, since: 2026-11-01}\n"
    "  claude-opus-4.8:\n"
    "    provider: simulator\n"
    "    context_tokens: 128000\n"
    "    max_output_tokens: 8192\n"
    "    limits: {in_flight: 100}\n"
    "    price: {per_1k: {input: 0.005, output: 0.015}, since: 2026-11-01}\n"
    "  gemini-3.5-flash:\n"
    "    provider: simulator\n"
    "    context_tokens: 128000\n"
    "    max_output_tokens: 8192\n"
    "    limits: {in_flight: 100}\n"
    "    price: {per_1k: {input: 0.00035, output: 0.0012}, since: 2026-11-01}\n"
    "routes: {default: [grok-4.3]}\n";

static const char xai_models[] =
    "providers:\n"
    "  xai:\n"
    "    api: openai\n"
    "    base_url: ${env:GROK_BASE_URL:-https://api.x.ai/v1}\n"
    "    key: \"${env:GROK_API_KEY}\"\n"
    "models:\n"
    "  grok-4.3:\n"
    "    provider: xai\n"
    "    context_tokens: 200000\n" // above that the price doubles
    "    max_output_tokens: 8192\n"
    "    limits: {rpm: 480, tpm: 4000000, in_flight: 50}\n"
    "    reasoning: {parameter: reasoning_effort, map: {reasoning: high, non-reasoning: none}}\n"
    "    price: {per_1m: {input: 1.25, cached: 0.2, output: 2.5}, since: 2026-11-01}\n"
    "routes: {default: [grok-4.3]}\n";

// ------------------------------------------------------------------------------- parts

static bool make_directory(struct dev *dev)
{
    const char *given = invocation_value(dev->invocation, "dir");
    char here[300];
    if (given && given[0] == '/')
        snprintf(dev->directory, sizeof(dev->directory), "%s", given);
    else if (getcwd(here, sizeof(here)))
        snprintf(dev->directory, sizeof(dev->directory), "%s/%.90s", here,
                 given ? given : ".precis-dev");
    snprintf(dev->config_path, sizeof(dev->config_path), "%s/precis.yaml", dev->directory);
    if (mkdir(dev->directory, 0755) == 0 || errno == EEXIST)
        return true;
    snprintf(dev->problem, sizeof(dev->problem), "%s cannot be made: %s", dev->directory,
             strerror(errno));
    return false;
}

// $PRECIS_MODELSIM, beside this program, where the build puts it, or on the PATH.
static bool find_simulator(char *out, size_t out_bytes)
{
    const char *named = getenv("PRECIS_MODELSIM");
    if (named) {
        snprintf(out, out_bytes, "%s", named);
        return access(out, X_OK) == 0;
    }
    char self[300];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (len <= 0)
        return false;
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    *slash = '\0';
    static const char *const places[] = {"modelsim", "../tools/modelsim/modelsim"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        snprintf(out, out_bytes, "%s/%s", self, places[i]);
        if (access(out, X_OK) == 0)
            return true;
    }
    return false;
}

static bool start_simulator(struct dev *dev)
{
    char program[400];
    if (!find_simulator(program, sizeof(program))) {
        snprintf(dev->problem, sizeof(dev->problem),
                 "the model simulator is not built; build the target `modelsim`, or name it in "
                 "$PRECIS_MODELSIM");
        return false;
    }
    const char *latency = invocation_value(dev->invocation, "latency");
    const char *const arguments[] = {"--latency", latency ? latency : "200ms", NULL};
    return simulator_start(&dev->simulator, program, arguments, dev->problem, sizeof(dev->problem));
}

static bool start_broker(struct dev *dev)
{
    static const char *const topics[] = {"precis.jobs", "precis.jobs.dlq", "precis.results", NULL};
    dev->broker = kafka_mock_start(topics, dev->problem, sizeof(dev->problem));
    return dev->broker != NULL;
}

static void tell_nobody(void *context, const char *line)
{
    (void)context;
    (void)line;
}

static bool start_database(struct dev *dev)
{
    if (!private_postgres_start(&dev->postgres, dev->directory, dev->problem, sizeof(dev->problem)))
        return false;
    struct pg_error error;
    if (migrate_up(dev->postgres.conninfo, tell_nobody, NULL, &error))
        return true;
    snprintf(dev->problem, sizeof(dev->problem), "the schema could not be made: %.300s",
             error.text);
    return false;
}

// ------------------------------------------------------------------------------- configuration

static bool uses_real_api(const struct dev *dev)
{
    return invocation_flag(dev->invocation, "xai");
}

// The broker begins empty each time, the database does not: under a group's old name the partitions
// would be known and without an offset, and stop.
static void add_config(const struct dev *dev, struct buf *out)
{
    const char *listen = invocation_value(dev->invocation, "listen");
    buf_printf(out,
               "# Made by `precis dev`; gone with its folder.\n"
               "kafka: {brokers: \"%s\", group: precis-dev-%lld}\n"
               "database: \"%s\"\n"
               "http: {listen: \"%s\"}\n"
               "documents: {max_bytes: 50MB}\n",
               kafka_mock_brokers(dev->broker), (long long)time(NULL), dev->postgres.conninfo,
               listen ? listen : "127.0.0.1:8000");
    if (uses_real_api(dev)) {
        buf_add_str(out, xai_models);
        return;
    }
    buf_printf(out, "providers:\n  simulator:\n    api: openai\n    base_url: http://%s/v1\n",
               dev->simulator.address);
    buf_add_str(out, simulated_models);
}

static bool write_config(struct dev *dev)
{
    struct buf text;
    buf_init(&text, 0);
    add_config(dev, &text);
    FILE *file = fopen(dev->config_path, "w");
    bool ok = file && fwrite(text.data, 1, text.len, file) == text.len;
    ok = file && fclose(file) == 0 && ok;
    buf_deinit(&text);
    if (!ok)
        snprintf(dev->problem, sizeof(dev->problem), "%s cannot be written", dev->config_path);
    return ok;
}

// Now, and not before, does somebody who submits find a worker.
static void say_up(void *context)
{
    const struct dev *dev = context;
    printf("precis dev: everything is up. In another terminal:\n"
           "  export PRECIS_CONFIG=%s\n"
           "  precis submit PATH…    precis status    precis results BATCH\n"
           "Ctrl-C ends it; %s keeps the database.\n",
           dev->config_path, dev->directory);
    fflush(stdout);
}

static int run_worker(struct dev *dev)
{
    struct secrets *secrets = secrets_new();
    struct config_errors errors = {0};
    struct config_source source = {
        .path = dev->config_path,
        .env_file = invocation_value(dev->invocation, "env-file"),
        .secrets = secrets,
    };
    struct config *config = config_load(&source, &errors);
    int code = EXIT_USAGE;
    if (config) {
        struct app_options options = {
            .config = config,
            .secrets = secrets,
            .config_path = source.path,
            .env_file = source.env_file,
            .name = "dev",
            .on_reading = say_up,
            .context = dev,
        };
        code = app_run(&options);
    } else {
        config_errors_tell(&errors);
    }
    config_errors_deinit(&errors);
    secrets_free(secrets);
    return code;
}

static int run(struct invocation *invocation)
{
    struct dev dev = {.invocation = invocation};
    pg_params_forget_environment();
    bool ok = make_directory(&dev) && start_broker(&dev) && start_database(&dev) &&
              (uses_real_api(&dev) || start_simulator(&dev)) && write_config(&dev);
    int code = EXIT_FAILED;
    if (ok)
        code = run_worker(&dev);
    else
        fprintf(stderr, "error: %s\n", dev.problem);
    simulator_stop(&dev.simulator);
    private_postgres_stop(&dev.postgres);
    if (dev.broker)
        kafka_mock_stop(dev.broker);
    return code;
}

static const struct option_row options[] = {
    {"dir", "DIR", "where the database and precis.yaml go (else ./.precis-dev)"},
    {"listen", "ADDRESS", "of /health and /metrics (else 127.0.0.1:8000, or the next free port)"},
    {"latency", "TIME", "of the model simulator's answers (else 200ms)"},
    {"xai", NULL, "the real API at api.x.ai with $GROK_API_KEY instead of the simulator"},
    {0},
};

const struct command command_dev = {
    .name = "dev",
    .summary = "Everything in one process tree: broker, database, simulator and a worker",
    .details = "For trying things out on one machine. The broker is in memory: it keeps about 5 MB "
               "a\npartition, so `submit` stores documents in PostgreSQL and sends references.",
    .options = options,
    .run = run,
};
