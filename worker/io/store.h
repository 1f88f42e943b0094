// SPDX-License-Identifier: Apache-2.0
// The store on PostgreSQL: the operations of core/seams.h on one pipelined connection.
//
// Grouping. Requests of one kind that arrive within 2 ms, or 500 of them, or 4 MB, are one unit:
// one transaction, set-based. While the database is away or busy they gather, and groups grow.
// Within a unit rows are sorted by key. A unit that PostgreSQL refuses for its data (SQLSTATE
// classes 22, 23 and 54, 21000) is halved until the bad row stands alone; that one is answered with
// CLAIM_REJECTED, INTENT_REJECTED or RECORD_REJECTED, a bad `bury` is kept with nothing but its
// bytes, and the others go through. Units run in the order in which they were made, except that
// a halved or deadlocked one runs after those already sent.
//
// What each operation means, in words that the simulated store obeys too. "Live" is a worker row
// whose lease_until lies after the database's clock. Everything can be applied twice.
//
// claim     The batch is made where it is new; DOCUMENT_TEXT and DOCUMENT_DATA are stored under
//           their SHA-256 where they are new. By (tenant, batch, id):
//           - no row at this revision: a worker that is not live gets HELD with job_no 0 (look_up
//             of 0 says FREE: claim again). A higher revision is there: STALE, nothing is written.
//             Else job and claim are made, epoch 1: MINE. Lower revisions without an outcome get
//             the stop `superseded`.
//           - other content at this revision: STALE where a higher one is there, else CONFLICT.
//           - an outcome at this revision: FINISHED.
//           - a message from Kafka of a job that is parked or queued by `retry`: PARKED; PostgreSQL
//             has it, and gives it to whoever takes it up. One that asks to be parked is parked
//             where the job is new or nobody's, with a claim of nobody, epoch 0: PARKED. Where
//             another worker holds it: HELD, also if that one's lease has ended.
//           - this worker's own claim with the same serial: MINE, as before.
//           - nobody's claim (released, or reopened by `retry`): MINE, epoch + 1, where live.
//           - a worker's whose lease has ended: MINE, epoch + 1, crashes + 1, where live, and where
//             the server runs for one lease at least and this worker's own lease was never broken
//             for one lease. Else HELD.
//           - anybody else's, also this worker's with another serial: HELD.
//           Taking a claim turns its attempts that are still `sent` into `in_doubt`. MINE brings
//           the stop, if there is one (cancelled before superseded; see intend), the SHA-256 of
//           the job's document where it is known, and with an epoch over 1 the plans, parts and
//           attempts. A claim of a message that a take_requeued brought with job_no 0 moves the
//           message to the requeued jobs. MINE says, too, whether the job is a twin (another leads
//           its answer key, or its last intent found so), and whether it is to be asked anew (it
//           was reopened when it was done, or a lower revision has the same content).
// intend    With an answer key the job leads it from then on, where nobody does, or who does is
//           free (see reuse), or it did before; whatever the rest says.
//           FENCED unless the claim has this worker and epoch and no outcome is there;
//           then GO where this worker and epoch have that attempt as `sent` already (whoever has
//           no lease by then takes it back); then NO_LEASE unless live; then STOPPED where the
//           claim is stopped, its batch was cancelled (after the job was reopened, if it was), its
//           id is cancelled, or a higher revision is there; then TWIN where another leads and this
//           one is not fresh (a twin until its next intent); else the plan is written (the first
//           stays). Where at_most does not fit beside what is used of a budget that covers the call
//           (core/budget.h): BUDGET, with the strictest of them. Else the attempt is written: GO.
//           An attempt number that is taken: FENCED. Within a group, calls fit in the order of
//           their job numbers.
// record    The attempt: written over `sent` and `in_doubt`, inserted where it is not there, never
//           over another end. The part: kept where none is there. Both whatever the epoch. The
//           outcome: only where the claim has this worker and epoch, and none is there; with it
//           summary, citations, dead letter (code, error, suggestion and `attempts` of the outcome;
//           one for a message: (topic, partition, offset, timestamp), the newer replaces), result
//           message, and the requeued entry and the cancellation of the id go. DONE where the
//           outcome there is this worker's and epoch's (also from before), with the announcements
//           that are not announced yet; else FENCED.
// park      Where the claim has this worker and epoch, and no outcome is there: it becomes nobody's
//           (no crash), and the job is due as the place says; with a stop, at once. `paused`
//           without a pause that covers it, or one of a model or key: at once, too. DONE where it
//           is parked or has an outcome, whoever did that; else FENCED.
// look_up   FINISHED where an outcome is there; FREE where the claim is nobody's, or can be taken
//           over now as above, or job_no is unknown; else HELD. Without an outcome: with the stop.
// reuse     FENCED where an outcome is there that is not this worker's and epoch's, or the claim is
//           not. COPIED where that outcome is there, or whoever leads the key is done: then
//           summary, citations and outcome are copied (cached_from; no cost), the requeued entry
//           goes, and the result message is made. STOPPED where the job is. FREE where nobody else
//           leads, or who does is free: it ended without an answer, or it has no attempt that is
//           sent, ok or in doubt and its last one is older than 10 s. Else WAIT.
// bury      DEAD: one for a message; the announcement where it was new. It takes a message that was
//           kept for later with it. LATER: kept once; no announcement.
// announced Deletes the result message; marks the dead letter.
// seal      Makes the batch where it is new; the last total holds.
// budgets   These are the budgets that this worker's configuration wants, those of an earlier one
//           go. Of what the live workers want the lowest limit holds; what a command has set stays.
//           A new budget begins with what the ledger has of its period. A worker's wants go with
//           its release, or are found by another worker after its lease.
// fetch     Of a document that is stored, or of which a text was kept: the stored text where it is
//           `plain`, else the text kept by `extractor`, else the bytes where `bytes`; always its
//           media type (a kept text's counts first) and its size. A stored text has bytes too.
// keep_text The first text of (document, extractor) stays. Where the claim has this worker and
//           epoch, the job's document is this one from now on. Its commit need not reach the disk:
//           that of the plan, which comes later, brings it.
// partition_begin
//           known: it had a row, and something read there was claimed or buried in this group, or
//           the row is older than 60 s (a worker that ended right after its first assignment
//           leaves nothing to lose). topic_known: known, or some partition of the topic has a row
//           that is older than 60 s. unclean: the last owner, another worker, did not call
//           partition_clean. The partition is this worker's and unclean from then on.
// partition_clean  Only for the last owner.
// suspect   Counts one more, and says how many. A message whose job was claimed before is innocent
//           (it was parsed then): where it would count three, it counts one again. Messages are
//           parsed one after the other here, so those below it are innocent too, but for those
//           that counted three: they stay until suspects_clear, lest their burial is lost.
// renew     The lease ends one lease from now. broken: it had ended (or the row was gone).
// sweep     Result messages and dead letters that are not announced, 10 s after they were made or
//           last swept, half of the limit for each; marks them as swept.
// take_requeued
//           Jobs that are parked and due, or that `retry` reopened (the message is the job's spec,
//           topic, partition and offset its first ones), and kept messages whose version this
//           program knows (job_no 0), which nobody has taken, or a worker whose lease has ended.
//           This worker has them. Due is what is to be ended only (stopped, past a deadline that it
//           fails at), what waits for nothing, and what has come: its time, the end of its batch,
//           the end of its pause. Of the highest priority first; of each tenant as many as of any
//           other, beginning after `after_tenant`; of a tenant by deadline, then by number. With
//           it: whether others are due, how much is parked (counted every 5 s by one worker for
//           all), and all that is paused.
// quota     Asks of one lane each (a key with a model) are answered by the rule of core/quota.h, by
//           the database's clock. An operation that is applied again gives anew; what it gave first
//           is lost, and what it brought (back, settled, headers, closings) counts once. Its commit
//           need not reach the disk, unless it gives what a crash must not forget: a debt of more
//           than a second, a day's limit, slots, a probe.
// calibrate What is told is added to the rows of its models by the rule of core/calibrate.h
//           (calibrate_merge), by the database's clock; once for each request, however often it is
//           applied. Answered with the rows of the models that were asked for, of this program's
//           form. Its commit need not reach the disk. Where PostgreSQL refuses it, no rows.
// release   The worker's row ends; its claims without an outcome become nobody's (no crash).
//
// Notices: whoever changes what the fleet should know of does pg_notify('precis', what) in the same
// transaction; every other store that is up emits STORE_NOTICE. Nothing depends on them.
//
// Each answer comes from the loop, never from inside the call that asks. Log events:
// store_connected, store_lost, store_unreachable, store_failed, store_refused, store_rejected;
// SQLSTATE, constraint and table are all that is said of an error.
#ifndef PRECIS_IO_STORE_H
#define PRECIS_IO_STORE_H

#include <stdint.h>
#include <uv.h>

#include "base/log.h"
#include "core/seams.h"

#define STORE_LEASE_MS        15000
#define STORE_MESSAGE_VERSION 1 // the highest `v` of a job message that this program reads

struct store;

// A number of the whole fleet, for /metrics; thousandths.
struct store_gauge {
    const char *name, *label, *second; // label and second NULL: it has none
    int64_t milli;
};

// Strings are copied.
struct store_options {
    const char *database; // conninfo
    const char *worker;   // this process's name, as users see it
    const char *group;    // the Kafka consumer group
    const char *http_listen;
    int64_t lease_ms;        // 0: STORE_LEASE_MS; tests shorten it
    int32_t message_version; // 0: STORE_MESSAGE_VERSION
    struct log *log;
    void *context;
    void (*on_event)(void *context, const struct store_event *event);
    void (*on_gauge)(void *context, const struct store_gauge *gauge); // NULL: not wanted
    // The database cannot serve this program, now or later: the process has to end with exit 2 and
    // say `text`, one sentence with the command to run.
    void (*on_refused)(void *context, const char *text);
};

// Connects, registers the worker (lease running), and answers STORE_UP; goes on for ever.
struct store *store_new(uv_loop_t *loop, const struct store_options *options);
// Nothing is answered any more; requests that were not answered are forgotten. The memory goes
// once the loop has closed the handles.
void store_free(struct store *store);
const struct store_ops *store_ops_pg(void);
// This worker's number; 0 before the first STORE_UP.
int64_t store_worker_id(const struct store *store);
// Asks for the fleet's gauges, and tells what this worker has: messages of its partitions without
// an outcome, calls that it can have under way. Each gauge comes to on_gauge. One worker measures
// for all (migration `gauges`), so this may be asked every few seconds.
void store_gauges(struct store *store, int64_t unread, int64_t calls);
// How long things are kept; INT64_MAX: for ever.
struct store_retention {
    int64_t documents_ms; // and texts, after the last job that has them
    int64_t traces_ms;    // answers of parts and bad ones, after their job
    int64_t results_ms;   // summaries and quotes, after their job
};
// Removes some of what is older; how much went in all comes to on_gauge. One worker of the fleet
// does it at a time, the others' asks do nothing.
void store_retain(struct store *store, const struct store_retention *keep);
// Requests that were not answered yet, for bounds and metrics.
size_t store_pending(const struct store *store);

#endif
