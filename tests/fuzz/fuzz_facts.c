// SPDX-License-Identifier: Apache-2.0
// Facts: byte 0 says how much of the input is the claim. What is called missing is valid UTF-8 and
// no more than what was taken up.
#include "fuzz.h"

#include <string.h>

#include "core/facts.h"
#include "core/text.h"

static void check_missing(const struct facts *facts)
{
    size_t cursor = 0, count = 0;
    struct fact_missing missing;
    while (facts_missing(facts, &cursor, &missing)) {
        struct buf again OWN_BUF;
        buf_init(&again, 0);
        unsigned flags = 0;
        FUZZ_CHECK(missing.place == 3 && fact_kind_name(missing.kind));
        FUZZ_CHECK(text_clean(&again, missing.text, strlen(missing.text), &flags));
        FUZZ_CHECK(!(flags & TEXT_HAD_INVALID));
        count++;
    }
    FUZZ_CHECK(count <= facts_count(facts) && facts_count(facts) <= FACTS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    size_t claim_len = data[0] < len - 1 ? data[0] : len - 1;
    struct buf claim OWN_BUF, source OWN_BUF;
    buf_init(&claim, 0);
    buf_init(&source, 0);
    FUZZ_CHECK(text_clean(&claim, (const char *)data + 1, claim_len, NULL));
    FUZZ_CHECK(text_clean(&source, (const char *)data + 1 + claim_len, len - 1 - claim_len, NULL));
    struct fact_words *words = fact_words_new();
    struct facts *facts = facts_new(words);
    facts_claim(facts, buf_str(&claim), claim.len, 3);
    facts_claim_number(facts, buf_str(&claim), 3);
    facts_search(facts, buf_str(&source), source.len);
    check_missing(facts);
    facts_free(facts);
    fact_words_free(words);
    return 0;
}
