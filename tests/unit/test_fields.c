// SPDX-License-Identifier: Apache-2.0
// Members of a message: every refusal in its words, and the caps.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "job/decode.h"

#define COUNT(rows)  (sizeof(rows) / sizeof((rows)[0]))
#define BYTES(text)  (text), sizeof(text) - 1
#define TEXT_SHA     "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
#define JOB(members) "{\"kind\": \"summarize\", " members "}"
#define HELLO        "\"document\": {\"text\": \"hello\\n\"}"

static enum decoded decode_bytes(const char *value, size_t len, struct decode_out *out)
{
    static const struct decode_limits limits = {
        .value_bytes = 200000, .text_bytes = 100000, .nodes = 5000};
    const struct message message = {
        .topic = "precis.jobs", .partition = 3, .offset = 1042, .value = value, .value_len = len};
    return job_decode(&message, &limits, out);
}

// Every refusal: its code and its sentence.
#define NAMED(members) JOB("\"tenant\": \"t\", \"id\": \"i\", " members)
static const struct {
    const char *value;
    size_t len;
    enum err_code code;
    const char *detail;
} refusals[] = {
    {BYTES(NAMED("\"document\": {}")), ERR_BAD_FIELD,
     "document has 0 of text, data, url and stored; expected one"},
    {BYTES(NAMED("\"document\": {\"text\": \"a\", \"stored\": \"" TEXT_SHA "\"}")), ERR_BAD_FIELD,
     "document has 2 of text, data, url and stored; expected one"},
    {BYTES(NAMED("\"fresh\": false")), ERR_BAD_FIELD, "document is missing; expected an object"},
    {BYTES(NAMED("\"document\": \"SECRET\"")), ERR_BAD_FIELD,
     "document is a string of 6 characters; expected an object"},
    {BYTES(NAMED("\"document\": {\"text\": 12}")), ERR_BAD_FIELD,
     "document.text is 12; expected a string"},
    {BYTES(NAMED("\"document\": {\"txt\": \"SECRET\"}")), ERR_BAD_FIELD,
     "document.txt is not a known field; did you mean document.text?"},
    {BYTES(NAMED("\"document\": {\"stored\": \"abc\"}")), ERR_BAD_FIELD,
     "document.stored is a string of 3 characters; expected 64 hexadecimal digits"},
    {BYTES(NAMED("\"document\": {\"text\": \"a\", \"media_type\": \"text/plain\"}")), ERR_BAD_FIELD,
     "document.media_type goes with data, url and stored only"},
    {BYTES(NAMED("\"document\": {\"data\": \"YQ==\"}")), ERR_BAD_FIELD,
     "document.media_type is missing; document.data needs it, for instance \"application/pdf\""},
    {BYTES(NAMED("\"document\": {\"data\": \"*\", \"media_type\": \"text/plain\"}")), ERR_BAD_FIELD,
     "document.data is not base64"},
    {BYTES(NAMED("\"document\": {\"sha256\": \"x\", \"url\": \"https://SECRET/\"}")), ERR_BAD_FIELD,
     "document.sha256 is a string of 1 characters; expected 64 hexadecimal digits"},
    {BYTES(NAMED("\"document\": {\"text\": \"a\", \"url\": \"file:///a\"}")), ERR_BAD_FIELD,
     "document has 2 of text, data, url and stored; expected one"},
    {BYTES(NAMED("\"document\": {\"text\": \"a\", \"sha256\": \"" TEXT_SHA "\"}")), ERR_BAD_FIELD,
     "document.sha256 goes with url only"},
    {BYTES(NAMED("\"document\": {\"url\": \"file:\"}")), ERR_BAD_FIELD,
     "document.url is a string of 5 characters; expected a URL of 6 to 4000 characters"},
    {BYTES(NAMED("\"document\": {\"url\": \"s3://SECRET/a.pdf\"}")), ERR_FORBIDDEN_URL,
     "document.url: only file: and https: are read in this version"},
    {BYTES(NAMED("\"document\": {\"url\": \"http://SECRET/a.pdf\"}")), ERR_FORBIDDEN_URL,
     "document.url: only file: and https: are read in this version"},
    {BYTES(NAMED("\"document\": {\"url\": \"gopher://SECRET\"}")), ERR_FORBIDDEN_URL,
     "document.url: only file: and https: are read in this version"},
    {BYTES(NAMED(HELLO ", \"priority\": 10")), ERR_BAD_FIELD,
     "priority is 10; expected an integer from 0 to 9"},
    {BYTES(NAMED(HELLO ", \"priority\": 1.5")), ERR_BAD_FIELD,
     "priority is 1.5; expected an integer from 0 to 9"},
    {BYTES(NAMED(HELLO ", \"fresh\": \"yes\"")), ERR_BAD_FIELD,
     "fresh is a string of 3 characters; expected true or false"},
    {BYTES(NAMED(HELLO ", \"deadline\": \"tomorrow\"")), ERR_BAD_FIELD,
     "deadline is a string of 8 characters; expected an RFC 3339 time such as "
     "\"2026-11-22T07:00:00Z\""},
    {BYTES(NAMED(HELLO ", \"max_cost_usd\": 0.05")), ERR_BAD_FIELD,
     "max_cost_usd is 0.05; expected a decimal string of US dollars such as \"0.05\""},
    {BYTES(NAMED(HELLO ", \"max_cost_usd\": \"-1\"")), ERR_BAD_FIELD,
     "max_cost_usd is a string of 2 characters; expected a decimal string of US dollars such "
     "as \"0.05\""},
    {BYTES(NAMED(HELLO ", \"labels\": {\"a\": 1}")), ERR_BAD_FIELD,
     "labels is an object of 1 members; expected an object of at most 64 strings, names up to "
     "100 and values up to 1000 characters"},
    {BYTES(NAMED(HELLO ", \"on_deadline\": \"latte\"")), ERR_BAD_FIELD,
     "on_deadline is a string of 5 characters; expected one of late, fail; did you mean late?"},
    {BYTES(NAMED(HELLO ", \"after\": {}")), ERR_BAD_FIELD,
     "after.batch is missing; expected 1 to 200 of the characters A-Z a-z 0-9 . _ : @ -"},
    {BYTES(NAMED(HELLO ", \"after\": {\"batch\": \"default\"}")), ERR_BAD_FIELD,
     "after.batch is the job's own batch, which would wait for itself"},
    {BYTES(NAMED(HELLO ", \"revision\": -1")), ERR_BAD_FIELD,
     "revision is -1; expected an integer from 0 to 9007199254740991"},
    {BYTES(NAMED(HELLO ", \"summarise\": {}")), ERR_BAD_FIELD,
     "summarise is not a known field; did you mean summarize?"},
    {BYTES(NAMED(HELLO ", \"max_chars\": 3")), ERR_BAD_FIELD,
     "max_chars is not a known field; did you mean summarize.max_chars?"},
    {BYTES(NAMED(HELLO ", \"zzz\": 3")), ERR_BAD_FIELD,
     "zzz is not a known field; names of your own begin with x- or go into labels"},
    {BYTES(NAMED(HELLO ", \"one secret sentence\": 3")), ERR_BAD_FIELD,
     "(a name of 19 bytes) is not a known field; names of your own begin with x- or go into "
     "labels"},
    {BYTES(NAMED(HELLO ", \"agent\": {}")), ERR_BAD_FIELD,
     "agent is not supported yet; leave it out"},
    {BYTES(NAMED(HELLO ", \"summarize\": {\"style\": {}}")), ERR_BAD_FIELD,
     "summarize.style is not supported yet; leave it out"},
    {BYTES(NAMED(HELLO ", \"summarize\": {\"max_chars\": \"12\"}")), ERR_BAD_FIELD,
     "summarize.max_chars is a string of 2 characters; expected an integer from 1 to 100000"},
    {BYTES(NAMED(HELLO ", \"summarize\": {\"max_chars\": 0}")), ERR_BAD_FIELD,
     "summarize.max_chars is 0; expected an integer from 1 to 100000"},
    {BYTES(NAMED(HELLO ", \"summarize\": {\"max_chars\": 1000000000}")), ERR_BAD_FIELD,
     "summarize.max_chars is 1000000000; expected an integer from 1 to 100000"},
    {BYTES(NAMED(HELLO ", \"summarize\": {\"language\": null}")), ERR_BAD_FIELD,
     "summarize.language is null; expected a string of 1 to 100 characters"},
    {BYTES(NAMED(HELLO ", \"summarize\": {\"temperature\": 2.5}")), ERR_BAD_FIELD,
     "summarize.temperature is 2.5; expected a number from 0 to 2"},
    {BYTES(NAMED(HELLO ", \"summarize\": {\"output_schema\": []}")), ERR_BAD_FIELD,
     "summarize.output_schema is an array of 0 items; expected an object of at most 65536 "
     "bytes of JSON"},
    {BYTES(NAMED(HELLO ", \"summarize\": {\"key_points\": {\"min\": 6}}")), ERR_BAD_FIELD,
     "summarize.key_points.min is 6; expected at most max, which is 5"},
    {BYTES(NAMED(HELLO ", \"summarize\": {\"reasoning_mode\": \"nonreasoning\"}")), ERR_BAD_FIELD,
     "summarize.reasoning_mode is a string of 12 characters; expected one of auto, reasoning, "
     "non-reasoning; did you mean non-reasoning?"},
    {BYTES(NAMED(HELLO ", \"v\": 0")), ERR_BAD_FIELD, "v is 0; expected an integer from 1 to 1"},
    {BYTES(NAMED(HELLO ", \"v\": \"2\"")), ERR_BAD_FIELD,
     "v is a string of 1 characters; expected an integer from 1 to 1"},
    {BYTES("{\"tenant\": \"t\", \"id\": \"i\", \"kind\": \"agent\", \"agent\": {}}"),
     ERR_KIND_NOT_SUPPORTED, "kind agent is not supported yet"},
    {BYTES("{\"tenant\": \"t\", \"id\": \"i\", \"kind\": \"report\"}"), ERR_KIND_NOT_SUPPORTED,
     "kind report is not supported yet"},
    {BYTES("{\"tenant\": \"t\", \"id\": \"i\", \"kind\": \"summarise\", " HELLO "}"), ERR_BAD_FIELD,
     "kind is a string of 9 characters; expected summarize; did you mean summarize?"},
    {BYTES("{\"tenant\": \"t\", \"id\": \"i\", " HELLO "}"), ERR_BAD_FIELD,
     "kind is missing; expected summarize"},
    {BYTES("{\"tenant\": \"t\", \"id\": \"i\", \"kind\": 1, " HELLO "}"), ERR_BAD_FIELD,
     "kind is 1; expected summarize"},
};

// The refused message still says who the job was to be.
static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refusals); i++) {
        struct decode_out out;
        assert_int_equal(decode_bytes(refusals[i].value, refusals[i].len, &out), DECODED_BAD);
        assert_string_equal(out.failure.detail, refusals[i].detail);
        assert_int_equal(out.failure.code, refusals[i].code);
        assert_string_equal(out.spec.tenant, "t");
        assert_string_equal(out.spec.batch, "default");
        assert_string_equal(out.spec.id, "i");
        assert_null(out.spec.text);
        assert_null(out.spec.spec_json);
        decode_out_deinit(&out);
    }
}

// The caps of labels and output_schema, at the cap and past it.
static void test_caps(void **state)
{
    (void)state;
    struct buf value OWN_BUF;
    buf_init(&value, 0);
    struct decode_out out;
    for (int labels = 64; labels <= 65; labels++) {
        buf_clear(&value);
        buf_add_str(&value, "{\"kind\": \"summarize\", " HELLO ", \"labels\": {");
        for (int i = 0; i < labels; i++)
            buf_printf(&value, "%s\"l%d\": \"\"", i ? "," : "", i);
        buf_add_str(&value, "}}");
        assert_int_equal(decode_bytes(value.data, value.len, &out),
                         labels == 64 ? DECODED_JOB : DECODED_BAD);
        decode_out_deinit(&out);
    }
    for (int bytes = 65536; bytes <= 65537; bytes++) {
        buf_clear(&value);
        buf_add_str(&value, "{\"kind\": \"summarize\", " HELLO
                            ", \"summarize\": {\"output_schema\": {\"a\": \"");
        for (int i = 0; i < bytes - 8; i++) // {"a":""} are the other eight
            buf_add_char(&value, 'a');
        buf_add_str(&value, "\"}}}");
        assert_int_equal(decode_bytes(value.data, value.len, &out),
                         bytes == 65536 ? DECODED_JOB : DECODED_BAD);
        decode_out_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
