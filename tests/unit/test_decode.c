// SPDX-License-Identifier: Apache-2.0
// Messages of the jobs topic: what is taken, what is refused and in which words.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"
#include "core/text.h"
#include "job/decode.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define BYTES(text) (text), sizeof(text) - 1
#define TEXT_SHA    "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03" // "hello\n"

static const struct decode_limits limits = {
    .value_bytes = 200000, .text_bytes = 100000, .nodes = 5000};

static struct message message_of(const char *value, size_t len)
{
    return (struct message){.topic = "precis.jobs",
                            .partition = 3,
                            .offset = 1042,
                            .key = "legal/q3/from-key",
                            .key_len = 17,
                            .value = value,
                            .value_len = len};
}

// Decodes an exact copy on the heap, so that the sanitizer sees a read past its end.
static enum decoded decode_bytes(const char *value, size_t len, struct decode_out *out)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, value, len);
    struct message message = message_of(copy, len);
    enum decoded decoded = job_decode(&message, &limits, out);
    assert_memory_equal(copy, value, len);
    free(copy);
    return decoded;
}

static enum decoded decode(const char *value, struct decode_out *out)
{
    return decode_bytes(value, strlen(value), out);
}

static void assert_text(const char *found, const char *expected)
{
    if (expected)
        assert_string_equal(found, expected);
    else
        assert_null(found);
}

static void test_smallest_job(void **state)
{
    (void)state;
    struct decode_out out;
    assert_int_equal(
        decode("{\"kind\": \"summarize\", \"document\": {\"text\": \"hello\\n\"}}", &out),
        DECODED_JOB);
    const struct job_spec *spec = &out.spec;
    assert_string_equal(spec->tenant, "default");
    assert_string_equal(spec->batch, "default");
    assert_string_equal(spec->id, "precis.jobs:3:1042");
    assert_int_equal(spec->revision, 0);
    assert_int_equal(spec->kind, JOB_SUMMARIZE);
    assert_int_equal(spec->priority, 5);
    assert_int_equal(spec->deadline_ms, INT64_MAX);
    assert_int_equal(spec->not_before_ms, 0);
    assert_false(spec->fail_on_deadline);
    assert_string_equal(spec->labels_json, "{}");
    assert_int_equal(spec->max_cost_picousd, -1);
    assert_false(spec->fresh);
    assert_int_equal(spec->document, DOCUMENT_TEXT);
    assert_string_equal(spec->text, "hello\n");
    assert_int_equal(spec->text_len, 6);
    assert_string_equal(spec->document_sha256, TEXT_SHA);
    assert_string_equal(spec->model, "default");
    assert_int_equal(spec->max_chars, 300);
    assert_int_equal(spec->points_min, 3);
    assert_int_equal(spec->points_max, 5);
    assert_true(spec->evidence_quotes);
    assert_int_equal(spec->on_too_long, TOO_LONG_SPLIT);
    assert_int_equal(spec->reasoning_mode, REASONING_AUTO);
    assert_true(spec->pack);
    assert_int_equal(spec->max_output_tokens, 0);
    assert_null(spec->temperature);
    assert_null(spec->output_schema_json);
    assert_string_equal(spec->traceparent, "");
    assert_string_equal(spec->spec_json, "{\"v\":1,\"tenant\":\"default\",\"batch\":\"default\","
                                         "\"id\":\"precis.jobs:3:1042\",\"kind\":\"summarize\","
                                         "\"document\":{\"stored\":\"" TEXT_SHA "\"}}");
    decode_out_deinit(&out);
}

static const char full[] =
    "{\"v\": 1, \"id\": \"msa-7\", \"revision\": 2, \"kind\": \"summarize\", \"tenant\": \"legal\","
    " \"batch\": \"q3@2026\", \"priority\": 9, \"deadline\": \"2026-11-23T07:00:00+01:00\","
    " \"not_before\": \"2026-11-22T20:00:00Z\", \"on_deadline\": \"fail\","
    " \"labels\": {\"z\": \"é\", \"a\": \"1\"},"
    " \"max_cost_usd\": \"0.05\", \"fresh\": true, \"x-trace\": {\"any\": [1]},"
    " \"document\": {\"text\": \"hello\\n\", \"name\": \"MSA №7.txt\"},"
    " \"summarize\": {\"model\": \"grok-4.3\", \"max_chars\": 500,"
    "  \"key_points\": {\"min\": 1, \"max\": 2}, \"language\": \"German\","
    "  \"instructions\": \"Name the parties.\", \"template\": \"msa@3\","
    "  \"output_schema\": {\"type\": \"object\","
    "  \"properties\": {\"z\": {\"multipleOf\": 0.1}, \"a\": {}}}, \"evidence\": \"none\","
    "  \"on_too_long\": \"fail\", \"reasoning_mode\": \"non-reasoning\","
    "  \"reasoning_effort\": \"low\", \"temperature\": 0.2, \"max_output_tokens\": 4096,"
    "  \"pack\": \"never\"}}";

static void test_full_job(void **state)
{
    (void)state;
    struct decode_out out;
    assert_int_equal(decode(full, &out), DECODED_JOB);
    const struct job_spec *spec = &out.spec;
    assert_string_equal(spec->tenant, "legal");
    assert_string_equal(spec->batch, "q3@2026");
    assert_string_equal(spec->id, "msa-7");
    assert_int_equal(spec->revision, 2);
    assert_int_equal(spec->priority, 9);
    assert_int_equal(spec->deadline_ms, 1795413600000);
    assert_int_equal(spec->not_before_ms, 1795377600000);
    assert_true(spec->fail_on_deadline);
    assert_string_equal(spec->labels_json, "{\"a\":\"1\",\"z\":\"é\"}");
    assert_int_equal(spec->max_cost_picousd, 50000000000);
    assert_true(spec->fresh);
    assert_string_equal(spec->document_name, "MSA №7.txt");
    assert_string_equal(spec->model, "grok-4.3");
    assert_int_equal(spec->max_chars, 500);
    assert_int_equal(spec->points_min, 1);
    assert_int_equal(spec->points_max, 2);
    assert_string_equal(spec->language, "German");
    assert_string_equal(spec->instructions, "Name the parties.");
    assert_string_equal(
        spec->output_schema_json,
        "{\"type\":\"object\",\"properties\":{\"z\":{\"multipleOf\":0.1},\"a\":{}}}");
    assert_false(spec->evidence_quotes);
    assert_int_equal(spec->on_too_long, TOO_LONG_FAIL);
    assert_int_equal(spec->reasoning_mode, REASONING_OFF);
    assert_string_equal(spec->reasoning_effort, "low");
    assert_string_equal(spec->temperature, "0.2");
    assert_int_equal(spec->max_output_tokens, 4096);
    assert_false(spec->pack);
    decode_out_deinit(&out);
}

// What is kept of a message is a message: the same job, the same content, the document by its hash.
static void test_kept_message_is_the_same_job(void **state)
{
    (void)state;
    struct decode_out first, again, third;
    assert_int_equal(decode(full, &first), DECODED_JOB);
    assert_null(strstr(first.spec.spec_json, "hello"));
    assert_int_equal(decode(first.spec.spec_json, &again), DECODED_JOB);
    assert_int_equal(again.spec.document, DOCUMENT_STORED);
    assert_null(again.spec.text);
    assert_string_equal(again.spec.document_sha256, TEXT_SHA);
    assert_string_equal(again.spec.document_name, "MSA №7.txt");
    assert_memory_equal(again.spec.content_hash, first.spec.content_hash, 32);
    assert_string_equal(again.spec.output_schema_json, first.spec.output_schema_json);
    assert_string_equal(again.spec.temperature, first.spec.temperature);
    assert_int_equal(again.spec.max_cost_picousd, first.spec.max_cost_picousd);
    assert_int_equal(decode(again.spec.spec_json, &third), DECODED_JOB);
    assert_string_equal(third.spec.spec_json, again.spec.spec_json);
    decode_out_deinit(&first);
    decode_out_deinit(&again);
    decode_out_deinit(&third);
}

static void hash_of(const char *value, unsigned char hash[32])
{
    struct decode_out out;
    assert_int_equal(decode(value, &out), DECODED_JOB);
    memcpy(hash, out.spec.content_hash, 32);
    decode_out_deinit(&out);
}

#define JOB(members) "{\"kind\": \"summarize\", " members "}"
#define HELLO        "\"document\": {\"text\": \"hello\\n\"}"

static void test_content(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool same; // as that of JOB(HELLO)
    } rows[] = {
        {JOB(HELLO ", \"id\": \"other\", \"tenant\": \"t\", \"batch\": \"b\", \"revision\": 7"),
         true},
        {JOB(HELLO ", \"labels\": {\"a\": \"b\"}, \"priority\": 1, \"max_cost_usd\": \"1\""), true},
        {JOB(HELLO ", \"deadline\": \"2026-11-23T07:00:00Z\", \"x-y\": 1, \"fresh\": true"), true},
        {JOB(HELLO ", \"summarize\": {\"model\": \"default\", \"max_chars\": 300}"), true},
        {JOB("\"document\": {\"stored\": \"" TEXT_SHA "\", \"name\": \"n\"}"), true},
        {JOB("\"document\": {\"data\": \"aGVsbG8K\", \"media_type\": \"text/plain\"}"), true},
        {JOB("\"document\": {\"text\": \"\\ufeffhel\\u0000lo\\n\"}"), false}, // U+FFFD stands in it
        {JOB("\"document\": {\"text\": \"\\ufeffhello\\n\"}"), true},
        {JOB("\"document\": {\"text\": \"hello\"}"), false},
        {JOB(HELLO ", \"summarize\": {\"max_chars\": 301}"), false},
    };
    unsigned char hello[32], hash[32];
    hash_of(JOB(HELLO), hello);
    for (size_t i = 0; i < COUNT(rows); i++) {
        hash_of(rows[i].value, hash);
        assert_int_equal(memcmp(hash, hello, sizeof(hash)) == 0, rows[i].same);
    }
}

// Not JSON at all: the name comes from the key, and no byte of the value is repeated.
static void test_bad_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        size_t len;
        const char *words;
    } rows[] = {
        {BYTES(""), "the value is empty"},
        {BYTES("\357\273\277"), "the value is empty"},
        {BYTES("\0\0\0\0\1"), "the value is empty"},
        {BYTES("\0\0\0"), "ends early"},
        {BYTES("{\"kind\": \"SECRET"), "ends early"},
        {BYTES("{\"kind\": SECRET}"), "is malformed"},
        {BYTES("{} {}"), "goes on after its end"},
        {BYTES("{\"tenant\": \"a\", \"tenant\": \"b\"}"), "has the same member twice"},
        {BYTES("[]"), "the value is an array"},
        {BYTES("\"SECRET\""), "the value is a single value"},
        {BYTES("{\"a\": \"\377\"}"), "is not valid UTF-8"},
        {BYTES("{\"a\": \"x\0y\"}"), "is malformed"},
        {BYTES("{\"a\": 1e400}"), "has a number out of range"},
        {BYTES("{\"a\": 123456789012345678901234567890}"), "has a number out of range"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct decode_out out;
        assert_int_equal(decode_bytes(rows[i].value, rows[i].len, &out), DECODED_BAD);
        assert_int_equal(out.failure.code, ERR_BAD_MESSAGE);
        if (!strstr(out.failure.detail, rows[i].words))
            fail_msg("row %zu: %s", i, out.failure.detail);
        assert_null(strstr(out.failure.detail, "SECRET"));
        assert_string_equal(out.spec.tenant, "legal");
        assert_string_equal(out.spec.batch, "q3");
        assert_string_equal(out.spec.id, "from-key");
        decode_out_deinit(&out);
    }
}

static void test_bombs(void **state)
{
    (void)state;
    struct buf value OWN_BUF;
    buf_init(&value, 0);
    struct decode_out out;
    for (int i = 0; i < 100000; i++)
        buf_add_char(&value, '[');
    assert_int_equal(decode_bytes(value.data, value.len, &out), DECODED_BAD);
    assert_string_equal(out.failure.detail, "the JSON is nested deeper than 64 levels at byte 64");
    decode_out_deinit(&out);

    buf_clear(&value);
    for (int i = 0; i < 50000; i++)
        buf_add_str(&value, i ? ",{}" : "[{}");
    assert_int_equal(decode_bytes(value.data, value.len, &out), DECODED_BAD);
    assert_non_null(strstr(out.failure.detail, "has more than 5000 values"));
    decode_out_deinit(&out);

    for (int i = 0; i < 60000; i++)
        buf_add_str(&value, "    ");
    assert_int_equal(decode_bytes(value.data, value.len, &out), DECODED_BAD);
    assert_int_equal(out.failure.code, ERR_TOO_LARGE);
    assert_non_null(strstr(out.failure.detail, "at most 200000 are read (its SHA-256 is "));
    decode_out_deinit(&out);
}

static void test_too_much_text(void **state)
{
    (void)state;
    struct buf value OWN_BUF;
    buf_init(&value, 0);
    buf_add_str(&value, "{\"kind\": \"summarize\", \"document\": {\"text\": \"");
    for (int i = 0; i < 100001; i++)
        buf_add_char(&value, 'a');
    buf_add_str(&value, "\"}}");
    struct decode_out out;
    assert_int_equal(decode_bytes(value.data, value.len, &out), DECODED_BAD);
    assert_int_equal(out.failure.code, ERR_TOO_LARGE);
    assert_string_equal(out.failure.detail,
                        "the document has 100001 bytes of text; at most 100000 are taken");
    assert_null(out.spec.text);
    decode_out_deinit(&out);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *id, *kept; // as JSON; NULL: refused
    } rows[] = {
        {"\"a.b_c:d@e-f\"", "a.b_c:d@e-f"},
        {"\"\"", NULL},
        {"\"../x\"", NULL},
        {"\"a\\r\\nb\"", NULL},
        {"\"a\\u0000b\"", NULL},
        {"\"a'b\"", NULL},
        {"\"\\ud800\"", NULL},
        {"7", NULL},
        {"null", NULL},
        {"\"a b\"", NULL},
        {"\"\\u0061\"", "a"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char value[200];
        snprintf(value, sizeof(value), JOB(HELLO ", \"id\": %s"), rows[i].id);
        struct decode_out out;
        assert_int_equal(decode(value, &out), rows[i].kept ? DECODED_JOB : DECODED_BAD);
        assert_text(out.spec.id, rows[i].kept);
        if (!rows[i].kept)
            assert_non_null(strstr(out.failure.detail, "id is "));
        decode_out_deinit(&out);
    }
    char long_name[400];
    snprintf(long_name, sizeof(long_name), JOB(HELLO ", \"tenant\": \"%0201d\""), 0);
    struct decode_out out;
    assert_int_equal(decode(long_name, &out), DECODED_BAD);
    assert_null(out.spec.tenant);
    assert_string_equal(out.spec.id, "precis.jobs:3:1042");
    decode_out_deinit(&out);
}

static void test_frames_and_mending(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        size_t len;
        const char *text;
    } rows[] = {
        {BYTES("\0\0\0\0\7" JOB(HELLO)), "hello\n"},
        {BYTES("\357\273\277" JOB(HELLO)), "hello\n"},
        {BYTES("\0\0\0\0\7\357\273\277" JOB(HELLO)), "hello\n"},
        {BYTES(" \n" JOB(HELLO) "\n"), "hello\n"},
        {BYTES(JOB("\"document\": {\"text\": \"a\\ud83d b\"}")), "a\357\277\275 b"},
        {BYTES(JOB("\"document\": {\"text\": \"a\\u0000b\"}")), "a\357\277\275b"},
        {BYTES(JOB("\"document\": {\"text\": \"\\ud83d\\ude00\"}")), "😀"},
        {BYTES(JOB("\"document\": {\"text\": \"a\\u001b[1mb\"}")), "a[1mb"},
        {BYTES(JOB("\"document\": {\"text\": \"\"}")), ""},
        {BYTES(JOB("\"document\": {\"text\": \" \\n \"}")), " \n "},
        {BYTES(JOB("\"document\": {\"data\": \"77u/aGk=\","
                   " \"media_type\": \"Text/Plain; charset=\\\"UTF-8\\\"\"}")),
         "hi"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct decode_out out;
        assert_int_equal(decode_bytes(rows[i].value, rows[i].len, &out), DECODED_JOB);
        assert_int_equal(out.spec.document, DOCUMENT_TEXT);
        assert_string_equal(out.spec.text, rows[i].text);
        assert_int_equal(out.spec.text_len, strlen(rows[i].text));
        char hex[65];
        text_sha256_hex(rows[i].text, strlen(rows[i].text), hex);
        assert_string_equal(out.spec.document_sha256, hex);
        decode_out_deinit(&out);
    }
}

static void test_stored(void **state)
{
    (void)state;
    struct decode_out out;
    assert_int_equal(
        decode(JOB("\"document\": {\"stored\": \"5891B5B522D5DF086D0FF0B110FBD9D21BB4FC"
                   "7163AF34D08286A2E846F6BE03\"}"),
               &out),
        DECODED_JOB);
    assert_int_equal(out.spec.document, DOCUMENT_STORED);
    assert_string_equal(out.spec.document_sha256, TEXT_SHA);
    assert_null(out.spec.text);
    decode_out_deinit(&out);
}

// Which bytes are text here and now, and which are only kept for an extractor.
static void test_data(void **state)
{
    (void)state;
    static const struct {
        const char *data, *media_type;
        enum document_source source;
    } rows[] = {
        {"aGVsbG8K", "text/plain", DOCUMENT_TEXT},
        {"aGVsbG8K", "text/markdown", DOCUMENT_TEXT},
        {"aGVsbG8K", "TEXT/CSV; charset=US-ASCII", DOCUMENT_TEXT},
        {"", "text/plain", DOCUMENT_TEXT},
        {"aGVsbG8K", "text/html", DOCUMENT_DATA},
        {"aGVsbG8K", "text/HTML; charset=utf-8", DOCUMENT_DATA},
        {"aGVsbG8K", "text/rtf", DOCUMENT_DATA},
        {"aGVsbG8K", "application/pdf", DOCUMENT_DATA},
        {"", "application/pdf", DOCUMENT_DATA},
        {"aGVsbG8K", "text/plain; charset=windows-1252", DOCUMENT_DATA},
        {"VmVydHJhZyD8YmVy", "text/plain", DOCUMENT_DATA}, // a bare 0xfc
        {"//5oAGkA", "text/plain", DOCUMENT_DATA},         // UTF-16 with a mark
        {"aABpAGoAawA=", "text/plain", DOCUMENT_DATA},     // UTF-16 without one
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char value[300];
        snprintf(value, sizeof(value),
                 JOB("\"document\": {\"data\": \"%s\", \"media_type\": \"%s\"}"), rows[i].data,
                 rows[i].media_type);
        struct decode_out out;
        assert_int_equal(decode(value, &out), DECODED_JOB);
        assert_int_equal(out.spec.document, rows[i].source);
        assert_int_equal(out.spec.text != NULL, rows[i].source == DOCUMENT_TEXT);
        assert_int_equal(out.spec.data != NULL, rows[i].source == DOCUMENT_DATA);
        assert_string_equal(out.spec.media_type, rows[i].media_type);
        decode_out_deinit(&out);
    }
}

// A program that is configured for a media type reads it, text or not.
static void test_data_with_a_program_of_its_own(void **state)
{
    (void)state;
    char name[] = "text/csv";
    const struct config_command programs[] = {{.name = name}, {0}};
    struct decode_limits own = limits;
    own.extractors = programs;
    static const char *const types[] = {"text/csv", "TEXT/CSV; charset=utf-8", "text/plain"};
    for (size_t i = 0; i < COUNT(types); i++) {
        char value[200];
        snprintf(value, sizeof(value),
                 JOB("\"document\": {\"data\": \"aGVsbG8K\", \"media_type\": \"%s\"}"), types[i]);
        struct message message = message_of(value, strlen(value));
        struct decode_out out;
        assert_int_equal(job_decode(&message, &own, &out), DECODED_JOB);
        assert_int_equal(out.spec.document, i < 2 ? DOCUMENT_DATA : DOCUMENT_TEXT);
        decode_out_deinit(&out);
    }
}

// The same bytes are the same content however they came; a URL alone is the URL.
static void test_content_of_bytes(void **state)
{
    (void)state;
#define PDF "\"data\": \"aGVsbG8K\", \"media_type\": \"application/pdf\""
#define OF  JOB("\"document\": {" PDF ", \"name\": \"a.pdf\"}")
#define URL "\"url\": \"https://h.example/a.pdf?sig=x\""
    static const struct {
        const char *one, *other;
        bool same;
    } rows[] = {
        {OF, JOB("\"document\": {" PDF "}"), true},
        {OF, JOB("\"document\": {\"stored\": \"" TEXT_SHA "\"}"), true},
        {OF,
         JOB("\"document\": {\"stored\": \"" TEXT_SHA "\", \"media_type\": \"application/pdf\"}"),
         true},
        {OF, JOB("\"document\": {" URL ", \"sha256\": \"" TEXT_SHA "\"}"), true},
        {OF, JOB("\"document\": {" URL "}"), false},
        {JOB("\"document\": {" URL "}"), JOB("\"document\": {" URL ", \"name\": \"n\"}"), true},
        {JOB("\"document\": {" URL "}"), JOB("\"document\": {\"url\": \"https://h.example/b\"}"),
         false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        unsigned char one[32], other[32];
        hash_of(rows[i].one, one);
        hash_of(rows[i].other, other);
        assert_int_equal(memcmp(one, other, sizeof(one)) == 0, rows[i].same);
    }
}

// A kept message leaves bytes out and keeps all that it takes to read them.
static void test_kept_documents(void **state)
{
    (void)state;
    static const struct {
        const char *value, *kept;
    } rows[] = {
        {OF, "{\"stored\":\"" TEXT_SHA "\",\"name\":\"a.pdf\",\"media_type\":\"application/pdf\"}"},
        {JOB("\"document\": {" URL ", \"sha256\": \"" TEXT_SHA "\"}"),
         "{\"url\":\"https://h.example/a.pdf?sig=x\",\"sha256\":\"" TEXT_SHA "\"}"},
        {JOB("\"document\": {" URL ", \"media_type\": \"text/html\"}"),
         "{\"url\":\"https://h.example/a.pdf?sig=x\",\"media_type\":\"text/html\"}"},
        {JOB("\"document\": {\"data\": \"aGVsbG8K\", \"media_type\": \"text/plain\"}"),
         "{\"stored\":\"" TEXT_SHA "\"}"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct decode_out first, again;
        assert_int_equal(decode(rows[i].value, &first), DECODED_JOB);
        assert_non_null(strstr(first.spec.spec_json, rows[i].kept));
        assert_int_equal(decode(first.spec.spec_json, &again), DECODED_JOB);
        assert_memory_equal(first.spec.content_hash, again.spec.content_hash, 32);
        assert_string_equal(first.spec.spec_json, again.spec.spec_json);
        decode_out_deinit(&first);
        decode_out_deinit(&again);
    }
}

static void test_times_out_of_sense(void **state)
{
    (void)state;
    static const struct {
        const char *time;
        int64_t deadline_ms;
    } rows[] = {
        {"1970-01-01T00:00:00Z", INT64_MAX},    {"1999-12-31T23:59:59Z", INT64_MAX},
        {"2000-01-01T00:00:00Z", 946684800000}, {"2099-12-31T23:59:59Z", 4102444799000},
        {"2100-01-01T00:00:00Z", INT64_MAX},    {"9999-12-31T23:59:59Z", INT64_MAX},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char value[200];
        snprintf(value, sizeof(value), JOB(HELLO ", \"deadline\": \"%s\", \"not_before\": \"%s\""),
                 rows[i].time, rows[i].time);
        struct decode_out out;
        assert_int_equal(decode(value, &out), DECODED_JOB);
        assert_int_equal(out.spec.deadline_ms, rows[i].deadline_ms);
        assert_int_equal(out.spec.not_before_ms,
                         rows[i].deadline_ms == INT64_MAX ? 0 : rows[i].deadline_ms);
        decode_out_deinit(&out);
    }
}

static void test_tombstone(void **state)
{
    (void)state;
    struct message message = message_of(NULL, 0);
    struct decode_out out;
    assert_int_equal(job_decode(&message, &limits, &out), DECODED_SKIP);
    decode_out_deinit(&out);
}

static void test_newer_version(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{\"v\": 2, \"id\": \"i\", \"tenant\": \"t\", \"kind\": \"dance\", \"steps\": []}",
        "{\"id\": {\"new\": \"form\"}, \"tenant\": \"t\", \"v\": 2}",
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct decode_out out;
        assert_int_equal(decode(rows[i], &out), DECODED_LATER);
        assert_int_equal(out.version, 2);
        assert_int_equal(out.failure.code, ERR_VERSION_TOO_NEW);
        assert_string_equal(out.spec.tenant, "t");
        assert_string_equal(out.spec.id, "precis.jobs:3:1042");
        decode_out_deinit(&out);
    }
}

static void test_seal(void **state)
{
    (void)state;
    struct decode_out out;
    assert_int_equal(
        decode("{\"v\": 1, \"kind\": \"seal\", \"tenant\": \"legal\", \"batch\": \"q3\","
               " \"total\": 40000, \"x-by\": \"me\"}",
               &out),
        DECODED_SEAL);
    assert_string_equal(out.spec.tenant, "legal");
    assert_string_equal(out.spec.batch, "q3");
    assert_int_equal(out.seal_total, 40000);
    decode_out_deinit(&out);
    static const struct {
        const char *value, *detail;
    } rows[] = {
        {"{\"kind\": \"seal\"}",
         "total is missing; expected an integer from 0 to 9007199254740991"},
        {"{\"kind\": \"seal\", \"total\": -1}",
         "total is -1; expected an integer from 0 to 9007199254740991"},
        {"{\"kind\": \"seal\", \"total\": 1, \"document\": {}}",
         "document is not a known field; names of your own begin with x- or go into labels"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(decode(rows[i].value, &out), DECODED_BAD);
        assert_string_equal(out.failure.detail, rows[i].detail);
        decode_out_deinit(&out);
    }
}

static void test_traceparent(void **state)
{
    (void)state;
#define GOOD "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    static const struct {
        struct header headers[3];
        const char *kept;
    } rows[] = {
        {{{"traceparent", BYTES(GOOD)}}, GOOD},
        {{{"other", BYTES(GOOD)}}, ""},
        {{{"traceparent", NULL, 0}, {"traceparent", BYTES("\0\1\2")}, {"traceparent", BYTES(GOOD)}},
         GOOD},
        {{{"traceparent", BYTES("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01")}}, ""},
        {{{"traceparent", BYTES("00-00000000000000000000000000000000-b7ad6b7169203331-01")}}, ""},
        {{{"traceparent", BYTES("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01")}}, ""},
        {{{"traceparent", BYTES("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")}}, ""},
        {{{"traceparent", BYTES("00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333\0-01")}}, ""},
        {{{"traceparent", BYTES(GOOD "x")}}, ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct message message = message_of(BYTES(JOB(HELLO)));
        message.headers = rows[i].headers;
        message.header_count = 3;
        struct decode_out out;
        assert_int_equal(job_decode(&message, &limits, &out), DECODED_JOB);
        assert_string_equal(out.spec.traceparent, rows[i].kept);
        decode_out_deinit(&out);
    }
}

static void test_long_topic_and_no_key(void **state)
{
    (void)state;
    char topic[250];
    memset(topic, 't', sizeof(topic));
    topic[249] = '\0';
    struct message message = message_of(BYTES(JOB(HELLO)));
    message.topic = topic;
    message.key = NULL;
    message.key_len = 0;
    message.partition = INT32_MAX;
    message.offset = INT64_MAX;
    struct decode_out out;
    assert_int_equal(job_decode(&message, &limits, &out), DECODED_JOB);
    assert_true(strlen(out.spec.id) <= SPEC_NAME_BYTES);
    assert_non_null(strstr(out.spec.id, ":2147483647:9223372036854775807"));
    decode_out_deinit(&out);
    message.value = "{";
    message.value_len = 1;
    assert_int_equal(job_decode(&message, &limits, &out), DECODED_BAD);
    assert_null(out.spec.id);
    decode_out_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smallest_job),
        cmocka_unit_test(test_full_job),
        cmocka_unit_test(test_kept_message_is_the_same_job),
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_bad_bytes),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_too_much_text),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_frames_and_mending),
        cmocka_unit_test(test_stored),
        cmocka_unit_test(test_data),
        cmocka_unit_test(test_data_with_a_program_of_its_own),
        cmocka_unit_test(test_content_of_bytes),
        cmocka_unit_test(test_kept_documents),
        cmocka_unit_test(test_times_out_of_sense),
        cmocka_unit_test(test_tombstone),
        cmocka_unit_test(test_newer_version),
        cmocka_unit_test(test_seal),
        cmocka_unit_test(test_traceparent),
        cmocka_unit_test(test_long_topic_and_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
