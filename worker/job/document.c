// SPDX-License-Identifier: Apache-2.0
// From a claimed job to its text.
//
//   the message's text ──────────────────────────────────────────────────────────▶ PLAN
//   stored, data, url with a known hash ─▶ DOCUMENT ─▶ FETCH: stored or kept text ─▶ PLAN
//                                    waits for memory    │ bytes only               ▲
//   url ───────────────────────────────▶ DOCUMENT ◀──────┘                          │
//                                    waits for a child ─▶ EXTRACT ─▶ KEEP ──────────┘
//                                           ▲               │ passing fault: later again
//                                           └───────────────┘
//
// The text is kept before the first plan is, since the plan's ranges are of this very text; whoever
// takes the job over finds it under (hash of the bytes, extractor). A job of a URL without a hash
// learns the hash here and finds it again with its claim: it goes on with what was read first, even
// where the file is another one by then. Bytes are never held by a job: they go from PostgreSQL's
// answer to the extractor, in the event that brings them.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "core/backoff.h"
#include "core/text.h"
#include "job/decode_document.h"
#include "job/parts.h"

static void forget_warnings(struct document *document)
{
    for (size_t i = 0; i < document->warning_count; i++)
        free(document->warnings[i]);
    free(document->warnings);
    document->warnings = NULL;
    document->warning_count = 0;
}

void document_deinit(struct document *document)
{
    forget_warnings(document);
    free(document->media_type);
    free(document->extractor);
    free(document->uri);
    *document = (struct document){0};
}

// ------------------------------------------------------------------------------- what is told

// Without user, password, query and fragment: they may be secrets.
static char *uri_to_show(const char *url)
{
    size_t len = strcspn(url, "?#");
    const char *host = strstr(url, "//");
    struct buf uri;
    buf_init(&uri, 0);
    if (host && (size_t)(host - url) + 2 <= len) {
        host += 2;
        size_t host_len = strcspn(host, "/?#");
        const char *at = memrchr(host, '@', host_len);
        buf_add(&uri, url, (size_t)(host - url));
        host = at ? at + 1 : host;
        buf_add(&uri, host, len - (size_t)(host - url));
    } else {
        buf_add(&uri, url, len);
    }
    return buf_take(&uri);
}

void document_describe(struct job *job, struct summary_row *row)
{
    struct document *document = &job->document;
    if (job->spec->document_url && !document->uri)
        document->uri = uri_to_show(job->spec->document_url);
    row->document_uri = document->uri;
    row->document_sha256 = document->sha256[0] ? document->sha256 : NULL;
    row->pages = document->pages;
}

void document_number_pages(const struct job *job, struct citation_row *rows, size_t count)
{
    for (size_t i = 0; i < count && job->document.pages > 0; i++) {
        if (!rows[i].found)
            continue;
        size_t end = text_offset(job->text, job->text_len, (size_t)rows[i].from);
        rows[i].page = 1;
        for (size_t at = 0; at < end; at++)
            rows[i].page += job->text[at] == '\f';
    }
}

// ------------------------------------------------------------------------------- the text

static enum step_result check_text(struct job *job, const struct job_now *now)
{
    struct failure failure;
    if (text_is_blank(job->text, job->text_len)) {
        failure_set(&failure, ERR_NO_TEXT, "the document has no text");
        return job_fail(job, &failure, now);
    }
    job->text_chars = (int64_t)text_code_points(job->text, job->text_len);
    text_sha256_hex(job->text, job->text_len, job->text_sha256);
    return STEP_AGAIN;
}

static enum step_result go_on_with_text(struct job *job, const struct job_now *now)
{
    enum step before = job->step;
    enum step_result result = check_text(job, now);
    if (job->step == before)
        job_move(job, STEP_PLAN, now);
    return result;
}

static void take_warnings(struct document *document, const char *const *warnings, size_t count)
{
    forget_warnings(document);
    document->warnings = own_array(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++)
        document->warnings[document->warning_count++] = own_strdup(warnings[i]);
}

// Cleaned, since what a child answers has gone through a foreign parser.
static void take_text(struct job *job, const char *text, size_t len)
{
    struct buf clean;
    buf_init(&clean, 0);
    text_clean(&clean, text, len, NULL);
    job->text_len = clean.len;
    job->text = own_strndup(buf_str(&clean), clean.len); // without the buffer's spare room
    buf_deinit(&clean);
}

// For memory, or for an extractor once it is known that there is no text.
static enum step_result wait_for_turn(struct job *job, const struct job_now *now)
{
    struct failure failure;
    if (job->document.looked && !now->can_extract) {
        failure_set(&failure, ERR_UNREADABLE, "this worker has no extractor for documents");
        return job_fail(job, &failure, now);
    }
    job_move(job, STEP_DOCUMENT, now);
    if (job->not_before_ms > now->now_ms)
        job_wake_at(job, job->not_before_ms);
    return STEP_WAIT;
}

// Claimed again after another worker had it: that one's text counts, of which its plan may be.
static void forget_text(struct job *job)
{
    struct document *document = &job->document;
    if (job->text != job->spec->text)
        free(job->text);
    job->text = NULL;
    job->text_len = 0;
    job->text_tokens = 0;
    document->pages = 0;
    document->tries = 0;
    forget_warnings(document);
}

enum step_result document_begin(struct job *job, const struct step_context *context)
{
    struct document *document = &job->document;
    struct job_spec *spec = job->spec;
    const char *known = job->saved.document_sha256;
    forget_text(job);
    free(spec->data); // stored with the claim
    spec->data = NULL;
    spec->data_len = 0;
    memcpy(document->sha256, known[0] ? known : spec->document_sha256, sizeof(document->sha256));
    if (spec->document == DOCUMENT_TEXT) {
        job->text = spec->text;
        job->text_len = spec->text_len;
        return go_on_with_text(job, context->now);
    }
    if (!document->media_type)
        document->media_type = own_strdup(spec->media_type);
    document->looked = document->sha256[0] == '\0'; // nothing can be found by it
    return wait_for_turn(job, context->now);
}

bool document_is_plain(const struct job *job, const struct config *config)
{
    return !job->spec->media_type ||
           decode_is_plain_text(job->spec->media_type, config->documents.extractors);
}

// ------------------------------------------------------------------------------- FETCH

static enum step_result missing(struct job *job, const struct job_now *now)
{
    struct failure failure;
    failure_set(&failure, ERR_DOCUMENT_MISSING, "no document with SHA-256 %s is stored",
                job->document.sha256);
    return job_fail(job, &failure, now);
}

// A stored text, or one that an extractor made for an earlier job, or for this one.
static enum step_result take_fetched(struct job *job, const struct store_event *event,
                                     const struct job_now *now)
{
    job->text_len = event->u.fetched.text_len;
    job->text = own_strndup(event->u.fetched.text, job->text_len);
    if (event->u.fetched.kept) {
        job->document.pages = event->u.fetched.pages;
        take_warnings(&job->document, event->u.fetched.warnings, event->u.fetched.warning_count);
    }
    return go_on_with_text(job, now);
}

enum step_result step_fetch(struct job *job, const struct job_event *event,
                            const struct step_context *context)
{
    const struct store_event *store = event->store;
    struct document *document = &job->document;
    if (store->u.fetched.text)
        return take_fetched(job, store, context->now);
    if (!store->u.fetched.found && job->spec->document != DOCUMENT_URL)
        return missing(job, context->now);
    document->size = store->u.fetched.size;
    if (!document->media_type && store->u.fetched.media_type) {
        // Now it is known which extractor the document needs: that one may have kept a text.
        document->media_type = own_strdup(store->u.fetched.media_type);
        job_act(context, ACTION_FETCH);
        return STEP_WAIT;
    }
    document->looked = true;
    return wait_for_turn(job, context->now);
}

// ------------------------------------------------------------------------------- DOCUMENT

bool job_wants_document(const struct job *job, int64_t now_ms)
{
    return job->step == STEP_DOCUMENT && job->not_before_ms <= now_ms;
}

enum step_result step_document(struct job *job, const struct job_event *event,
                               const struct step_context *context)
{
    if (event->kind == JOB_STOP)
        return job_leave(job, context);
    if (event->kind == JOB_PARK)
        return job_park(job, event->park, context);
    if (event->kind == JOB_LOOKED_UP) {
        job->stop = event->store->u.looked_up.stop;
        return job->stop == STOP_NONE ? STEP_WAIT : job_stopped(job, context->now);
    }
    if (event->kind == JOB_WAKE) { // the engine sees that it is ready
        job_wake_at(job, INT64_MAX);
        return STEP_WAIT;
    }
    if (!job->document.looked) {
        job_move(job, STEP_FETCH, context->now);
        job_act(context, ACTION_FETCH);
        return STEP_WAIT;
    }
    job_move(job, STEP_EXTRACT, context->now);
    job->document.under_way = job->spec->document == DOCUMENT_URL;
    job_act(context, job->document.under_way ? ACTION_EXTRACT : ACTION_FETCH_BYTES);
    return STEP_WAIT;
}

// ------------------------------------------------------------------------------- EXTRACT

static enum step_result begin_extraction(struct job *job, const struct store_event *event,
                                         const struct step_context *context)
{
    if (job->stop != STOP_NONE)
        return job_stopped(job, context->now);
    if (!event->u.fetched.bytes)
        return missing(job, context->now);
    job->document.bytes = event->u.fetched.bytes; // the event's; ACTION_EXTRACT uses and drops it
    job->document.size = event->u.fetched.size;
    job->document.under_way = true;
    job_act(context, ACTION_EXTRACT);
    return STEP_WAIT;
}

// No call was made, so nothing of this is recorded: only the time that it takes.
static enum step_result try_later(struct job *job, const struct failure *failure,
                                  const struct job_now *now)
{
    const struct backoff *rule = &now->config->retry;
    int tries = ++job->document.tries;
    if (failure->say_no_retry || tries >= rule->attempts)
        return job_fail(job, failure, now);
    int64_t delay_ms = backoff_delay_ms(rule, tries, now->random);
    if (failure->retry_after_ms > delay_ms)
        delay_ms = failure->retry_after_ms;
    job->not_before_ms = now->now_ms + delay_ms;
    return wait_for_turn(job, now);
}

static enum step_result on_failure(struct job *job, const struct failure *failure,
                                   const struct job_now *now)
{
    enum err_class class = err_class(failure->code);
    if (class == ERR_CLASS_TRANSIENT || class == ERR_CLASS_THROTTLED)
        return try_later(job, failure, now);
    return job_fail(job, failure, now);
}

static enum step_result on_extracted(struct job *job, const struct extract_event *event,
                                     const struct step_context *context)
{
    struct document *document = &job->document;
    document->under_way = false;
    if (event->failure)
        return on_failure(job, event->failure, context->now);
    job->not_before_ms = 0;
    take_text(job, event->text, event->text_len);
    document->pages = event->pages;
    take_warnings(document, event->warnings, event->warning_count);
    free(document->extractor);
    document->extractor = own_strdup(event->extractor);
    if (event->sha256)
        snprintf(document->sha256, sizeof(document->sha256), "%s", event->sha256);
    if (event->media_type) {
        free(document->media_type);
        document->media_type = own_strdup(event->media_type);
    }
    enum step_result result = check_text(job, context->now);
    if (job->step != STEP_EXTRACT) // blank: it has failed
        return result;
    job_move(job, STEP_KEEP, context->now);
    job_act(context, ACTION_KEEP_TEXT);
    return STEP_WAIT;
}

// While the bytes are on their way their answer would find the job parked: it is dropped.
static enum step_result on_stop(struct job *job, const struct step_context *context)
{
    if (!job->document.under_way) {
        job->dropped = true;
        job_move(job, STEP_END, context->now);
        return STEP_DONE;
    }
    job_act(context, ACTION_CANCEL_EXTRACT);
    job->document.under_way = false;
    return job_leave(job, context);
}

// While the bytes are on their way the stop is only noted: their answer is waited for.
static enum step_result on_looked_up(struct job *job, const struct store_event *event,
                                     const struct step_context *context)
{
    job->stop = event->u.looked_up.stop;
    if (job->stop == STOP_NONE || !job->document.under_way)
        return STEP_WAIT;
    job_act(context, ACTION_CANCEL_EXTRACT);
    job->document.under_way = false;
    return job_stopped(job, context->now);
}

enum step_result step_extract(struct job *job, const struct job_event *event,
                              const struct step_context *context)
{
    if (event->kind == JOB_FETCHED)
        return begin_extraction(job, event->store, context);
    if (event->kind == JOB_EXTRACTED)
        return on_extracted(job, event->extract, context);
    if (event->kind == JOB_LOOKED_UP)
        return on_looked_up(job, event->store, context);
    return on_stop(job, context);
}

// ------------------------------------------------------------------------------- KEEP

enum step_result step_keep(struct job *job, const struct job_event *event,
                           const struct step_context *context)
{
    if (event->store->u.kept.rejected) {
        struct failure failure;
        failure_set(&failure, ERR_STORE_REJECTED,
                    "PostgreSQL refused the document's text (SQLSTATE %s)",
                    event->store->u.kept.sqlstate);
        return job_fail(job, &failure, context->now);
    }
    return go_on_with_text(job, context->now);
}
