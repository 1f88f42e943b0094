// SPDX-License-Identifier: Apache-2.0
// A librdkafka queue served by the loop.
//
// librdkafka writes to the eventfd when an event enters an empty queue, once until the queue is
// polled again. So:
//   - right after enabling, the queue is drained once: what was in it before makes no signal;
//   - on a signal the eventfd is read first and the queue drained then, never the other way round;
//   - a drain that ends on its budget goes on in the next turn of the loop, by an idle handle;
//   - the eventfd does not block: a blocking one stops librdkafka inside its queue's lock.
// The safety timer takes an event as missed only where no signal stood in the eventfd before or
// after it was popped; librdkafka writes the signal under the queue's lock, so this is exact.
#include "io/kafka_queue.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/own.h"

struct kafka_queue {
    rd_kafka_queue_t *queue;
    kafka_queue_fn *fn;
    void *context;
    int fd;
    uv_poll_t poll;
    uv_timer_t safety;
    uv_idle_t more;
    int handles; // that are not closed yet
    bool closing;
    bool serving;
    int64_t missed;
};

static bool take_signal(struct kafka_queue *queue)
{
    uint64_t count;
    return read(queue->fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

static bool serve_one(struct kafka_queue *queue)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue->queue, 0);
    if (!event)
        return false;
    queue->fn(queue->context, event);
    rd_kafka_event_destroy(event);
    return true;
}

static void finish_close(struct kafka_queue *queue);

static void on_more(uv_idle_t *idle);

// Handles at most a budget's worth; the rest is for the next turn.
static void drain(struct kafka_queue *queue)
{
    queue->serving = true;
    int left = KAFKA_QUEUE_BUDGET;
    while (left > 0 && !queue->closing && serve_one(queue))
        left--;
    queue->serving = false;
    if (queue->closing)
        finish_close(queue);
    else if (left > 0)
        uv_idle_stop(&queue->more);
    else
        uv_idle_start(&queue->more, on_more);
}

static void on_more(uv_idle_t *idle)
{
    drain(idle->data);
}

static void on_signal(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct kafka_queue *queue = poll->data;
    take_signal(queue);
    drain(queue);
}

static void on_safety(uv_timer_t *timer)
{
    struct kafka_queue *queue = timer->data;
    bool signalled = take_signal(queue) || uv_is_active((uv_handle_t *)&queue->more);
    if (!signalled) {
        queue->serving = true;
        bool found = serve_one(queue);
        queue->serving = false;
        if (queue->closing) {
            finish_close(queue);
            return;
        }
        if (!found)
            return;
        if (!take_signal(queue))
            queue->missed++;
    }
    drain(queue);
}

struct kafka_queue *kafka_queue_new(uv_loop_t *loop, rd_kafka_queue_t *rd_queue, kafka_queue_fn *fn,
                                    void *context)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) {
        rd_kafka_queue_destroy(rd_queue);
        return NULL;
    }
    struct kafka_queue *queue = own_alloc(sizeof(*queue));
    queue->queue = rd_queue;
    queue->fn = fn;
    queue->context = context;
    queue->fd = fd;
    queue->handles = 3;
    uv_poll_init(loop, &queue->poll, fd);
    uv_timer_init(loop, &queue->safety);
    uv_idle_init(loop, &queue->more);
    queue->poll.data = queue->safety.data = queue->more.data = queue;
    uv_poll_start(&queue->poll, UV_READABLE, on_signal);
    uv_timer_start(&queue->safety, on_safety, KAFKA_QUEUE_SAFETY_MS, KAFKA_QUEUE_SAFETY_MS);
    uv_idle_start(&queue->more, on_more);
    uint64_t one = 1;
    rd_kafka_queue_io_event_enable(rd_queue, fd, &one, sizeof(one));
    return queue;
}

rd_kafka_queue_t *kafka_queue_handle(struct kafka_queue *queue)
{
    return queue->queue;
}

int64_t kafka_queue_missed(const struct kafka_queue *queue)
{
    return queue->missed;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct kafka_queue *queue = handle->data;
    if (--queue->handles == 0)
        free(queue);
}

static void finish_close(struct kafka_queue *queue)
{
    rd_kafka_queue_io_event_enable(queue->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(queue->queue);
    uv_poll_stop(&queue->poll);
    close(queue->fd);
    uv_close((uv_handle_t *)&queue->poll, on_handle_closed);
    uv_close((uv_handle_t *)&queue->safety, on_handle_closed);
    uv_close((uv_handle_t *)&queue->more, on_handle_closed);
}

void kafka_queue_close(struct kafka_queue *queue)
{
    if (!queue || queue->closing)
        return;
    queue->closing = true;
    if (!queue->serving)
        finish_close(queue);
}

bool kafka_queue_log(struct log *log, rd_kafka_event_t *event)
{
    if (rd_kafka_event_type(event) != RD_KAFKA_EVENT_LOG)
        return false;
    const char *facility, *text;
    int syslog_level;
    if (rd_kafka_event_log(event, &facility, &text, &syslog_level) != 0)
        return true;
    // Properties of consumers are given to the producer too; it says so each time. And it says of a
    // broker in memory each time that it cannot be asked to create no topics, which that never
    // does.
    if (strcmp(facility, "CONFWARN") == 0 || strcmp(facility, "AUTOCREATE") == 0)
        syslog_level = 7;
    enum log_level level = syslog_level <= 3   ? LOG_LEVEL_ERROR
                           : syslog_level == 4 ? LOG_LEVEL_WARN
                           : syslog_level <= 6 ? LOG_LEVEL_INFO
                                               : LOG_LEVEL_DEBUG;
    log_event(log, level, "kafka_log", LOG_TEXT("facility", facility), LOG_TEXT("text", text));
    return true;
}
