// SPDX-License-Identifier: Apache-2.0
// One key's YAML value into one member of the configuration: the part of reading a file that goes
// by the kinds of config.def.
#ifndef PRECIS_IO_CONFIG_NODE_H
#define PRECIS_IO_CONFIG_NODE_H

#include "core/config.h"
#include "core/config_error.h"
#include "core/config_table.h"
#include "io/secrets.h"
#include "io/yaml_doc.h"

// A load under way.
struct config_reader {
    struct config *config;
    struct config_errors *errors;
    struct secrets *secrets;
    struct yaml_doc *doc; // NULL where the file is empty
    const char *file;
};

// What is being set: an object of a section, and how users call it ("models.grok-4.3", "kafka",
// "").
struct config_target {
    enum config_section section;
    void *object;
    const char *label;
};

// Sets the member from the node, or adds mistakes. `key` is the key's place.
void config_read_field(const struct config_reader *reader, const struct config_target *target,
                       const struct config_field *field, struct fy_node *node,
                       struct config_place key);
// Sets the row's default; a needed row without a value is a mistake.
void config_read_default(const struct config_reader *reader, const struct config_target *target,
                         const struct config_field *field, struct config_place place);
// "label.path" into `out`.
void config_label(const struct config_target *target, const char *path, struct buf *out);

#endif
