// SPDX-License-Identifier: Apache-2.0
// The two halves of the HTML report: what stands above the documents, and one document.
#ifndef PRECIS_CMD_RESULTS_PAGE_H
#define PRECIS_CMD_RESULTS_PAGE_H

#include "cmd/results_forms.h"

// What the report says of the batch as a whole.
struct results_totals {
    struct pg_rows *batch, *models, *codes;
};

// False: it was said why.
bool results_totals_load(const struct results_order *order, struct results_totals *out);
void results_totals_deinit(struct results_totals *totals);
// <header>: the name, when, and the numbers.
void results_page_head(struct buf *out, const struct results_totals *totals);
// Sections of what failed, by code, and of what was paid, by model.
void results_page_overview(struct buf *out, const struct results_totals *totals);

// One job as <details>; open where the batch is small.
void results_page_document(struct results_writer *writer, const json_t *row, bool open);

#endif
