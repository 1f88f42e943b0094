// SPDX-License-Identifier: Apache-2.0
// The edge that turns documents into text (struct extract_ops of core/seams.h): a bounded pool of
// child processes on the loop.
//
// Each document has a child of its own, `precis extract --child`, which reads one document and ends
// (io/extract.h). At most `children` run at once, the others wait in order. A child has
// documents.timeout from its start to its end; a child that takes longer, answers more than it may,
// answers nonsense or dies is killed with everything that it started, and its document has a
// failure that says so. Nothing here blocks the loop: bytes are written as the child takes them.
//
// What a child is told: the documents section of the configuration, never a secret. Its environment
// is PATH and LC_ALL=C.UTF-8.
#ifndef PRECIS_IO_EXTRACTOR_H
#define PRECIS_IO_EXTRACTOR_H

#include <uv.h>

#include "core/config.h"
#include "core/seams.h"

typedef void extractor_fn(void *context, const struct extract_event *event);

struct extractor_options {
    extractor_fn *on_event; // on the loop, never from inside a call of extract_ops
    void *context;
    const struct config_documents *documents; // copied
    const char *program;                      // NULL: this one, /proc/self/exe
    // For tests only: https: may reach this machine, with the certificates of the file `ca`.
    bool allow_loopback;
    const char *ca;
};

struct extractor;

// Asks pdftotext for its version, which takes some milliseconds.
struct extractor *extractor_new(uv_loop_t *loop, const struct extractor_options *options);
// With the struct extractor as their first argument.
const struct extract_ops *extractor_ops(void);

struct extractor_stats {
    int64_t running, waiting; // documents
    int64_t waiting_bytes;    // of documents, held in memory
    int64_t done, failed;     // since the start
};
void extractor_stats(const struct extractor *extractor, struct extractor_stats *out);

// Kills what runs, forgets what waits, without events; `closed` comes from the loop. Then free.
void extractor_close(struct extractor *extractor, void (*closed)(void *context), void *context);
// After `closed`. NULL is fine.
void extractor_free(struct extractor *extractor);

#endif
