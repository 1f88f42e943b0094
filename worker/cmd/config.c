// SPDX-License-Identifier: Apache-2.0
// precis config: is the file right, what does it come to, what may stand in it.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cmd/command.h"
#include "core/config_remarks.h"
#include "core/config_schema.h"
#include "core/config_show.h"
#include "io/secret_files.h"

// Prints and frees.
static int print_text(char *text, bool newline)
{
    bool fine = text && fputs(text, stdout) >= 0 && (!newline || putchar('\n') != EOF);
    free(text);
    return fine && fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

static void tell_exposed(void *context, const char *path, const char *how)
{
    json_t *warnings = context;
    json_array_append_new(warnings, json_sprintf("%s %s: chmod 600", path, how));
}

static void add_remarks(const struct config *config, json_t *warnings)
{
    struct config_errors remarks = {0};
    config_remarks(config, &remarks);
    for (size_t i = 0; i < remarks.len; i++) {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        config_error_text(&remarks.items[i], &text);
        json_array_append_new(warnings, json_string(buf_str(&text)));
    }
    config_errors_deinit(&remarks);
}

static int check(struct invocation *invocation)
{
    const struct config *config = invocation_config(invocation);
    if (config == NULL)
        return EXIT_USAGE; // the mistakes have been printed
    const char *path = invocation_config_path(invocation);
    json_t *warnings = json_array();
    add_remarks(config, warnings);
    secret_files_check(config, invocation_value(invocation, "env-file"), tell_exposed, warnings);
    if (invocation_json(invocation)) {
        json_t *answer =
            json_pack("{s:b, s:s?, s:I, s:I, s:I, s:o}", "ok", 1, "file", path, "providers",
                      (json_int_t)config->provider_count, "models", (json_int_t)config->model_count,
                      "routes", (json_int_t)config->route_count, "warnings", warnings);
        char *text = json_dumps(answer, JSON_COMPACT);
        json_decref(answer);
        return print_text(text, true);
    }
    printf("%s is right. Providers: %zu, models: %zu, routes: %zu.\n", path, config->provider_count,
           config->model_count, config->route_count);
    for (size_t i = 0; i < json_array_size(warnings); i++)
        fprintf(stderr, "warning: %s\n", json_string_value(json_array_get(warnings, i)));
    json_decref(warnings);
    return EXIT_DONE;
}

static int show(struct invocation *invocation)
{
    const struct config *config = invocation_config(invocation);
    if (config == NULL)
        return EXIT_USAGE;
    if (invocation_json(invocation))
        return print_text(config_show_json(config), true);
    struct buf text;
    buf_init(&text, 0);
    config_show_text(config, &text);
    return print_text(buf_take(&text), false);
}

static int schema(const struct invocation *invocation)
{
    if (!invocation_flag(invocation, "markdown"))
        return print_text(config_schema_json(), false);
    struct buf text;
    buf_init(&text, 0);
    config_reference(&text);
    return print_text(buf_take(&text), false);
}

static int run(struct invocation *invocation)
{
    size_t count = invocation_argument_count(invocation);
    const char *what = count > 0 ? invocation_argument(invocation, 0) : "check";
    if (count > 1)
        return invocation_misuse(invocation, "`config` takes one of check, show, schema");
    if (strcmp(what, "check") == 0)
        return check(invocation);
    if (strcmp(what, "show") == 0)
        return show(invocation);
    if (strcmp(what, "schema") == 0)
        return schema(invocation);
    return invocation_misuse(invocation, "`config %s` is unknown: check, show or schema", what);
}

static const struct option_row options[] = {
    {"markdown", NULL, "with schema: the reference page in place of the JSON Schema"},
    {0},
};

const struct command command_config = {
    .name = "config",
    .arguments = "[check|show|schema]",
    .summary = "Check the configuration, show it, or print what may stand in it",
    .details =
        "check   reads the file and everything that it refers to; every mistake is printed with\n"
        "        its line and column, and so is what has no effect (the default)\n"
        "show    every value and where it came from; secrets are only `set` or `unset`\n"
        "schema  the JSON Schema of the file",
    .options = options,
    .prints_data = true,
    .run = run,
};
