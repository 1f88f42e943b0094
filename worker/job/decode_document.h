// SPDX-License-Identifier: Apache-2.0
// The member `document` of a job message: which of its forms came, and what is kept of it.
// Text in UTF-8 is taken as it is; other bytes are only kept, with their media type, for an
// extractor to read: nothing of a foreign format is looked at here.
#ifndef PRECIS_JOB_DECODE_DOCUMENT_H
#define PRECIS_JOB_DECODE_DOCUMENT_H

#include <jansson.h>

#include "core/config.h"
#include "job/decode.h"

// Exactly one of text, data, url and stored; `document` is an object whose members were taken by
// fields_take. False: *out says why not (bad_field, too_large, forbidden_url).
bool decode_document(struct job_spec *spec, const json_t *document,
                     const struct decode_limits *limits, struct failure *out);
// What stands in the kept message in place of the document; the caller's.
json_t *decode_document_kept(const struct job_spec *spec);
// Whether bytes of this media type are text that needs no extractor, where they are UTF-8: text/*
// without a format of its own (HTML, RTF), without another charset, and without a program of its
// own among `extractors` (NULL: none). NULL: no.
bool decode_is_plain_text(const char *media_type, const struct config_command *extractors);

#endif
