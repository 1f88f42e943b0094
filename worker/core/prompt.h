// SPDX-License-Identifier: Apache-2.0
// The messages of one summary call, and the JSON Schema of the answer that is asked for.
//
// A document is data. It stands in the user message between a line `<document-XXXX name="…">` and a
// line `</document-XXXX>`; XXXX is drawn for each call and does not occur in the text, so the text
// cannot close its own fence. The system message says what the fence means. What a person does not
// see and a model obeys (tag characters, direction controls, zero-width characters: core/visible.h)
// is left out of the text that is sent; the stored document keeps it, and quotes are found in it
// all the same (core/ground.h). The document's name is escaped.
//
// The system message depends only on the job's parameters and the kind of call, so that calls of
// one batch share their beginning in the provider's cache.
//
// Several documents in one request each have a fence of their own; its letters are the document's
// id, under which it is answered.
//
// Kinds: WHOLE, the document fits; PART, one part of a longer one, answered as
// {summary, key_points} in more room, whatever the job's schema, whose fields it is told; COMBINE,
// the part answers are the text and the job's own form is asked for. The word JSON is in every
// prompt, as json_object needs.
#ifndef PRECIS_CORE_PROMPT_H
#define PRECIS_CORE_PROMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "core/spec.h"

// Changes whenever a word here changes what a model is told.
#define PROMPT_VERSION "summary-2"

#define PART_SUMMARY_CHARS 1500
#define PART_POINTS_MIN    3
#define PART_POINTS_MAX    8
// Where the answers are to fill the fields of the user's own schema.
#define PART_POINTS_MAX_OWN 16
// Most bytes of a bad answer that its repair shows to the model.
#define PROMPT_BAD_ANSWER_BYTES 16384

// Packed documents of one request, at most, and the bytes of a document's id there.
#define PROMPT_PACK_MOST 20
#define PROMPT_ID_BYTES  9

enum prompt_kind { PROMPT_WHOLE, PROMPT_PART, PROMPT_COMBINE };

struct chat_message {
    const char *role; // "system", "user", "assistant"
    char *content;    // valid UTF-8, without NUL
    size_t content_len;
};

struct prompt {
    struct chat_message messages[6];
    size_t count;
    char *schema_json; // the answer's JSON Schema
    const char *schema_name;
    bool schema_strict; // it keeps to what strict structured outputs accept
};

struct prompt_order {
    const struct job_spec *spec;
    enum prompt_kind kind;
    const char *text; // the document, the part, or the joined part answers
    size_t text_len;
    int part, parts; // of PART, from 1; parts also of COMBINE
    uint64_t fence_random;
    const char *document_name; // NULL: none
    const char *bad_answer;    // for a repair: what the model answered, and why it cannot be used
    const char *bad_reason;    // both NULL where this is none
};

// What is stored with each plan and summary: PROMPT_VERSION, after the name of the job's template
// where there is one ("contract@1 summary-2"). On the heap.
char *prompt_version(const struct job_spec *spec);
// Whether what is stored there was asked in the words of this program.
bool prompt_version_is_current(const char *stored);

// Fills `out`, which the caller clears with prompt_deinit.
void prompt_build(struct prompt *out, const struct prompt_order *order);
void prompt_deinit(struct prompt *prompt);
// The plain estimate of its tokens: messages, schema and framing (core/tokens.h).
int64_t prompt_tokens(const struct prompt *prompt);

// One of several documents in one request.
struct prompt_document {
    const char *text;
    size_t text_len;
    const char *name;         // NULL: none
    char id[PROMPT_ID_BYTES]; // prompt_build_pack draws it; in none of the texts
};

// The same for several documents of equal parameters, at least one and at most PROMPT_PACK_MOST,
// all of them whole. The answer's form is {"documents": [{"id": ID, "answer": ANSWER}]}, where
// ANSWER is what a document alone would be answered with. Sets their ids.
void prompt_build_pack(struct prompt *out, const struct job_spec *spec,
                       struct prompt_document *documents, size_t count, uint64_t random);

// The last answer of prompt_overhead_tokens, for the jobs behind it that ask the same of a model.
struct prompt_overhead {
    struct buf key; // what of a spec stands in every prompt
    int64_t tokens, bytes;
};
void prompt_overhead_init(struct prompt_overhead *last);
void prompt_overhead_deinit(struct prompt_overhead *last);
// An upper bound for the tokens of everything but the text, over all kinds of call: messages,
// schema, framing. A repair is not counted in. `last` may be NULL. *out_bytes (may be NULL): its
// bytes, with more for the framing than any vocabulary has tokens for it.
int64_t prompt_overhead_tokens(const struct job_spec *spec, struct prompt_overhead *last,
                               int64_t *out_bytes);

// The part of it that makes schemas (core/prompt_schema.c). The answer's schema for a kind of call
// on the heap, and whether it is a strict one.
char *prompt_schema(const struct job_spec *spec, enum prompt_kind kind, bool *out_strict);
// The same around a list of answers with ids. On the heap.
char *prompt_pack_schema(const struct job_spec *spec, bool *out_strict);
// Most key points of a part's answer.
int64_t prompt_part_points(const struct job_spec *spec);
// Whether a call of this kind is answered in the form of the job's own output_schema.
bool prompt_own_schema(const struct job_spec *spec, enum prompt_kind kind);

#endif
