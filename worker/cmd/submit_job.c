// SPDX-License-Identifier: Apache-2.0
// One message: filled in, named, checked, compared, sent.
//
// The decoder of the workers looks at every message before it goes, for two reasons: a mistake is
// told here, with its line, and not by a dead letter; and a message that no worker takes never
// becomes a job, so that its batch would wait for it for ever.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/submit_parts.h"
#include "core/text.h"
#include "job/decode.h"

#define LINE_ID_DIGITS 16

static void hash_hex(const unsigned char hash[32], char out[65])
{
    for (size_t i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

// ------------------------------------------------------------------------------- filling in

static void fill_object(json_t *message, const char *name, json_t *from)
{
    json_t *own = json_object_get(message, name);
    if (!own && json_object_size(from) > 0)
        json_object_set_new(message, name, json_deep_copy(from));
    else if (json_is_object(own))
        json_object_update_missing(own, from);
}

// Whether a line asks in its own words or form: a template's label would not be true of it.
static bool asks_itself(const json_t *summarize)
{
    return !json_object_get(summarize, "template") &&
           (json_object_get(summarize, "output_schema") ||
            json_object_get(summarize, "instructions"));
}

// A line without an id gets one of its content, so that the same line is the same job.
static void name_line(json_t *message)
{
    char *text OWN_FREE = json_dumps(message, JSON_COMPACT | JSON_SORT_KEYS);
    char hash[65], id[40];
    text_sha256_hex(text, strlen(text), hash);
    snprintf(id, sizeof(id), "line-%.*s", LINE_ID_DIGITS, hash);
    json_object_set_new(message, "id", json_string(id));
}

static void fill_in(struct submit *submit, json_t *message, const struct submit_place *place)
{
    struct submit_order *order = &submit->order;
    if (!json_object_get(message, "id"))
        name_line(message);
    json_object_update_missing(message, order->members);
    if (!json_object_get(message, "kind"))
        json_object_set_new(message, "kind", json_string("summarize"));
    if (!json_object_get(message, "batch") && order->batch)
        json_object_set_new(message, "batch", json_string(order->batch));
    bool own_words = asks_itself(json_object_get(message, "summarize"));
    fill_object(message, "summarize", order->summarize);
    if (own_words)
        json_object_del(json_object_get(message, "summarize"), "template");
    const char *id = json_string_value(json_object_get(message, "id"));
    json_t *labels = labels_of(order->labels, id ? id : "", place->name);
    fill_object(message, "labels", labels);
    json_decref(labels);
}

// ------------------------------------------------------------------------------- checking

static void say_bad(struct submit *submit, const struct submit_place *place,
                    const struct failure *failure)
{
    char code[48];
    failure_code(failure, code, sizeof(code));
    if (place->line > 0)
        submit_problem(submit, place->path, "line %zu: %s: %s. %s", place->line, code,
                       failure->detail, failure_suggestion(failure));
    else
        submit_problem(submit, place->path, "%s: %s. %s", code, failure->detail,
                       failure_suggestion(failure));
}

static void say_not_sent(struct submit *submit, const struct submit_place *place, const char *what)
{
    if (place->line > 0)
        submit_problem(submit, place->path, "line %zu: %s", place->line, what);
    else
        submit_problem(submit, place->path, "%s", what);
}

// False: the message is no job, which is noted.
static bool check(struct submit *submit, const json_t *message, const struct submit_place *place,
                  struct decode_out *out)
{
    char *text OWN_FREE = json_dumps(message, JSON_COMPACT);
    size_t max = (size_t)submit->config->documents.max_bytes;
    struct message given = {
        .topic = "", .timestamp_ms = -1, .value = text, .value_len = text ? strlen(text) : 0};
    struct decode_limits limits = {
        .value_bytes = SIZE_MAX / 2, .text_bytes = max, .nodes = 1000000};
    enum decoded decoded = job_decode(&given, &limits, out);
    if (decoded == DECODED_JOB)
        return true;
    if (decoded == DECODED_BAD)
        say_bad(submit, place, &out->failure);
    else
        say_not_sent(submit, place, "its version is not known here");
    decode_out_deinit(out);
    return false;
}

// ------------------------------------------------------------------------------- comparing

// ENDED: nothing has to be sent, since the answer is there.
enum verdict { SEND, LEAVE, ENDED, RENAME };

// How people call the document.
static const char *name_of(const struct submit_place *place, const struct job_spec *spec)
{
    return place->name ? place->name : spec->document_name ? spec->document_name : spec->id;
}

static void set_revision(json_t *message, int64_t revision)
{
    json_object_set_new(message, "revision", json_integer(revision));
}

// Against what the batch has from before: the revision that the message has to carry.
static enum verdict compare_known(struct submit *submit, json_t *message,
                                  const struct submit_known *known, const char *hash)
{
    bool explicit_revision = json_object_get(message, "revision") != NULL;
    int64_t revision = json_integer_value(json_object_get(message, "revision"));
    if (explicit_revision && revision > known->revision) {
        submit->revised++;
    } else if (strcmp(known->hash, hash) == 0 && known->ended) {
        submit->ended++;
        return ENDED;
    } else if (strcmp(known->hash, hash) == 0) {
        submit->repeated++;
        set_revision(message, known->revision);
    } else if (submit->order.revise) {
        submit->revised++;
        set_revision(message, known->revision + 1);
    } else {
        return LEAVE;
    }
    return SEND;
}

static enum verdict compare(struct submit *submit, json_t *message, const struct job_spec *spec,
                            const struct submit_place *place)
{
    struct submit_batch *batch = submit_batch_of(submit, spec->tenant, spec->batch);
    if (!batch)
        return LEAVE;
    char hash[65];
    hash_hex(spec->content_hash, hash);
    enum submit_seen seen = submit_batch_note(batch, spec->id, hash);
    if (seen == SUBMIT_SAME) {
        submit->twice++;
        return LEAVE;
    }
    if (seen == SUBMIT_OTHER && place->name)
        return RENAME;
    if (seen == SUBMIT_OTHER) {
        say_not_sent(submit, place, "its id was there before, with other content");
        return LEAVE;
    }
    if (spec->document_sha256[0])
        submit_note_copy(submit, spec->document_sha256, name_of(place, spec));
    const struct submit_known *known = submit_batch_known(batch, spec->id);
    enum verdict verdict = known ? compare_known(submit, message, known, hash) : SEND;
    int64_t revision = json_integer_value(json_object_get(message, "revision"));
    if (verdict == SEND && known && revision > known->revision)
        submit_batch_expect(batch, spec->id, revision);
    if (verdict != LEAVE)
        return verdict;
    say_not_sent(submit, place,
                 "it has changed since it was submitted; --revise summarises it "
                 "again, as a new revision");
    return LEAVE;
}

// ------------------------------------------------------------------------------- sending

// The document by reference: only its name and format stay beside it.
static void refer(json_t *message, const struct job_spec *spec)
{
    json_t *document = json_pack("{s:s}", "stored", spec->document_sha256);
    if (spec->media_type)
        json_object_set_new(document, "media_type", json_string(spec->media_type));
    if (spec->document_name)
        json_object_set_new(document, "name", json_string(spec->document_name));
    json_object_set_new(message, "document", document);
}

// What has to be put into PostgreSQL: a file's content, or what came within a line and is large.
// False: nothing.
static bool find_stored(const struct submit *submit, const struct job_spec *spec,
                        const struct submit_document *document, struct submit_stored *out)
{
    bool is_text = spec->document == DOCUMENT_TEXT;
    size_t len = is_text ? spec->text_len : spec->data_len;
    if (document) {
        *out = (struct submit_stored){document->sha256, document->media_type,
                                      buf_str(&document->content), document->content.len,
                                      document->is_text};
        return true;
    }
    if ((!is_text && spec->document != DOCUMENT_DATA) ||
        (!submit->order.store_all && len <= SUBMIT_INLINE_BYTES))
        return false;
    *out = (struct submit_stored){spec->document_sha256,
                                  spec->media_type ? spec->media_type : "text/plain",
                                  is_text ? spec->text : spec->data, len, is_text};
    return true;
}

static void send(struct submit *submit, json_t *message, const struct job_spec *spec,
                 const struct submit_place *place)
{
    struct submit_stored stored;
    bool store = find_stored(submit, spec, place->document, &stored);
    submit->jobs++;
    submit->stored += store;
    if (submit->take) {
        submit->take(submit->take_context, spec, place);
        return;
    }
    if (submit->order.dry_run) {
        submit_show_job(submit, spec, name_of(place, spec));
        return;
    }
    if (store && !place->document)
        refer(message, spec);
    submit_stage_add(submit->stage, spec, store ? &stored : NULL,
                     json_dumps(message, JSON_COMPACT));
}

// Takes one turn with the message; RENAME: again, under the name that is set now.
static enum verdict try_job(struct submit *submit, json_t *message,
                            const struct submit_place *place)
{
    struct decode_out out;
    if (!submit_canary(submit) || !submit_look_at_failed(submit) ||
        !check(submit, message, place, &out))
        return LEAVE;
    enum verdict verdict = compare(submit, message, &out.spec, place);
    if (verdict == SEND)
        send(submit, message, &out.spec, place);
    decode_out_deinit(&out);
    return verdict;
}

void submit_job(struct submit *submit, json_t *message, const struct submit_place *place)
{
    fill_in(submit, message, place);
    if (try_job(submit, message, place) == RENAME) {
        // Two folders were given that have a file of the same name.
        char id[SPEC_NAME_BYTES + 1];
        submit_job_name(id, place->name, place->path);
        json_object_set_new(message, "id", json_string(id));
        if (try_job(submit, message, place) == RENAME)
            say_not_sent(submit, place, "its name was there before, with other content");
    }
    json_decref(message);
}
