// SPDX-License-Identifier: Apache-2.0
// Fuzzes job_decode: any bytes are a job, a seal, a message for later, or a refusal with a reason;
// what is kept of a job decodes to the same content.
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "core/identity.h"
#include "job/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct decode_limits limits = {
    .value_bytes = 1 << 16, .text_bytes = 1 << 15, .nodes = 2000};

static enum decoded decode(const void *value, size_t len, struct decode_out *out)
{
    const struct message message = {.topic = "precis.jobs",
                                    .partition = 1,
                                    .offset = 2,
                                    .key = value,
                                    .key_len = len < 300 ? len : 300,
                                    .value = value,
                                    .value_len = len};
    return job_decode(&message, &limits, out);
}

static void check_name(const char *name)
{
    CHECK(!name || identity_name_ok(name, strlen(name)));
}

// The kept message may pass the cap that the message itself kept to: names and the hash are added.
static void check_kept(const struct job_spec *spec)
{
    struct decode_out again;
    enum decoded decoded = decode(spec->spec_json, strlen(spec->spec_json), &again);
    CHECK(decoded == DECODED_JOB || again.failure.code == ERR_TOO_LARGE);
    if (decoded == DECODED_JOB) {
        CHECK(memcmp(again.spec.content_hash, spec->content_hash, 32) == 0);
        CHECK(strcmp(again.spec.spec_json, spec->spec_json) == 0);
    }
    decode_out_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct decode_out out;
    enum decoded decoded = decode(data, size, &out);
    check_name(out.spec.tenant);
    check_name(out.spec.batch);
    check_name(out.spec.id);
    if (decoded == DECODED_BAD)
        CHECK(out.failure.code != ERR_NONE && out.failure.detail[0]);
    if (decoded == DECODED_JOB)
        check_kept(&out.spec);
    decode_out_deinit(&out);
    return 0;
}
