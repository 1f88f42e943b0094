// SPDX-License-Identifier: Apache-2.0
// Makes a sentence of the document say what the document does not.
#ifndef MODELSIM_FALSIFY_H
#define MODELSIM_FALSIFY_H

#include "answer.h"

// Changes the amounts, years or companies' names in the text, as the fault says; other faults
// change nothing.
void falsify(struct buf *text, enum answer_spoil spoil);

#endif
