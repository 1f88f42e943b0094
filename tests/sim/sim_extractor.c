// SPDX-License-Identifier: Apache-2.0
// The simulated extractor.
#include "sim_extractor.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/text.h"

struct task {
    struct sim_extractor *extractor;
    struct slot_id owner;
    char *document; // the bytes, or what the URL gives now
    bool over;
};

struct sim_extractor {
    struct sim_extractor_options options;
    struct task **tasks;
    size_t count;
    bool dead, muted;
};

static void free_if_gone(struct sim_extractor *extractor)
{
    if (!extractor->dead || extractor->count > 0)
        return;
    free(extractor->tasks);
    free(extractor);
}

static void drop(struct task *task)
{
    struct sim_extractor *extractor = task->extractor;
    for (size_t i = 0; i < extractor->count; i++)
        if (extractor->tasks[i] == task)
            extractor->tasks[i] = extractor->tasks[--extractor->count];
    free(task->document);
    free(task);
    free_if_gone(extractor);
}

static bool begins(const struct task *task, const char *word)
{
    return strncmp(task->document, word, strlen(word)) == 0;
}

static void write_text(struct buf *text, const struct task *task, int pages)
{
    for (int page = 1; page <= pages; page++)
        buf_printf(text,
                   "Page %d of %s. Party one serves party two, which pays one hundred; it ends in "
                   "May.\n\n\f",
                   page, task->document);
}

static void tell(struct task *task)
{
    struct failure failure = {0};
    struct extract_event event = {.owner = task->owner, .failure = &failure};
    struct world *world = task->extractor->options.world;
    struct buf text OWN_BUF;
    char sha256[65];
    static const char *const warnings[] = {"a picture was left out"};
    buf_init(&text, 0);
    if (world_chance(world, task->extractor->options.fault_per_thousand)) {
        failure_set(&failure, ERR_CONNECTION_LOST, "the child died");
    } else if (begins(task, "good")) {
        event.pages = strlen(task->document) % 4 == 0 ? 80 : 2; // some are split
        write_text(&text, task, event.pages);
        text_sha256_hex(task->document, strlen(task->document), sha256);
        event.failure = NULL;
        event.text = buf_str(&text);
        event.text_len = text.len;
        event.sha256 = sha256;
        event.media_type = "application/pdf";
        event.extractor = "sim-1";
        event.warnings = warnings;
        event.warning_count = 1;
    } else {
        bool scan = begins(task, "scan");
        failure_set(&failure, scan ? ERR_NO_TEXT : ERR_UNREADABLE, scan ? "a scan" : "locked");
    }
    task->extractor->options.on_event(task->extractor->options.context, &event);
}

static void end(void *context, void *data)
{
    (void)data;
    struct task *task = context;
    if (!task->over && !task->extractor->dead) {
        task->over = true;
        tell(task);
    }
    drop(task);
}

static size_t under_way(const struct sim_extractor *extractor)
{
    size_t count = 0;
    for (size_t i = 0; i < extractor->count; i++)
        count += !extractor->tasks[i]->over;
    return count;
}

// file:///good-7 has other content every twenty seconds.
static char *read_document(const struct world *world, const struct extract_request *request)
{
    if (!request->url)
        return own_strndup(request->bytes, request->len);
    struct buf text;
    buf_init(&text, 0);
    buf_printf(&text, "%s at %d", strrchr(request->url, '/') + 1, (int)(world->now_ms / 20000));
    return buf_take(&text);
}

static void ask_start(void *context, const struct extract_request *request)
{
    struct sim_extractor *extractor = context;
    struct world *world = extractor->options.world;
    if (extractor->muted)
        return;
    struct task *task = own_alloc(sizeof(*task));
    *task = (struct task){
        .extractor = extractor, .owner = request->owner, .document = read_document(world, request)};
    extractor->tasks = own_grow(extractor->tasks, extractor->count + 1, sizeof(struct task *));
    extractor->tasks[extractor->count++] = task;
    world_trace(world, "extract %s: %s", request->name, task->document);
    extractor->options.on_start(extractor->options.watcher, extractor->options.worker,
                                request->name, under_way(extractor));
    int64_t most = world_chance(world, 50) ? 60000 : 1500;
    world_after(world, world_range(world, 1, most), end, task, NULL);
}

static void ask_cancel(void *context, struct slot_id owner)
{
    struct sim_extractor *extractor = context;
    for (size_t i = 0; i < extractor->count; i++)
        if (slot_id_equal(extractor->tasks[i]->owner, owner))
            extractor->tasks[i]->over = true;
}

static const char *version(void *context, const char *media_type, const char *name)
{
    (void)context;
    (void)media_type;
    (void)name;
    return "sim-1";
}

struct sim_extractor *sim_extractor_new(const struct sim_extractor_options *options)
{
    struct sim_extractor *extractor = own_alloc(sizeof(*extractor));
    extractor->options = *options;
    return extractor;
}

void sim_extractor_fault(struct sim_extractor *extractor, int per_thousand)
{
    extractor->options.fault_per_thousand = per_thousand;
}

void sim_extractor_mute(struct sim_extractor *extractor)
{
    extractor->muted = true;
}

void sim_extractor_kill(struct sim_extractor *extractor)
{
    extractor->dead = true;
    for (size_t i = 0; i < extractor->count; i++)
        extractor->tasks[i]->over = true;
    free_if_gone(extractor);
}

const struct extract_ops sim_extract_ops = {
    .start = ask_start, .cancel = ask_cancel, .version = version};
