// SPDX-License-Identifier: Apache-2.0
// Reads a message of the jobs topic (CONTRACT.md, section 2): a job, a seal, or the reason why it
// is neither. Nothing in it is trusted: size, depth and number of values are bounded before JSON is
// parsed, repeated members and unknown fields are refused, text is cleaned. No sentence that comes
// out of here repeats text of the message; it names the field, the type and the size.
#ifndef PRECIS_JOB_DECODE_H
#define PRECIS_JOB_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/config.h"
#include "core/seams.h"
#include "core/spec.h"

struct decode_limits {
    size_t value_bytes; // of a message's value
    size_t text_bytes;  // of a document's text (documents.max_bytes)
    size_t nodes;       // of the JSON: values and members
    // Their media types are read by programs (documents.extractors), text or not; NULL: none.
    const struct config_command *extractors;
};

enum decoded {
    DECODED_JOB,   // `spec` is whole
    DECODED_SEAL,  // spec.tenant, spec.batch and seal_total are set
    DECODED_SKIP,  // a tombstone
    DECODED_LATER, // `version` is newer than this worker; spec.id is topic:partition:offset
    DECODED_BAD,   // `failure` says why
};

struct decode_out {
    // Of a message that is LATER or BAD: tenant, batch and id as far as they could be read (NULL
    // else), the revision (0 else), and nothing more. Where not even JSON could be read they come
    // from a key of the form tenant/batch/id. An id that was left out is topic:partition:offset.
    struct job_spec spec;
    int64_t seal_total;
    int32_t version; // 1, or that of a LATER message
    struct failure failure;
};

// Reads `message`, which is not changed; `out` needs decode_out_deinit whatever comes out. Codes of
// BAD: bad_message, bad_field, kind_not_supported, too_large, unreadable, forbidden_url.
// A document without text is a job; so is one whose deadline has passed, or with a time before 2000
// or from 2100 on, which counts as none.
enum decoded job_decode(const struct message *message, const struct decode_limits *limits,
                        struct decode_out *out);
// Whoever keeps the spec copies the struct out and calls job_spec_init on the one in `out` first.
void decode_out_deinit(struct decode_out *out);

#endif
