// SPDX-License-Identifier: Apache-2.0
// Finding the command, reading its options, printing help.
#include "cmd/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "io/config_yaml.h"
#include "io/pg_query.h"

struct given {
    const struct option_row *row;
    const char *value;
};

struct invocation {
    const struct command *command;
    const char *program;
    struct given *given;
    size_t given_count;
    const char **arguments;
    size_t argument_count;
    struct config *config;
    char *config_path;
    struct pg_session *database;
};

static const struct option_row common_options[] = {
    {"config", "FILE",
     "the configuration (else $PRECIS_CONFIG, ./precis.yaml, /etc/precis/precis.yaml)"},
    {"env-file", "FILE", "variables for ${env:NAME} in the configuration, as KEY=VALUE lines"},
    {"help", NULL, "this text"},
    {0},
};

static const struct option_row json_options[] = {
    {"json", NULL, "print JSON instead of text"},
    {0},
};

// ------------------------------------------------------------------------------- help

static void print_options(const struct option_row *rows)
{
    for (; rows && rows->name; rows++) {
        char left[60];
        snprintf(left, sizeof(left), "--%s%s%s", rows->name, rows->value ? " " : "",
                 rows->value ? rows->value : "");
        printf("  %-28s %s\n", left, rows->help);
    }
}

static int print_command_help(const struct command *command)
{
    printf("precis %s%s%s [options]\n\n%s.\n", command->name, command->arguments ? " " : "",
           command->arguments ? command->arguments : "", command->summary);
    if (command->details)
        printf("\n%s\n", command->details);
    printf("\nOptions:\n");
    print_options(command->options);
    if (command->prints_data)
        print_options(json_options);
    print_options(common_options);
    return EXIT_DONE;
}

static int print_help(const struct command *const *commands)
{
    printf("precis: summarises documents from Kafka through model APIs into PostgreSQL.\n\n"
           "Usage: precis COMMAND [options]\n\nCommands:\n");
    for (; *commands; commands++)
        printf("  %-12s %s\n", (*commands)->name, (*commands)->summary);
    printf(
        "\n`precis COMMAND --help` says more. Exit codes: 0 done, 1 it failed, 2 wrong usage or\n"
        "configuration, 3 ended with failed jobs, 130 interrupted.\n");
    return EXIT_DONE;
}

int invocation_misuse(const struct invocation *invocation, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "error: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n`precis %s --help` lists what it takes.\n", invocation->command->name);
    va_end(args);
    return EXIT_USAGE;
}

// ------------------------------------------------------------------------------- reading

static const struct option_row *find_in(const struct option_row *rows, const char *name, size_t len)
{
    for (; rows && rows->name; rows++)
        if (strlen(rows->name) == len && strncmp(rows->name, name, len) == 0)
            return rows;
    return NULL;
}

static const struct option_row *find_option(const struct command *command, const char *name,
                                            size_t len)
{
    const struct option_row *row = find_in(command->options, name, len);
    if (!row && command->prints_data)
        row = find_in(json_options, name, len);
    return row ? row : find_in(common_options, name, len);
}

// Reads argv[*i]; moves *i past a value that stands apart. An exit code, or -1 to go on.
static int read_option(struct invocation *invocation, int argc, char **argv, int *i)
{
    const char *name = argv[*i] + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct option_row *row = find_option(invocation->command, name, len);
    if (!row)
        return invocation_misuse(invocation, "unknown option --%.*s", (int)len, name);
    const char *value = "";
    if (row->value && equals)
        value = equals + 1;
    else if (row->value && *i + 1 < argc)
        value = argv[++*i];
    else if (row->value)
        return invocation_misuse(invocation, "--%s needs a value: %s", row->name, row->value);
    else if (equals)
        return invocation_misuse(invocation, "--%s takes no value", row->name);
    invocation->given[invocation->given_count++] = (struct given){row, value};
    return -1;
}

static int read_arguments(struct invocation *invocation, int argc, char **argv)
{
    bool options = true;
    for (int i = 2; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
            continue;
        }
        if (options && strcmp(argv[i], "-h") == 0)
            argv[i] = "--help";
        if (!options || strncmp(argv[i], "--", 2) != 0) {
            invocation->arguments[invocation->argument_count++] = argv[i];
            continue;
        }
        int code = read_option(invocation, argc, argv, &i);
        if (code >= 0)
            return code;
    }
    if (!invocation->command->arguments && invocation->argument_count > 0)
        return invocation_misuse(invocation, "unexpected argument \"%s\"",
                                 invocation->arguments[0]);
    return -1;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    struct invocation invocation = {.command = command, .program = argv[0]};
    invocation.given = own_array((size_t)argc, sizeof(struct given));
    invocation.arguments = own_array((size_t)argc, sizeof(char *));
    int code = EXIT_DONE;
    bool help = false;
    for (int i = 2; i < argc; i++)
        help |= strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
    if (help)
        code = print_command_help(command);
    else if ((code = read_arguments(&invocation, argc, argv)) < 0)
        code = command->run(&invocation);
    pg_session_close(invocation.database);
    config_free(invocation.config);
    free(invocation.config_path);
    free(invocation.given);
    free(invocation.arguments);
    return code;
}

// The command whose name shares the longest beginning with what was typed.
static const char *nearest_command(const struct command *const *commands, const char *name)
{
    const char *best = NULL;
    size_t best_len = 1;
    for (; *commands; commands++) {
        size_t len = 0;
        while (name[len] && name[len] == (*commands)->name[len])
            len++;
        if (len > best_len) {
            best_len = len;
            best = (*commands)->name;
        }
    }
    return best;
}

int commands_main(const struct command *const *commands, int argc, char **argv)
{
    if (argc < 2) {
        print_help(commands);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return print_help(commands);
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        printf("precis %s\n", PRECIS_VERSION);
        return EXIT_DONE;
    }
    for (const struct command *const *command = commands; *command; command++)
        if (strcmp((*command)->name, name) == 0)
            return run_command(*command, argc, argv);
    const char *near = nearest_command(commands, name);
    fprintf(stderr, "error: unknown command \"%s\"%s%s%s\n`precis --help` lists the commands.\n",
            name, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return EXIT_USAGE;
}

// ------------------------------------------------------------------------------- what was given

const char *invocation_nth(const struct invocation *invocation, const char *name, size_t n)
{
    for (size_t i = 0; i < invocation->given_count; i++)
        if (strcmp(invocation->given[i].row->name, name) == 0 && n-- == 0)
            return invocation->given[i].value;
    return NULL;
}

const char *invocation_value(const struct invocation *invocation, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < invocation->given_count; i++)
        if (strcmp(invocation->given[i].row->name, name) == 0)
            value = invocation->given[i].value;
    return value;
}

bool invocation_flag(const struct invocation *invocation, const char *name)
{
    return invocation_value(invocation, name) != NULL;
}

bool invocation_json(const struct invocation *invocation)
{
    return invocation_flag(invocation, "json");
}

size_t invocation_argument_count(const struct invocation *invocation)
{
    return invocation->argument_count;
}

const char *invocation_argument(const struct invocation *invocation, size_t n)
{
    return n < invocation->argument_count ? invocation->arguments[n] : NULL;
}

const char *invocation_program(const struct invocation *invocation)
{
    return invocation->program;
}

const char *invocation_config_path(struct invocation *invocation)
{
    if (!invocation->config_path)
        invocation->config_path = config_find_file(invocation_value(invocation, "config"));
    return invocation->config_path;
}

void config_errors_tell(const struct config_errors *errors)
{
    struct buf line;
    buf_init(&line, 0);
    for (size_t i = 0; i < errors->len; i++) {
        buf_clear(&line);
        config_error_text(&errors->items[i], &line);
        fprintf(stderr, "error: %s\n", buf_str(&line));
    }
    buf_deinit(&line);
}

const struct config *invocation_config(struct invocation *invocation)
{
    if (invocation->config)
        return invocation->config;
    struct config_source source = {
        .path = invocation_value(invocation, "config"),
        .env_file = invocation_value(invocation, "env-file"),
    };
    struct config_errors errors = {0};
    invocation->config = config_load(&source, &errors);
    if (!invocation->config)
        config_errors_tell(&errors);
    config_errors_deinit(&errors);
    return invocation->config;
}

struct pg_session *invocation_database(struct invocation *invocation)
{
    if (invocation->database)
        return invocation->database;
    const struct config *config = invocation_config(invocation);
    if (!config)
        return NULL;
    struct pg_error error;
    invocation->database = pg_session_open(config->database, invocation->command->name, &error);
    if (!invocation->database)
        fprintf(stderr,
                "error: PostgreSQL: %s\nCheck `database` in the configuration, or $DATABASE_URL.\n",
                error.text);
    return invocation->database;
}
