// SPDX-License-Identifier: Apache-2.0
// precis worker: consume, call, record, commit.
#include <stdio.h>

#include "app.h"
#include "cmd/command.h"
#include "io/config_yaml.h"
#include "io/kafka_check.h"
#include "io/secrets.h"

// What could only fail later and in silence is refused here, with the reason. Warnings are
// doctor's: a healthy worker writes only its log, which nobody has to read.
static int look_at_kafka(const struct config *config)
{
    struct kafka_check check;
    if (!kafka_check(&config->kafka, &check)) {
        fprintf(stderr, "error: %s\n       %s\n", check.problem, check.suggestion);
        return check.answered ? EXIT_USAGE : EXIT_FAILED;
    }
    return EXIT_DONE;
}

static int run(struct invocation *invocation)
{
    struct secrets *secrets = secrets_new();
    struct config_errors errors = {0};
    struct config_source source = {
        .path = invocation_config_path(invocation),
        .env_file = invocation_value(invocation, "env-file"),
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
            .name = invocation_value(invocation, "name"),
            .accept_gap = invocation_flag(invocation, "accept-gap"),
        };
        code = look_at_kafka(config);
        if (code == EXIT_DONE)
            code = app_run(&options); // which takes the configuration
        else
            config_free(config);
    } else {
        config_errors_tell(&errors);
    }
    config_errors_deinit(&errors);
    secrets_free(secrets);
    return code;
}

static const struct option_row options[] = {
    {"name", "NAME", "this worker's name in logs and views (else host:pid)"},
    {"accept-gap", NULL, "go on where a partition's committed offset is gone: some jobs were lost"},
    {0},
};

const struct command command_worker = {
    .name = "worker",
    .summary = "Consume jobs, call models, record results, commit offsets",
    .details = "TERM stops taking, finishes what is under way within worker.drain_timeout and\n"
               "leaves the group; a second TERM leaves at once. HUP rereads keys, budgets and log\n"
               "level.\n"
               "Start as many as you like: they share the work and the consumer group.",
    .options = options,
    .run = run,
};
