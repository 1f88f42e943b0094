// SPDX-License-Identifier: Apache-2.0
// What passes as a summary, and what a model is told about what does not.
#include "core/summary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "core/json_schema.h"
#include "core/text.h"

#define POINTS3   "\"key_points\":[\"a\",\"b\",\"c\"]"
#define GOOD      "{\"summary\":\"S.\"," POINTS3 "}"
#define QUOTED(n) "{\"point\":\"p" n "\",\"quote\":\"q" n "\"}"

static const struct summary_rule plain = {
    .max_chars = 10, .points_min = 3, .points_max = 5, .source_chars = 10000};
static const struct summary_rule evidence = {
    .max_chars = 10, .points_min = 3, .points_max = 5, .source_chars = 10000, .evidence = true};
static const struct summary_rule brief = {
    .max_chars = 10, .points_min = 3, .points_max = 5, .source_chars = 599};
static const struct summary_rule own = {.own_schema = true};
static const struct summary_rule own_evidence = {.own_schema = true, .evidence = true};

struct row {
    const struct summary_rule *rule;
    const char *content;
    enum err_code code;
    const char *detail; // a part of it
};

static const struct row rows[] = {
    {&plain, GOOD, ERR_NONE, NULL},
    {&plain, " \n" GOOD "\r\n", ERR_NONE, NULL},
    {&plain, "\xef\xbb\xbf" GOOD, ERR_NONE, NULL},
    {&plain, "```json\n" GOOD "\n```", ERR_NONE, NULL},
    {&plain, "```\n" GOOD "\n```\n", ERR_NONE, NULL},
    {&plain, "{\"more\":1,\"summary\":\"S.\"," POINTS3 "}", ERR_NONE, NULL},
    {&plain, "Here it is:\n```json\n" GOOD "\n```\nI hope this helps.", ERR_NONE, NULL},
    // not JSON
    {&plain, "```json\n" GOOD "\n```\n```json\n" GOOD "\n```", ERR_NOT_JSON, "does not begin"},
    {&plain, "```json\n" GOOD, ERR_NOT_JSON, "does not begin"},
    {&plain, "", ERR_NOT_JSON, "empty"},
    {&plain, "   ", ERR_NOT_JSON, "empty"},
    {&plain, "The contract is about ships.", ERR_NOT_JSON, "does not begin"},
    {&plain, "Here it is: " GOOD, ERR_NOT_JSON, "does not begin"},
    {&plain, GOOD " I hope this helps.", ERR_NOT_JSON, "does not end"},
    {&plain, GOOD GOOD, ERR_NOT_JSON, "goes on after its end"},
    {&plain, "[" GOOD "]", ERR_NOT_JSON, "list"},
    {&plain, "{'summary':'S.','key_points':['a','b','c']}", ERR_NOT_JSON, "malformed"},
    {&plain, "{\"summary\":\"S.\",", ERR_NOT_JSON, "not complete"},
    {&plain,
     "\""
     "S."
     "\"",
     ERR_NOT_JSON, "does not begin"},
    {&plain, "```json\n```json\n" GOOD "\n```\n```", ERR_NOT_JSON, "does not begin"},
    {&plain, "```json " GOOD "```", ERR_NOT_JSON, "does not begin"},
    {&plain, "```", ERR_NOT_JSON, "does not begin"},
    {&plain, "{\"summary\":\"a\nb\"," POINTS3 "}", ERR_NOT_JSON, "malformed"},
    // the wrong shape
    {&plain, "{}", ERR_SCHEMA_MISMATCH, "summary is missing"},
    {&plain, "{\"summary\":1," POINTS3 "}", ERR_SCHEMA_MISMATCH, "summary is not a string"},
    {&plain, "{\"summary\":\" \"," POINTS3 "}", ERR_SCHEMA_MISMATCH, "summary is empty"},
    {&plain, "{\"summary\":\"\\u200b\"," POINTS3 "}", ERR_SCHEMA_MISMATCH, "summary is empty"},
    {&plain, "{\"summary\":\"12345678901\"," POINTS3 "}", ERR_SCHEMA_MISMATCH,
     "11 characters, at most 10"},
    {&plain, "{\"summary\":\"1234567890\"," POINTS3 "}", ERR_NONE, NULL},
    {&plain, "{\"summary\":\"法法法法法法法法法😀\"," POINTS3 "}", ERR_NONE, NULL},
    {&plain, "{\"summary\":\"S.\"}", ERR_SCHEMA_MISMATCH, "key_points is missing"},
    {&plain, "{\"summary\":\"S.\",\"key_points\":\"a\"}", ERR_SCHEMA_MISMATCH,
     "key_points is not a list"},
    {&plain, "{\"summary\":\"S.\",\"key_points\":[\"a\",\"b\"]}", ERR_SCHEMA_MISMATCH,
     "2 entries, 3 to 5"},
    {&plain, "{\"summary\":\"S.\",\"key_points\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\"]}",
     ERR_SCHEMA_MISMATCH, "6 entries, 3 to 5"},
    {&plain, "{\"summary\":\"S.\",\"key_points\":[\"a\",\"b\",3]}", ERR_SCHEMA_MISMATCH,
     "key_points[2] is not a string"},
    {&plain, "{\"summary\":\"S.\",\"key_points\":[\"a\",\"\",\"c\"]}", ERR_SCHEMA_MISMATCH,
     "key_points[1] is empty"},
    {&plain, "{\"summary\":\"S.\",\"key_points\":[" QUOTED("1") ",\"b\",\"c\"]}",
     ERR_SCHEMA_MISMATCH, "key_points[0] is not a string"},
    // short texts
    {&brief, "{\"summary\":\"S.\",\"key_points\":[\"a\"]}", ERR_NONE, NULL},
    {&brief, "{\"summary\":\"S.\",\"key_points\":[]}", ERR_SCHEMA_MISMATCH, "0 entries, 1 to 5"},
    // evidence
    {&evidence,
     "{\"summary\":\"S.\",\"key_points\":[" QUOTED("1") "," QUOTED("2") "," QUOTED("3") "]}",
     ERR_NONE, NULL},
    {&evidence, GOOD, ERR_SCHEMA_MISMATCH, "key_points[0] is not an object"},
    {&evidence,
     "{\"summary\":\"S.\",\"key_points\":[" QUOTED("1") "," QUOTED("2") ",{\"point\":\"p\"}]}",
     ERR_SCHEMA_MISMATCH, "key_points[2].quote is missing"},
    {&evidence,
     "{\"summary\":\"S.\",\"key_points\":[" QUOTED(
         "1") ",{\"point\":\"p\",\"quote\":\" \"}," QUOTED("3") "]}",
     ERR_SCHEMA_MISMATCH, "key_points[1].quote is empty"},
    // the user's own form
    {&own, "{\"a\":[1,2.5,null]}", ERR_NONE, NULL},
    {&own, "[1]", ERR_NOT_JSON, "list"},
    {&own_evidence, "{\"a\":1}", ERR_SCHEMA_MISMATCH, "output is missing"},
    {&own_evidence, "{\"output\":[],\"quotes\":[]}", ERR_SCHEMA_MISMATCH,
     "output is not an object"},
    {&own_evidence, "{\"output\":{}}", ERR_SCHEMA_MISMATCH, "quotes is missing"},
    {&own_evidence, "{\"output\":{},\"quotes\":[{\"path\":\"\",\"quote\":\"q\"}]}", ERR_NONE, NULL},
    {&own_evidence, "{\"output\":{},\"quotes\":[{\"path\":\"/a\"}]}", ERR_SCHEMA_MISMATCH,
     "quotes[0].quote is missing"},
    {&own_evidence, "{\"output\":{},\"quotes\":[5]}", ERR_SCHEMA_MISMATCH,
     "quotes[0].path is missing"},
};

static bool is_empty(const struct summary *summary)
{
    static const struct summary empty;
    return memcmp(summary, &empty, sizeof(empty)) == 0;
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct summary summary;
        struct failure failure = {.code = ERR_NONE};
        bool ok = summary_parse(&summary, rows[i].rule, rows[i].content, strlen(rows[i].content),
                                &failure);
        if (failure.code != rows[i].code || ok != (rows[i].code == ERR_NONE) ||
            (!ok && !strstr(failure.detail, rows[i].detail)))
            fail_msg("%s: %s, \"%s\"", rows[i].content, err_code_text(failure.code),
                     failure.detail);
        if (!ok)
            assert_true(is_empty(&summary));
        summary_deinit(&summary);
    }
}

static struct summary parse(const struct summary_rule *rule, const char *content)
{
    struct summary summary;
    struct failure failure = {.code = ERR_NONE};
    if (!summary_parse(&summary, rule, content, strlen(content), &failure))
        fail_msg("%s: %s", content, failure.detail);
    return summary;
}

static void test_members(void **state)
{
    (void)state;
    struct summary s = parse(&evidence, "{\"summary\":\" S. \",\"key_points\":[" QUOTED(
                                            "1") "," QUOTED("2") "," QUOTED("3") "]}");
    assert_string_equal(s.summary, "S.");
    assert_int_equal(s.point_count, 3);
    assert_string_equal(s.points[2], "p3");
    assert_string_equal(s.quotes[0], "q1");
    assert_null(s.output_json);
    assert_int_equal(s.warning_count, 0);
    char *json = summary_output(&s);
    assert_string_equal(json, "{\"summary\":\"S.\",\"key_points\":[\"p1\",\"p2\",\"p3\"]}");
    free(json);
    summary_deinit(&s);
    s = parse(&plain, GOOD);
    assert_null(s.quotes);
    json = summary_output(&s);
    assert_string_equal(json, GOOD);
    free(json);
    summary_deinit(&s);
    s = parse(&own_evidence, "{\"quotes\":[{\"path\":\"/a\",\"quote\":\"x "
                             "y\"}],\"output\":{\"b\":0.1,\"a\":[\"\\u0000\"]}}");
    assert_string_equal(s.output_json, "{\"b\":0.1,\"a\":[\"\xef\xbf\xbd\"]}");
    assert_string_equal(s.quote_paths[0], "/a");
    assert_string_equal(s.quotes[0], "x y");
    assert_int_equal(s.quote_count, 1);
    assert_null(s.summary);
    summary_deinit(&s);
}

static void test_final_cut_at_a_sentence_end(void **state)
{
    (void)state;
    struct summary_rule rule = plain;
    rule.final = true;
    struct summary s = parse(&rule, "{\"summary\":\"One. Two three four.\"," POINTS3 "}");
    assert_string_equal(s.summary, "One.");
    assert_int_equal(s.warning_count, 1);
    assert_non_null(strstr(s.warnings[0], "20 characters"));
    summary_deinit(&s);
    // only the length is forgiven
    struct failure failure;
    const char *few = "{\"summary\":\"One. Two three four.\",\"key_points\":[\"a\"]}";
    assert_false(summary_parse(&s, &rule, few, strlen(few), &failure));
    assert_int_equal(failure.code, ERR_SCHEMA_MISMATCH);
}

static void test_hidden_characters_are_taken_out(void **state)
{
    (void)state;
    static const char *const hidden[] = {"\\u001b", "\\u202e", "\\u200b", "\\u0007",
                                         "\\udb40\\udc41"};
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
        char content[200];
        snprintf(content, sizeof(content), "{\"summary\":\"a%sb\"," POINTS3 "}", hidden[i]);
        struct summary s = parse(&plain, content);
        assert_string_equal(s.summary, "ab");
        assert_int_equal(s.warning_count, 1);
        summary_deinit(&s);
        snprintf(content, sizeof(content), "{\"x\":[{\"y\":\"a%sb\"}]}", hidden[i]);
        s = parse(&own, content);
        assert_string_equal(s.output_json, "{\"x\":[{\"y\":\"ab\"}]}");
        assert_int_equal(s.warning_count, 1);
        summary_deinit(&s);
    }
}

static void test_halves_and_nul_are_mended(void **state)
{
    (void)state;
    struct summary s = parse(&plain, "{\"summary\":\"a\\ud800b\\u0000\"," POINTS3 "}");
    assert_string_equal(s.summary, "a\xef\xbf\xbd"
                                   "b\xef\xbf\xbd");
    assert_int_equal(s.warning_count, 1);
    assert_non_null(strstr(s.warnings[0], "U+FFFD"));
    summary_deinit(&s);
    s = parse(&own, "{\"a\":[\"\\ud800\"]}");
    assert_int_equal(s.warning_count, 1);
    summary_deinit(&s);
}

static void test_numbers_past_int64(void **state)
{
    (void)state;
    struct summary s =
        parse(&own, "{\"n\":9223372036854775808,\"m\":123456789012345678901234567890}");
    assert_non_null(strstr(s.output_json, "9.22337203685478e18"));
    summary_deinit(&s);
    struct failure failure;
    assert_false(summary_parse(&s, &own, "{\"n\":1e400}", 11, &failure));
    assert_int_equal(failure.code, ERR_NOT_JSON);
}

static void test_caps(void **state)
{
    (void)state;
    struct summary s;
    struct failure failure;
    struct buf content;
    buf_init(&content, 0);
    for (int i = 0; i < 100000; i++)
        buf_add_char(&content, '[');
    assert_false(summary_parse(&s, &plain, content.data, content.len, &failure));
    buf_clear(&content);
    buf_add_str(&content, "{\"summary\":\"S.\",\"key_points\":[\"a\"");
    for (int i = 0; i < 9999; i++)
        buf_add_str(&content, ",\"a\"");
    buf_add_str(&content, "]}");
    assert_false(summary_parse(&s, &plain, content.data, content.len, &failure));
    assert_non_null(strstr(failure.detail, "10000 entries"));
    buf_clear(&content);
    buf_add_str(&content, "{\"summary\":\"S.\",\"key_points\":[\"a\",\"b\",\"");
    for (int i = 0; i < 2001; i++)
        buf_add_char(&content, 'x');
    buf_add_str(&content, "\"]}");
    assert_false(summary_parse(&s, &plain, content.data, content.len, &failure));
    assert_non_null(strstr(failure.detail, "key_points[2] is longer"));
    buf_clear(&content);
    buf_add_str(&content, "{\"a\":\"");
    while (content.len <= SUMMARY_MAX_BYTES)
        buf_add_str(&content, "xxxxxxxxxxxxxxxx");
    buf_add_str(&content, "\"}");
    assert_false(summary_parse(&s, &own, content.data, content.len, &failure));
    assert_int_equal(failure.code, ERR_NOT_JSON);
    buf_deinit(&content);
}

// The failure goes into logs and rows: it must not carry what the model wrote.
static void test_failures_do_not_quote(void **state)
{
    (void)state;
    static const char *const contents[] = {"SECRETWORD", "{\"summary\": SECRETWORD}",
                                           "{\"SECRETWORD\":1}",
                                           "{\"summary\":\"SECRETWORD SECRETWORD\"," POINTS3 "}",
                                           "{\"summary\":\"S.\",\"key_points\":\"SECRETWORD\"}"};
    for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
        struct summary s;
        struct failure failure;
        assert_false(summary_parse(&s, &plain, contents[i], strlen(contents[i]), &failure));
        assert_null(strstr(failure.detail, "SECRET"));
    }
}

static const struct {
    const char *schema, *output, *detail; // NULL: it matches
} schemas[] = {
    {"{\"type\":\"object\",\"required\":[\"law\"],\"properties\":{\"law\":{\"type\":\"string\"}}}",
     "{\"law\":\"German\"}", NULL},
    {"{\"type\":\"object\",\"required\":[\"law\"]}", "{}", "at the top: required property law"},
    {"{\"properties\":{\"law\":{\"type\":\"string\"}}}", "{\"law\":5}", "at /law: string"},
    {"{\"properties\":{\"a\":{\"items\":{\"maxLength\":2}}}}", "{\"a\":[\"SECRETWORD\"]}",
     "at /a/0: at most 2 characters"},
    {"{\"additionalProperties\":{\"type\":\"null\"}}", "{\"SECRET WORD\":1}", "at /*: null"},
    {"{\"additionalProperties\":false}", "{\"SECRETWORD\":1}", "at /*: no property of this name"},
};

static void test_own_schema(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++)
        for (int quoted = 0; quoted < 2; quoted++) {
            struct failure failure = {.code = ERR_NONE};
            json_t *tree = json_loads(schemas[i].schema, 0, NULL);
            struct json_schema *schema = json_schema_new(tree, &failure);
            assert_non_null(schema);
            struct summary_rule rule = {.own_schema = true, .evidence = quoted, .schema = schema};
            struct summary s;
            char content[300];
            snprintf(content, sizeof(content), quoted ? "{\"output\":%s,\"quotes\":[]}" : "%s",
                     schemas[i].output);
            bool ok = summary_parse(&s, &rule, content, strlen(content), &failure);
            assert_int_equal(ok, schemas[i].detail == NULL);
            if (schemas[i].detail &&
                (!strstr(failure.detail, schemas[i].detail) || failure.code != ERR_SCHEMA_MISMATCH))
                fail_msg("%s", failure.detail);
            if (!ok)
                assert_null(strstr(failure.detail, "SECRET"));
            summary_deinit(&s);
            json_schema_free(schema);
            json_decref(tree);
        }
}

static void test_rule_of_the_kinds(void **state)
{
    (void)state;
    struct job_spec spec = {.max_chars = 100,
                            .points_min = 2,
                            .points_max = 4,
                            .evidence_quotes = true,
                            .output_schema_json = (char *)(uintptr_t) "{}"};
    struct summary_rule whole = summary_rule_of(&spec, PROMPT_WHOLE, NULL, 5, false);
    struct summary_rule part = summary_rule_of(&spec, PROMPT_PART, NULL, 5, true);
    assert_true(whole.own_schema && !part.own_schema);
    assert_int_equal(whole.max_chars, 100);
    assert_int_equal(part.max_chars, PART_SUMMARY_CHARS);
    assert_int_equal(part.points_max, PART_POINTS_MAX_OWN);
    spec.output_schema_json = NULL;
    part = summary_rule_of(&spec, PROMPT_PART, NULL, 5, true);
    assert_int_equal(part.points_max, PART_POINTS_MAX);
    assert_true(part.final && part.evidence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_final_cut_at_a_sentence_end),
        cmocka_unit_test(test_hidden_characters_are_taken_out),
        cmocka_unit_test(test_halves_and_nul_are_mended),
        cmocka_unit_test(test_numbers_past_int64),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_failures_do_not_quote),
        cmocka_unit_test(test_own_schema),
        cmocka_unit_test(test_rule_of_the_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
