// SPDX-License-Identifier: Apache-2.0
// The pool of children.
//
// An errand waits in a list, runs in another, and is freed when its four handles are closed:
//
//   start ─ waiting ─ launch ─ running ─ (exited and end of output, or killed) ─ event ─ closing
//
// Whoever has something for the next turn of the loop arms `kick`; it launches while there is room,
// so nothing is answered from inside a call.
#include "io/extractor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/list.h"
#include "base/own.h"
#include "io/extract_frame.h"
#include "io/extract_name.h"
#include "io/extract_scratch.h"
#include "io/secret_exec.h"

#define MAGIC           0x65787472u // "extr"
#define READ_BYTES      65536
#define VERSION_MS      3000
#define HANDLES         4
#define DEFAULT_PATH    "/usr/local/bin:/usr/bin:/bin"
#define SCRATCH_PATTERN "%s/precis-extract-%d-%llu-%u"

struct extractor {
    uint32_t magic;
    uv_loop_t *loop;
    extractor_fn *on_event;
    void *context;
    char *program, *path_variable;
    struct extract_ask limits; // what every question says
    int64_t children;
    char **command_names; // of limits.extractors, in order; ended by NULL
    struct list waiting, running;
    uv_timer_t kick;
    unsigned serial;
    struct extractor_stats stats;
    char piece[READ_BYTES];
    int open_errands; // not freed yet
    bool closing, kick_closed;
    void (*closed)(void *context);
    void *closed_context;
};

enum ending { ENDING_OWN, ENDING_LATE, ENDING_FULL, ENDING_CANCELLED };

struct errand {
    struct list_node node;
    struct extractor *pool;
    struct slot_id owner;
    struct buf question; // prefix and head; the body follows
    char *body;
    size_t body_len;
    bool too_large;
    char *scratch;
    uv_process_t process;
    uv_pipe_t in, out;
    uv_timer_t timer;
    uv_write_t write;
    uv_shutdown_t shutdown;
    struct buf reply;
    int open_handles;
    bool exited, ended; // the process; its output
    enum ending ending;
    int64_t exit_status;
    int term_signal;
};

static void pool_kick(struct extractor *pool);
static void pool_maybe_closed(struct extractor *pool);

// ------------------------------------------------------------------------------- events

static void emit(struct errand *errand, struct extract_event *event)
{
    struct extractor *pool = errand->pool;
    if (event->failure)
        pool->stats.failed++;
    else
        pool->stats.done++;
    event->owner = errand->owner;
    pool->on_event(pool->context, event);
}

static void emit_failure(struct errand *errand, const struct failure *failure)
{
    struct extract_event event = {.failure = failure};
    emit(errand, &event);
}

static void emit_answer(struct errand *errand, const struct frame *frame,
                        const struct extract_answer *answer)
{
    bool failed = answer->failure.code != ERR_NONE;
    struct extract_event event = {
        .failure = failed ? &answer->failure : NULL,
        .text = failed ? NULL : frame->body,
        .text_len = failed ? 0 : frame->body_len,
        .pages = answer->pages,
        .sha256 = answer->sha256[0] ? answer->sha256 : NULL,
        .media_type = answer->media_type,
        .extractor = answer->extractor,
        .warnings = (const char *const *)answer->warnings,
        .warning_count = answer->warning_count,
    };
    emit(errand, &event);
}

static void tell_late(struct errand *errand)
{
    struct failure failure;
    failure_set(&failure, ERR_EXTRACTOR_LIMIT,
                "The document was not read after %lld s (documents.timeout)",
                (long long)errand->pool->limits.timeout_ms / 1000);
    emit_failure(errand, &failure);
}

static void tell_signal(struct errand *errand)
{
    struct failure failure;
    int number = errand->term_signal;
    if (number == SIGXCPU) {
        tell_late(errand);
        return;
    }
    if (number == SIGKILL || number == SIGTERM)
        failure_set(&failure, ERR_EXTRACTOR_LOST,
                    "The process that read this document was killed (signal %d)", number);
    else
        failure_set(&failure, ERR_EXTRACTOR_FAILED,
                    "The process that read this document crashed (signal %d); it may have needed "
                    "more than documents.memory",
                    number);
    emit_failure(errand, &failure);
}

static void tell_reply(struct errand *errand)
{
    struct frame frame;
    struct extract_answer answer;
    extract_answer_init(&answer, 0);
    bool fine = errand->exit_status == 0 && errand->reply.len > 0 &&
                frame_read(buf_str(&errand->reply), errand->reply.len,
                           (size_t)errand->pool->limits.max_text_bytes, &frame) == FRAME_WHOLE &&
                frame_parse_answer(&frame, &answer);
    if (fine) {
        emit_answer(errand, &frame, &answer);
    } else {
        struct failure failure;
        failure_set(&failure, ERR_EXTRACTOR_FAILED,
                    "The process that read this document gave no sensible answer (status %d)",
                    (int)errand->exit_status);
        emit_failure(errand, &failure);
    }
    extract_answer_deinit(&answer);
}

static void tell(struct errand *errand)
{
    if (errand->ending == ENDING_LATE)
        tell_late(errand);
    else if (errand->ending == ENDING_OWN && errand->term_signal)
        tell_signal(errand);
    else if (errand->ending != ENDING_CANCELLED)
        tell_reply(errand); // a full one is nonsense, too
}

// ------------------------------------------------------------------------------- ends

static void errand_free(struct errand *errand)
{
    struct extractor *pool = errand->pool;
    list_remove(&errand->node);
    buf_deinit(&errand->question);
    buf_deinit(&errand->reply);
    free(errand->body);
    free(errand->scratch);
    free(errand);
    pool->open_errands--;
    pool_maybe_closed(pool);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct errand *errand = handle->data;
    if (--errand->open_handles == 0)
        errand_free(errand);
}

static void close_handles(struct errand *errand)
{
    uv_close((uv_handle_t *)&errand->timer, on_handle_closed);
    uv_close((uv_handle_t *)&errand->in, on_handle_closed);
    uv_close((uv_handle_t *)&errand->out, on_handle_closed);
    uv_close((uv_handle_t *)&errand->process, on_handle_closed);
}

// The child is the leader of its session: one kill reaches all of it. Until its exit has been
// reported its number is its own; just after it the number is still its group's, or nobody's.
static void kill_group(const struct errand *errand)
{
    if (errand->process.pid > 0)
        kill(-errand->process.pid, SIGKILL);
}

static void end_by(struct errand *errand, enum ending ending)
{
    if (errand->ending == ENDING_OWN)
        errand->ending = ending;
    kill_group(errand);
}

// Once the process has ended and all that it wrote is here; of a killed one nothing more is
// awaited.
static void maybe_finish(struct errand *errand)
{
    if (!errand->exited || (errand->ending == ENDING_OWN && !errand->ended) ||
        uv_is_closing((uv_handle_t *)&errand->timer))
        return;
    scratch_remove(errand->scratch);
    list_remove(&errand->node);
    tell(errand);
    close_handles(errand);
    pool_kick(errand->pool);
}

static void on_exit_of(uv_process_t *process, int64_t status, int number)
{
    struct errand *errand = process->data;
    errand->exited = true;
    errand->exit_status = status;
    errand->term_signal = number;
    kill_group(errand); // what it may have left behind
    maybe_finish(errand);
}

static void on_late(uv_timer_t *timer)
{
    struct errand *errand = timer->data;
    end_by(errand, ENDING_LATE);
    maybe_finish(errand);
}

// ------------------------------------------------------------------------------- talk

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct errand *errand = handle->data;
    *out = uv_buf_init(errand->pool->piece, READ_BYTES);
}

static void on_reply(uv_stream_t *stream, ssize_t len, const uv_buf_t *piece)
{
    struct errand *errand = stream->data;
    if (len > 0 && !buf_add(&errand->reply, piece->base, (size_t)len))
        end_by(errand, ENDING_FULL);
    if (len >= 0)
        return;
    errand->ended = true;
    uv_read_stop(stream);
    maybe_finish(errand);
}

// A child that ends without reading breaks the pipe; its end tells more than this would.
static void on_asked(uv_write_t *write, int status)
{
    struct errand *errand = write->handle->data;
    free(errand->body);
    errand->body = NULL;
    if (status == 0 && !uv_is_closing((uv_handle_t *)&errand->in))
        uv_shutdown(&errand->shutdown, (uv_stream_t *)&errand->in, NULL);
}

static int spawn(struct errand *errand)
{
    struct extractor *pool = errand->pool;
    char *argv[] = {pool->program, "extract", "--child", NULL};
    char *environment[] = {pool->path_variable, "LC_ALL=C.UTF-8", NULL};
    uv_stdio_container_t files[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&errand->in},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&errand->out},
        {.flags = UV_IGNORE},
    };
    uv_process_options_t options = {
        .exit_cb = on_exit_of,
        .file = pool->program,
        .args = argv,
        .env = environment,
        .flags = UV_PROCESS_DETACHED, // a session of its own
        .stdio = files,
        .stdio_count = 3,
    };
    return uv_spawn(pool->loop, &errand->process, &options);
}

static void init_handles(struct errand *errand)
{
    uv_loop_t *loop = errand->pool->loop;
    uv_timer_init(loop, &errand->timer);
    uv_pipe_init(loop, &errand->in, 0);
    uv_pipe_init(loop, &errand->out, 0);
    errand->timer.data = errand->in.data = errand->out.data = errand->process.data = errand;
    errand->open_handles = HANDLES;
}

static void launch(struct errand *errand)
{
    struct extractor *pool = errand->pool;
    pool->stats.waiting_bytes -= (int64_t)errand->body_len;
    list_remove(&errand->node);
    list_append(&pool->running, &errand->node);
    init_handles(errand);
    int error = spawn(errand);
    if (error) {
        struct failure failure;
        failure_set(&failure, ERR_EXTRACTOR_LOST,
                    "No process could be started to read this document: %s", uv_strerror(error));
        list_remove(&errand->node);
        emit_failure(errand, &failure);
        close_handles(errand);
        return;
    }
    uv_buf_t bufs[2] = {uv_buf_init(errand->question.data, (unsigned)errand->question.len),
                        uv_buf_init(errand->body, (unsigned)errand->body_len)};
    uv_timer_start(&errand->timer, on_late, (uint64_t)pool->limits.timeout_ms, 0);
    uv_read_start((uv_stream_t *)&errand->out, on_room, on_reply);
    uv_write(&errand->write, (uv_stream_t *)&errand->in, bufs, errand->body_len ? 2 : 1, on_asked);
}

static void refuse_large(struct errand *errand)
{
    struct failure failure;
    struct extractor *pool = errand->pool;
    failure_set(&failure, ERR_TOO_LARGE,
                "The document has %zu bytes; documents.max_bytes allows %lld", errand->body_len,
                (long long)pool->limits.max_bytes);
    list_remove(&errand->node);
    emit_failure(errand, &failure);
    errand_free(errand);
}

static void on_kick(uv_timer_t *timer)
{
    struct extractor *pool = timer->data;
    while (!pool->closing && pool->waiting.len > 0 && pool->running.len < (size_t)pool->children) {
        struct errand *errand = list_item(list_first(&pool->waiting), struct errand, node);
        if (errand->too_large)
            refuse_large(errand);
        else
            launch(errand);
    }
}

static void pool_kick(struct extractor *pool)
{
    if (!pool->closing)
        uv_timer_start(&pool->kick, on_kick, 0, 0);
}

// ------------------------------------------------------------------------------- the ops

static struct extractor *pool_of(void *pointer)
{
    struct extractor *pool = pointer;
    CHECK(pool->magic == MAGIC);
    return pool;
}

static void write_question(struct errand *errand, const struct extract_request *request)
{
    // The question borrows what it is made of: nothing of it is written to or freed.
    union {
        const char *borrowed;
        char *text;
    } media_type = {request->media_type}, name = {request->name}, url = {request->url},
      sha256 = {request->sha256};
    struct extract_ask ask = errand->pool->limits;
    ask.media_type = media_type.text;
    ask.name = name.text;
    ask.url = url.text;
    ask.sha256 = sha256.text;
    ask.scratch = errand->scratch;
    frame_add_ask(&errand->question, &ask, errand->body_len);
}

static char *scratch_name(struct extractor *pool)
{
    struct buf name;
    const char *directory = getenv("TMPDIR");
    buf_init(&name, 0);
    buf_printf(&name, SCRATCH_PATTERN, directory && directory[0] ? directory : "/tmp",
               (int)getpid(), (unsigned long long)uv_hrtime(), pool->serial++);
    return buf_take(&name);
}

static void extractor_start(void *extractor, const struct extract_request *request)
{
    struct extractor *pool = pool_of(extractor);
    CHECK(!pool->closing);
    struct errand *errand = own_alloc(sizeof(*errand));
    errand->pool = pool;
    errand->owner = request->owner;
    errand->scratch = scratch_name(pool);
    errand->body_len = request->url ? 0 : request->len;
    errand->too_large = errand->body_len > (size_t)pool->limits.max_bytes;
    buf_init(&errand->question, 0);
    buf_init(&errand->reply,
             FRAME_PREFIX_BYTES + FRAME_HEAD_BYTES + (size_t)pool->limits.max_text_bytes);
    if (errand->body_len && !errand->too_large) {
        errand->body = own_alloc(errand->body_len);
        memcpy(errand->body, request->bytes, errand->body_len);
    }
    write_question(errand, request);
    pool->open_errands++;
    pool->stats.waiting_bytes += (int64_t)errand->body_len;
    list_append(&pool->waiting, &errand->node);
    pool_kick(pool);
}

static struct errand *find(const struct list *list, struct slot_id owner)
{
    for (struct list_node *node = list_first(list); node; node = list_next(list, node)) {
        struct errand *errand = list_item(node, struct errand, node);
        if (slot_id_equal(errand->owner, owner) && errand->ending != ENDING_CANCELLED)
            return errand;
    }
    return NULL;
}

static void drop_waiting(struct errand *errand)
{
    errand->pool->stats.waiting_bytes -= (int64_t)errand->body_len;
    errand_free(errand);
}

static void stop_running(struct errand *errand)
{
    errand->ending = ENDING_CANCELLED;
    kill_group(errand);
    maybe_finish(errand);
}

static void extractor_cancel(void *extractor, struct slot_id owner)
{
    struct extractor *pool = pool_of(extractor);
    struct errand *errand = find(&pool->waiting, owner);
    if (errand)
        drop_waiting(errand);
    else if ((errand = find(&pool->running, owner)) != NULL)
        stop_running(errand);
}

static const char *extractor_version(void *extractor, const char *media_type, const char *name)
{
    const struct extractor *pool = pool_of(extractor);
    const struct extract_type *type = extract_type_of(media_type, name, NULL, 0);
    const struct config_command *command = extract_command_for(pool->limits.extractors, media_type);
    if (!command)
        command = extract_command_for(pool->limits.extractors, type->media_type);
    if (command)
        return pool->command_names[command - pool->limits.extractors];
    switch (type->kind) {
    case EXTRACT_HTML:
        return EXTRACT_HTML_NAME;
    case EXTRACT_DOCX:
    case EXTRACT_ZIP:
        return EXTRACT_DOCX_NAME;
    case EXTRACT_PDF:
        return pool->limits.pdf_version;
    case EXTRACT_TEXT:
    case EXTRACT_FOREIGN:
        break;
    }
    return EXTRACT_TEXT_NAME;
}

const struct extract_ops *extractor_ops(void)
{
    static const struct extract_ops ops = {extractor_start, extractor_cancel, extractor_version};
    return &ops;
}

void extractor_stats(const struct extractor *extractor, struct extractor_stats *out)
{
    *out = extractor->stats;
    out->running = (int64_t)extractor->running.len;
    out->waiting = (int64_t)extractor->waiting.len;
}

// ------------------------------------------------------------------------------- life

static char **copy_list(char *const *list)
{
    size_t count = 0;
    while (list && list[count])
        count++;
    char **copy = own_array(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++)
        copy[i] = own_strdup(list[i]);
    return copy;
}

static struct config_command *copy_commands(const struct config_command *commands)
{
    size_t count = 0;
    while (commands && commands[count].name)
        count++;
    struct config_command *copy = own_array(count + 1, sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        copy[i] =
            (struct config_command){own_strdup(commands[i].name), copy_list(commands[i].argv)};
    return copy;
}

// "pdftotext-22.12.0"; without the number where it cannot be asked.
static char *ask_pdf_version(void)
{
    static const char words[] = "pdftotext version ";
    struct buf output OWN_BUF, why OWN_BUF, name;
    buf_init(&output, 4096);
    buf_init(&why, 0);
    buf_init(&name, 0);
    buf_add_str(&name, "pdftotext");
    if (secret_exec("sh -c 'pdftotext -v 2>&1 | head -n 1'", VERSION_MS, &output, &why)) {
        const char *at = strstr(buf_str(&output), words);
        at = at ? at + sizeof(words) - 1 : "";
        size_t len = strspn(at, "0123456789.");
        if (len)
            buf_printf(&name, "-%.*s", (int)len, at);
    }
    return buf_take(&name);
}

static void name_commands(struct extractor *pool)
{
    size_t count = 0;
    const struct config_command *commands = pool->limits.extractors;
    while (commands[count].name)
        count++;
    pool->command_names = own_array(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++)
        pool->command_names[i] = extract_reader_name(&commands[i], EXTRACT_FOREIGN, NULL);
}

struct extractor *extractor_new(uv_loop_t *loop, const struct extractor_options *options)
{
    struct extractor *pool = own_alloc(sizeof(*pool));
    const struct config_documents *documents = options->documents;
    const char *path = getenv("PATH");
    struct buf variable;
    buf_init(&variable, 0);
    buf_printf(&variable, "PATH=%s", path && path[0] ? path : DEFAULT_PATH);
    pool->magic = MAGIC;
    pool->loop = loop;
    pool->on_event = options->on_event;
    pool->context = options->context;
    pool->program = own_strdup(options->program ? options->program : "/proc/self/exe");
    pool->path_variable = buf_take(&variable);
    pool->children = documents->children;
    pool->limits = (struct extract_ask){
        .pdf_version = ask_pdf_version(),
        .allow = copy_list(documents->allow),
        .hosts = copy_list(documents->hosts),
        .extractors = copy_commands(documents->extractors),
        .max_bytes = documents->max_bytes,
        .max_text_bytes = documents->max_text_bytes,
        .memory_bytes = documents->memory_bytes,
        .timeout_ms = documents->timeout_ms,
        .allow_loopback = options->allow_loopback,
        .ca = own_strdup(options->ca),
    };
    name_commands(pool);
    list_init(&pool->waiting);
    list_init(&pool->running);
    uv_timer_init(loop, &pool->kick);
    pool->kick.data = pool;
    return pool;
}

static void pool_maybe_closed(struct extractor *pool)
{
    if (pool->closing && pool->kick_closed && pool->open_errands == 0 && pool->closed) {
        void (*closed)(void *) = pool->closed;
        pool->closed = NULL;
        closed(pool->closed_context);
    }
}

static void on_kick_closed(uv_handle_t *handle)
{
    struct extractor *pool = handle->data;
    pool->kick_closed = true;
    pool_maybe_closed(pool);
}

void extractor_close(struct extractor *extractor, void (*closed)(void *context), void *context)
{
    extractor->closing = true;
    extractor->closed = closed;
    extractor->closed_context = context;
    struct list_node *node;
    while ((node = list_first(&extractor->waiting)) != NULL)
        drop_waiting(list_item(node, struct errand, node));
    struct list_node *next;
    for (node = list_first(&extractor->running); node; node = next) {
        next = list_next(&extractor->running, node);
        stop_running(list_item(node, struct errand, node));
    }
    uv_close((uv_handle_t *)&extractor->kick, on_kick_closed);
}

void extractor_free(struct extractor *extractor)
{
    if (!extractor)
        return;
    CHECK(extractor->open_errands == 0);
    for (size_t i = 0; extractor->command_names[i]; i++)
        free(extractor->command_names[i]);
    free(extractor->command_names);
    extract_ask_deinit(&extractor->limits);
    free(extractor->program);
    free(extractor->path_variable);
    free(extractor);
}
