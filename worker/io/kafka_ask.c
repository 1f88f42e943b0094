// SPDX-License-Identifier: Apache-2.0
// Blocking questions, on the thread pool.
#include "io/kafka_ask.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/own.h"

#define ASK_TIMEOUT_MS   5000
#define ALIVE_TIMEOUT_MS 2000

typedef rd_kafka_topic_partition_list_t partition_list;

static rd_kafka_resp_err_t first_error(const partition_list *list)
{
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].err)
            return list->elems[i].err;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t ask_committed(rd_kafka_t *client, partition_list *list)
{
    rd_kafka_resp_err_t err = rd_kafka_committed(client, list, ASK_TIMEOUT_MS);
    return err ? err : first_error(list);
}

// ListOffsets takes the logical offsets -1 and -2 as times: the end and the beginning.
static rd_kafka_resp_err_t look_up(rd_kafka_t *client, partition_list *list)
{
    if (list->cnt == 0)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(client, list, ASK_TIMEOUT_MS);
    return err ? err : first_error(list);
}

// Where the offset is not there any more (or not yet again: the topic was made anew), the earliest
// takes its place.
static rd_kafka_resp_err_t leap(rd_kafka_t *client, rd_kafka_topic_partition_t *at)
{
    int64_t first, end;
    rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(client, at->topic, at->partition,
                                                               &first, &end, ASK_TIMEOUT_MS);
    if (!err && (at->offset < first || at->offset > end))
        at->offset = RD_KAFKA_OFFSET_BEGINNING;
    return err;
}

static rd_kafka_resp_err_t leap_gaps(rd_kafka_t *client, partition_list *list)
{
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; !err && i < list->cnt; i++)
        if (list->elems[i].opaque)
            err = leap(client, &list->elems[i]);
    return err;
}

static rd_kafka_resp_err_t ask_beginnings(rd_kafka_t *client, partition_list *list)
{
    rd_kafka_resp_err_t err = leap_gaps(client, list);
    if (err)
        return err;
    partition_list *logical = rd_kafka_topic_partition_list_new(list->cnt);
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].offset < 0)
            rd_kafka_topic_partition_list_add(logical, list->elems[i].topic,
                                              list->elems[i].partition)
                ->offset = list->elems[i].offset;
    err = look_up(client, logical);
    if (!err && logical->cnt > 0) {
        err = rd_kafka_commit(client, logical, 0);
        err = err ? err : first_error(logical);
    }
    for (int i = 0; !err && i < logical->cnt; i++)
        rd_kafka_topic_partition_list_set_offset(
            list, logical->elems[i].topic, logical->elems[i].partition, logical->elems[i].offset);
    rd_kafka_topic_partition_list_destroy(logical);
    return err;
}

static rd_kafka_resp_err_t ask_ends(rd_kafka_t *client, partition_list *list)
{
    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = RD_KAFKA_OFFSET_END;
    return look_up(client, list);
}

// All topics are asked for: a question for known ones could create a topic that was deleted.
static rd_kafka_resp_err_t ask_alive(rd_kafka_t *client)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t err = rd_kafka_metadata(client, 1, NULL, &metadata, ALIVE_TIMEOUT_MS);
    if (!err)
        rd_kafka_metadata_destroy(metadata);
    return err;
}

void kafka_ask_now(struct kafka_ask *ask)
{
    switch (ask->question) {
    case KAFKA_ASK_COMMITTED:
        ask->err = ask_committed(ask->client, ask->list);
        return;
    case KAFKA_ASK_BEGINNINGS:
        ask->err = ask_beginnings(ask->client, ask->list);
        return;
    case KAFKA_ASK_CONCRETE:
        ask->err = look_up(ask->client, ask->list);
        return;
    case KAFKA_ASK_ENDS:
        ask->err = ask_ends(ask->client, ask->list);
        return;
    case KAFKA_ASK_ALIVE:
        ask->err = ask_alive(ask->client);
        return;
    case KAFKA_ASK_DESTROY:
        // The consumer was closed before; a second close would wait for a queue nobody serves.
        rd_kafka_destroy_flags(ask->client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        return;
    }
}

static void on_thread(uv_work_t *work)
{
    kafka_ask_now(work->data);
}

static void on_answer(uv_work_t *work, int status)
{
    (void)status;
    struct kafka_ask *ask = work->data;
    ask->fn(ask->context, ask);
    if (ask->list)
        rd_kafka_topic_partition_list_destroy(ask->list);
    free(ask);
}

void kafka_ask(uv_loop_t *loop, const struct kafka_ask *order)
{
    struct kafka_ask *ask = own_alloc(sizeof(*ask));
    *ask = *order;
    ask->work.data = ask;
    CHECK(uv_queue_work(loop, &ask->work, on_thread, on_answer) == 0);
}
