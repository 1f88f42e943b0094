// SPDX-License-Identifier: Apache-2.0
// A schema, a line feed, an instance: refused with a reason, or an answer that is the same twice
// and has problems exactly where it is no.
#include "fuzz.h"

#include <string.h>

#include <jansson.h>

#include "base/buf.h"
#include "core/json_scan.h"
#include "core/json_schema.h"

static void check(const struct json_schema *schema, const json_t *instance)
{
    struct buf problems OWN_BUF;
    buf_init(&problems, 1 << 16);
    bool matches = json_schema_check(schema, instance, &problems);
    FUZZ_CHECK(json_schema_check(schema, instance, NULL) == matches);
    if (problems.overflow)
        return;
    json_t *list = json_loadb(buf_str(&problems), problems.len, 0, NULL);
    FUZZ_CHECK(matches ? problems.len == 0 || json_array_size(list) == 0
                       : json_array_size(list) >= 1 && json_array_size(list) <= 10);
    json_decref(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const uint8_t *end = memchr(data, '\n', len);
    size_t schema_len = end ? (size_t)(end - data) : len;
    static const struct json_limits limits = {.bytes = 1 << 16, .depth = 60, .nodes = 5000};
    struct failure why = {.code = ERR_NONE};
    json_t *text =
        json_load_checked((const char *)data, schema_len, &limits, JSON_DECODE_ANY, &why);
    json_t *instance = end ? json_load_checked((const char *)end + 1, len - schema_len - 1, &limits,
                                               JSON_DECODE_ANY, &why)
                           : NULL;
    struct json_schema *schema = text ? json_schema_new(text, &why) : NULL;
    if (text && !schema)
        FUZZ_CHECK(why.code == ERR_BAD_FIELD && why.detail[0]);
    if (schema && instance)
        check(schema, instance);
    json_schema_free(schema);
    json_decref(instance);
    json_decref(text);
    return 0;
}
