// SPDX-License-Identifier: Apache-2.0
// What a job's summary gets beside it: citations, and a warning for each quote and fact that the
// document does not have.
#include "job_walk.h"

#include <stdlib.h>

#define TEXT                                                                                       \
    "Acme Widgets GmbH pays 38.400,00 EUR a year from 1 May 2022. Notice is ninety days. "         \
    "The venue is Munich and the law is that of Germany."

struct row {
    const char *members; // of summarize
    const char *answer;
    const char *warnings; // "|" between
};

#define POINTS(text, a, b, c)                                                                      \
    "{\"summary\":\"" text "\",\"key_points\":[{\"point\":\"" a                                    \
    "\",\"quote\":\"Acme Widgets GmbH\"},"                                                         \
    "{\"point\":\"" b "\",\"quote\":\"The venue is Munich\"},{\"point\":\"" c                      \
    "\",\"quote\":\"Notice is ninety days\"}]}"

#define SCHEMA                                                                                     \
    ",\"output_schema\":{\"type\":\"object\",\"properties\":{\"fee\":{\"type\":\"number\"},\"a/"   \
    "b\":{\"type\":"                                                                               \
    "\"array\",\"items\":{\"type\":\"string\"}}}}"

static const struct row rows[] = {
    {"", POINTS("The fee is EUR 38,400.", "Since 2022-05-01.", "90 days.", "German law."), ""},
    {"",
     POINTS("The fee is EUR 38,500.", "Since 2022-05-02.", "60 days.", "Beta Works GmbH sells."),
     "amount \"EUR 38,500\" (summary) is not in the document|"
     "date \"2022-05-02\" (key point 1) is not in the document|"
     "number \"60 days\" (key point 2) is not in the document|"
     "name \"Beta Works GmbH\" (key point 3) is not in the document"},
    {"",
     "{\"summary\":\"A fee.\",\"key_points\":[{\"point\":\"a\",\"quote\":\"The venue is Berlin\"},"
     "{\"point\":\"b\",\"quote\":\"The venue is Munich\"},{\"point\":\"c\",\"quote\":\"never "
     "said\"}]}",
     "the quote of key point 1 is not in the document|"
     "the quote of key point 3 is not in the document"},
    {SCHEMA, "{\"output\":{\"fee\":38400.0,\"a/b\":[\"1 May 2022\"]},\"quotes\":[]}", ""},
    {SCHEMA,
     "{\"output\":{\"fee\":38401,\"a/b\":[\"x\",\"2 May "
     "2022\"]},\"quotes\":[{\"path\":\"/fee\",\"quote\":"
     "\"a fee of 38401\"}]}",
     "the quote for /fee is not in the document|"
     "number \"38401\" (output /fee) is not in the document|"
     "date \"2 May 2022\" (output /a~1b/1) is not in the document"},
};

// The job of a message with these members, answered so; it is in FINISH then.
static void walk_answer(struct walk *walk, const char *members, const char *answer)
{
    struct buf message OWN_BUF;
    buf_init(&message, 0);
    buf_printf(
        &message,
        "{\"v\":1,\"id\":\"j\",\"kind\":\"summarize\",\"summarize\":{\"key_points\":{\"min\":1,"
        "\"max\":30}%s},\"document\":{\"text\":\"%s\"}}",
        members, TEXT);
    walk_to_admit(walk, buf_str(&message));
    walk_to_call(walk);
    walk_content(walk, answer, "stop");
    ASSERT_STEP(walk, "finish");
}

static void add_warnings(struct buf *out, const struct summary_row *row)
{
    for (size_t i = 0; i < row->warning_count; i++) {
        buf_add_str(out, i ? "|" : "");
        buf_add_str(out, row->warnings[i]);
    }
}

static void warnings_say_what_is_missing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct walk walk;
        struct buf warnings OWN_BUF;
        buf_init(&warnings, 0);
        walk_answer(&walk, rows[i].members, rows[i].answer);
        assert_int_equal(walk.job->draft.outcome.state, JOB_DONE);
        add_warnings(&warnings, &walk.job->draft.summary);
        assert_string_equal(buf_str(&warnings), rows[i].warnings);
        walk_finish(&walk);
    }
}

// Twenty are told, the others counted.
static void many_are_counted(void **state)
{
    (void)state;
    struct buf answer OWN_BUF;
    struct walk walk;
    buf_init(&answer, 0);
    buf_add_str(&answer, "{\"summary\":\"A fee.\",\"key_points\":[");
    for (int i = 0; i < 25; i++)
        buf_printf(&answer, "%s{\"point\":\"EUR %d\",\"quote\":\"never %d\"}", i ? "," : "",
                   5000 + i, i);
    buf_add_str(&answer, "]}");
    walk_answer(&walk, "", buf_str(&answer));
    const struct summary_row *row = &walk.job->draft.summary;
    assert_int_equal(row->warning_count, 42);
    assert_string_equal(row->warnings[19], "the quote of key point 20 is not in the document");
    assert_string_equal(row->warnings[20], "… and 5 more quotes are not in the document");
    assert_string_equal(row->warnings[40],
                        "amount \"EUR 5019\" (key point 20) is not in the document");
    assert_string_equal(row->warnings[41],
                        "… and 5 more amounts, dates, numbers and names are not in the document");
    walk_finish(&walk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(warnings_say_what_is_missing),
                                       cmocka_unit_test(many_are_counted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
