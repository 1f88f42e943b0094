// SPDX-License-Identifier: Apache-2.0
// Fuzzes the redactor and the log: any bytes around a planted secret, of which nothing comes out,
// and a log line made of them is one clean line.
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/redact.h"
#include "fuzz.h"

static const char secret[] = "q\"7\\w/e r9YtUiOpAs";

static void check_line(void *context, const char *line, size_t len)
{
    (void)context;
    FUZZ_CHECK(len > 2 && line[0] == '{' && line[len - 2] == '}' && line[len - 1] == '\n');
    for (size_t i = 0; i + 1 < len; i++)
        FUZZ_CHECK((unsigned char)line[i] >= 0x20 && line[i] != 0x7f);
    FUZZ_CHECK(!memmem(line, len, "UiOpAs", 6));
}

static int64_t no_time(void *context)
{
    (void)context;
    return 0;
}

static void check_log(const struct redactor *redactor, const char *text)
{
    const struct log_sink sink = {NULL, check_line, no_time};
    struct log *log = log_new(&sink, LOG_LEVEL_INFO, redactor, NULL);
    log_event(log, LOG_LEVEL_INFO, "fuzz", LOG_TEXT("text", text), LOG_TEXT("job", text));
    log_free(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    // The secret itself may come from the fuzzer in pieces: then it proves nothing.
    if (memmem(data, size, "UiOpAs", 6))
        return 0;
    struct redactor *redactor = redactor_new();
    redactor_add_secret(redactor, secret);
    struct buf text OWN_BUF;
    struct buf out OWN_BUF;
    buf_init(&text, 0);
    buf_init(&out, 0);
    buf_add(&text, data, size / 2);
    buf_add(&text, secret, sizeof(secret) - 1);
    buf_add(&text, data + size / 2, size - size / 2);
    redactor_text(redactor, text.data, text.len, &out);
    FUZZ_CHECK(!memmem(out.data, out.len, secret, 8) && !memmem(out.data, out.len, "UiOpAs", 6));
    buf_clear(&out);
    redactor_name(redactor, text.data, text.len, &out);
    FUZZ_CHECK(!memmem(out.data, out.len, secret, 8) && !memmem(out.data, out.len, "UiOpAs", 6));
    check_log(redactor, text.data);
    redactor_free(redactor);
    return 0;
}
