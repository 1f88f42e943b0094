// SPDX-License-Identifier: Apache-2.0
// Times, waits and amounts as foreign headers and messages write them: within bounds, and what is
// written again reads the same.
#include "fuzz.h"

#include <string.h>

#include "base/own.h"
#include "core/money.h"
#include "core/retry_after.h"
#include "core/time_text.h"

#define NOW_MS 1795374000000 // 2026-11-22

static void check_time(const char *text)
{
    int64_t ms, again;
    char out[TIME_TEXT_BYTES];
    if (!time_text_parse(text, &ms))
        return;
    time_text_format(ms, out);
    FUZZ_CHECK(strlen(out) < TIME_TEXT_BYTES);
    // A zone may lead out of the years that are written.
    if (ms >= -62135596800000 && ms <= 253402300799999)
        FUZZ_CHECK(time_text_parse(out, &again) && again == ms);
}

static void check_money(const char *text)
{
    int64_t amount, again;
    char out[MONEY_TEXT_BYTES];
    if (!money_parse_usd(text, &amount))
        return;
    money_format_usd(amount, out, sizeof(out));
    FUZZ_CHECK(amount >= 0 && money_parse_usd(out, &again) && again == amount);
}

static void check_wait(const char *text)
{
    int64_t date_ms;
    int64_t as_seconds = retry_after_ms(text, NULL, NOW_MS);
    int64_t as_ms = retry_after_ms(NULL, text, NOW_MS);
    int64_t both = retry_after_ms(text, text, NOW_MS);
    FUZZ_CHECK(as_seconds == -1 || (as_seconds >= 1 && as_seconds <= RETRY_AFTER_MAX_MS));
    FUZZ_CHECK(as_ms == -1 || (as_ms >= 1 && as_ms <= RETRY_AFTER_MAX_MS));
    FUZZ_CHECK(both == (as_ms == -1 ? as_seconds : as_ms));
    int64_t duration = go_duration_ms(text);
    FUZZ_CHECK(duration >= -1 && duration <= GO_DURATION_MAX_MS);
    http_date_parse(text, NOW_MS, &date_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text OWN_FREE = own_strndup((const char *)data, len);
    check_time(text);
    check_money(text);
    check_wait(text);
    return 0;
}
