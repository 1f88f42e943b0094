// SPDX-License-Identifier: Apache-2.0
// A provider's key as this process sees it: open, closed until a time, or being probed.
//
// A refusal closes the key for everything that uses it, until the time the provider named or a
// backoff of our own. After that one call goes first, as the probe; the others follow when it
// succeeds. Waiting for a key uses up no attempt.
#ifndef PRECIS_CORE_KEYS_H
#define PRECIS_CORE_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "core/backoff.h"

// A refused key is probed this often, and one without money this often.
#define KEY_REFUSED_MS   30000
#define KEY_EXHAUSTED_MS 60000
// 403 on so many calls without a success counts as a refused key.
#define KEY_FORBIDDEN_MAX 10
// So long the answer of GET /models is believed.
#define KEY_GOOD_MS 30000

enum key_cause {
    KEY_FINE,
    KEY_THROTTLED,
    KEY_REFUSED,   // 401
    KEY_EXHAUSTED, // no money
    KEY_DOUBTED,   // 403: GET /models is asked whether it is the key or the job
    KEY_BROKEN,    // the breaker: one model with this key fails again and again
};

struct key {
    enum key_cause cause;
    int64_t closed_until_ms; // monotonic
    bool probing;            // the one call that tries it is under way
    int throttles;           // in a row
    int forbidden;           // in a row
};

// Whether a call may begin; where the key is due for its probe, this call is the probe.
bool key_admit(struct key *key, int64_t now_ms);
// The same question without taking the probe's place.
bool key_is_open(const struct key *key, int64_t now_ms);
// A call failed in a way that concerns the key. True: the key wants GET /models to be asked
// (key_checked tells what it said).
bool key_failed(struct key *key, const struct failure *failure, const struct backoff *rule,
                int64_t now_ms, uint64_t random);
void key_checked(struct key *key, bool good, int64_t now_ms);
// A call succeeded. It opens a closed key only while a probe is under way: answers to calls that
// began before the key was closed come after it in any number, and say nothing new.
void key_succeeded(struct key *key);
// The probe ended without a word on the key (a time-out): another call may probe.
void key_probe_ended(struct key *key);
// What the fleet knows of the key: closed by another worker's call, or open again. A question that
// is under way (KEY_DOUBTED) is this process's own and goes on.
void key_told(struct key *key, enum key_cause cause, int64_t closed_until_ms);
// HUP: it may be another key now; the next call probes it.
void key_reopen(struct key *key);
// "throttled", "refused" …, for logs and metrics.
const char *key_cause_name(enum key_cause cause);

#endif
