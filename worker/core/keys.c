// SPDX-License-Identifier: Apache-2.0
// When a key is closed, and how it opens again.
#include "core/keys.h"

#include "base/check.h"

bool key_is_open(const struct key *key, int64_t now_ms)
{
    if (key->cause == KEY_FINE)
        return true;
    return key->cause != KEY_DOUBTED && now_ms >= key->closed_until_ms && !key->probing;
}

bool key_admit(struct key *key, int64_t now_ms)
{
    if (!key_is_open(key, now_ms))
        return false;
    if (key->cause != KEY_FINE)
        key->probing = true;
    return true;
}

// A closing that still holds is not shortened, nor is its cause made smaller, by a late answer; one
// that has ended gives way: a 429 to the probe of a refused key says that the key is known.
static void close_until(struct key *key, enum key_cause cause, int64_t now_ms, int64_t until_ms)
{
    bool holds = key->closed_until_ms > now_ms;
    key->probing = false;
    if (!holds || key->closed_until_ms < until_ms)
        key->closed_until_ms = until_ms;
    if (key->cause != KEY_DOUBTED && (!holds || key->cause < cause))
        key->cause = cause;
}

static void throttled(struct key *key, const struct failure *failure, const struct backoff *rule,
                      int64_t now_ms, uint64_t random)
{
    if (key->closed_until_ms <= now_ms || key->throttles == 0)
        key->throttles++; // what was under way when it closed comes back in any number
    int64_t wait_ms = failure->retry_after_ms;
    if (wait_ms < 0)
        wait_ms = backoff_delay_ms(rule, key->throttles, random);
    close_until(key, KEY_THROTTLED, now_ms, now_ms + (wait_ms > 0 ? wait_ms : 1));
}

static bool forbidden(struct key *key, int64_t now_ms)
{
    key->probing = false;
    if (++key->forbidden >= KEY_FORBIDDEN_MAX) {
        close_until(key, KEY_REFUSED, now_ms, now_ms + KEY_REFUSED_MS);
        return false;
    }
    if (key->cause == KEY_DOUBTED)
        return false; // one question at a time
    key->cause = KEY_DOUBTED;
    return true;
}

bool key_failed(struct key *key, const struct failure *failure, const struct backoff *rule,
                int64_t now_ms, uint64_t random)
{
    if (failure->code == ERR_FORBIDDEN)
        return forbidden(key, now_ms);
    if (failure->code == ERR_UNAUTHORIZED)
        close_until(key, KEY_REFUSED, now_ms, now_ms + KEY_REFUSED_MS);
    else if (err_class(failure->code) == ERR_CLASS_EXHAUSTED)
        close_until(key, KEY_EXHAUSTED, now_ms, now_ms + KEY_EXHAUSTED_MS);
    else
        throttled(key, failure, rule, now_ms, random);
    return false;
}

void key_checked(struct key *key, bool good, int64_t now_ms)
{
    if (key->cause != KEY_DOUBTED)
        return;
    key->cause = key->closed_until_ms > now_ms ? KEY_THROTTLED : KEY_FINE; // closed meanwhile
    if (!good)
        close_until(key, KEY_REFUSED, now_ms, now_ms + KEY_REFUSED_MS);
}

void key_succeeded(struct key *key)
{
    key->forbidden = 0;
    if (key->cause == KEY_DOUBTED || (key->cause != KEY_FINE && !key->probing))
        return;
    key->probing = false;
    key->throttles = 0;
    key->cause = KEY_FINE;
}

void key_probe_ended(struct key *key)
{
    key->probing = false;
}

void key_told(struct key *key, enum key_cause cause, int64_t closed_until_ms)
{
    if (key->cause == KEY_DOUBTED)
        return;
    if (cause == KEY_FINE) {
        if (key->cause != KEY_FINE)
            key->throttles = 0;
        key->closed_until_ms = 0;
        key->probing = false;
    } else {
        key->closed_until_ms = closed_until_ms;
    }
    key->cause = cause;
}

void key_reopen(struct key *key)
{
    key->closed_until_ms = 0;
    key->probing = false;
    key->forbidden = 0;
}

const char *key_cause_name(enum key_cause cause)
{
    static const char *const names[] = {"fine",      "throttled", "refused",
                                        "exhausted", "doubted",   "broken"};
    CHECK((unsigned)cause < sizeof(names) / sizeof(names[0]));
    return names[cause];
}
