// SPDX-License-Identifier: Apache-2.0
// From a claim to a text: what is fetched, read, kept and tried again, and what is never paid for.
#include "job_walk.h"

#define SHA       "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
#define OTHER_SHA "0000000000000000000000000000000000000000000000000000000000000001"
#define JOB(document)                                                                              \
    "{\"tenant\":\"acme\",\"batch\":\"b\",\"id\":\"c-1\",\"kind\":\"summarize\",\"document\":"     \
    "{" document "}}"
#define STORED JOB("\"stored\":\"" SHA "\",\"media_type\":\"application/pdf\",\"name\":\"a.pdf\"")
#define DATA   JOB("\"data\":\"aGVsbG8K\",\"media_type\":\"application/pdf\"")
#define URL                                                                                        \
    JOB("\"url\":\"https://ann:secret@h.example:8443/a%20b/c.pdf?sig=secret#p2\","                 \
        "\"media_type\":\"application/pdf\"")
#define PAGES                                                                                      \
    "Page one. The parties agree on services.\n\f"                                                 \
    "Page two. The price is one hundred.\n\f"

static void fetched(struct walk *walk, struct store_event store)
{
    store.kind = STORE_FETCHED;
    walk_store(walk, JOB_FETCHED, &store);
}

static void fetched_size(struct walk *walk, int64_t size)
{
    fetched(walk, (struct store_event){.u.fetched = {.found = true, .size = size}});
}

static void fetched_bytes(struct walk *walk, const char *bytes)
{
    fetched(walk,
            (struct store_event){
                .u.fetched = {.found = true, .bytes = bytes, .size = (int64_t)strlen(bytes)}});
    ASSERT_ASKED_ONLY(walk, ACTION_EXTRACT);
    assert_ptr_equal(walk->job->document.bytes, bytes);
    walk->job->document.bytes = NULL; // as the engine does
}

static void extracted(struct walk *walk, const char *text, int32_t pages)
{
    static const char *const warnings[] = {"2 pictures were left out"};
    struct extract_event event = {.text = text,
                                  .text_len = strlen(text),
                                  .pages = pages,
                                  .sha256 = SHA,
                                  .media_type = "application/pdf",
                                  .extractor = "pdf-1",
                                  .warnings = warnings,
                                  .warning_count = 1};
    walk_event(walk, &(struct job_event){.kind = JOB_EXTRACTED, .extract = &event});
}

static void not_extracted(struct walk *walk, enum err_code code, int64_t retry_after_ms)
{
    struct failure failure;
    failure_set(&failure, code, "why");
    failure.retry_after_ms = retry_after_ms;
    struct extract_event event = {.failure = &failure};
    walk_event(walk, &(struct job_event){.kind = JOB_EXTRACTED, .extract = &event});
}

static void kept(struct walk *walk, bool rejected)
{
    struct store_event store = {.kind = STORE_KEPT,
                                .u.kept = {.rejected = rejected, .sqlstate = "22021"}};
    walk_store(walk, JOB_KEPT, &store);
}

// There is room: a stored or kept text is looked for.
static void walk_to_look(struct walk *walk)
{
    ASSERT_STEP(walk, "document");
    assert_true(job_wants_document(walk->job, walk->now.now_ms));
    walk_plain(walk, JOB_ADMITTED);
    ASSERT_STEP(walk, "fetch");
    ASSERT_ASKED_ONLY(walk, ACTION_FETCH);
}

static void walk_to_fetch(struct walk *walk, const char *value)
{
    walk_init(walk);
    walk_job(walk, value);
    walk_plain(walk, JOB_START);
    walk_claimed_new(walk);
    walk_to_look(walk);
}

// To the wait for an extractor.
static void walk_to_document(struct walk *walk, const char *value)
{
    walk_to_fetch(walk, value);
    fetched_size(walk, 6);
    ASSERT_STEP(walk, "document");
    assert_int_equal(walk->actions.count, 0);
}

static void walk_to_extract(struct walk *walk)
{
    ASSERT_STEP(walk, "document");
    assert_true(job_wants_document(walk->job, walk->now.now_ms));
    walk_plain(walk, JOB_ADMITTED);
    ASSERT_STEP(walk, "extract");
    ASSERT_ASKED_ONLY(walk, ACTION_FETCH_BYTES);
    fetched_bytes(walk, "hello\n");
    ASSERT_STEP(walk, "extract");
}

// ------------------------------------------------------------------------------- the way through

static void bytes_become_text_that_is_kept_first(void **state)
{
    (void)state;
    static const char *const values[] = {STORED, DATA};
    for (size_t i = 0; i < 2; i++) {
        struct walk walk;
        walk_to_document(&walk, values[i]);
        assert_null(walk.job->spec->data); // PostgreSQL has it
        walk_to_extract(&walk);
        assert_true(job_bytes(walk.job) >= sizeof(struct job) + 6);
        extracted(&walk, PAGES, 2);
        ASSERT_STEP(&walk, "keep");
        ASSERT_ASKED_ONLY(&walk, ACTION_KEEP_TEXT);
        assert_string_equal(walk.job->text, PAGES);
        assert_string_equal(walk.job->document.extractor, "pdf-1");
        kept(&walk, false);
        walk_to_call(&walk);
        walk_content(&walk, WALK_SUMMARY, "stop");
        ASSERT_STEP(&walk, "finish");
        const struct summary_row *row = walk.job->draft.outcome.summary;
        assert_int_equal(row->pages, 2);
        assert_string_equal(row->document_sha256, SHA);
        assert_null(row->document_uri);
        assert_int_equal(row->citation_count, 3);
        assert_int_equal(row->citations[0].page, 1);
        assert_int_equal(row->citations[1].page, 2);
        assert_int_equal(row->citations[2].page, 0); // not found
        bool warned = false;
        for (size_t w = 0; w < row->warning_count; w++)
            warned = warned || strcmp(row->warnings[w], "2 pictures were left out") == 0;
        assert_true(warned);
        walk_finish(&walk);
    }
}

static void a_kept_text_is_used_again(void **state)
{
    (void)state;
    static const char *const warnings[] = {"kept"};
    struct walk walk;
    walk_to_fetch(&walk, STORED);
    fetched(&walk, (struct store_event){.u.fetched = {.found = true,
                                                      .text = PAGES,
                                                      .text_len = strlen(PAGES),
                                                      .kept = true,
                                                      .pages = 2,
                                                      .warnings = warnings,
                                                      .warning_count = 1}});
    assert_int_equal(walk.job->document.pages, 2);
    assert_string_equal(walk.job->document.warnings[0], "kept");
    walk_to_call(&walk);
    walk_deinit(&walk);
}

static void a_url_is_read_and_shown_without_secrets(void **state)
{
    (void)state;
    struct walk walk;
    walk_init(&walk);
    walk_job(&walk, URL);
    walk_plain(&walk, JOB_START);
    walk_claimed_new(&walk);
    ASSERT_STEP(&walk, "document");
    walk_plain(&walk, JOB_ADMITTED);
    ASSERT_STEP(&walk, "extract");
    ASSERT_ASKED_ONLY(&walk, ACTION_EXTRACT);
    extracted(&walk, WALK_TEXT, 0);
    assert_string_equal(walk.job->document.sha256, SHA);
    kept(&walk, false);
    walk_to_call(&walk);
    walk_content(&walk, WALK_SUMMARY, "stop");
    const struct summary_row *row = walk.job->draft.outcome.summary;
    assert_string_equal(row->document_uri, "https://h.example:8443/a%20b/c.pdf");
    assert_string_equal(row->document_sha256, SHA);
    assert_int_equal(row->citations[0].page, 0); // no pages
    walk_finish(&walk);
}

// A URL's job that was taken over knows from its claim what was read first.
static void a_url_goes_on_with_what_was_read_first(void **state)
{
    (void)state;
    static const struct {
        const char *value, *known, *looked_for;
    } rows[] = {
        {URL, SHA, SHA},
        {JOB("\"url\":\"file:///a.pdf\",\"sha256\":\"" SHA "\""), "", SHA},
        {JOB("\"url\":\"file:///a.pdf\",\"sha256\":\"" SHA "\""), OTHER_SHA, OTHER_SHA},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct walk walk;
        struct claim_reply reply = {.verdict = CLAIM_MINE, .job_no = 5, .epoch = 2};
        memcpy(reply.document_sha256, rows[i].known, strlen(rows[i].known) + 1);
        walk_init(&walk);
        walk_job(&walk, rows[i].value);
        walk_plain(&walk, JOB_START);
        walk_claimed(&walk, reply);
        walk_to_look(&walk);
        assert_string_equal(walk.job->document.sha256, rows[i].looked_for);
        fetched(&walk,
                (struct store_event){.kind = STORE_FETCHED}); // nothing is kept: it is read again
        ASSERT_STEP(&walk, "document");
        walk_deinit(&walk);
    }
}

// Another worker had the job meanwhile: its text counts, not the one that is still here.
static void a_job_that_was_lost_reads_the_kept_text(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_document(&walk, STORED);
    walk_to_extract(&walk);
    extracted(&walk, PAGES, 2);
    kept(&walk, false);
    walk_plain(&walk, JOB_ADMITTED);
    walk_intended(&walk, INTENT_FENCED, STOP_NONE);
    ASSERT_STEP(&walk, "held");
    walk_looked_up(&walk, LOOKUP_FREE);
    ASSERT_STEP(&walk, "claim");
    walk_claimed(&walk,
                 (struct claim_reply){
                     .verdict = CLAIM_MINE, .job_no = 5, .epoch = 3, .document_sha256 = OTHER_SHA});
    assert_null(walk.job->text);
    walk_to_look(&walk);
    assert_string_equal(walk.job->document.sha256, OTHER_SHA);
    fetched(&walk, (struct store_event){.u.fetched = {.found = true,
                                                      .text = WALK_TEXT,
                                                      .text_len = strlen(WALK_TEXT),
                                                      .kept = true}});
    ASSERT_STEP(&walk, "admit");
    assert_string_equal(walk.job->text, WALK_TEXT);
    assert_int_equal(walk.job->document.pages, 0);
    assert_int_equal(walk.job->document.warning_count, 0);
    walk_deinit(&walk);
}

static void the_row_says_what_the_message_does_not(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_fetch(&walk, JOB("\"stored\":\"" SHA "\""));
    fetched(&walk, (struct store_event){
                       .u.fetched = {.found = true, .size = 9, .media_type = "application/pdf"}});
    ASSERT_STEP(&walk, "fetch"); // once more, with the extractor that is now known
    ASSERT_ASKED_ONLY(&walk, ACTION_FETCH);
    assert_string_equal(walk.job->document.media_type, "application/pdf");
    fetched(&walk, (struct store_event){
                       .u.fetched = {.found = true, .size = 9, .media_type = "application/pdf"}});
    ASSERT_STEP(&walk, "document");
    walk_deinit(&walk);
}

static void only_plain_text_is_taken_from_a_stored_text(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool plain;
    } rows[] = {
        {JOB("\"stored\":\"" SHA "\""), true},
        {JOB("\"stored\":\"" SHA "\",\"media_type\":\"text/markdown\""), true},
        {JOB("\"stored\":\"" SHA "\",\"media_type\":\"text/html\""), false},
        {STORED, false},
    };
    struct config_command own[] = {{.name = S("text/markdown")}, {0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct walk walk;
        walk_to_fetch(&walk, rows[i].value);
        assert_int_equal(document_is_plain(walk.job, &walk.config), rows[i].plain);
        walk.config.documents.extractors = own; // unless a program reads such texts
        assert_int_equal(document_is_plain(walk.job, &walk.config), rows[i].plain && i != 1);
        walk_deinit(&walk);
    }
}

// ------------------------------------------------------------------------------- what goes wrong

static void what_cannot_be_read_costs_nothing(void **state)
{
    (void)state;
    static const struct {
        enum err_code code;
        const char *text;
    } rows[] = {{ERR_NO_TEXT, "no_text"},
                {ERR_UNREADABLE, "unreadable"},
                {ERR_TOO_LARGE, "too_large"},
                {ERR_FORBIDDEN_URL, "forbidden_url"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct walk walk;
        walk_to_document(&walk, STORED);
        walk_to_extract(&walk);
        not_extracted(&walk, rows[i].code, 0);
        ASSERT_FAILS(&walk, rows[i].text);
        assert_false(walk.job->draft.has_attempt);
        assert_int_equal(walk.job->spent_picousd, 0);
        walk_finish(&walk);
    }
}

static void a_blank_text_is_no_text(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_document(&walk, STORED);
    walk_to_extract(&walk);
    extracted(&walk, "\n\f \n\f", 2);
    ASSERT_FAILS(&walk, "no_text");
    walk_finish(&walk);
}

static void passing_faults_are_tried_again(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_document(&walk, STORED);
    for (int i = 1; i < 3; i++) { // retry.attempts is 3
        walk_to_extract(&walk);
        not_extracted(&walk, ERR_CONNECTION_LOST, 0);
        ASSERT_STEP(&walk, "document");
        assert_int_equal(walk.job->not_before_ms - walk.now.now_ms, i * 1000);
        assert_int_equal(walk.job->wake_ms, walk.job->not_before_ms);
        assert_false(job_wants_document(walk.job, walk.now.now_ms));
        walk.now.now_ms = walk.job->not_before_ms;
        walk_plain(&walk, JOB_WAKE);
        assert_int_equal(walk.job->wake_ms, INT64_MAX);
    }
    walk_to_extract(&walk);
    not_extracted(&walk, ERR_CONNECTION_LOST, 0);
    ASSERT_FAILS(&walk, "connection_lost");
    assert_false(walk.job->draft.has_attempt);
    walk_finish(&walk);
}

static void the_server_says_when(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_document(&walk, STORED);
    walk_to_extract(&walk);
    not_extracted(&walk, ERR_RATE_LIMITED, 30000);
    assert_int_equal(walk.job->not_before_ms - walk.now.now_ms, 30000);
    walk.now.now_ms += 30000;
    walk_to_extract(&walk);
    extracted(&walk, WALK_TEXT, 0);
    kept(&walk, false);
    ASSERT_STEP(&walk, "admit");
    assert_true(job_is_ready(walk.job, walk.now.now_ms)); // the wait was the document's
    walk_deinit(&walk);
}

static void what_is_missing_or_refused_fails(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_fetch(&walk, STORED);
    fetched(&walk, (struct store_event){.kind = STORE_FETCHED});
    ASSERT_FAILS(&walk, "document_missing");
    walk_finish(&walk);
    walk_to_document(&walk, STORED);
    walk_plain(&walk, JOB_ADMITTED);
    fetched(&walk, (struct store_event){.kind = STORE_FETCHED}); // it was there a moment ago
    ASSERT_FAILS(&walk, "document_missing");
    walk_finish(&walk);
    walk_to_document(&walk, STORED);
    walk_to_extract(&walk);
    extracted(&walk, WALK_TEXT, 0);
    kept(&walk, true);
    ASSERT_FAILS(&walk, "store_rejected");
    walk_finish(&walk);
}

static void without_an_extractor_only_text_is_read(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_fetch(&walk, STORED);
    walk.now.can_extract = false;
    fetched_size(&walk, 6);
    ASSERT_FAILS(&walk, "unreadable");
    walk_finish(&walk);
}

// ------------------------------------------------------------------------------- stops

static void a_leaving_worker_reads_nothing_more(void **state)
{
    (void)state;
    static const struct {
        bool admitted, bytes, cancels;
    } rows[] = {{false, false, false}, {true, false, false}, {true, true, true}};
    for (size_t i = 0; i < 3; i++) {
        struct walk walk;
        walk_to_document(&walk, STORED);
        if (rows[i].admitted)
            walk_plain(&walk, JOB_ADMITTED);
        if (rows[i].bytes)
            fetched_bytes(&walk, "hello\n");
        walk_plain(&walk, JOB_STOP);
        assert_int_equal(walk.verdict, JOB_ENDED);
        assert_true(walk.job->dropped && !walk.job->had_outcome);
        assert_int_equal(walk.actions.count, rows[i].cancels);
        if (rows[i].cancels)
            ASSERT_ASKED_ONLY(&walk, ACTION_CANCEL_EXTRACT);
        walk_deinit(&walk);
    }
}

static void a_cancelled_job_reads_nothing_more(void **state)
{
    (void)state;
    struct store_event stopped = {.kind = STORE_LOOKED_UP,
                                  .u.looked_up = {.verdict = LOOKUP_HELD, .stop = STOP_CANCELLED}};
    for (int when = 0; when < 3; when++) {
        struct walk walk;
        walk_to_document(&walk, STORED);
        if (when >= 1)
            walk_plain(&walk, JOB_ADMITTED);
        if (when == 2)
            fetched_bytes(&walk, "hello\n");
        walk_store(&walk, JOB_LOOKED_UP, &stopped);
        if (when == 2)
            ASSERT_ASKED(&walk, ACTION_CANCEL_EXTRACT);
        if (when == 1) { // the bytes are on their way
            ASSERT_STEP(&walk, "extract");
            fetched(&walk, (struct store_event){
                               .u.fetched = {.found = true, .bytes = "hello\n", .size = 6}});
        }
        ASSERT_STEP(&walk, "finish");
        assert_int_equal(walk.job->draft.outcome.state, JOB_CANCELLED);
        walk_finish(&walk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_become_text_that_is_kept_first),
        cmocka_unit_test(a_kept_text_is_used_again),
        cmocka_unit_test(a_url_is_read_and_shown_without_secrets),
        cmocka_unit_test(a_url_goes_on_with_what_was_read_first),
        cmocka_unit_test(a_job_that_was_lost_reads_the_kept_text),
        cmocka_unit_test(the_row_says_what_the_message_does_not),
        cmocka_unit_test(only_plain_text_is_taken_from_a_stored_text),
        cmocka_unit_test(what_cannot_be_read_costs_nothing),
        cmocka_unit_test(a_blank_text_is_no_text),
        cmocka_unit_test(passing_faults_are_tried_again),
        cmocka_unit_test(the_server_says_when),
        cmocka_unit_test(what_is_missing_or_refused_fails),
        cmocka_unit_test(without_an_extractor_only_text_is_read),
        cmocka_unit_test(a_leaving_worker_reads_nothing_more),
        cmocka_unit_test(a_cancelled_job_reads_nothing_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
