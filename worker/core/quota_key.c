// SPDX-License-Identifier: Apache-2.0
// Keys that are closed for the whole fleet, and the one call that tries such a key.
#include "core/quota_inner.h"

#define PROBE_US      (60 * QUOTA_SECOND_US)
#define PROBE_LOOK_US QUOTA_SECOND_US // another one's probe is under way: look again
#define CLOSE_MOST_MS INT64_C(86400000)

static bool probes(const struct quota_case *c, const struct quota_key *key)
{
    return key->prober != 0 && key->probe_until_us > c->now_us &&
           c->asker->is_live(c->asker->context, key->prober);
}

// A closing that still holds is not shortened, nor is its cause made smaller, by a late answer.
// True: the others should know.
static bool close_key(struct quota_case *c, struct quota_key *key)
{
    int64_t close_ms = c->ask->close_ms < CLOSE_MOST_MS ? c->ask->close_ms : CLOSE_MOST_MS;
    int64_t until_us = c->now_us + (close_ms > 0 ? close_ms : 1) * 1000;
    bool holds = key->cause != KEY_FINE && key->closed_until_us > c->now_us;
    bool news = !holds || until_us > key->closed_until_us + QUOTA_SECOND_US;
    if (!holds || key->cause < c->ask->close_cause)
        key->cause = c->ask->close_cause;
    if (!holds || key->closed_until_us < until_us)
        key->closed_until_us = until_us;
    if (!holds)
        key->prober = 0;
    return news;
}

// The result of a probe, where this worker had it.
static bool end_probe(const struct quota_case *c, struct quota_key *key)
{
    if (!key || key->prober != c->asker->worker || c->ask->probe == QUOTA_PROBE_NONE)
        return false;
    key->prober = 0;
    if (c->ask->probe != QUOTA_PROBE_OK)
        return false;
    key->cause = KEY_FINE;
    return true;
}

bool quota_key_report(struct quota_case *c)
{
    const struct quota_ask *ask = c->ask;
    if (c->repeated)
        return false;
    struct quota_key *whole = quota_find_key(c->fleet, ask, false, false);
    bool news = false;
    if (ask->key_changed && whole && whole->cause != KEY_FINE) {
        whole->closed_until_us = c->now_us;
        whole->prober = 0;
        news = true;
    }
    news |= end_probe(c, whole);
    news |= end_probe(c, quota_find_key(c->fleet, ask, true, false));
    if (ask->close_cause != KEY_FINE && ask->close_cause != KEY_DOUBTED) {
        bool of_model = ask->close_cause == KEY_BROKEN;
        news |= close_key(c, quota_find_key(c->fleet, ask, of_model, true));
    }
    return news;
}

// Microseconds until this key may be tried; 0: now. Where the same ask comes again, its probe does.
static int64_t wait_us(const struct quota_case *c, const struct quota_key *key)
{
    if (key->closed_until_us > c->now_us)
        return key->closed_until_us - c->now_us;
    if (!probes(c, key) || (c->repeated && key->prober == c->asker->worker))
        return 0;
    int64_t left_us = key->probe_until_us - c->now_us;
    return left_us < PROBE_LOOK_US ? left_us : PROBE_LOOK_US;
}

bool quota_key_admit(struct quota_case *c)
{
    struct quota_key *keys[2] = {quota_find_key(c->fleet, c->ask, false, false),
                                 quota_find_key(c->fleet, c->ask, true, false)};
    int64_t longest_us = 0;
    for (int i = 1; i >= 0; i--) {
        if (!keys[i] || keys[i]->cause == KEY_FINE)
            continue;
        int64_t one_us = wait_us(c, keys[i]);
        longest_us = one_us > longest_us ? one_us : longest_us;
        c->out->cause = keys[i]->cause;
    }
    c->out->closed_ms = (longest_us + 999) / 1000;
    if (c->out->cause == KEY_FINE)
        return true;
    if (longest_us > 0 || !c->row->wants)
        return false;
    c->out->probe = true;
    for (int i = 0; i < 2; i++)
        if (keys[i] && keys[i]->cause != KEY_FINE) {
            keys[i]->prober = c->asker->worker;
            keys[i]->probe_until_us = c->now_us + PROBE_US;
        }
    return true;
}
