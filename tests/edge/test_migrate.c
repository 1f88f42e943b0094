// SPDX-License-Identifier: Apache-2.0
// Migrations on a real PostgreSQL: ten at once, the check of what was applied, roles, and the
// columns of the contract's views.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "edge_pg.h"
#include "io/migrate.h"
#include "io/pg_query.h"

static struct edge_pg *pg_of(void **state)
{
    return *state;
}

static int set_up(void **state)
{
    struct edge_pg *pg = own_alloc(sizeof(*pg));
    edge_pg_init(pg);
    *state = pg;
    return 0;
}

static int tear_down(void **state)
{
    edge_pg_deinit(*state);
    free(*state);
    return 0;
}

static void assert_answer(const struct edge_pg *pg, const char *sql, const char *expected)
{
    char *answer = edge_pg_ask(pg, sql);
    if (expected == NULL)
        assert_null(answer);
    else
        assert_string_equal(answer ? answer : "(null)", expected);
    free(answer);
}

static void count_line(void *context, const char *line)
{
    assert_true(strncmp(line, "applied 00", 10) == 0);
    ++*(int *)context;
}

static void test_status_of_an_empty_database(void **state)
{
    struct migrate_row *rows = NULL;
    size_t count = 0;
    struct pg_error error;
    assert_true(migrate_status(pg_of(state)->dsn, &rows, &count, &error));
    assert_int_equal(count, migrate_count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(rows[i].version, i + 1);
        assert_int_equal(rows[i].state, MIGRATE_PENDING);
    }
    free(rows);
}

// Exit status: how many this process applied; 100 where it failed.
static int migrate_in_child(const char *dsn)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    struct pg_error error;
    int applied = 0;
    bool ok = migrate_up(dsn, count_line, &applied, &error);
    if (!ok)
        fprintf(stderr, "child: %s\n", error.text);
    _exit(ok ? applied : 100);
}

static void test_ten_at_once(void **state)
{
    pid_t children[10];
    for (int i = 0; i < 10; i++)
        children[i] = migrate_in_child(pg_of(state)->dsn);
    int applied = 0;
    for (int i = 0; i < 10; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 100);
        applied += WEXITSTATUS(status);
    }
    assert_int_equal(applied, migrate_count);
    struct migrate_row *rows = NULL;
    size_t count = 0;
    struct pg_error error;
    assert_true(migrate_status(pg_of(state)->dsn, &rows, &count, &error));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(rows[i].state, MIGRATE_APPLIED);
        assert_string_not_equal(rows[i].applied_at, "");
    }
    free(rows);
}

static void test_changed_and_newer(void **state)
{
    struct edge_pg *pg = pg_of(state);
    struct pg_error error;
    int applied = 0;
    edge_pg_run(pg, "update precis_data.migrations set sha256 = 'x' || sha256 where version = 1");
    assert_false(migrate_up(pg->dsn, count_line, &applied, &error));
    assert_non_null(strstr(error.text, "another form"));
    edge_pg_run(pg, "update precis_data.migrations set sha256 = substr(sha256, 2)"
                    " where version = 1");
    edge_pg_run(pg, "insert into precis_data.migrations (version, name, sha256, oldest_program)"
                    " values (900, 'newer', '', '0.0.1')");
    assert_true(migrate_up(pg->dsn, count_line, &applied, &error));
    edge_pg_run(pg, "update precis_data.migrations set oldest_program = '10.0.0'"
                    " where version = 900");
    assert_false(migrate_up(pg->dsn, count_line, &applied, &error));
    assert_non_null(strstr(error.text, "10.0.0"));
    edge_pg_run(pg, "delete from precis_data.migrations where version = 900");
    assert_int_equal(applied, 0);
}

static void test_judge(void **state)
{
    (void)state;
    char newest[12];
    snprintf(newest, sizeof(newest), "%zu", migrate_count);
    assert_int_equal(migrate_judge(newest, "0.1.0"), MIGRATE_FITS);
    assert_int_equal(migrate_judge(NULL, NULL), MIGRATE_TOO_OLD);
    assert_int_equal(migrate_judge("0", "0.1.0"), MIGRATE_TOO_OLD);
    assert_int_equal(migrate_judge("99", "0.0.9"), MIGRATE_FITS);
    assert_int_equal(migrate_judge("99", "0.10.0"), MIGRATE_TOO_NEW);
}

static void test_roles(void **state)
{
    struct edge_pg *pg = pg_of(state);
    struct pg_error error;
    if (!migrate_roles(pg->dsn, &error))
        fail_msg("%s", error.text);
    assert_answer(pg,
                  "select has_table_privilege('precis_reader', 'precis.jobs', 'select')"
                  " and not has_schema_privilege('precis_reader', 'precis_data', 'usage')"
                  " and has_table_privilege('precis_worker', 'precis_data.jobs', 'insert')"
                  " and not has_table_privilege('precis_worker', 'precis_data.migrations',"
                  " 'insert')",
                  "t");
    // The reader sees the views, though not what is under them.
    struct pg_session *session = pg_session_open(pg->dsn, "t", &error);
    assert_non_null(session);
    assert_true(pg_script(session, "set role precis_reader", &error));
    assert_true(pg_script(session, "select * from precis.jobs, precis.batches", &error));
    assert_false(pg_script(session, "select * from precis_data.jobs", &error));
    assert_string_equal(error.sqlstate, "42501");
    pg_session_close(session);
    assert_answer(pg,
                  "select count(*) filter (where proowner::regrole::text <> 'precis_migrator')"
                  " || ' of ' || (count(*) > 3)::text from pg_proc"
                  " where pronamespace = 'precis_data'::regnamespace",
                  "0 of true");
    assert_true(migrate_roles(pg->dsn, &error)); // again
}

static void test_no_server(void **state)
{
    (void)state;
    struct pg_error error;
    assert_null(pg_session_open("postgresql://u:secret@127.0.0.1:1/x", "t", &error));
    assert_true(error.connection);
    assert_non_null(strstr(error.text, "127.0.0.1:1/x"));
    assert_null(strstr(error.text, "secret"));
    assert_null(pg_session_open("mysql://u:secret@h/x", "t", &error));
    assert_null(strstr(error.text, "secret"));
}

static void test_errors_quote_no_row(void **state)
{
    struct pg_error error;
    struct pg_session *session = pg_session_open(pg_of(state)->dsn, "t", &error);
    assert_non_null(session);
    assert_false(pg_query(session,
                          "insert into precis_data.outcomes (tenant, batch, id, revision, job_no,"
                          " state, epoch, worker_id) values ('t', 'b', 'SECRET', 0, 1, 'no', 1, 1)",
                          NULL, 0, NULL, &error));
    assert_string_equal(error.sqlstate, "23514");
    assert_non_null(strstr(error.text, "outcomes_state_check"));
    assert_null(strstr(error.text, "SECRET"));
    pg_session_close(session);
}

#define JOB "tenant,batch,job_id,revision,labels,"

// The columns of CONTRACT.md, section 4, in their order.
static const struct {
    const char *view, *columns;
} contract[] = {
    {"jobs", JOB "kind,state,waiting_for,earliest_start_at,priority,deadline,attempts,error_code,"
                 "error,suggestion,submitted_at,started_at,finished_at,worker,kafka_topic,"
                 "kafka_partition,kafka_offset,cost_usd"},
    {"summaries", JOB "summary,key_points,output,warnings,document_name,document_uri,"
                      "document_sha256,language,pages,model,response_model,prompt_version,"
                      "cached_from,input_tokens,output_tokens,cost_usd,finished_at"},
    {"citations", JOB "point,path,quote,found,page,char_start,char_end"},
    {"costs", JOB "call_id,step,attempt,provider,model,response_model,key_name,reasoning_mode,"
                  "outcome,http_status,error_code,input_tokens,cached_input_tokens,output_tokens,"
                  "reasoning_tokens,cost_usd,at_most_usd,cost_source,price_version,"
                  "cost_reported_usd,request_id,finish_reason,started_at,ttft_ms,duration_ms"},
    {"tool_traces", JOB "step,call_id,tool,effect,arguments,result,is_error,attempt,started_at,"
                        "duration_ms"},
    {"batches", "tenant,batch,state,total,queued,waiting,running,done,failed,cancelled,cost_usd,"
                "in_doubt_usd,budget_usd,submitted_at,finished_at"},
};

static void test_views_are_the_contract(void **state)
{
    // Others may follow at the end.
    for (size_t i = 0; i < sizeof(contract) / sizeof(contract[0]); i++) {
        char sql[300];
        snprintf(sql, sizeof(sql),
                 "select left(string_agg(column_name, ',' order by ordinal_position), %zu)"
                 " from information_schema.columns where table_schema = 'precis'"
                 " and table_name = '%s'",
                 strlen(contract[i].columns), contract[i].view);
        assert_answer(pg_of(state), sql, contract[i].columns);
    }
    // Times are timestamptz and money is numeric, everywhere.
    assert_answer(pg_of(state),
                  "select count(*) from information_schema.columns where table_schema = 'precis'"
                  " and ((column_name like '%\\_at' and data_type <> 'timestamp with time zone')"
                  " or (column_name like '%\\_usd' and data_type <> 'numeric'))",
                  "0");
    assert_answer(pg_of(state),
                  "select string_agg(table_name, ',' order by table_name)"
                  " from information_schema.views where table_schema = 'precis'"
                  " and table_name in ('batches', 'citations', 'costs', 'costs_daily',"
                  " 'dead_letters', 'jobs', 'quota', 'summaries', 'tool_traces', 'workers')",
                  "batches,citations,costs,costs_daily,dead_letters,jobs,quota,summaries,"
                  "tool_traces,workers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_of_an_empty_database),
        cmocka_unit_test(test_ten_at_once),
        cmocka_unit_test(test_changed_and_newer),
        cmocka_unit_test(test_judge),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_no_server),
        cmocka_unit_test(test_errors_quote_no_row),
        cmocka_unit_test(test_views_are_the_contract),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
