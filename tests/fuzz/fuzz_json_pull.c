// SPDX-License-Identifier: Apache-2.0
// The walk over JSON against jansson: what jansson takes, the walk takes, with the same strings.
#include "fuzz.h"

#include <string.h>

#include <jansson.h>

#include "core/json_pull.h"
#include "core/json_scan.h"
#include "core/json_write.h"

// jansson names escapes in names differently (read), so names are not compared.
static void compare(struct json_pull *pull, const json_t *value)
{
    struct json_span name;
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    if (json_is_array(value)) {
        FUZZ_CHECK(json_pull_enter(pull, '['));
        size_t i = 0;
        for (; json_pull_item(pull); i++)
            compare(pull, json_array_get(value, i));
        FUZZ_CHECK(i == json_array_size(value));
    } else if (json_is_string(value)) {
        FUZZ_CHECK(json_pull_string(pull, &text) && text.len == json_string_length(value));
        FUZZ_CHECK(memcmp(buf_str(&text), json_string_value(value), text.len) == 0);
        struct buf again OWN_BUF;
        buf_init(&again, 0);
        FUZZ_CHECK(json_write_string(&again, buf_str(&text), text.len));
        json_t *back = json_loadb(again.data, again.len, JSON_DECODE_ANY, NULL);
        FUZZ_CHECK(json_equal(back, value));
        json_decref(back);
    } else if (json_is_object(value)) {
        FUZZ_CHECK(json_pull_enter(pull, '{'));
        while (json_pull_member(pull, &name))
            FUZZ_CHECK(json_pull_skip(pull, NULL));
    } else {
        FUZZ_CHECK(json_pull_skip(pull, NULL));
    }
    FUZZ_CHECK(!pull->bad);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (memchr(data, '\0', len)) // jansson overlooks a NUL behind a number
        return 0;
    struct json_pull pull = json_pull_of((const char *)data, len);
    bool walked = json_pull_skip(&pull, NULL) && json_pull_end(&pull);
    struct json_limits limits = {.bytes = 65536, .depth = JSON_PULL_DEPTH, .nodes = 10000};
    struct failure why;
    json_t *tree = json_load_checked((const char *)data, len, &limits, JSON_DECODE_ANY, &why);
    if (tree) {
        FUZZ_CHECK(walked);
        pull = json_pull_of((const char *)data, len);
        compare(&pull, tree);
        FUZZ_CHECK(json_pull_end(&pull));
    }
    json_decref(tree);
    return 0;
}
