// SPDX-License-Identifier: Apache-2.0
// What this worker may spend of one lane (a key with a model): the grants it was given, how they
// are paced, what it has not used, and what it owes or is owed since calls were settled.
//
// The fleet's limit lives in the store; here is only what the store gave. A grant is used evenly
// over its spread, since providers enforce parts of a minute: a call may go when all that went
// before it is earned, as in the generic cell rate algorithm. What a late loop missed is caught up
// within the grant. A call that is larger than what is earned goes when nothing is owed, and what
// follows waits longer; more than the grants hold never goes.
//
// What is left of a grant when its time is over is given back with the next ask. Dimensions
// without a limit cost nothing and are never short. Days are counted, not paced.
#ifndef PRECIS_CORE_SPEND_H
#define PRECIS_CORE_SPEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/quota.h"

// Grants that are kept at once; a further one joins the last.
#define SPEND_GRANTS 4

struct spend_grant {
    int64_t given[QUOTA_DIMENSIONS], left[QUOTA_DIMENSIONS];
    int64_t rate[QUOTA_DIMENSIONS]; // a minute, when it was given; 0: not told
    int64_t start_us, spread_us;    // monotonic
    int64_t until_ms;               // what is left then is given back
};

struct spend {
    bool limited[QUOTA_DIMENSIONS];
    bool any; // one of them is
    struct spend_grant grants[SPEND_GRANTS];
    size_t count;
    int64_t next_us[QUOTA_DIMENSIONS]; // when the next of it is earned; monotonic
    double each_us[QUOTA_DIMENSIONS];  // what one of it costs of that clock
    // To be told with the next ask, which clears them (spend_told).
    int64_t back[QUOTA_DIMENSIONS], settled[QUOTA_DIMENSIONS];
};

// `limits` a minute or a day; 0 and less: none.
void spend_init(struct spend *spend, const int64_t limits[QUOTA_DIMENSIONS]);
// The limits are others now (`quota set`, a first word of the store).
void spend_limit(struct spend *spend, const int64_t limits[QUOTA_DIMENSIONS]);
// A grant came, for what was asked at asked_ms. Its times count from there, so that an answer that
// was long on its way is not worth more than what the store remembers; one that is over goes back.
void spend_add(struct spend *spend, const struct quota_grant *grant, int64_t asked_ms,
               int64_t now_ms);
// Gives up what is past its time. Returns when the next grant ends, INT64_MAX where there is none.
int64_t spend_expire(struct spend *spend, int64_t now_ms);
// Gives up all that is there: nothing more will be called here (the key closed, the worker leaves).
void spend_give_up(struct spend *spend);
// Milliseconds until the pace lets `need` go; 0: now; INT64_MAX: the grants do not hold so much.
// What is waited for, where it is not 0, goes into *out_short.
int64_t spend_wait_ms(const struct spend *spend, const int64_t need[QUOTA_DIMENSIONS],
                      int64_t now_ms, enum quota_dimension *out_short);
// Reserves `need`, whose spend_wait_ms is 0.
void spend_take(struct spend *spend, const int64_t need[QUOTA_DIMENSIONS]);
// A call is over, or is found to need something else than was taken for it: the difference is told
// with the next ask. What was not used gives its time back, so that a worker which is alone on a
// lane and reserves too much still uses all of the limit.
void spend_settle(struct spend *spend, const int64_t taken[QUOTA_DIMENSIONS],
                  const int64_t used[QUOTA_DIMENSIONS]);
// What the grants hold.
int64_t spend_in_hand(const struct spend *spend, enum quota_dimension dimension);
// When the pace has let everything go that the grants hold; now_ms where they hold nothing.
int64_t spend_last_ms(const struct spend *spend, int64_t now_ms);
// When the last grant begins; 0 where there is none.
int64_t spend_begin_ms(const struct spend *spend);
// Something is to be told.
bool spend_has_news(const struct spend *spend);
// The ask with `back` and `settled` went out.
void spend_told(struct spend *spend);

#endif
