// SPDX-License-Identifier: Apache-2.0
// What can be checked of a summary: its quotes are looked up in the source.
#include <string.h>

#include "base/own.h"
#include "core/ground.h"
#include "job/parts.h"

static void find_quote(const struct job *job, struct citation_row *row, const char *quote)
{
    row->quote = quote;
    row->from = row->to = -1;
    size_t from, to;
    if (ground_find(job->text, job->text_len, quote, strlen(quote), &from, &to)) {
        row->found = true;
        row->from = (int64_t)from;
        row->to = (int64_t)to;
    }
}

void trust_cite(struct job *job, struct summary_row *row)
{
    const struct summary *summary = &job->summary;
    bool leaves = summary->output_json != NULL;
    size_t count = leaves ? summary->quote_count : summary->point_count;
    struct citation_row *rows = own_array(count, sizeof(*rows));
    size_t used = 0;
    for (size_t i = 0; summary->quotes && i < count; i++) {
        if (!summary->quotes[i] || !summary->quotes[i][0])
            continue;
        struct citation_row *citation = &rows[used++];
        *citation = (struct citation_row){.point = leaves ? 0 : (int32_t)i + 1,
                                          .path = leaves ? summary->quote_paths[i] : NULL};
        find_quote(job, citation, summary->quotes[i]);
    }
    job->draft.citations = rows;
    row->citations = rows;
    row->citation_count = used;
}
