// SPDX-License-Identifier: Apache-2.0
// What worker and child say to each other over the child's standard input and output: a frame of
//   "PXF1"  u32 length of the head  u64 length of the body  head  body
// little-endian; the head is JSON, the body the document's bytes or its text. The worker trusts
// nothing of an answer: lengths are capped, the head must have the members it should, the text must
// be valid UTF-8.
#ifndef PRECIS_IO_EXTRACT_FRAME_H
#define PRECIS_IO_EXTRACT_FRAME_H

#include "io/extract.h"

#define FRAME_PREFIX_BYTES 16
#define FRAME_HEAD_BYTES   262144 // the most that a head may have

enum frame_state { FRAME_MORE, FRAME_WHOLE, FRAME_BAD };

struct frame {
    const char *head, *body; // into the bytes
    size_t head_len, body_len;
};

// What stands at the start of the bytes so far. FRAME_BAD: it is no frame, a length passes its cap,
// or bytes follow the frame.
enum frame_state frame_read(const char *bytes, size_t len, size_t max_body_bytes,
                            struct frame *out);
// Appends prefix and head; the body follows by the caller's hand.
void frame_add_ask(struct buf *out, const struct extract_ask *ask, size_t body_len);
void frame_add_answer(struct buf *out, const struct extract_answer *answer);
// False: the head is not what it should be. The caller deinits in either case.
bool frame_parse_ask(const struct frame *frame, struct extract_ask *out);
// As above, after a look at every byte of the text, which stays where it is: frame->body.
bool frame_parse_answer(const struct frame *frame, struct extract_answer *out);

#endif
