// SPDX-License-Identifier: Apache-2.0
// What a job asks for, decoded and checked: the message of CONTRACT.md, section 2, as a struct.
// job_decode (job/decode.h) makes it; everyone else reads it. Every string is cleaned UTF-8 on the
// heap and owned by the spec; field by field the bounds of core/job_fields.def hold.
#ifndef PRECIS_CORE_SPEC_H
#define PRECIS_CORE_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/schema_size.h"

enum job_kind { JOB_SUMMARIZE };

// Where the document is. TEXT: in the spec, also where it came as data of a text type in UTF-8.
// DATA: its bytes are in the spec and have to be read by an extractor. STORED: in PostgreSQL, as
// text or as bytes. URL: an extractor gets it.
enum document_source { DOCUMENT_TEXT, DOCUMENT_STORED, DOCUMENT_DATA, DOCUMENT_URL };

enum too_long { TOO_LONG_SPLIT, TOO_LONG_TRUNCATE, TOO_LONG_FAIL };

enum reasoning_mode { REASONING_AUTO, REASONING_ON, REASONING_OFF };

#define SPEC_NAME_BYTES 200 // most bytes of a tenant, batch or job id

struct job_spec {
    // Which job (1 to 200 bytes of A-Z a-z 0-9 . _ : @ -).
    char *tenant, *batch, *id;
    int64_t revision;
    enum job_kind kind;

    // When and how; not part of the content.
    int priority;          // 0..9, 9 first
    int64_t deadline_ms;   // unix; INT64_MAX: none
    int64_t not_before_ms; // unix; 0: at once
    bool fail_on_deadline;
    char *after_batch;        // of its tenant, that has to end first; NULL: none
    char *labels_json;        // an object of strings; "{}" where none came
    int64_t max_cost_picousd; // -1: no limit
    bool fresh;

    // The document.
    enum document_source document;
    char *text; // DOCUMENT_TEXT: cleaned, may be blank; else NULL
    size_t text_len;
    char *data; // DOCUMENT_DATA: the bytes; else NULL
    size_t data_len;
    // Lower-case hex: of the cleaned text, of the bytes, or what a URL must give; "" for a URL that
    // comes without one.
    char document_sha256[65];
    char *document_name; // NULL: none
    char *media_type;    // NULL: none
    char *document_url;  // DOCUMENT_URL: file: or https:; else NULL

    // Parameters of summarize.
    char *model; // route or model, "default"
    int64_t max_chars;
    int64_t points_min, points_max;
    char *language, *instructions;  // NULL: none
    char *template_label;           // "name@version", told and not obeyed; NULL: none
    char *output_schema_json;       // in the user's own order of members; NULL: none
    struct schema_size schema_size; // of the answers by it
    bool evidence_quotes;
    enum too_long on_too_long;
    enum reasoning_mode reasoning_mode;
    char *reasoning_effort;    // NULL: none
    char *temperature;         // a decimal number, to be sent as it stands; NULL: none
    int64_t max_output_tokens; // 0: none
    bool pack;

    unsigned char content_hash[32]; // CONTRACT.md, section 1: what "the same content" means
    char *spec_json; // the message again, with {"stored": sha256} for a document that came with it:
                     // job_decode takes it like any other, and finds the same content. Keep it as
                     // text: jsonb would reorder the members of output_schema, which a model
                     // answers in their order.
    char traceparent[64]; // the submitter's; "" where none came
};

// Everything none or its default, nothing owned.
void job_spec_init(struct job_spec *spec);
void job_spec_deinit(struct job_spec *spec);
// The contract's words ("summarize", "non-reasoning", …).
const char *job_kind_text(enum job_kind kind);
const char *too_long_text(enum too_long too_long);
const char *reasoning_mode_text(enum reasoning_mode mode);

#endif
