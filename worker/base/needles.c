// SPDX-License-Identifier: Apache-2.0
// A trie with failure links. Children hang in a list: but for the root, which has a table, nearly
// every node has one child, and a dense table a node would cost a thousand times the secrets.
#include "base/needles.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"

struct node {
    uint32_t child;   // first of the children, 0: none
    uint32_t sibling; // next child of the same parent, 0: none
    uint32_t fail;    // the node of the longest proper suffix that is a beginning of a needle
    uint32_t depth;
    uint32_t found; // longest telling beginning that ends here
    unsigned char byte;
    bool tells;
};

struct needles {
    struct node *nodes; // nodes[0] is the root; its children are in `first`, too
    uint32_t count;
    uint32_t room;
    uint32_t first[256];
};

struct needles *needles_new(void)
{
    struct needles *needles = own_alloc(sizeof(*needles));
    needles->room = 64;
    needles->nodes = own_array(needles->room, sizeof(*needles->nodes));
    needles->count = 1;
    return needles;
}

static void wipe(struct node *nodes, size_t room)
{
    explicit_bzero(nodes, room * sizeof(*nodes));
    free(nodes);
}

void needles_free(struct needles *needles)
{
    if (!needles)
        return;
    wipe(needles->nodes, needles->room);
    explicit_bzero(needles, sizeof(*needles));
    free(needles);
}

static uint32_t child_of(const struct needles *needles, uint32_t at, unsigned char byte)
{
    if (at == 0)
        return needles->first[byte];
    uint32_t child = needles->nodes[at].child;
    while (child && needles->nodes[child].byte != byte)
        child = needles->nodes[child].sibling;
    return child;
}

static void make_room(struct needles *needles)
{
    if (needles->count < needles->room)
        return;
    struct node *larger = own_array((size_t)needles->room * 2, sizeof(*larger));
    memcpy(larger, needles->nodes, needles->count * sizeof(*larger));
    wipe(needles->nodes, needles->room);
    needles->nodes = larger;
    needles->room *= 2;
}

static uint32_t add_child(struct needles *needles, uint32_t at, unsigned char byte)
{
    make_room(needles);
    struct node *parent = &needles->nodes[at];
    uint32_t child = needles->count++;
    needles->nodes[child] =
        (struct node){.sibling = parent->child, .depth = parent->depth + 1, .byte = byte};
    parent->child = child;
    if (at == 0)
        needles->first[byte] = child;
    return child;
}

void needles_add(struct needles *needles, const char *text, size_t len, size_t least)
{
    uint32_t at = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];
        uint32_t next = child_of(needles, at, byte);
        at = next ? next : add_child(needles, at, byte);
        if (i + 1 >= least || i + 1 == len)
            needles->nodes[at].tells = true;
    }
}

static uint32_t walk(const struct needles *needles, uint32_t at, unsigned char byte)
{
    uint32_t next = child_of(needles, at, byte);
    while (!next && at) {
        at = needles->nodes[at].fail;
        next = child_of(needles, at, byte);
    }
    return next;
}

static void link_node(struct needles *needles, uint32_t at, uint32_t parent)
{
    struct node *node = &needles->nodes[at];
    node->fail = parent ? walk(needles, needles->nodes[parent].fail, node->byte) : 0;
    node->found = node->tells ? node->depth : needles->nodes[node->fail].found;
}

// Breadth first: a node's failure link leads to a shallower one, which is finished by then.
void needles_build(struct needles *needles)
{
    uint32_t *queue = own_array(needles->count, sizeof(*queue));
    uint32_t end = 1; // the queue begins with the root
    for (uint32_t i = 0; i < end; i++) {
        uint32_t child = needles->nodes[queue[i]].child;
        for (; child; child = needles->nodes[child].sibling) {
            link_node(needles, child, queue[i]);
            queue[end++] = child;
        }
    }
    free(queue);
}

size_t needles_step(const struct needles *needles, uint32_t *state, unsigned char byte)
{
    *state = walk(needles, *state, byte);
    return needles->nodes[*state].found;
}
