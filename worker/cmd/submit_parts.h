// SPDX-License-Identifier: Apache-2.0
// The parts of `precis submit`, in the order in which a document passes them:
//
//   submit_order   options -> what every message gets that does not say it itself
//   walk, submit_files   paths -> documents (submit_document) and lines (submit_lines,
//                  submit_openai)
//   submit_job     a message: filled in, named, checked by the workers' own decoder, compared with
//                  what the batch has already
//   submit_stage   its document into PostgreSQL, then the message to Kafka
//   submit_batches the batches: made, and sealed with their totals
//   submit_canary  --canary: the first jobs, waited for, before the rest goes
//   submit_wait    --wait
#ifndef PRECIS_CMD_SUBMIT_PARTS_H
#define PRECIS_CMD_SUBMIT_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "base/buf.h"
#include "cmd/ask.h"
#include "cmd/command.h"
#include "cmd/labels.h"
#include "cmd/progress.h"
#include "cmd/sender.h"
#include "cmd/submit_document.h"
#include "core/spec.h"
#include "io/pg_array.h"

// CONTRACT.md, 2: larger documents are stored, and the message refers to them.
#define SUBMIT_INLINE_BYTES 4096

struct submit_order {
    json_t *members;   // of the top level
    json_t *summarize; // parameters
    struct labels *labels;
    const char *tenant; // --tenant, or NULL
    char *batch;        // --batch, else made of the first path; NULL for standard input
    bool revise, open, store_all, wait, dry_run;
    bool offline;        // PostgreSQL is not asked what is known of the batches
    bool failed_percent; // max_failed is a percentage
    int64_t max_failed;
    bool stops_failed;      // when more have failed, the rest is cancelled
    int64_t canary;         // so many jobs first; 0: no canary
    bool yes;               // go on after a good canary without asking
    int64_t budget_picousd; // of each batch; -1: none is set
    int64_t hold_back_bytes;
};

// What the batch knew of a job before.
struct submit_known {
    char *id;
    int64_t revision;
    bool ended;    // it has its outcome: nothing has to be sent
    char hash[65]; // hex
};

struct submit_batch {
    char *tenant, *name;
    struct submit_known *known; // sorted by id
    size_t known_count;
    void *sent; // tree of ids with their hashes, of this run
    size_t sent_count;
    struct pg_array revised, revisions; // ids, and the new revisions that are sent
};

struct submit_stage;
struct submit_place;

// Gets each job that would be sent, in place of PostgreSQL and Kafka (`estimate`).
typedef void submit_take_fn(void *context, const struct job_spec *spec,
                            const struct submit_place *place);

struct submit {
    struct invocation *invocation;
    const struct config *config;
    struct submit_order order;
    struct sender *sender;
    struct submit_stage *stage;
    struct submit_batch *batches;
    size_t batch_count;
    json_t *problems; // [{"path", "error"}]: what could not be submitted
    json_t *copies;   // [{"document", "copy_of"}]: the same content under two names
    void *contents;   // tree of the documents of this run, by hash
    size_t jobs;      // messages sent
    size_t repeated;  // of these: known with the same content
    size_t revised;   // of these: with a new revision
    size_t ended;     // known with the same content and an outcome: not sent
    size_t twice;     // given twice in this run, sent once
    size_t stored;    // documents
    size_t passed_over;
    struct progress progress;
    int64_t read, read_bytes; // of the files
    bool told_left_out;       // of OpenAI's lines
    bool stopped;             // nothing more can be sent: said on stderr
    bool canary_done;         // it was looked at, and the rest may go
    bool held;                // after the canary: the rest does not go, by choice
    int canary_code;          // the exit code of `held`
    bool too_many_failed;     // `held` is for that
    int64_t look_again_s;     // monotonic: at what has failed, while jobs are sent
    submit_take_fn *take;     // NULL: jobs are sent
    void *take_context;
};

// Reads the options. 0, or an exit code after saying what is wrong.
int submit_order_read(struct submit_order *order, struct invocation *invocation);
void submit_order_deinit(struct submit_order *order);
// The batch of --after; NULL: none.
const char *submit_order_after(const struct submit_order *order);
// Once the batch has its name: 0, or an exit code after saying that it would wait for itself.
int submit_order_check_batch(const struct submit_order *order, struct invocation *invocation);

// Notes something that is not submitted, and says it on stderr. `path` may be NULL.
void submit_problem(struct submit *submit, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// The batch where none was named: of the first path.
void submit_name_batch(struct submit *submit);
// All paths of the command line; "-" is standard input.
void submit_paths(struct submit *submit);
// Job messages or OpenAI-batch lines.
void submit_lines(struct submit *submit, const char *path, FILE *file);
// The job message for a line {"custom_id", "method", "url", "body"}, a new reference; NULL with a
// sentence in `problem`. What cannot be taken over is refused; what may be left out (sampling) is
// added to `left_out`, the names with blanks between them.
json_t *submit_openai(const json_t *line, struct buf *left_out, struct buf *problem);

// A job's name for a file (a path below the given folder), at most SPEC_NAME_BYTES: "/" becomes
// ":", other characters that names do not have become "_". Where that, or a cut, could make two
// names one, or `salt` is not NULL, a hash of name and salt follows.
void submit_job_name(char out[SPEC_NAME_BYTES + 1], const char *name, const char *salt);

// Where a message came from, for errors: a path, and the line in it (0: the file is the document).
struct submit_place {
    const char *path;
    const char *name; // relative to the folder given; NULL for lines
    size_t line;
    const struct submit_document *document; // what the message calls `stored`; NULL: it has all
};
// --dry-run: the line of a job that would be sent.
void submit_show_job(struct submit *submit, const struct job_spec *spec, const char *name);
// Takes the message: fills it in, checks and sends it.
void submit_job(struct submit *submit, json_t *message, const struct submit_place *place);

struct submit_stage *submit_stage_new(struct submit *submit);
void submit_stage_free(struct submit_stage *stage);
// A document that goes into PostgreSQL.
struct submit_stored {
    const char *sha256, *media_type, *content;
    size_t len;
    bool is_text;
};
// Takes `value`. Where `stored` is not NULL, that is durable before the message goes. False:
// submit->stopped.
bool submit_stage_add(struct submit_stage *stage, const struct job_spec *spec,
                      const struct submit_stored *stored, char *value);
bool submit_stage_flush(struct submit_stage *stage);

// The batch by its names, made and its jobs read where it is new here. NULL: submit->stopped.
struct submit_batch *submit_batch_of(struct submit *submit, const char *tenant, const char *name);
// NULL: not known.
const struct submit_known *submit_batch_known(const struct submit_batch *batch, const char *id);
enum submit_seen { SUBMIT_NEW, SUBMIT_SAME, SUBMIT_OTHER };
// Notes the content of a document: whether it was there before in this run, under another name.
void submit_note_copy(struct submit *submit, const char *sha256, const char *name);
void submit_copies_free(struct submit *submit);
// Notes an id of this run: new, or here before with the same or with other content.
enum submit_seen submit_batch_note(struct submit_batch *batch, const char *id, const char *hash);
// A job that was there before goes with a new revision: the batch has not ended before workers have
// read it.
void submit_batch_expect(struct submit_batch *batch, const char *id, int64_t revision);
// Sets the totals. False: it was said why.
bool submit_batches_seal(struct submit *submit);
void submit_batches_free(struct submit *submit);

// With submit->order.canary: before what comes after the canary's last job is looked at. False:
// submit->stopped, and perhaps submit->held.
bool submit_canary(struct submit *submit);
// Appends the ids of this run.
void submit_batch_ids(const struct submit_batch *batch, struct pg_array *out);
// Whether workers have read the new revisions of a batch; *out_read is left as it is where they
// have. False: it could not be asked, which was said.
bool submit_wait_read(struct submit *submit, struct submit_batch *batch, bool *out_read);

// Whether more failed than --max-failed allows.
bool submit_too_many_failed(const struct submit_order *order, int64_t failed, int64_t total);
// Every other second, while jobs are sent: looks whether too many have failed already. Then the
// rest is cancelled and not sent; false: submit->stopped, and perhaps submit->held.
bool submit_look_at_failed(struct submit *submit);

// Until every batch has ended; the rest is cancelled when more have failed than is allowed. Jobs
// that are not done are added to *out_failed, all to *out_total. An exit code: 0, 1 or 130.
int submit_wait(struct submit *submit, int64_t *out_failed, int64_t *out_total);

#endif
