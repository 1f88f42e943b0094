// SPDX-License-Identifier: Apache-2.0
// Templates: the built-in ones are what strict structured outputs take, and a user's own file is
// read with its mistakes at their places.
#include "templates/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/own.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define HEAD         "name: mine\ninstructions: Name the parties.\n"

static bool read_yaml(struct job_template *out, const char *yaml, struct config_errors *errors)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    buf_add_str(&text, yaml);
    return template_read(out, "mine.yaml", &text, errors);
}

// ------------------------------------------------------------------------------- built in

static bool says_null(const json_t *type)
{
    for (size_t i = 0; i < json_array_size(type); i++)
        if (strcmp(json_string_value(json_array_get(type, i)), "null") == 0)
            return true;
    return false;
}

// Each field says what it means, and what may be missing in a document may be missing here.
static void check_schema(const json_t *schema, int depth, size_t *out_fields)
{
    json_t *properties = json_object_get(schema, "properties");
    const char *name;
    json_t *property;
    assert_true(depth < 5);
    json_object_foreach(properties, name, property)
    {
        const json_t *type = json_object_get(property, "type");
        const char *text = json_string_value(json_object_get(property, "description"));
        ++*out_fields;
        if (!text || strlen(text) < 4)
            fail_msg("%s has no description", name);
        bool list = json_is_string(type) && strcmp(json_string_value(type), "array") == 0;
        if (depth == 0 && !list && strcmp(name, "summary") != 0 && !says_null(type))
            fail_msg("%s cannot be null", name);
        const json_t *choices = json_object_get(property, "enum");
        size_t nulls = 0;
        for (size_t i = 0; i < json_array_size(choices); i++)
            nulls += json_is_null(json_array_get(choices, i));
        if (choices && says_null(type) && nulls != 1)
            fail_msg("the words of %s have no null", name);
        check_schema(property, depth + 1, out_fields);
        check_schema(json_object_get(property, "items"), depth + 1, out_fields);
    }
}

static void test_built_in(void **state)
{
    (void)state;
    static const char *const names[] = {"contract", "nda", "lease", "filing", "minutes"};
    assert_int_equal(template_file_count, COUNT(names));
    for (size_t i = 0; i < COUNT(names); i++) {
        struct job_template template;
        struct config_errors errors = {0};
        struct buf said OWN_BUF;
        buf_init(&said, 0);
        bool loaded = template_load(&template, names[i], &errors);
        config_errors_print(&errors, &said);
        if (!loaded)
            fail_msg("%s", buf_str(&said));
        assert_string_equal(template.name, names[i]);
        assert_string_equal(template.version, "1");
        assert_true(strlen(template.description) > 20);
        assert_true(template_is_strict(&template));
        json_t *schema = json_object_get(template.summarize, "output_schema");
        size_t fields = 0;
        check_schema(schema, 0, &fields);
        assert_true(fields >= 20);
        assert_non_null(json_object_get(json_object_get(schema, "properties"), "summary"));
        const char *orders = json_string_value(json_object_get(template.summarize, "instructions"));
        assert_non_null(strstr(orders, "not say is null"));
        assert_non_null(strstr(orders, "ISO 8601"));
        template_deinit(&template);
    }
}

// ------------------------------------------------------------------------------- one's own

static void test_own_file(void **state)
{
    (void)state;
    struct job_template template;
    struct config_errors errors = {0};
    assert_true(read_yaml(&template,
                          "name: claims\nversion: 2026.11\ndescription: Claims\n"
                          "instructions: |\n  One.\n  Two.\nevidence: none\nmax_chars: 500\n"
                          "key_points: {min: 1, max: 2}\nlanguage: German\non_too_long: fail\n"
                          "output_schema:\n  type: object\n  properties:\n"
                          "    zeta: {type: string}\n    alpha: {type: [string, \"null\"]}\n",
                          &errors));
    assert_string_equal(template.label, "claims@2026.11");
    assert_string_equal(template.description, "Claims");
    char *text OWN_FREE = json_dumps(template.summarize, JSON_COMPACT);
    assert_string_equal(
        text, "{\"instructions\":\"One.\\nTwo.\\n\",\"evidence\":\"none\",\"max_chars\":500,"
              "\"key_points\":{\"min\":1,\"max\":2},\"language\":\"German\","
              "\"on_too_long\":\"fail\",\"output_schema\":{\"type\":\"object\",\"properties\":"
              "{\"zeta\":{\"type\":\"string\"},\"alpha\":{\"type\":[\"string\",\"null\"]}}},"
              "\"template\":\"claims@2026.11\"}");
    assert_false(template_is_strict(&template));
    template_deinit(&template);
}

// The version of a file that names none is its content.
static void test_version_of_the_content(void **state)
{
    (void)state;
    struct job_template one, other;
    struct config_errors errors = {0};
    assert_true(read_yaml(&one, HEAD, &errors));
    assert_true(read_yaml(&other, HEAD "# a remark\n", &errors));
    assert_string_equal(one.label, "mine@204f73d8");
    assert_string_not_equal(one.label, other.label);
    assert_true(template_is_strict(&one)); // of the usual form
    template_deinit(&one);
    template_deinit(&other);
}

static const struct {
    const char *yaml, *said;
} bad[] = {
    {"", "mine.yaml:1:1: the file is not a mapping of keys. `precis templates show contract` "
         "prints one to begin with.\n"},
    {"- a\n", "mine.yaml:1:1: the file is not a mapping"},
    {"name: [\n", "mine.yaml:"},
    {"instructions: x\n", "mine.yaml:1:1: `name` is missing.\n"},
    {"name: x\n", "mine.yaml:1:1: there are neither `instructions` nor an `output_schema`.\n"},
    {HEAD "max_char: 3\n", "mine.yaml:3:1: unknown key `max_char`. Did you mean `max_chars`?\n"},
    {HEAD "model: grok-4.3\n", "mine.yaml:3:1: unknown key `model`. Known: `name`, `version`,"},
    {HEAD "max_chars: 0\n",
     "mine.yaml:3:12: max_chars is 0; expected an integer from 1 to 100000.\n"},
    {HEAD "evidence: quote\n", "mine.yaml:3:11: evidence is a string of 5 characters; expected one "
                               "of none, quotes. Did you mean quotes?\n"},
    {HEAD "key_points: {min: 1, maxx: 2}\n",
     "mine.yaml:3:1: key_points.maxx is not a known field. Did you mean key_points.max?\n"},
    {HEAD "version: a b\n",
     "mine.yaml:3:10: `version` takes 1 to 100 of the characters A-Z a-z 0-9 . _ : -.\n"},
    {"name: a@b\ninstructions: x\n", "mine.yaml:1:7: `name` takes 1 to 100"},
    {"name: ~\ninstructions: x\n", "mine.yaml:1:7: `name` takes a text.\n"},
    {"name: x\ninstructions: \"\"\n", "mine.yaml:2:15: instructions is a string of 0 characters"},
    {HEAD "output_schema: yes\n", "mine.yaml:3:16: output_schema is a string"},
    {HEAD "output_schema: {type: string}\n",
     "mine.yaml:3:1: `output_schema` does not describe an object. It begins with `type: object` "
     "and `properties`.\n"},
    {HEAD "output_schema:\n  type: object\n  properties:\n    a:\n      type: string\n"
          "      minLenght: 3\n",
     "mine.yaml:6:5: `output_schema` is no JSON Schema: #/properties/a: unknown keyword"},
    {HEAD "output_schema:\n  type: object\n  properties:\n    a:\n      anyOf:\n"
          "        - {type: strng}\n",
     "mine.yaml:8:12: `output_schema` is no JSON Schema: #/properties/a/anyOf/0"},
    {HEAD "output_schema: {type: object}\noutput_schema: {type: object}\n", "mine.yaml:"},
};

static void test_mistakes_have_their_places(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct job_template template;
        struct config_errors errors = {0};
        struct buf said OWN_BUF;
        buf_init(&said, 0);
        if (read_yaml(&template, bad[i].yaml, &errors))
            fail_msg("taken: %s", bad[i].yaml);
        config_errors_print(&errors, &said);
        if (strncmp(buf_str(&said), bad[i].said, strlen(bad[i].said)) != 0)
            fail_msg("%s", buf_str(&said));
        assert_null(template.summarize);
        config_errors_deinit(&errors);
    }
}

static void test_names_and_paths(void **state)
{
    (void)state;
    static const struct {
        const char *which, *said;
    } rows[] = {
        {"contrct",
         "there is no template `contrct`. Did you mean `contract`? There are contract, "},
        {"mine", "there is no template `mine`. There are contract, nda, lease, filing, minutes; a "
                 "file of your own is named by its path, such as ./mine.yaml.\n"},
        {"no.YAML", "no.YAML: the file cannot be read: No such file or directory.\n"},
        {"/dev/zero", "/dev/zero: the file is over 262144 bytes.\n"},
        {"/tmp/", "/tmp/: the file cannot be read: Is a directory.\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct job_template template;
        struct config_errors errors = {0};
        struct buf said OWN_BUF;
        buf_init(&said, 0);
        assert_false(template_load(&template, rows[i].which, &errors));
        config_errors_print(&errors, &said);
        if (strncmp(buf_str(&said), rows[i].said, strlen(rows[i].said)) != 0)
            fail_msg("%s", buf_str(&said));
        config_errors_deinit(&errors);
    }
}

// What `templates show` prints is a file that is taken.
static void test_a_copy_is_a_file(void **state)
{
    (void)state;
    char path[] = "/tmp/precis-template-XXXXXX.yaml";
    int fd = mkstemps(path, 5);
    assert_true(fd >= 0);
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    struct config_errors errors = {0};
    assert_true(template_text(&text, "lease", &errors));
    assert_int_equal(write(fd, text.data, text.len), text.len);
    close(fd);
    struct job_template built_in, own;
    assert_true(template_load(&built_in, "lease", &errors));
    assert_true(template_load(&own, path, &errors));
    assert_true(json_equal(built_in.summarize, own.summarize));
    template_deinit(&built_in);
    template_deinit(&own);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_in),
        cmocka_unit_test(test_own_file),
        cmocka_unit_test(test_version_of_the_content),
        cmocka_unit_test(test_mistakes_have_their_places),
        cmocka_unit_test(test_names_and_paths),
        cmocka_unit_test(test_a_copy_is_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
