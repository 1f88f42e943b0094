// SPDX-License-Identifier: Apache-2.0
// How many calls may be in flight where nobody said a limit (an own vLLM server): up while all goes
// well and the calls are wanted, down when the server says that it is too many.
//
// Until the first trouble each success adds one, which doubles the number in the time of a call;
// after it, a whole window of successes adds one. Trouble (429, 5xx, a time-out) takes three
// tenths away, once for all calls that were under way then: they all tell of the same moment.
// Latency is not looked at: that of a model follows the length of its answers.
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
};

void adapt_init(struct adapt *adapt, int64_t ceiling);
// Calls that may be in flight; at least 1.
int64_t adapt_most(const struct adapt *adapt);
// A call ended well. It only counts while the number is used up: `in_flight` with this one.
void adapt_succeeded(struct adapt *adapt, int64_t in_flight);
// One that began at begun_ms ended with a 429, a 5xx or a time-out.
void adapt_failed(struct adapt *adapt, int64_t begun_ms, int64_t now_ms);

#endif
