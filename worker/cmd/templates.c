// SPDX-License-Identifier: Apache-2.0
// precis templates: what there is to ask of a kind of document, and the file behind it.
#include "templates/template.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/command.h"
#include "cmd/screen.h"
#include "core/config_error.h"

static json_t *fields_of(const struct job_template *template)
{
    json_t *names = json_array();
    json_t *schema = json_object_get(template->summarize, "output_schema");
    json_t *properties = json_object_get(schema, "properties");
    const char *name;
    json_t *property;
    json_object_foreach(properties, name, property) json_array_append_new(names, json_string(name));
    if (!schema) {
        json_array_append_new(names, json_string("summary"));
        json_array_append_new(names, json_string("key_points"));
    }
    return names;
}

static json_t *json_of(const struct job_template *template)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:b, s:O}", "name", template->name, "version",
                     template->version, "description", template->description, "fields",
                     fields_of(template), "strict", template_is_strict(template), "summarize",
                     template->summarize);
}

static void print_json(json_t *json)
{
    char *text OWN_FREE = json_dumps(json, JSON_COMPACT);
    struct buf safe OWN_BUF;
    buf_init(&safe, 0);
    screen_add_json(&safe, text);
    puts(buf_str(&safe));
    json_decref(json);
}

// ------------------------------------------------------------------------------- people

// The names of the fields, indented and broken at the terminal's width.
static void print_fields(const struct job_template *template)
{
    struct buf name OWN_BUF;
    buf_init(&name, 0);
    json_t *names = fields_of(template);
    size_t width = screen_columns(stdout), column = 0;
    for (size_t i = 0; i < json_array_size(names); i++) {
        bool last = i + 1 == json_array_size(names);
        buf_clear(&name);
        screen_add_line(&name, json_string_value(json_array_get(names, i)));
        size_t cells = screen_width(name.data, name.len) + 2;
        if (column == 0 || column + cells > width)
            column = (size_t)printf("%s   ", column ? "\n" : "") - (column ? 1 : 0);
        printf(" %s%s", buf_str(&name), last ? "\n" : ",");
        column += cells;
    }
    json_decref(names);
}

static void print_template(const struct job_template *template)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    screen_add_line(&text, template->description);
    printf("%s%s@%s%s  %s\n", screen_on(stdout, SCREEN_BOLD), template->name, template->version,
           screen_off(stdout, SCREEN_BOLD), buf_str(&text));
    print_fields(template);
}

// ------------------------------------------------------------------------------- actions

static int fail(struct config_errors *errors)
{
    config_errors_tell(errors);
    config_errors_deinit(errors);
    return EXIT_USAGE;
}

static int list(struct invocation *invocation)
{
    bool json = invocation_json(invocation);
    json_t *all = json_array();
    struct config_errors errors = {0};
    for (size_t i = 0; i < template_file_count; i++) {
        struct job_template template;
        if (!template_load(&template, template_files[i].name, &errors))
            continue;
        if (json)
            json_array_append_new(all, json_of(&template));
        else
            print_template(&template);
        template_deinit(&template);
    }
    if (json)
        print_json(json_incref(all));
    else
        puts("\nUse one: `precis submit FOLDER --template contract`. Make your own of one: "
             "`precis templates show contract > mine.yaml`.");
    json_decref(all);
    return errors.len ? fail(&errors) : EXIT_DONE;
}

// The text itself, byte for byte, so that it can be the beginning of a file; it must be right.
static int show(struct invocation *invocation, const char *which)
{
    struct buf text OWN_BUF;
    buf_init(&text, TEMPLATE_FILE_MAX_BYTES + 65536);
    struct config_errors errors = {0};
    struct job_template template;
    if (!template_text(&text, which, &errors) || !template_read(&template, which, &text, &errors))
        return fail(&errors);
    if (invocation_json(invocation))
        print_json(json_of(&template));
    else
        fwrite(buf_str(&text), 1, text.len, stdout);
    template_deinit(&template);
    return EXIT_DONE;
}

static int check(struct invocation *invocation, const char *which)
{
    struct config_errors errors = {0};
    struct job_template template;
    if (!template_load(&template, which, &errors))
        return fail(&errors);
    if (invocation_json(invocation)) {
        print_json(json_of(&template));
    } else {
        print_template(&template);
        puts(template_is_strict(&template)
                 ? "It is right, and providers with strict structured outputs keep to its form."
                 : "It is right. Its schema goes beyond strict structured outputs (each object "
                   "with additionalProperties: false and all its properties required), so a model "
                   "is asked for its form and the answer is checked.");
    }
    template_deinit(&template);
    return EXIT_DONE;
}

static int run(struct invocation *invocation)
{
    size_t count = invocation_argument_count(invocation);
    const char *what = count > 0 ? invocation_argument(invocation, 0) : "list";
    const char *which = invocation_argument(invocation, 1);
    if (strcmp(what, "list") == 0 && count <= 1)
        return list(invocation);
    if (strcmp(what, "show") == 0 && count == 2)
        return show(invocation, which);
    if (strcmp(what, "check") == 0 && count == 2)
        return check(invocation, which);
    return invocation_misuse(invocation, "`templates` takes list, show NAME or check FILE");
}

const struct command command_templates = {
    .name = "templates",
    .arguments = "[list | show NAME | check FILE]",
    .summary = "What to ask of a contract, an NDA, a lease, a filing, minutes; your own files",
    .details =
        "list   names, versions and fields of the built-in ones (the default)\n"
        "show   prints one as YAML: `precis templates show contract > mine.yaml` begins your own\n"
        "check  reads a file of your own as `submit --template ./mine.yaml` will\n\n"
        "A template has name, version, description, instructions, output_schema, evidence,\n"
        "max_chars, key_points, language and on_too_long; all but the name may be left out, as\n"
        "long as there are instructions or a schema.",
    .prints_data = true,
    .run = run,
};
