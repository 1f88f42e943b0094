// SPDX-License-Identifier: Apache-2.0
// The job's state machine: the whole matrix of steps and events, and the ways from a message to its
// end that do not depend on what a model answered (those are in test_job_calls.c).
#include "job_walk.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

// ------------------------------------------------------------------------------- the matrix

enum reaction { HANDLES, IGNORES, ABORTS };

static enum reaction expected(enum step step, enum job_event_kind event)
{
    unsigned bit = 1u << event;
    return step_handles(step) & bit ? HANDLES : step_ignores(step) & bit ? IGNORES : ABORTS;
}

// A job that was put into a step without going there.
static void put_into(struct walk *walk, enum step step)
{
    walk_init(walk);
    walk_job(walk, WALK_JOB(""));
    walk->job->step = step;
    walk->job->wake_ms = 77;
}

static bool aborts(struct walk *walk, enum job_event_kind event)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 1);
        dup2(null, 2);
        signal(SIGABRT, SIG_DFL);
        walk_plain(walk, event);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void every_pair_is_handled_ignored_or_a_bug(void **state)
{
    (void)state;
    int counts[3] = {0};
    for (int step = 0; step < STEP_COUNT; step++) {
        for (int event = 0; event < JOB_EVENT_COUNT; event++) {
            assert_int_equal(step_handles((enum step)step) & step_ignores((enum step)step), 0);
            enum reaction reaction = expected((enum step)step, (enum job_event_kind)event);
            counts[reaction]++;
            if (reaction == HANDLES)
                continue; // walked below and in test_job_calls.c
            struct walk walk;
            put_into(&walk, (enum step)step);
            if (reaction == ABORTS) {
                assert_true(aborts(&walk, (enum job_event_kind)event));
            } else {
                walk_plain(&walk, (enum job_event_kind)event);
                assert_int_equal(walk.verdict, step == STEP_END ? JOB_ENDED : JOB_WAITS);
                assert_int_equal(walk.job->step, step);
                assert_int_equal(walk.job->wake_ms, 77);
                assert_int_equal(walk.actions.count, 0);
            }
            walk_deinit(&walk);
        }
    }
    assert_true(counts[HANDLES] >= STEP_COUNT && counts[IGNORES] > 10 && counts[ABORTS] > 50);
}

// A worker that drains and a wake-up that comes late are never a bug, except before the start.
static void stop_and_wake_are_never_a_bug(void **state)
{
    (void)state;
    for (int step = STEP_NEW + 1; step < STEP_COUNT; step++) {
        assert_int_not_equal(expected((enum step)step, JOB_STOP), ABORTS);
        assert_int_not_equal(expected((enum step)step, JOB_WAKE), ABORTS);
        assert_true(strlen(step_name((enum step)step)) > 0);
    }
}

// ------------------------------------------------------------------------------- claims

static void walk_to_claim(struct walk *walk, const char *value)
{
    walk_init(walk);
    walk_job(walk, value);
    walk_plain(walk, JOB_START);
    ASSERT_STEP(walk, "claim");
    ASSERT_ASKED_ONLY(walk, ACTION_CLAIM);
}

static void a_finished_job_ends_without_a_word(void **state)
{
    (void)state;
    static const enum claim_verdict verdicts[] = {CLAIM_FINISHED, CLAIM_STALE};
    for (size_t i = 0; i < 2; i++) {
        struct walk walk;
        walk_to_claim(&walk, WALK_JOB(""));
        walk_claimed(&walk, (struct claim_reply){.verdict = verdicts[i]});
        assert_int_equal(walk.verdict, JOB_ENDED);
        assert_true(walk.job->had_outcome && !walk.job->dropped);
        assert_int_equal(walk.actions.count, 0);
        walk_deinit(&walk);
    }
}

static void a_message_that_cannot_be_a_job_is_buried(void **state)
{
    (void)state;
    static const struct {
        enum claim_verdict verdict;
        enum err_code code;
    } rows[] = {{CLAIM_CONFLICT, ERR_CONFLICT}, {CLAIM_REJECTED, ERR_STORE_REJECTED}};
    for (size_t i = 0; i < 2; i++) {
        struct walk walk;
        walk_to_claim(&walk, WALK_JOB(""));
        walk_claimed(&walk, (struct claim_reply){.verdict = rows[i].verdict, .sqlstate = "22P05"});
        ASSERT_STEP(&walk, "bury");
        ASSERT_ASKED_ONLY(&walk, ACTION_BURY);
        assert_int_equal(walk.job->failure.code, rows[i].code);
        assert_int_equal(walk.job->bury, BURY_DEAD);
        walk_plain(&walk, JOB_BURIED);
        assert_int_equal(walk.verdict, JOB_ENDED);
        assert_true(walk.job->had_outcome);
        walk_deinit(&walk);
    }
}

static void messages_that_are_no_jobs(void **state)
{
    (void)state;
    struct walk walk;
    struct failure failure;
    struct message message = walk_message("nonsense");
    failure_set(&failure, ERR_BAD_MESSAGE, "no JSON");
    walk_init(&walk);
    walk.job = job_new_bury(raw_message_copy(&message), BURY_DEAD, &failure, walk.now.now_ms);
    walk_plain(&walk, JOB_START);
    ASSERT_ASKED_ONLY(&walk, ACTION_BURY);
    walk_plain(&walk, JOB_BURIED);
    assert_true(walk.verdict == JOB_ENDED && walk.job->had_outcome);
    walk_deinit(&walk);
    walk.job = job_new_seal(raw_message_copy(&message), "acme", "b", 12, walk.now.now_ms);
    walk_plain(&walk, JOB_START);
    ASSERT_STEP(&walk, "seal");
    ASSERT_ASKED_ONLY(&walk, ACTION_SEAL);
    walk_plain(&walk, JOB_SEALED);
    assert_true(walk.verdict == JOB_ENDED && walk.job->had_outcome);
    walk_deinit(&walk);
}

static void another_workers_job_is_looked_up_until_it_is_free(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_claim(&walk, WALK_JOB(""));
    walk_claimed(&walk, (struct claim_reply){.verdict = CLAIM_HELD, .job_no = 5});
    for (int i = 0; i < 3; i++) {
        ASSERT_STEP(&walk, "held");
        assert_int_equal(walk.job->wake_ms, walk.now.now_ms + JOB_HELD_MS);
        walk.now.now_ms += JOB_HELD_MS;
        walk_plain(&walk, JOB_WAKE);
        ASSERT_ASKED_ONLY(&walk, ACTION_LOOK_UP);
        assert_int_equal(walk.job->wake_ms, INT64_MAX); // one question at a time
        walk_looked_up(&walk, i < 2 ? LOOKUP_HELD : LOOKUP_FREE);
    }
    ASSERT_STEP(&walk, "claim");
    ASSERT_ASKED_ONLY(&walk, ACTION_CLAIM);
    walk_claimed_new(&walk);
    ASSERT_STEP(&walk, "admit");
    walk_deinit(&walk);

    walk_to_claim(&walk, WALK_JOB(""));
    walk_claimed(&walk, (struct claim_reply){.verdict = CLAIM_HELD, .job_no = 5});
    walk_plain(&walk, JOB_WAKE);
    walk_looked_up(&walk, LOOKUP_FINISHED);
    assert_true(walk.verdict == JOB_ENDED && walk.job->had_outcome);
    walk_deinit(&walk);
}

static void what_was_stopped_is_cancelled(void **state)
{
    (void)state;
    static const struct {
        enum job_stop stop;
        const char *code;
    } rows[] = {{STOP_CANCELLED, "cancelled"}, {STOP_SUPERSEDED, "superseded"}};
    for (size_t i = 0; i < 6; i++) {
        struct walk walk;
        walk_to_claim(&walk, WALK_JOB(""));
        struct claim_reply reply = {.verdict = CLAIM_MINE, .job_no = 5, .epoch = 1};
        if (i < 2) { // when it is claimed
            reply.stop = rows[i].stop;
            walk_claimed(&walk, reply);
        } else if (i < 4) { // while it waits: the engine asks now and then
            walk_claimed(&walk, reply);
            walk_looked_up(&walk, LOOKUP_HELD);
            ASSERT_STEP(&walk, "admit");
            struct store_event store = {
                .kind = STORE_LOOKED_UP,
                .u.looked_up = {.verdict = LOOKUP_HELD, .stop = rows[i - 2].stop}};
            walk_store(&walk, JOB_LOOKED_UP, &store);
        } else { // when its call is about to leave
            walk_claimed(&walk, reply);
            walk_plain(&walk, JOB_ADMITTED);
            walk_intended(&walk, INTENT_STOPPED, rows[i - 4].stop);
        }
        ASSERT_STEP(&walk, "finish");
        ASSERT_ASKED_ONLY(&walk, ACTION_RECORD);
        assert_int_equal(walk.job->draft.outcome.state, JOB_CANCELLED);
        assert_string_equal(walk.job->draft.outcome.error_code, rows[i % 2].code);
        assert_null(walk.job->draft.outcome.dead_letter);
        assert_false(walk.job->draft.has_attempt);
        walk_finish(&walk);
    }
}

static void a_job_that_ends_workers_fails(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_claim(&walk, WALK_JOB(""));
    walk_claimed(&walk, (struct claim_reply){
                            .verdict = CLAIM_MINE, .job_no = 5, .crashes = JOB_CRASHES_MAX});
    ASSERT_FAILS(&walk, "crashed_workers");
    walk_finish(&walk);
}

// ------------------------------------------------------------------------------- documents

#define STORED_JOB                                                                                 \
    "{\"tenant\":\"acme\",\"batch\":\"b\",\"id\":\"c-1\",\"kind\":\"summarize\",\"document\":{"    \
    "\"stored\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}}"

static void stored_documents_are_fetched(void **state)
{
    (void)state;
    static const struct {
        const char *text, *code;
    } rows[] = {{WALK_TEXT, NULL}, {NULL, "document_missing"}, {" \n\t", "no_text"}};
    for (size_t i = 0; i < 3; i++) {
        struct walk walk;
        walk_to_claim(&walk, STORED_JOB);
        walk_claimed_new(&walk);
        ASSERT_STEP(&walk, "document");
        walk_plain(&walk, JOB_ADMITTED);
        ASSERT_STEP(&walk, "fetch");
        ASSERT_ASKED_ONLY(&walk, ACTION_FETCH);
        walk_fetched(&walk, rows[i].text);
        if (rows[i].code) {
            ASSERT_FAILS(&walk, rows[i].code);
            walk_finish(&walk);
            continue;
        }
        walk_to_call(&walk);
        walk_content(&walk, WALK_SUMMARY, "stop");
        walk_finish(&walk);
    }
}

// ------------------------------------------------------------------------------- refusals

static void refused_before_anything_is_paid(void **state)
{
    (void)state;
    static const struct {
        const char *job, *code;
    } rows[] = {
        {WALK_JOB("\"summarize\":{\"model\":\"third\"},"), "unknown_model"},
        {WALK_JOB("\"max_cost_usd\":\"0.00000001\","), "over_max_cost"},
        {WALK_JOB("\"deadline\":\"2025-01-01T00:00:00Z\",\"on_deadline\":\"fail\","), "expired"},
        {WALK_JOB("\"summarize\":{\"temperature\":0.5,\"reasoning_effort\":\"low\"},"),
         "parameter_conflict"},
        {WALK_JOB("\"summarize\":{\"model\":\"second\"},"), "no_price"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct walk walk;
        walk_init(&walk);
        walk.models[1].price.known = false;
        walk_job(&walk, rows[i].job);
        walk_plain(&walk, JOB_START);
        walk_claimed_new(&walk);
        if (walk.job->step == STEP_ADMIT)
            walk_plain(&walk, JOB_ADMITTED);
        ASSERT_FAILS(&walk, rows[i].code);
        assert_false(walk.job->draft.has_attempt);
        assert_int_equal(walk.job->draft.outcome.attempts, 0);
        walk_finish(&walk);
    }
}

// Where the key stays closed, nobody admits it: it wakes by itself.
static void a_deadline_wakes_a_job_that_waits(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB("\"deadline\":\"2025-11-22T11:00:00Z\","
                                  "\"on_deadline\":\"fail\","));
    int64_t left_ms = walk.job->spec->deadline_ms - walk.now.db_now_ms;
    assert_true(left_ms > 0);
    assert_int_equal(walk.job->wake_ms, walk.now.now_ms + left_ms);
    assert_true(job_is_ready(walk.job, walk.now.now_ms));
    walk.now.now_ms += left_ms - 1;
    walk.now.db_now_ms += left_ms - 1;
    walk_plain(&walk, JOB_WAKE);
    ASSERT_STEP(&walk, "admit");
    assert_int_equal(walk.job->wake_ms, walk.now.now_ms + 1);
    walk.now.now_ms++;
    walk.now.db_now_ms++;
    walk_plain(&walk, JOB_WAKE);
    ASSERT_FAILS(&walk, "expired");
    walk_finish(&walk);
}

static void a_deadline_may_pass_while_the_job_waits(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB("\"deadline\":\"2025-11-22T11:00:00Z\","
                                  "\"on_deadline\":\"fail\","));
    walk.now.db_now_ms += 3600000;
    walk_plain(&walk, JOB_ADMITTED);
    ASSERT_FAILS(&walk, "expired");
    walk_finish(&walk);
}

static void not_before_is_waited_for(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB("\"not_before\":\"2025-11-22T10:00:30Z\","));
    assert_int_equal(walk.job->wake_ms, walk.now.now_ms + 30000);
    assert_false(job_is_ready(walk.job, walk.now.now_ms + 29999));
    assert_true(job_is_ready(walk.job, walk.now.now_ms + 30000));
    walk_deinit(&walk);
}

// ------------------------------------------------------------------------------- fences, leases

static void a_lost_claim_is_held_and_taken_up_again(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB(""));
    walk_plain(&walk, JOB_ADMITTED);
    walk_intended(&walk, INTENT_FENCED, STOP_NONE);
    ASSERT_STEP(&walk, "held");
    assert_int_equal(walk.job->wake_ms, walk.now.now_ms + JOB_HELD_MS);
    walk_plain(&walk, JOB_WAKE);
    walk_looked_up(&walk, LOOKUP_FREE);
    walk_claimed(&walk, (struct claim_reply){.verdict = CLAIM_MINE, .job_no = 5, .epoch = 3});
    assert_int_equal(walk.job->epoch, 3);
    walk_to_call(&walk);
    walk_content(&walk, WALK_SUMMARY, "stop");
    walk_recorded(&walk, RECORD_FENCED); // and lost once more, with the answer in hand
    ASSERT_STEP(&walk, "held");
    assert_false(walk.job->had_outcome);
    walk_plain(&walk, JOB_WAKE);
    walk_looked_up(&walk, LOOKUP_FINISHED);
    assert_true(walk.verdict == JOB_ENDED && walk.job->had_outcome);
    walk_deinit(&walk);
}

static void without_a_lease_nothing_leaves(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB(""));
    walk_plain(&walk, JOB_ADMITTED);
    walk_intended(&walk, INTENT_NO_LEASE, STOP_NONE);
    ASSERT_STEP(&walk, "admit");
    assert_int_equal(walk.job->wake_ms, walk.now.now_ms + 1000);
    walk.now.now_ms += 1000;
    walk_plain(&walk, JOB_ADMITTED);
    walk.now.lease_valid = false; // it ended while the row was written
    walk_intended(&walk, INTENT_GO, STOP_NONE);
    ASSERT_STEP(&walk, "record");
    ASSERT_ASKED_ONLY(&walk, ACTION_RECORD);
    ASSERT_ATTEMPT(&walk, ATTEMPT_CANCELLED, "none");
    assert_int_equal(walk.job->draft.attempt.attempt_no, 1);
    assert_int_equal(walk.job->draft.attempt.cost_source, COST_NONE);
    walk_recorded(&walk, RECORD_DONE);
    walk.now.lease_valid = true;
    walk_to_call(&walk);
    assert_int_equal(walk.job->call.last_attempt_no, 2);
    walk_content(&walk, WALK_SUMMARY, "stop");
    walk_finish(&walk);
}

static void what_postgresql_refuses_fails_the_job(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB(""));
    walk_plain(&walk, JOB_ADMITTED);
    walk_intended(&walk, INTENT_REJECTED, STOP_NONE);
    ASSERT_FAILS(&walk, "store_rejected");
    walk_finish(&walk);

    walk_to_admit(&walk, WALK_JOB(""));
    walk_to_call(&walk);
    walk_content(&walk, WALK_SUMMARY, "stop");
    walk_recorded(&walk, RECORD_REJECTED);
    ASSERT_FAILS(&walk, "store_rejected");
    assert_true(walk.job->draft.has_attempt); // the ledger has its row all the same
    assert_int_equal(walk.job->draft.attempt.cost_picousd, 300);
    assert_null(walk.job->draft.attempt.response_model);
    assert_false(walk.job->draft.has_part);
    walk_recorded(&walk, RECORD_REJECTED); // the message itself may be what is refused
    ASSERT_STEP(&walk, "finish");
    ASSERT_ASKED_ONLY(&walk, ACTION_RECORD);
    assert_null(walk.job->draft.outcome.dead_letter);
    walk_recorded(&walk, RECORD_REJECTED); // not asked for ever without a pause
    ASSERT_STEP(&walk, "held");
    assert_int_equal(walk.actions.count, 0);
    assert_false(walk.job->had_outcome);
    walk_deinit(&walk);
}

// ------------------------------------------------------------------------------- resuming

#define RANGES                                                                                     \
    "[{\"kind\":\"part\",\"from\":0,\"to\":30},{\"kind\":\"part\",\"from\":30,\"to\":56},"         \
    "{\"kind\":\"part\",\"from\":56,\"to\":78},{\"kind\":\"combine\",\"from\":0,\"to\":3}]"

static void save_plan(struct claim_reply *reply, const char *model, const char *calls)
{
    reply->plans = own_array(1, sizeof(*reply->plans));
    reply->plan_count = 1;
    reply->plans[0] = (struct saved_plan){.plan_no = 2,
                                          .model = own_strdup(model),
                                          .prompt_version = own_strdup(PROMPT_VERSION),
                                          .calls_json = own_strdup(calls)};
    text_sha256_hex(WALK_TEXT, strlen(WALK_TEXT), reply->plans[0].text_sha256);
}

static void save_part(struct claim_reply *reply, int32_t call_no, const char *answer)
{
    reply->parts = own_grow(reply->parts, reply->part_count + 1, sizeof(*reply->parts));
    reply->parts[reply->part_count++] =
        (struct saved_part){.plan_no = 2, .call_no = call_no, .answer = own_strdup(answer)};
}

static void save_attempt(struct claim_reply *reply, struct saved_attempt attempt)
{
    reply->attempts = own_grow(reply->attempts, reply->attempt_count + 1, sizeof(*reply->attempts));
    attempt.plan_no = 2;
    attempt.code = own_strdup(attempt.code);
    attempt.answer = own_strdup(attempt.answer);
    reply->attempts[reply->attempt_count++] = attempt;
}

static struct claim_reply taken_over(void)
{
    return (struct claim_reply){.verdict = CLAIM_MINE, .job_no = 5, .epoch = 2, .crashes = 1};
}

static void a_job_goes_on_where_it_stood(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_claim(&walk, WALK_JOB(""));
    struct claim_reply reply = taken_over();
    save_plan(&reply, "second", RANGES);
    save_part(&reply, 1, "{\"summary\":\"one\"}");
    save_part(&reply, 2, "{\"summary\":\"two\"}");
    save_attempt(&reply,
                 (struct saved_attempt){.call_no = 1, .attempt_no = 1, .outcome = ATTEMPT_OK});
    save_attempt(&reply, (struct saved_attempt){.call_no = 3,
                                                .attempt_no = 1,
                                                .outcome = ATTEMPT_FAILED,
                                                .code = S("http_503")});
    save_attempt(
        &reply, (struct saved_attempt){.call_no = 3, .attempt_no = 2, .outcome = ATTEMPT_IN_DOUBT});
    walk_claimed(&walk, reply);
    ASSERT_STEP(&walk, "admit");
    assert_string_equal(walk.job->plan.model->name, "second");
    assert_true(walk.job->plan.no == 2 && walk.job->plan.stored);
    assert_int_equal(walk.job->plan.cursor, 2);
    assert_int_equal(walk.job->call.last_attempt_no, 2);
    assert_int_equal(walk.job->call.attempts_used, 1);
    assert_int_equal(walk.job->call.doubtful, 1);
    assert_int_equal(walk.job->attempts_all, 3);
    walk_to_call(&walk);
    assert_non_null(strstr(buf_str(&walk.job->call.body), "The term ends in May"));
    assert_null(strstr(buf_str(&walk.job->call.body), "agree on services"));
    walk_content(&walk, WALK_SUMMARY, "stop");
    assert_int_equal(walk.job->draft.attempt.attempt_no, 3);
    walk_recorded(&walk, RECORD_DONE);
    walk_to_call(&walk); // the combination of three answers, two of them from before
    assert_int_equal(walk.job->call.last_attempt_no, 1);
    assert_non_null(strstr(buf_str(&walk.job->call.body), "\\\"two\\\""));
    walk_content(&walk, WALK_SUMMARY, "stop");
    assert_int_equal(walk.job->draft.outcome.state, JOB_DONE);
    walk_finish(&walk);
}

static void a_job_with_all_answers_only_ends(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_claim(&walk, WALK_JOB(""));
    struct claim_reply reply = taken_over();
    save_plan(&reply, "first", "[{\"kind\":\"whole\",\"from\":0,\"to\":78}]");
    save_part(&reply, 1, WALK_SUMMARY);
    walk_claimed(&walk, reply);
    ASSERT_STEP(&walk, "finish");
    ASSERT_ASKED_ONLY(&walk, ACTION_RECORD);
    assert_false(walk.job->draft.has_attempt);
    assert_int_equal(walk.job->draft.outcome.state, JOB_DONE);
    walk_finish(&walk);
}

static void a_plan_that_does_not_fit_is_made_anew(void **state)
{
    (void)state;
    static const char *const calls[] = {
        "[{\"kind\":\"whole\",\"from\":0,\"to\":79}]",
        "[{\"kind\":\"part\",\"from\":5,\"to\":5}]",
        "[{\"kind\":\"combine\",\"from\":0,\"to\":1}]",
        "[{\"kind\":\"other\",\"from\":0,\"to\":1}]",
        "[]",
        "{",
    };
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]) + 1; i++) {
        bool gone = i == sizeof(calls) / sizeof(calls[0]); // a model that is configured no more
        struct walk walk;
        walk_to_claim(&walk, WALK_JOB(""));
        struct claim_reply reply = taken_over();
        save_plan(&reply, gone ? "gone" : "first", gone ? RANGES : calls[i]);
        save_part(&reply, 1, WALK_SUMMARY);
        walk_claimed(&walk, reply);
        ASSERT_STEP(&walk, "admit");
        assert_int_equal(walk.job->plan.no, 3);
        assert_int_equal(walk.job->plan.count, 1);
        assert_int_equal(walk.job->plan.cursor, 0);
        assert_string_equal(walk.job->plan.model->name, "first");
        walk_deinit(&walk);
    }
}

// Two workers ended while the same call was under way: it is not bought a third time.
static void two_crashes_in_a_call_leave_it_in_doubt(void **state)
{
    (void)state;
    for (int reopened = 0; reopened < 2; reopened++) {
        struct walk walk;
        walk_to_claim(&walk, WALK_JOB(""));
        struct claim_reply reply = taken_over();
        save_plan(&reply, "first", "[{\"kind\":\"whole\",\"from\":0,\"to\":78}]");
        for (int32_t i = 1; i <= 2; i++)
            save_attempt(&reply, (struct saved_attempt){.call_no = 1,
                                                        .attempt_no = i,
                                                        .reopened = reopened,
                                                        .outcome = ATTEMPT_IN_DOUBT});
        walk_claimed(&walk, reply);
        walk_plain(&walk, JOB_ADMITTED);
        if (reopened) { // `retry` asked for it: a new start
            ASSERT_STEP(&walk, "intent");
            walk_deinit(&walk);
            continue;
        }
        ASSERT_FAILS(&walk, "in_doubt");
        assert_false(walk.job->draft.has_attempt);
        walk_finish(&walk);
    }
}

static void saved_repairs_and_widenings_are_not_bought_again(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_claim(&walk, WALK_JOB(""));
    struct claim_reply reply = taken_over();
    save_plan(&reply, "first", "[{\"kind\":\"whole\",\"from\":0,\"to\":78}]");
    save_attempt(&reply, (struct saved_attempt){.call_no = 1,
                                                .attempt_no = 1,
                                                .outcome = ATTEMPT_FAILED,
                                                .code = S("not_json"),
                                                .answer = S("words, no JSON")});
    save_attempt(&reply, (struct saved_attempt){.call_no = 1,
                                                .attempt_no = 2,
                                                .outcome = ATTEMPT_FAILED,
                                                .code = S("output_limit")});
    walk_claimed(&walk, reply);
    assert_true(walk.job->call.repaired && walk.job->call.widened);
    walk_to_call(&walk);
    assert_non_null(strstr(buf_str(&walk.job->call.body), "words, no JSON"));
    walk_content(&walk, "again no JSON", "stop");
    ASSERT_FAILS(&walk, "not_json");
    walk_finish(&walk);
}

// ------------------------------------------------------------------------------- draining

static void a_draining_worker_lets_go(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_claim(&walk, WALK_JOB(""));
    walk_claimed(&walk, (struct claim_reply){.verdict = CLAIM_HELD, .job_no = 5});
    walk_plain(&walk, JOB_STOP);
    assert_true(walk.verdict == JOB_ENDED && walk.job->dropped && !walk.job->had_outcome);
    walk_deinit(&walk);

    walk_to_admit(&walk, WALK_JOB(""));
    walk_plain(&walk, JOB_STOP);
    assert_true(walk.verdict == JOB_ENDED && walk.job->dropped && !walk.job->had_outcome);
    walk_deinit(&walk);

    walk_to_admit(&walk, WALK_JOB(""));
    walk_to_call(&walk);
    walk_plain(&walk, JOB_STOP);
    ASSERT_STEP(&walk, "record");
    ASSERT_ASKED(&walk, ACTION_CANCEL_CALL);
    ASSERT_ATTEMPT(&walk, ATTEMPT_IN_DOUBT, "connection_lost");
    assert_false(walk.job->draft.has_outcome);
    walk_recorded(&walk, RECORD_DONE);
    assert_true(walk.verdict == JOB_ENDED && walk.job->dropped && !walk.job->had_outcome);
    walk_deinit(&walk);
}

// The last allowed doubt is no reason to fail a job that the next worker may know more about.
static void a_draining_worker_decides_nothing(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB(""));
    walk_to_call(&walk);
    walk_broken(&walk);
    walk_recorded(&walk, RECORD_DONE);
    walk_to_call(&walk);
    walk_plain(&walk, JOB_STOP);
    ASSERT_STEP(&walk, "record");
    assert_false(walk.job->draft.has_outcome);
    walk_recorded(&walk, RECORD_DONE);
    assert_true(walk.verdict == JOB_ENDED && walk.job->dropped);
    walk_deinit(&walk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_is_handled_ignored_or_a_bug),
        cmocka_unit_test(stop_and_wake_are_never_a_bug),
        cmocka_unit_test(a_finished_job_ends_without_a_word),
        cmocka_unit_test(a_message_that_cannot_be_a_job_is_buried),
        cmocka_unit_test(messages_that_are_no_jobs),
        cmocka_unit_test(another_workers_job_is_looked_up_until_it_is_free),
        cmocka_unit_test(what_was_stopped_is_cancelled),
        cmocka_unit_test(a_job_that_ends_workers_fails),
        cmocka_unit_test(stored_documents_are_fetched),
        cmocka_unit_test(refused_before_anything_is_paid),
        cmocka_unit_test(a_deadline_may_pass_while_the_job_waits),
        cmocka_unit_test(a_deadline_wakes_a_job_that_waits),
        cmocka_unit_test(not_before_is_waited_for),
        cmocka_unit_test(a_lost_claim_is_held_and_taken_up_again),
        cmocka_unit_test(without_a_lease_nothing_leaves),
        cmocka_unit_test(what_postgresql_refuses_fails_the_job),
        cmocka_unit_test(a_job_goes_on_where_it_stood),
        cmocka_unit_test(a_job_with_all_answers_only_ends),
        cmocka_unit_test(a_plan_that_does_not_fit_is_made_anew),
        cmocka_unit_test(two_crashes_in_a_call_leave_it_in_doubt),
        cmocka_unit_test(saved_repairs_and_widenings_are_not_bought_again),
        cmocka_unit_test(a_draining_worker_lets_go),
        cmocka_unit_test(a_draining_worker_decides_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
