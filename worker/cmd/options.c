// SPDX-License-Identifier: Apache-2.0
// Finding the command, reading its options, printing help.
#include "cmd/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/text.h"
#include "io/config_yaml.h"
#include "io/pg_params.h"
#include "io/pg_query.h"

#define LEFT_COLUMNS 28

struct given {
    const struct option_row *row;
    const char *value;
};

struct invocation {
    const struct command *const *commands;
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

static void each_of(const struct option_row *rows,
                    void (*each)(void *context, const struct option_row *row), void *context)
{
    for (; rows && rows->name; rows++)
        each(context, rows);
}

void command_each_option(const struct command *command,
                         void (*each)(void *context, const struct option_row *row), void *context)
{
    if (command)
        each_of(command->options, each, context);
    if (command && command->prints_data)
        each_of(json_options, each, context);
    if (!command)
        each_of(common_options, each, context);
}

bool command_is_later(const char *words)
{
    return strncmp(words, "(later)", strlen("(later)")) == 0;
}

static void print_option(void *context, const struct option_row *row)
{
    (void)context;
    char left[100];
    int len = snprintf(left, sizeof(left), "--%s%s%s", row->name, row->value ? " " : "",
                       row->value ? row->value : "");
    // One that is longer than its column has a line of its own.
    if (len > LEFT_COLUMNS)
        printf("  %s\n  %*s %s\n", left, LEFT_COLUMNS, "", row->help);
    else
        printf("  %-*s %s\n", LEFT_COLUMNS, left, row->help);
}

static int print_command_help(const struct command *command)
{
    printf("precis %s%s%s [options]\n\n%s.\n", command->name, command->arguments ? " " : "",
           command->arguments ? command->arguments : "", command->summary);
    if (command->details)
        printf("\n%s\n", command->details);
    printf("\nOptions:\n");
    command_each_option(command, print_option, NULL);
    command_each_option(NULL, print_option, NULL);
    return EXIT_DONE;
}

static int print_help(const struct command *const *commands)
{
    printf("precis: summarises documents from Kafka through model APIs into PostgreSQL.\n\n"
           "Usage: precis COMMAND [options]\n\nCommands:\n");
    for (; *commands; commands++)
        printf("  %-12s %s\n", (*commands)->name, (*commands)->summary);
    printf(
        "\n`precis COMMAND --help` says more; `precis man | man -l -` says it all. Exit codes:\n");
#define EXIT_ROW(name, number, words) printf("  %-5d %s\n", number, words);
#include "cmd/exit_codes.def"
#undef EXIT_ROW
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

struct names {
    const char **list;
    size_t count;
};

static void add_name(void *context, const struct option_row *row)
{
    struct names *names = context;
    names->list = own_grow(names->list, names->count + 1, sizeof(*names->list));
    names->list[names->count++] = row->name;
}

// The name that was meant: by a letter or two, or by its beginning. NULL: none is near.
static const char *nearest(const struct names *names, const char *word)
{
    const char *near = text_nearest(word, names->list, names->count);
    for (size_t i = 0; !near && word[0] && word[1] && i < names->count; i++)
        if (strncmp(names->list[i], word, strlen(word)) == 0)
            near = names->list[i];
    return near;
}

static int refuse_option(const struct invocation *invocation, const char *name, size_t len)
{
    struct names names = {0};
    char *word OWN_FREE = own_strndup(name, len);
    command_each_option(invocation->command, add_name, &names);
    command_each_option(NULL, add_name, &names);
    const char *near = nearest(&names, word);
    free(names.list);
    return invocation_misuse(invocation, "unknown option --%s%s%s%s", word,
                             near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
}

// Reads argv[*i]; moves *i past a value that stands apart. An exit code, or -1 to go on.
static int read_option(struct invocation *invocation, int argc, char **argv, int *i)
{
    const char *name = argv[*i] + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct option_row *row = find_option(invocation->command, name, len);
    if (!row)
        return refuse_option(invocation, name, len);
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

static int run_command(const struct command *const *commands, const struct command *command,
                       int argc, char **argv)
{
    struct invocation invocation = {.commands = commands, .command = command, .program = argv[0]};
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

static int refuse_command(const struct command *const *commands, const char *name)
{
    struct names names = {0};
    for (; *commands; commands++)
        add_name(&names, &(struct option_row){.name = (*commands)->name});
    const char *near = nearest(&names, name);
    free(names.list);
    fprintf(stderr, "error: unknown command \"%s\"%s%s%s\n`precis --help` lists the commands.\n",
            name, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return EXIT_USAGE;
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
            return run_command(commands, *command, argc, argv);
    return refuse_command(commands, name);
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

const struct command *const *invocation_commands(const struct invocation *invocation)
{
    return invocation->commands;
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
    pg_params_forget_environment(); // what the configuration took of it is taken
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
