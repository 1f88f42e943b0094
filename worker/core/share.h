// SPDX-License-Identifier: Apache-2.0
// Whose jobs come into a worker's window next: what each tenant was given, and what stands there.
//
// core/order says who of the window goes next; that can be fair only between tenants that have
// something in the window. So tenants are brought in by the same measure: virtual time, which is
// tokens by weight (TAKE_TOKEN_TIME a token). That of a tenant is what its calls
// were given so far, and on top what of it stands in the window and has not begun. Who has least is
// brought in next, and who has most leaves for others. Who comes anew, or comes back, begins where
// the one begins who was given least of those that stand, less the credit of core/order: it catches
// up on nothing else.
//
// Pure. Tenants that have nothing and are owed nothing are forgotten.
#ifndef PRECIS_CORE_SHARE_H
#define PRECIS_CORE_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What the asking worker knows of a tenant: where its next job stands in virtual time (tokens times
// TAKE_TOKEN_TIME by weight), against the others.
struct take_share {
    const char *tenant;
    int64_t weight, time;
    bool stands; // something of it waits in the window
};

#define TAKE_TOKEN_TIME 1000
// What a job counts whose size is not known.
#define TAKE_TOKENS 1000

struct shares;

struct share {
    char *tenant;
    int64_t weight;
    int64_t time;  // virtual, of what its calls were given; see shares_now
    int64_t first; // the virtual time of the first of it that would stand there next
    bool stands;   // something of it does
};

struct shares *shares_new(void);
// As order_set_credit.
void shares_set_credit(struct shares *shares, int64_t tokens);
void shares_free(struct shares *shares);
// Calls of the tenant were given so many tokens more (or fewer than was thought: negative).
void shares_serve(struct shares *shares, const char *tenant, int64_t weight, int64_t tokens);
// The window is counted anew: nothing stands. Then shares_stand for each that does.
void shares_recount(struct shares *shares);
// A job of the tenant stands in the window, behind those that were told before. The virtual time
// at which it begins.
int64_t shares_stand(struct shares *shares, const char *tenant, int64_t weight, int64_t tokens);
// The virtual time at which the tenant's next one would begin.
int64_t shares_first(const struct shares *shares, const char *tenant, int64_t weight);
bool shares_knows(const struct shares *shares, const char *tenant);
// The virtual time from which those begin that are new, before their credit.
int64_t shares_now(const struct shares *shares);
// All that are remembered, sorted by tenant; `*out` is valid until the next call of another
// function. Those that are not among them begin at shares_first.
size_t shares_list(const struct shares *shares, const struct share **out);

#endif
