// SPDX-License-Identifier: Apache-2.0
// What is made of config.def for others: schema/config.v1.json for editors and checkers, and
// schema/config.md for readers. A test compares both with the files.
#ifndef PRECIS_CORE_CONFIG_SCHEMA_H
#define PRECIS_CORE_CONFIG_SCHEMA_H

#include "base/buf.h"

// JSON Schema 2020-12 of precis.yaml with a newline at its end. Heap.
char *config_schema_json(void);
// The reference page: a table a section.
void config_reference(struct buf *out);

#endif
