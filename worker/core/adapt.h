// SPDX-License-Identifier: Apache-2.0
// How many calls may be in flight where nobody said a limit (an own vLLM server): up while all goes
// well and the calls are wanted, down when the server says that it is too many.
//
// Until the first trouble each success adds one, which doubles the number in the time of a call.
// After it the number is about right, and each refusal more is a call for nothing: a window of
// successes adds an eighth of a call, and twice as much for every eight windows beyond the first
// sixteen without trouble, since the server may have become larger. Trouble (429, 5xx, a time-out)
// takes a tenth away, three tenths where it is the first or comes within two windows of the last:
// then the server has become smaller. It counts once for all calls that were under way: they all
// tell of the same moment. Latency is not looked at: that of a model follows the length of its
// answers.
#ifndef PRECIS_CORE_ADAPT_H
#define PRECIS_CORE_ADAPT_H

#include <stdbool.h>
#include <stdint.h>

#define ADAPT_FIRST 64
#define ADAPT_LEAST 1

struct adapt {
    int64_t most_milli; // thousandths of a call
    int64_t ceiling;    // never more calls than that
    int64_t cut_ms;     // when it was lowered last: calls that began before tell nothing new
    bool steady;        // trouble was seen once: from here on it grows slowly
    bool fell;          // the last cut was a large one
    int64_t calm_milli; // windows of successes since, in thousandths
};

void adapt_init(struct adapt *adapt, int64_t ceiling);
// Calls that may be in flight; at least 1.
int64_t adapt_most(const struct adapt *adapt);
// A call ended well. It only counts while the number is used up: `in_flight` with this one.
void adapt_succeeded(struct adapt *adapt, int64_t in_flight);
// One that began at begun_ms ended with a 429, a 5xx or a time-out. True: to be expected now and
// then where the number is about right; one call less is all that it asks for.
bool adapt_failed(struct adapt *adapt, int64_t begun_ms, int64_t now_ms);

#endif
