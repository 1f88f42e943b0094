// SPDX-License-Identifier: Apache-2.0
// An intrusive, counted, doubly linked list. An item is in at most one list; the list knows its
// length, which is the gauge on /metrics. Nothing is allocated.
#ifndef PRECIS_BASE_LIST_H
#define PRECIS_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *prev, *next;
    struct list *in; // NULL when in no list
};

struct list {
    struct list_node head;
    size_t len;
};

void list_init(struct list *list);
void list_append(struct list *list, struct list_node *node);
// Does nothing for a node that is in no list.
void list_remove(struct list_node *node);
// NULL at the end; list_next allows that the current node is removed after the call.
struct list_node *list_first(const struct list *list);
struct list_node *list_next(const struct list *list, const struct list_node *node);

#define list_item(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

#endif
