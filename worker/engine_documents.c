// SPDX-License-Identifier: Apache-2.0
// Documents that do not come with their message: when they are fetched, and how many are read at
// once.
//
// A job waits in DOCUMENT until its text may be looked for in PostgreSQL, and once more, if there
// is none, until an extractor may have its bytes. Extractions: twice as many as there are children,
// so that the next one is there when a child is free. Both only while the memory has room, since a
// window of a thousand jobs may stand for a thousand large files: texts give their memory back when
// their jobs end, so with the memory full the next document waits for that; where no job has a
// text, one document goes at a time, whatever it takes. Higher priorities first; within one, first
// come, first served.
#include "engine_parts.h"

#define CHILDREN          4 // where the options name no number
#define AHEAD_OF_CHILDREN 2
#define FETCHES           32 // more than one connection has under way

void documents_init(struct engine *engine)
{
    for (int p = 0; p < PRIORITIES; p++) {
        list_init(&engine->documents.to_fetch[p]);
        list_init(&engine->documents.to_extract[p]);
    }
}

void documents_update(struct engine *engine, struct job *job)
{
    struct documents *documents = &engine->documents;
    if (job->holds_extractor && job->step != STEP_EXTRACT) {
        job->holds_extractor = false;
        documents->under_way--;
    }
    if (job->in_queue.in != NULL || !job_wants_document(job, engine_now(engine)))
        return;
    struct list *lists = job->document.looked ? documents->to_extract : documents->to_fetch;
    list_append(&lists[job->spec->priority], &job->in_queue);
}

static struct job *first_of(struct list lists[PRIORITIES])
{
    for (int p = PRIORITIES - 1; p >= 0; p--) {
        struct list_node *node = list_first(&lists[p]);
        if (node)
            return list_item(node, struct job, in_queue);
    }
    return NULL;
}

// Jobs that have their text, or are about to, and will give its memory back.
static bool any_with_text(const struct engine *engine)
{
    static const enum step steps[] = {STEP_FETCH,  STEP_EXTRACT, STEP_KEEP,   STEP_ADMIT,
                                      STEP_INTENT, STEP_CALL,    STEP_RECORD, STEP_FINISH};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (engine->steps[steps[i]].len > 0)
            return true;
    return false;
}

static bool has_memory(const struct engine *engine, const struct job *job)
{
    size_t most = (size_t)engine->config->worker.memory_bytes / 8 * 5;
    return engine->bytes + (size_t)job->document.size <= most || !any_with_text(engine);
}

static void admit(struct engine *engine, struct job *job)
{
    engine_step(engine, job, &(struct job_event){.kind = JOB_ADMITTED});
}

void documents_pump(struct engine *engine)
{
    struct documents *documents = &engine->documents;
    size_t children = engine->options.extractors ? engine->options.extractors : CHILDREN;
    struct job *job;
    if (!engine->store_up)
        return;
    while (documents->under_way < children * AHEAD_OF_CHILDREN &&
           (job = first_of(documents->to_extract)) && has_memory(engine, job)) {
        job->holds_extractor = true;
        documents->under_way++;
        admit(engine, job);
    }
    while (engine->steps[STEP_FETCH].len < FETCHES && (job = first_of(documents->to_fetch)) &&
           has_memory(engine, job))
        admit(engine, job);
}

const char *documents_reason(const struct engine *engine, const struct job *job,
                             int64_t *out_start_ms)
{
    if (!engine->store_up)
        return "database";
    if (job->step != STEP_DOCUMENT || job->not_before_ms <= engine_now(engine))
        return "slots";
    *out_start_ms = job->not_before_ms;
    return "retry";
}

void documents_extracted(struct engine *engine, const struct extract_event *event)
{
    engine->edges.at_point(engine->edges.world, "after_extract");
    struct job *job = slots_get(&engine->jobs, event->owner);
    if (!job || !job->document.under_way) {
        metrics_add(engine->options.metrics, METRIC_LATE_ANSWERS, NULL, NULL, 1);
        return;
    }
    engine_step(engine, job, &(struct job_event){.kind = JOB_EXTRACTED, .extract = event});
}
