// SPDX-License-Identifier: Apache-2.0
// What can go wrong at a provider. Each fault is a row of faults.def: a name, a sentence of help,
// and the fields below that differ from a healthy answer. The rest of the simulator reads the
// fields and knows no fault by name.
//
// A fault strikes because the document asks for it: "[[sim:NAME]]" in a user message spoils each
// answer to that document, "[[sim:NAME*2]]" the first two, and several markers follow one another
// ("[[sim:http_500*1]] [[sim:cut*1]]": an error, then a cut stream, then an answer). Attempts are
// counted by the document's text, so a retry or a repair of the same call counts on.
// "[[sim:NAME@M]]" strikes only with model M. Else faults strike by chance (--fault), or in turn
// (/sim/script, "next").
#ifndef MODELSIM_FAULTS_H
#define MODELSIM_FAULTS_H

#include "answer.h"
#include "bill.h"
#include "reply.h"

#include <stdbool.h>

enum fault_cut { // how much of the response is sent
    CUT_NOTHING_OFF,
    CUT_ALL,     // not a byte
    CUT_HEADERS, // the headers and no more
    CUT_HALF,    // half of the body
};

enum fault_choices { CHOICES_ONE, CHOICES_EMPTY, CHOICES_MISSING, CHOICES_TWO };

enum {                                 // how a stream is framed
    STREAM_NO_FINISH = 1 << 0,         // no chunk with a finish_reason
    STREAM_NO_DONE = 1 << 1,           // no [DONE]
    STREAM_AFTER_DONE = 1 << 2,        // more data after [DONE]
    STREAM_BYTES = 1 << 3,             // HTTP chunks of one byte, which split characters
    STREAM_CR = 1 << 4,                // lines end with CR only
    STREAM_CRLF = 1 << 5,              // lines end with CR LF
    STREAM_LONG_LINE = 1 << 6,         // one line of a megabyte
    STREAM_USAGE_EACH = 1 << 7,        // cumulative usage in every chunk
    STREAM_USAGE_TWICE = 1 << 8,       // the usage chunk is sent twice
    STREAM_ERROR = 1 << 9,             // an error event in the middle, then [DONE]
    STREAM_ERROR_NO_DONE = 1 << 10,    // an error event in the middle, then the end
    STREAM_COMMENTS = 1 << 11,         // a comment before each chunk
    STREAM_NAMED = 1 << 12,            // event:, id: and retry: lines
    STREAM_BOM = 1 << 13,              // begins with a byte order mark
    STREAM_EMPTY = 1 << 14,            // no event at all
    STREAM_FINISH_WITH_TEXT = 1 << 15, // the last text comes in the chunk with the finish_reason
    STREAM_GARBAGE = 1 << 16,          // one event is not JSON
    STREAM_OPEN_AFTER_END = 1 << 17,   // everything was sent, the body does not end
};

struct fault {
    const char *name;
    const char *help;
    // An error instead of an answer, or a whole response written out.
    unsigned status;  // with the following seven
    const char *type; // of the error, NULL is null
    const char *code; // the error's code as JSON, NULL is null
    const char *param;
    const char *message;        // "@p" and "@c" are the prompt's tokens and the context
    const char *suggestion;     // inside the error
    const char *top_suggestion; // beside the error
    const char *error_body;     // instead of the error object; "" is an empty body
    const char *error_content_type;
    const char *raw; // a response from its first byte to its last
    // Around any response.
    const char *before;  // bytes before the status line
    const char *headers; // more header lines, each with its CR LF; "@date+N@" and "@date-N@"
    // What an answer says.
    enum answer_spoil spoil;
    const char *content; // JSON instead of the content ("null", "\"\"")
    const char *inner;   // JSON-escaped text at the end of the summary
    const char *finish;  // JSON instead of "stop"
    const char *refusal; // text; the content is then null
    const char *model;   // instead of the asked one's name
    const char *usage;   // JSON instead of the usage; "" leaves it out; @p @c @t @r are numbers
    enum fault_choices choices;
    uint64_t reasoning_tokens;
    bool reasoning_beside; // not part of completion_tokens, as at xAI
    bool reasoning_text;   // reasoning_content in the answer
    unsigned keep_percent; // of the content, 0 is all
    bool no_limit;         // max_tokens is not obeyed
    bool blank_lines;      // before the body
    unsigned stream;       // STREAM_ bits; plain answers are not touched by them
    // How it is sent.
    enum fault_cut cut;
    enum reply_end end;
    const char *repeat; // sent again and again after the cut, or "gzip" or "filler"
    uint64_t repeat_ms;
    uint64_t late_ms;     // before the first byte
    enum outcome outcome; // of the bill; by default answered, or refused
    bool only_reused;     // strikes only on a connection that has served before
};

// The fault of that name, or NULL.
const struct fault *fault_find(const char *name, size_t len);

// All of them, for --list-faults and for loops; NULL past the last.
const struct fault *fault_at(size_t index);

// How often each marked document has been asked about.
struct attempts {
    struct attempt {
        uint64_t document;
        uint64_t count;
    } * slots;
    size_t cap, used;
};

// The fault that the user text asks for, or NULL; counts an attempt when there is a marker.
const struct fault *fault_by_marker(struct attempts *attempts, const char *text, size_t len,
                                    const char *model);

void attempts_free(struct attempts *attempts);

#endif
