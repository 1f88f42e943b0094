// SPDX-License-Identifier: Apache-2.0
// What calls in doubt cost, by the provider's own word. Such an attempt ends as `failed`: it was
// answered, and nothing of the answer was of use. Its cost is known from then on, and whoever held
// its upper bound (budgets, by the ledger's triggers) gets back the rest. An attempt that is no
// longer in doubt is left as it is.
#include <stdio.h>

#include "cmd/change.h"
#include "cmd/reconcile_parts.h"

#define CLIENT_ID                                                                                  \
    "j.tenant || '/' || j.batch || '/' || j.id || '/' || j.revision || '/' || a.call_no || '/'"    \
    " || a.plan_no || '/' || a.attempt_no"

// Of an amount, by the weights so far and before: together they are the whole.
#define SHARE_OF(amount)                                                                           \
    "(floor(" amount " * b.upto / b.total) - floor(" amount                                        \
    " * (b.upto - b.weight) / b.total))::bigint"

// Where several calls went as one request, they share what is left of its cost and tokens after
// those that are known, by their bounds; the shares add up.
static const char told_sql[] =
    "with doubt as (select m.line, a.job_no, a.plan_no, a.call_no, a.attempt_no,"
    "   greatest(a.at_most_picousd, 1)::numeric as weight"
    "  from precis_usage_match m join precis_usage_verdict v on v.line = m.line"
    "   and v.verdict = 'in_doubt' and v.file_usd is not null"
    "  join precis_data.jobs j on j.tenant = split_part(m.client_id, '/', 1)"
    "   and j.batch = split_part(m.client_id, '/', 2) and j.id = split_part(m.client_id, '/', 3)"
    "   and j.revision = split_part(m.client_id, '/', 4)::bigint"
    "  join precis_data.attempts a on a.job_no = j.job_no and a.outcome = 'in_doubt'"
    "  where " CLIENT_ID " = m.client_id),"
    " bounds as (select d.*, u.cached, u.input - coalesce(v.ledger_input, 0) as rest_input,"
    "   u.output - coalesce(v.ledger_output, 0) as rest_output,"
    "   u.cost - (v.ledger_usd * 1000000000000)::bigint as rest,"
    "   sum(weight) over (partition by d.line) as total,"
    "   sum(weight) over (partition by d.line order by d.job_no, d.plan_no, d.call_no,"
    "    d.attempt_no) as upto"
    "  from doubt d join precis_usage u on u.line = d.line"
    "  join precis_usage_verdict v on v.line = d.line),"
    " shares as (select b.*, " SHARE_OF(
        "b.rest") " as share,"
                  "   " SHARE_OF("b.rest_input") " as input, " SHARE_OF(
                      "b.rest_output") " as output,"
                                       "   " SHARE_OF(
                                           "b.cached") " as cached_input"
                                                       "  from bounds b where b.rest >= 0),"
                                                       " done as (update precis_data.attempts a "
                                                       "set outcome = 'failed', cost_picousd = "
                                                       "s.share,"
                                                       "   cost_source = case when s.share > 0 "
                                                       "then 'exact' else 'none' end,"
                                                       "   cost_reported_picousd = s.share,"
                                                       "   input_tokens = s.input, "
                                                       "cached_input_tokens = "
                                                       "least(s.cached_input, s.input),"
                                                       "   output_tokens = s.output"
                                                       "  from shares s where a.job_no = s.job_no "
                                                       "and a.plan_no = s.plan_no"
                                                       "   and a.call_no = s.call_no and "
                                                       "a.attempt_no = s.attempt_no and a.outcome "
                                                       "= 'in_doubt'"
                                                       "  returning s.line, s.share)"
                                                       " select count(distinct line), "
                                                       "coalesce(sum(share), 0)::bigint from done";

static const char unpaid_sql[] =
    "with done as (update precis_data.attempts a set outcome = 'failed', cost_picousd = 0,"
    "   cost_source = 'none' from precis_usage_missing m, precis_data.jobs j"
    "  where m.outcome = 'in_doubt' and j.job_no = a.job_no"
    "   and j.tenant = split_part(m.client_id, '/', 1)"
    "   and j.batch = split_part(m.client_id, '/', 2)"
    "   and j.id = split_part(m.client_id, '/', 3)"
    "   and j.revision = split_part(m.client_id, '/', 4)::bigint"
    "   and " CLIENT_ID " = m.client_id and a.outcome = 'in_doubt'"
    "  returning a.at_most_picousd)"
    " select count(*), coalesce(sum(at_most_picousd), 0)::bigint from done";

struct settling {
    bool complete;
    struct reconcile_settled *out;
};

static bool settle(struct pg_session *session, void *context, struct pg_error *out_error)
{
    const struct settling *settling = context;
    struct reconcile_settled *out = settling->out;
    int64_t numbers[2];
    *out = (struct reconcile_settled){0};
    if (!change_numbers(session, &(struct change_ask){.sql = told_sql}, numbers, 2, out_error))
        return false;
    out->told = numbers[0];
    out->told_picousd = numbers[1];
    if (!settling->complete)
        return true;
    if (!change_numbers(session, &(struct change_ask){.sql = unpaid_sql}, numbers, 2, out_error))
        return false;
    out->unpaid = numbers[0];
    out->unpaid_picousd = numbers[1];
    return true;
}

int reconcile_settle(struct invocation *invocation, bool complete, struct reconcile_settled *out)
{
    struct settling settling = {complete, out};
    return change_apply(invocation, settle, &settling);
}
