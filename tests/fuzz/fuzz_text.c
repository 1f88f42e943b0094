// SPDX-License-Identifier: Apache-2.0
// A document's text: cleaned once it is clean, cut and divided at characters, and counted alike.
#include "fuzz.h"

#include <string.h>

#include "base/buf.h"
#include "core/chunk.h"
#include "core/text.h"
#include "core/tokens.h"
#include "core/visible.h"

static void check_cut(const char *text, size_t len, size_t most)
{
    size_t kept = text_cut_sentence(text, len, most);
    FUZZ_CHECK(kept <= len && text_code_points(text, kept) <= most);
    FUZZ_CHECK(text_is_clean(text, kept)); // not inside a character
    size_t fit = tokens_fit(text, len, (int64_t)most);
    FUZZ_CHECK(fit <= len && text_is_clean(text, fit));
}

static void check_parts(const char *text, size_t len, int64_t most)
{
    struct chunk_list list;
    size_t at = 0, points = text_code_points(text, len);
    chunk_split(text, len, most, &list);
    for (size_t i = 0; i < list.len; i++) {
        struct chunk part = list.items[i];
        FUZZ_CHECK(part.from == at && part.to > part.from);
        size_t from = text_offset(text, len, part.from), to = text_offset(text, len, part.to);
        int64_t tokens = tokens_upper(tokens_estimate(text + from, to - from));
        FUZZ_CHECK(tokens <= most || part.to == part.from + 1);
        at = part.to;
    }
    FUZZ_CHECK(at == points);
    chunk_list_deinit(&list);
}

static void check_visible(const char *text, size_t len)
{
    struct buf once OWN_BUF, twice OWN_BUF;
    buf_init(&once, 0);
    buf_init(&twice, 0);
    visible_copy(&once, text, len);
    size_t changed = visible_copy(&twice, buf_str(&once), once.len);
    FUZZ_CHECK(changed == 0 && once.len == twice.len);
    char line[40];
    visible_line(line, sizeof(line), text, len);
    FUZZ_CHECK(text_is_clean(line, strlen(line)) && !strpbrk(line, "\n\r\t"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    const char *text = (const char *)data + 1;
    struct buf clean OWN_BUF, again OWN_BUF, bytes OWN_BUF;
    unsigned flags = 0;
    buf_init(&clean, 0);
    buf_init(&again, 0);
    buf_init(&bytes, 1000);
    FUZZ_CHECK(text_clean(&clean, text, len - 1, &flags));
    FUZZ_CHECK(text_is_clean(buf_str(&clean), clean.len));
    text_clean(&again, buf_str(&clean), clean.len, NULL);
    FUZZ_CHECK(again.len == clean.len && memcmp(buf_str(&again), buf_str(&clean), clean.len) == 0);
    FUZZ_CHECK(text_is_clean(text, len - 1) ==
               (clean.len == len - 1 && memcmp(buf_str(&clean), text, clean.len) == 0));
    check_cut(buf_str(&clean), clean.len, data[0]);
    check_parts(buf_str(&clean), clean.len, data[0] % 60 + 3);
    check_visible(text, len - 1);
    text_foreign_encoding(text, len - 1);
    text_is_blank(text, len - 1);
    text_add_base64(&bytes, text, len - 1);
    return 0;
}
