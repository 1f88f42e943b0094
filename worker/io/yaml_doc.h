// SPDX-License-Identifier: Apache-2.0
// One YAML document over libfyaml: refused or read, with places. UTF-8 is checked here, since
// libfyaml 0.7.12 turns invalid bytes into null in silence. Aliases are followed one by one, and
// the walk is bounded, since a small file can be a huge tree.
#ifndef PRECIS_IO_YAML_DOC_H
#define PRECIS_IO_YAML_DOC_H

#include <jansson.h>
#include <libfyaml.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/config_error.h"

#define YAML_DOC_MAX_NODES 100000

struct yaml_doc;

// NULL after a mistake, which is in `errors`: YAML's own, a duplicate key, invalid UTF-8, a control
// character, a second document. `file`, `text` and
// `errors` must outlive the document.
struct yaml_doc *yaml_doc_new(const char *file, const char *text, size_t len,
                              struct config_errors *errors);
void yaml_doc_free(struct yaml_doc *doc);
// NULL where the file holds nothing.
struct fy_node *yaml_doc_root(const struct yaml_doc *doc);

// The node itself, or what an alias stands for; NULL where that is nothing (a mistake is added), or
// the walk is over its bound (yaml_doc_exhausted).
struct fy_node *yaml_follow(struct yaml_doc *doc, struct fy_node *node);
bool yaml_doc_exhausted(const struct yaml_doc *doc);

// NULL itself, ~, null, or nothing, unquoted.
bool yaml_is_null(struct fy_node *node);
// A scalar's text, which the caller frees; NULL where it is no scalar.
char *yaml_scalar(struct fy_node *node);
// Where a scalar begins; `fallback` for what has no place of its own.
struct config_place yaml_place(struct fy_node *node, struct config_place fallback);
// Any node as JSON (the caller decrefs it), members in the document's order, with YAML 1.2's rules
// for numbers, true, false and null. NULL: deeper than 64, or a key that is no scalar.
json_t *yaml_tree(struct yaml_doc *doc, struct fy_node *node);
// The same as text (heap), members sorted.
char *yaml_json(struct yaml_doc *doc, struct fy_node *node);

#endif
