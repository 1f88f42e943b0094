// SPDX-License-Identifier: Apache-2.0
// Word documents. Byte 0 chooses: a whole archive, or one XML part, whose text must be the same
// however its bytes are split; or numbering and text in one part.
#include "fuzz.h"

#include <string.h>

#include "core/text.h"
#include "io/extract.h"
#include "io/extract_docx.h"
#include "io/extract_docx_xml.h"

#define CAP 65536

static void read_archive(const uint8_t *data, size_t len)
{
    struct extract_answer answer;
    struct buf text OWN_BUF;
    buf_init(&text, CAP);
    extract_answer_init(&answer, CAP);
    bool fine = docx_to_text(data, len, 8 * CAP, &text, &answer);
    FUZZ_CHECK(fine == (answer.failure.code == ERR_NONE));
    FUZZ_CHECK(fine || answer.failure.detail[0]);
    FUZZ_CHECK(text.len <= CAP);
    if (fine && extract_finish(&answer, &text))
        FUZZ_CHECK(text_is_clean(buf_str(&answer.text), answer.text.len));
    extract_answer_deinit(&answer);
}

// True where all of it was taken.
static bool read_part(struct buf *out, bool notes, const uint8_t *data, size_t len, size_t step)
{
    struct docx_part *part = docx_part_new(out, notes, NULL);
    const char *bytes = (const char *)data;
    bool fine = true;
    for (size_t at = 0; at < len && fine; at += step)
        fine = docx_part_push(part, bytes + at, step < len - at ? step : len - at, false);
    fine = fine && docx_part_push(part, "", 0, true);
    docx_part_free(part);
    return fine;
}

static void compare_parts(bool notes, const uint8_t *data, size_t len)
{
    struct buf whole OWN_BUF, split OWN_BUF;
    buf_init(&whole, CAP);
    buf_init(&split, CAP);
    bool fine = read_part(&whole, notes, data, len, len ? len : 1);
    bool again = read_part(&split, notes, data, len, 7);
    FUZZ_CHECK(fine == again);
    if (fine)
        FUZZ_CHECK(whole.len == split.len &&
                   memcmp(buf_str(&whole), buf_str(&split), whole.len) == 0);
}

static void read_numbered(const uint8_t *data, size_t len)
{
    struct buf text OWN_BUF;
    buf_init(&text, CAP);
    struct docx_numbers *numbers = docx_numbers_new();
    struct docx_part *definitions = docx_part_definitions(numbers);
    docx_part_push(definitions, (const char *)data, len, true);
    struct docx_part *part = docx_part_new(&text, false, numbers);
    docx_part_push(part, (const char *)data, len, true);
    FUZZ_CHECK(text.len <= CAP);
    docx_part_free(part);
    docx_part_free(definitions);
    docx_numbers_free(numbers);
}

static void read_relations(const uint8_t *data, size_t len)
{
    char target[40];
    struct docx_part *part = docx_part_relations("/officeDocument", target, sizeof(target));
    if (docx_part_push(part, (const char *)data, len, false))
        docx_part_push(part, "", 0, true);
    FUZZ_CHECK(memchr(target, '\0', sizeof(target)));
    docx_part_free(part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    switch (data[0] % 5) {
    case 0:
        read_archive(data + 1, len - 1);
        break;
    case 1:
        compare_parts(false, data + 1, len - 1);
        break;
    case 2:
        compare_parts(true, data + 1, len - 1);
        break;
    case 3:
        read_numbered(data + 1, len - 1);
        break;
    default:
        read_relations(data + 1, len - 1);
    }
    return 0;
}
