// SPDX-License-Identifier: Apache-2.0
// Who goes together, whether an answer tells documents apart, and shares that add up.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "core/pack.h"
#include "core/price.h"

#define S(text) ((char *)(uintptr_t)(text))

// ------------------------------------------------------------------------------- together

static struct job_spec spec_of(void)
{
    return (struct job_spec){.tenant = S("acme"),
                             .batch = S("b"),
                             .id = S("one"),
                             .model = S("default"),
                             .max_chars = 300,
                             .points_min = 3,
                             .points_max = 5,
                             .evidence_quotes = true,
                             .pack = true};
}

static void who_goes_together(void **state)
{
    (void)state;
    struct job_spec one = spec_of(), two = spec_of();
    two.id = S("two");
    two.priority = 9;
    two.document_name = S("x");
    assert_true(pack_same(&one, &two));
    assert_true(pack_hash(&one) == pack_hash(&two));
    struct job_spec others[12];
    for (size_t i = 0; i < 12; i++)
        others[i] = spec_of();
    others[0].tenant = S("other");
    others[1].batch = S("c");
    others[2].model = S("m");
    others[3].language = S("German");
    others[4].instructions = S("be kind");
    others[5].output_schema_json = S("{}");
    others[6].max_chars = 301;
    others[7].points_min = 2;
    others[8].temperature = S("0.2");
    others[9].max_output_tokens = 500;
    others[10].reasoning_mode = REASONING_OFF;
    others[11].template_label = S("lease@1");
    for (size_t i = 0; i < 12; i++) {
        if (pack_same(&one, &others[i]) || pack_hash(&one) == pack_hash(&others[i]))
            fail_msg("row %zu is taken for the same", i);
    }
    // A text may not slip from one field into the next.
    one.language = S("ab");
    one.instructions = S("c");
    two.language = S("a");
    two.instructions = S("bc");
    assert_false(pack_same(&one, &two));
}

static void who_may(void **state)
{
    (void)state;
    struct job_spec spec = spec_of();
    assert_true(pack_allowed(&spec));
    spec.pack = false;
    assert_false(pack_allowed(&spec));
    spec = spec_of();
    spec.evidence_quotes = false; // nothing to tell the answers apart by
    assert_false(pack_allowed(&spec));
    spec = spec_of();
    spec.reasoning_mode = REASONING_ON;
    assert_false(pack_allowed(&spec));
    spec = spec_of();
    spec.reasoning_effort = S("high");
    assert_false(pack_allowed(&spec));
}

static void output_is_bounded(void **state)
{
    (void)state;
    struct job_spec spec = spec_of();
    int64_t english = pack_output_tokens(&spec, 1000, 4000, 3600);
    int64_t chinese = pack_output_tokens(&spec, 1000, 1000, 3600);
    assert_int_equal(english, (300 + 5 * 500) / 3 + 64);
    assert_int_equal(chinese, 300 + 5 * 500 + 64);
    assert_int_equal(pack_output_tokens(&spec, 1000, 4000, 200), 200);
    assert_int_equal(pack_output_tokens(&spec, 0, 0, 3600), english);
    spec.output_schema_json = S("{}");
    assert_int_equal(pack_output_tokens(&spec, 1000, 4000, 8000), 2000);
}

static void room_is_taken(void **state)
{
    (void)state;
    struct pack_room room = {3, 1000, 500, 90};
    struct pack_room need = {1, 400, 200, 40};
    assert_true(pack_take(&room, &need));
    assert_true(pack_take(&room, &need));
    struct pack_room before = room;
    assert_false(pack_take(&room, &need)); // tokens
    assert_memory_equal(&room, &before, sizeof(room));
    need = (struct pack_room){1, 100, 101, 1};
    assert_false(pack_take(&room, &need)); // output
    need = (struct pack_room){1, 100, 100, 11};
    assert_false(pack_take(&room, &need)); // doubt
    need = (struct pack_room){1, 100, 100, 10};
    assert_true(pack_take(&room, &need));
    need = (struct pack_room){1, 0, 0, 0};
    assert_false(pack_take(&room, &need)); // documents
}

// ------------------------------------------------------------------------------- shares

static void shares_by_weight(void **state)
{
    (void)state;
    static const struct {
        int64_t total;
        size_t count;
        int64_t weights[4], caps[4], want[4];
    } rows[] = {
        {10, 2, {1, 1}, {100, 100}, {5, 5}},
        {10, 3, {1, 1, 1}, {100, 100, 100}, {4, 3, 3}},
        {11, 3, {1, 2, 4}, {100, 100, 100}, {2, 3, 6}}, // 1.57, 3.14, 6.29
        {0, 2, {3, 4}, {9, 9}, {0, 0}},
        {7, 2, {0, 0}, {9, 9}, {4, 3}},
        {7, 2, {0, 5}, {9, 9}, {0, 7}},
        {10, 2, {1, 1}, {3, 100}, {3, 7}},          // what one cannot bear, the other does
        {10, 3, {8, 1, 1}, {4, 3, 100}, {4, 3, 3}}, // the second is full in the next round
        {10, 2, {5, 0}, {4, 20}, {4, 6}},           // one without weight has the room
        {100, 2, {1, 3}, {10, 10}, {25, 75}},       // together they cannot: by weight
        {INT64_MAX, 2, {1, 1}, {INT64_MAX, INT64_MAX}, {INT64_MAX / 2 + 1, INT64_MAX / 2}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t out[4];
        pack_share(rows[i].total, rows[i].weights, rows[i].caps, rows[i].count, out);
        for (size_t k = 0; k < rows[i].count; k++)
            if (out[k] != rows[i].want[k])
                fail_msg("row %zu, share %zu: %lld, expected %lld", i, k, (long long)out[k],
                         (long long)rows[i].want[k]);
    }
}

static void shares_add_up(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 41);
    for (int round = 0; round < 20000; round++) {
        int64_t weights[PACK_MOST], caps[PACK_MOST], out[PACK_MOST];
        size_t count = 1 + rng_below(&rng, PACK_MOST);
        int64_t room = 0, sum = 0;
        for (size_t i = 0; i < count; i++) {
            weights[i] = (int64_t)rng_below(&rng, 3 + (uint64_t)round % 5000);
            caps[i] = (int64_t)rng_below(&rng, 4000);
            room += caps[i];
        }
        int64_t total = (int64_t)rng_below(&rng, (uint64_t)room + 2);
        pack_share(total, weights, caps, count, out);
        for (size_t i = 0; i < count; i++) {
            sum += out[i];
            if (out[i] < 0 || (total <= room && out[i] > caps[i]))
                fail_msg("round %d: share %lld of cap %lld", round, (long long)out[i],
                         (long long)caps[i]);
        }
        assert_int_equal(sum, total);
    }
}

static void assert_same_usage(const struct usage *a, const struct usage *b)
{
    assert_int_equal(a->input_tokens, b->input_tokens);
    assert_int_equal(a->cached_tokens, b->cached_tokens);
    assert_int_equal(a->output_tokens, b->output_tokens);
    assert_int_equal(a->reasoning_tokens, b->reasoning_tokens);
}

// The sum of the shares' costs is the cost of the whole, whatever the tokens are.
static void costs_add_up(void **state)
{
    (void)state;
    static const struct price price = {
        .known = true, .input_picousd = 250007, .cached_picousd = 60013, .output_picousd = 1000003};
    struct rng rng;
    rng_init(&rng, 43);
    for (int round = 0; round < 20000; round++) {
        struct usage whole = {.known = true,
                              .input_tokens = (int64_t)rng_below(&rng, 20000),
                              .cached_tokens = (int64_t)rng_below(&rng, 20000),
                              .output_tokens = (int64_t)rng_below(&rng, 4000),
                              .reasoning_tokens = (int64_t)rng_below(&rng, 4000)};
        struct pack_weight weights[PACK_MOST];
        struct usage shares[PACK_MOST], sum = {.known = true};
        size_t count = 1 + rng_below(&rng, PACK_MOST);
        for (size_t i = 0; i < count; i++)
            weights[i] = (struct pack_weight){(int64_t)rng_below(&rng, 3000),
                                              (int64_t)rng_below(&rng, 500), 3000, 900};
        pack_share_usage(&whole, weights, count, shares);
        int64_t cost = 0, want = 0;
        for (size_t i = 0; i < count; i++) {
            int64_t part = 0;
            struct usage bounded = usage_bounded(&shares[i]);
            assert_same_usage(&bounded, &shares[i]);
            assert_true(shares[i].known && price_of_usage(&price, &shares[i], &part));
            cost += part;
            sum.input_tokens += shares[i].input_tokens;
            sum.cached_tokens += shares[i].cached_tokens;
            sum.output_tokens += shares[i].output_tokens;
            sum.reasoning_tokens += shares[i].reasoning_tokens;
        }
        assert_true(price_of_usage(&price, &whole, &want));
        assert_int_equal(cost, want);
        struct usage bounded = usage_bounded(&whole);
        assert_same_usage(&bounded, &sum);
    }
}

static void unknown_usage_stays_unknown(void **state)
{
    (void)state;
    struct usage whole = {.known = false}, shares[2];
    struct pack_weight weights[2] = {{1, 1, 10, 10}, {2, 2, 10, 10}};
    pack_share_usage(&whole, weights, 2, shares);
    assert_false(shares[0].known || shares[1].known);
}

// ------------------------------------------------------------------------------- apart

#define LEASE                                                                                      \
    "The lessee pays a rent of 4,200 dollars on the first working day of each month. The lease "   \
    "runs for ten years and ends on 31 May 2031. Repairs of the roof are the lessor's."
#define NOTICE                                                                                     \
    "Either party may give notice of termination with ninety days' notice in writing, sent by "    \
    "registered mail to the address above. Fees that are due stay due after the termination."
#define MINUTES                                                                                    \
    "The board met in Lyon on 3 March and chose Anna Berg as its chair by five votes to two. The " \
    "budget for the coming year was put off until the auditors have answered its questions."

static const struct prompt_document three[3] = {
    {.text = LEASE, .text_len = sizeof(LEASE) - 1, .id = "aaaa1111"},
    {.text = NOTICE, .text_len = sizeof(NOTICE) - 1, .id = "bbbb2222"},
    {.text = MINUTES, .text_len = sizeof(MINUTES) - 1, .id = "cccc3333"},
};

#define ENTRY(id, summary, quote)                                                                  \
    "{\"id\":\"" id "\",\"answer\":{\"summary\":\"" summary                                        \
    "\",\"key_points\":[{\"point\":\"p\",\"quote\":\"" quote "\"}]}}"
#define A            ENTRY("aaaa1111", "A lease of ten years.", "The lease runs for ten years")
#define B            ENTRY("bbbb2222", "Notice takes ninety days.", "sent by registered mail")
#define C            ENTRY("cccc3333", "The board has a chair.", "chose Anna Berg")
#define ALL(entries) "{\"documents\":[" entries "]}"

static void pieces_by_id(void **state)
{
    (void)state;
    enum { W = PACK_WHOLE, M = PACK_MISSING, D = PACK_DOUBLED, X = PACK_MIXED };
    static const struct {
        const char *what, *content;
        int want[3];
    } rows[] = {
        {"all of them", ALL(A "," B "," C), {W, W, W}},
        {"in another order", ALL(C "," A "," B), {W, W, W}},
        {"in a fence", "Here:\n```json\n" ALL(A "," B "," C) "\n```", {W, W, W}},
        {"one is left out", ALL(A "," C), {W, M, W}},
        {"one comes twice", ALL(A "," B "," C "," B), {W, D, W}},
        {"three times", ALL(B "," B "," B), {M, D, M}},
        {"an id of nobody", ALL(A "," ENTRY("dddd4444", "x", "y") "," C), {W, M, W}},
        {"an id that is no text", ALL(A ",{\"id\":7,\"answer\":{}}," C), {W, M, W}},
        {"no answer", ALL(A ",{\"id\":\"bbbb2222\"}," C), {W, M, W}},
        {"an answer that is a text",
         ALL(A ",{\"id\":\"bbbb2222\",\"answer\":\"x\"}," C),
         {W, M, W}},
        {"nothing", ALL(""), {M, M, M}},
        {"entries that are no objects", ALL("1,null,[]," A), {W, M, M}},
        {"two are exchanged",
         ALL(ENTRY("bbbb2222", "A lease of ten years.", "The lease runs for ten years") "," ENTRY(
             "aaaa1111", "Notice takes ninety days.", "sent by registered mail") "," C),
         {X, X, W}},
        {"a quote of another, in other layout",
         ALL(A "," ENTRY("bbbb2222", "s", "repairs of  the\\nroof are the lessor\\u2019s") "," C),
         {W, X, W}},
        {"a quote of nobody is not mixed up",
         ALL(A "," ENTRY("bbbb2222", "s", "pays in gold") "," C),
         {W, W, W}},
        {"another's words in the summary",
         ALL(A "," B "," ENTRY("cccc3333",
                               "The Lessee pays a rent of 4,200 dollars on the first working day",
                               "chose Anna Berg")),
         {W, W, X}},
        {"a few of another's words are nobody's",
         ALL(A "," B "," ENTRY("cccc3333", "a rent of 4,200 dollars", "chose Anna Berg")),
         {W, W, W}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pack_piece pieces[3];
        struct failure failure;
        if (!pack_split(three, 3, rows[i].content, strlen(rows[i].content), pieces, &failure))
            fail_msg("%s: %s", rows[i].what, failure.detail);
        for (size_t k = 0; k < 3; k++) {
            if ((int)pieces[k].fault != rows[i].want[k])
                fail_msg("%s: piece %zu is %d, not %d", rows[i].what, k, (int)pieces[k].fault,
                         rows[i].want[k]);
            assert_int_equal(pieces[k].content != NULL, pieces[k].fault == PACK_WHOLE);
        }
        pack_pieces_deinit(pieces, 3);
    }
}

static void a_piece_is_its_own_answer(void **state)
{
    (void)state;
    static const char content[] =
        ALL(A ",{\"id\":\"bbbb2222\",\"answer\":{\"output\":{\"z\":0.1,\"a\":[true,null]},"
              "\"quotes\":[]}}");
    struct pack_piece pieces[3];
    struct failure failure;
    assert_true(pack_split(three, 3, content, sizeof(content) - 1, pieces, &failure));
    assert_string_equal(pieces[0].content,
                        "{\"summary\":\"A lease of ten years.\",\"key_points\":[{\"point\":\"p\","
                        "\"quote\":\"The lease runs for ten years\"}]}");
    assert_string_equal(pieces[1].content,
                        "{\"output\":{\"z\":0.1,\"a\":[true,null]},\"quotes\":[]}");
    assert_int_equal(pieces[1].len, strlen(pieces[1].content));
    pack_pieces_deinit(pieces, 3);
}

static void no_list_no_pieces(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        enum err_code code;
    } rows[] = {
        {"Sorry.", ERR_NOT_JSON},    {"", ERR_NOT_JSON},
        {"[]", ERR_NOT_JSON},        {"{\"documents\":[", ERR_NOT_JSON},
        {"{}", ERR_SCHEMA_MISMATCH}, {"{\"documents\":{}}", ERR_SCHEMA_MISMATCH},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pack_piece pieces[3];
        struct failure failure;
        assert_false(
            pack_split(three, 3, rows[i].content, strlen(rows[i].content), pieces, &failure));
        assert_int_equal(failure.code, rows[i].code);
    }
}

// A boilerplate that both have is nobody's theft.
static void what_both_have_is_each_ones(void **state)
{
    (void)state;
    static const char same[] = "This agreement is governed by the laws of the State of Delaware, "
                               "and its courts decide what the parties cannot settle.";
    struct prompt_document two[2] = {
        {.text = same, .text_len = sizeof(same) - 1, .id = "aaaa1111"},
        {.text = same, .text_len = sizeof(same) - 1, .id = "bbbb2222"},
    };
    static const char content[] =
        ALL(ENTRY("aaaa1111", "This agreement is governed by the laws of the State of Delaware.",
                  "governed by the laws") "," ENTRY("bbbb2222",
                                                    "Its courts decide what the parties "
                                                    "cannot settle.",
                                                    "governed by the laws"));
    struct pack_piece pieces[2];
    struct failure failure;
    assert_true(pack_split(two, 2, content, sizeof(content) - 1, pieces, &failure));
    assert_int_equal(pieces[0].fault, PACK_WHOLE);
    assert_int_equal(pieces[1].fault, PACK_WHOLE);
    pack_pieces_deinit(pieces, 2);
}

static void words_of_other_scripts_count(void **state)
{
    (void)state;
    static const char one[] = "甲方应于每月五日前向乙方支付租金人民币三千元整逾期按日加收滞纳金";
    static const char two[] =
        "董事会于三月三日在里昂开会并以五票对二票选举安娜为主席会议持续两小时";
    struct prompt_document documents[2] = {
        {.text = one, .text_len = sizeof(one) - 1, .id = "aaaa1111"},
        {.text = two, .text_len = sizeof(two) - 1, .id = "bbbb2222"},
    };
    static const char content[] =
        ALL(ENTRY("aaaa1111", "甲方应于每月五日前向乙方支付租金人民币", "甲方") "," ENTRY(
            "bbbb2222", "摘要：甲方应于每月五日前，向乙方支付租金。", "董事会"));
    struct pack_piece pieces[2];
    struct failure failure;
    assert_true(pack_split(documents, 2, content, sizeof(content) - 1, pieces, &failure));
    assert_int_equal(pieces[0].fault, PACK_WHOLE);
    assert_int_equal(pieces[1].fault, PACK_MIXED);
    pack_pieces_deinit(pieces, 2);
}

// ------------------------------------------------------------------------------- the prompt

static void each_has_a_fence_of_its_own(void **state)
{
    (void)state;
    struct job_spec spec = spec_of();
    struct prompt_document documents[3];
    memcpy(documents, three, sizeof(documents));
    documents[1].name = "a \"b\" <c>";
    struct prompt prompt;
    prompt_build_pack(&prompt, &spec, documents, 3, 12345);
    assert_int_equal(prompt.count, 2);
    const char *user = prompt.messages[1].content;
    const char *at = user;
    for (size_t i = 0; i < 3; i++) {
        char line[60];
        assert_int_equal(strlen(documents[i].id), PROMPT_ID_BYTES - 1);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(documents[i].id, documents[k].id);
        snprintf(line, sizeof(line), "<document-%s", documents[i].id);
        const char *open = strstr(at, line);
        assert_non_null(open);
        const char *text = strstr(open, documents[i].text);
        assert_non_null(text);
        snprintf(line, sizeof(line), "\n</document-%s>\n", documents[i].id);
        at = strstr(text, line);
        assert_ptr_equal(at, text + documents[i].text_len);
    }
    assert_non_null(strstr(user, " name=\"a &quot;b&quot; &lt;c&gt;\">"));
    assert_non_null(strstr(prompt.messages[0].content, "{\"documents\": [{\"id\""));
    assert_non_null(strstr(prompt.messages[0].content, "at most 300 characters"));
    assert_non_null(strstr(prompt.schema_json, "\"documents\""));
    assert_true(prompt.schema_strict);
    prompt_deinit(&prompt);
}

// The beginning is the same for all packs of a batch, whatever is in them.
static void equal_beginnings(void **state)
{
    (void)state;
    struct job_spec spec = spec_of();
    struct prompt_document documents[3];
    struct prompt one, two;
    memcpy(documents, three, sizeof(documents));
    prompt_build_pack(&one, &spec, documents, 3, 1);
    prompt_build_pack(&two, &spec, documents + 1, 2, 2);
    assert_string_equal(one.messages[0].content, two.messages[0].content);
    assert_string_equal(one.schema_json, two.schema_json);
    prompt_deinit(&one);
    prompt_deinit(&two);
}

static void ids_stand_in_no_text(void **state)
{
    (void)state;
    struct job_spec spec = spec_of();
    struct prompt prompt;
    struct prompt_document first = three[0];
    prompt_build_pack(&prompt, &spec, &first, 1, 99);
    prompt_deinit(&prompt);
    struct prompt_document two[2] = {three[0], {.text = first.id, .text_len = strlen(first.id)}};
    prompt_build_pack(&prompt, &spec, two, 2, 99); // the same draw, and a text that has it
    assert_string_not_equal(two[0].id, first.id);
    assert_string_not_equal(two[1].id, first.id);
    prompt_deinit(&prompt);
}

static void definitions_stay_at_the_root(void **state)
{
    (void)state;
    struct job_spec spec = spec_of();
    spec.output_schema_json =
        S("{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/x\"},\"b\":{\"$ref\":"
          "\"#/properties/a\"}},\"required\":[\"a\",\"b\"],\"additionalProperties\":false,"
          "\"$defs\":{\"x\":{\"type\":\"string\"}}}");
    bool strict;
    char *schema = prompt_pack_schema(&spec, &strict);
    assert_non_null(strstr(schema, "\"$defs\":{\"x\":{\"type\":\"string\"}}}"));
    assert_non_null(strstr(schema, "\"$ref\":\"#/$defs/x\""));
    assert_non_null(strstr(schema, "\"#/properties/documents/items/properties/answer/properties/"
                                   "output/properties/a\""));
    free(schema);
}

// What the members reserve, each as if it were alone, covers the request that they share.
static void bounds_cover_the_request(void **state)
{
    (void)state;
    struct job_spec spec = spec_of();
    for (size_t count = 2; count <= 3; count++) {
        struct prompt_document documents[3];
        struct prompt prompt, alone;
        size_t shared = 0, apart = 0;
        memcpy(documents, three, sizeof(documents));
        prompt_build_pack(&prompt, &spec, documents, count, 5);
        for (size_t i = 0; i < prompt.count; i++)
            shared += prompt.messages[i].content_len;
        shared += strlen(prompt.schema_json);
        for (size_t i = 0; i < count; i++) {
            struct prompt_order order = {.spec = &spec,
                                         .kind = PROMPT_WHOLE,
                                         .text = documents[i].text,
                                         .text_len = documents[i].text_len};
            prompt_build(&alone, &order);
            for (size_t k = 0; k < alone.count; k++)
                apart += alone.messages[k].content_len;
            apart += strlen(alone.schema_json);
            prompt_deinit(&alone);
        }
        assert_true(shared < apart);
        prompt_deinit(&prompt);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_goes_together),
        cmocka_unit_test(who_may),
        cmocka_unit_test(output_is_bounded),
        cmocka_unit_test(room_is_taken),
        cmocka_unit_test(shares_by_weight),
        cmocka_unit_test(shares_add_up),
        cmocka_unit_test(costs_add_up),
        cmocka_unit_test(unknown_usage_stays_unknown),
        cmocka_unit_test(pieces_by_id),
        cmocka_unit_test(a_piece_is_its_own_answer),
        cmocka_unit_test(no_list_no_pieces),
        cmocka_unit_test(what_both_have_is_each_ones),
        cmocka_unit_test(words_of_other_scripts_count),
        cmocka_unit_test(each_has_a_fence_of_its_own),
        cmocka_unit_test(equal_beginnings),
        cmocka_unit_test(ids_stand_in_no_text),
        cmocka_unit_test(definitions_stay_at_the_root),
        cmocka_unit_test(bounds_cover_the_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
