// SPDX-License-Identifier: Apache-2.0
// Packing: several short documents in one request, where requests are scarcer than tokens. The pure
// rules: which jobs go together, whether an answer tells them apart, who bears what of the cost.
//
// How one HTTP call belongs to several jobs. Each member stays a job of its own: its own claim,
// intent, row in the ledger, judgement and outcome. Only the request is shared, and while it is
// under way one member, the leader, is in CALL for all:
//
//   ADMIT ─ INTENT ─ PACKED ─ CALL ─ PACKED ─ RECORD or FINISH      the leader
//   ADMIT ─ INTENT ─ PACKED ─────────────────  RECORD or FINISH      each of the others
//
// - The engine (engine_pack.c) keeps the list of a pack's members. It makes one when it admits a
//   job that has waited for requests, of what waits beside it; so nobody waits to be packed. The
//   slot and the request of the quota are the leader's.
// - Each member asks for its intent as ever, for its own share at most. The requests fall into one
//   group of the store, and so into one transaction; but nothing rests on that: the request is made
//   when no member is in INTENT any more, of those that are in PACKED, whose rows are durable. Who
//   was fenced, stopped or refused has left by then, and the others go without it. Without the
//   leader, or with a lease that has ended, nothing leaves: the rows end as `cancelled`.
// - When the answer is whole (or has failed) the leader goes back to PACKED, and each member gets
//   its share: its piece of the content, its tokens, the same failure. From there on it judges and
//   records like any other job (job/judge.c); its outcome is fenced by its own epoch, its row is
//   not.
// - A worker that dies leaves a `sent` row for each member. Each is in doubt with its own bound;
//   the sum of the bounds is at least what the request can cost.
// - A member that is cancelled while the call is under way ends like one whose own call is; where
//   calls under way are to be stopped (`cancel --running stop`), the call goes on for the others:
//   it takes its part and what that cost, for a retry to find, and ends as cancelled. The call is
//   cut when all its members are cancelled so; then each is in doubt.
// - What was asked packed and gave nothing usable, or nobody knows what, is asked again alone.
//
// Documents are fenced from each other by more than words. Each stands between lines with an id of
// its own, drawn for this request and in none of the texts, so that no text can close a fence or
// name another's. A piece of the answer counts for the document of its id if the id came exactly
// once, each of its quotes stands in the document or in none of the others, and no longer run of
// its words comes out of another document. So an instruction that is hidden in one cannot write
// into the others' summaries with words or quotes of its own. Jobs without quotes are not packed.
#ifndef PRECIS_CORE_PACK_H
#define PRECIS_CORE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/prompt.h"
#include "core/spec.h"
#include "core/usage.h"

#define PACK_MOST PROMPT_PACK_MOST

// ------------------------------------------------------------------------------ who goes together

// Whether the job's parameters allow it at all. How long the text is, is not looked at.
bool pack_allowed(const struct job_spec *spec);
// Whether both ask the same of a model, of documents of the same tenant and batch.
bool pack_same(const struct job_spec *a, const struct job_spec *b);
// The same number for all that pack_same holds for; for few others.
uint64_t pack_hash(const struct job_spec *spec);
// Output tokens that a packed document's answer may take: its longest form, at so many tokens a
// character as its text has, and never more than it might have alone.
int64_t pack_output_tokens(const struct job_spec *spec, int64_t text_tokens, int64_t text_chars,
                           int64_t alone_tokens);

// What of a pack's bounds is left, and what a document takes of them.
struct pack_room {
    int64_t documents;
    int64_t tokens; // input and output together
    int64_t output_tokens;
    int64_t doubt_picousd; // upper bound of what a lost answer costs
};
// Takes `need` out of `room`. False, and nothing taken: it does not fit.
bool pack_take(struct pack_room *room, const struct pack_room *need);

// ----------------------------------------------------------------------------- telling them apart

enum pack_fault {
    PACK_WHOLE,
    PACK_MISSING, // its id did not come, or without an answer
    PACK_DOUBLED, // its id came more than once
    PACK_MIXED,   // quotes or words of another document
};

struct pack_piece {
    enum pack_fault fault;
    char *content; // of PACK_WHOLE, else NULL: the document's own answer, JSON; owned
    size_t len;
};

// Fills `out`, a piece for each document; pack_pieces_deinit clears it. False, and nothing to
// clear: the whole content is no JSON object with a list `documents` (ERR_NOT_JSON,
// ERR_SCHEMA_MISMATCH).
bool pack_split(const struct prompt_document *documents, size_t count, const char *content,
                size_t len, struct pack_piece *out, struct failure *out_failure);
void pack_pieces_deinit(struct pack_piece *pieces, size_t count);
// "the packed answer has this document twice"
const char *pack_fault_text(enum pack_fault fault);

// ------------------------------------------------------------------------------- who bears what

// Splits `total` (not negative) into whole shares by weight, whose sum is exactly `total`: the rest
// goes to the largest remainders. No share passes its cap as long as the caps together can bear the
// total. Without a weight anywhere all weigh the same.
void pack_share(int64_t total, const int64_t *weights, const int64_t *caps, size_t count,
                int64_t *out);

struct pack_weight {
    int64_t input_tokens, output_tokens; // what of both was its own, by our estimate
    int64_t input_most, output_most;     // what was reserved for it
};
// The shares of a request's usage. Each token count adds up exactly, and so does the cost, since
// prices are linear in them.
void pack_share_usage(const struct usage *whole, const struct pack_weight *weights, size_t count,
                      struct usage *out);

#endif
