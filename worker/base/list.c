// SPDX-License-Identifier: Apache-2.0
// The counted list.
#include "base/list.h"

#include "base/check.h"

void list_init(struct list *list)
{
    list->head = (struct list_node){.prev = &list->head, .next = &list->head};
    list->len = 0;
}

void list_append(struct list *list, struct list_node *node)
{
    CHECK(node->in == NULL);
    node->prev = list->head.prev;
    node->next = &list->head;
    node->prev->next = node;
    list->head.prev = node;
    node->in = list;
    list->len++;
}

void list_remove(struct list_node *node)
{
    if (!node->in)
        return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->in->len--;
    *node = (struct list_node){0};
}

struct list_node *list_first(const struct list *list)
{
    return list_next(list, &list->head);
}

struct list_node *list_next(const struct list *list, const struct list_node *node)
{
    return node->next == &list->head ? NULL : node->next;
}
