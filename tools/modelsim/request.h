// SPDX-License-Identifier: Apache-2.0
// The body of a chat completion request, as far as the simulator looks at it.
#ifndef MODELSIM_REQUEST_H
#define MODELSIM_REQUEST_H

#include "buf.h"

#include <jansson.h>
#include <stdbool.h>

enum answer_format { FORMAT_TEXT, FORMAT_OBJECT, FORMAT_SCHEMA };

struct chat_request {
    json_t *root; // owned; what follows points into it and into `user` and `system`
    const char *model;
    struct buf system; // text of system and developer messages
    struct buf user;   // text of user messages, a line feed between two
    uint64_t quarters; // of tokens in all messages and the schema (tokens.h)
    enum answer_format format;
    json_t *schema; // NULL unless one was given
    bool stream;
    bool include_usage;
    bool has_limit;
    uint64_t limit_tokens; // of max_completion_tokens or max_tokens
    bool reasoning_conflict;
};

struct request_fault {
    const char *param; // field at fault, NULL for the body as a whole
    char message[200];
};

// Reads a body into a request whose buffers may have been used before. False leaves the reason in
// out_fault. request_release drops the JSON either way.
bool request_read(struct chat_request *request, const char *body, size_t len,
                  struct request_fault *out_fault);

// Drops what belongs to one body and keeps the buffers' memory.
void request_release(struct chat_request *request);

void request_free(struct chat_request *request);

#endif
