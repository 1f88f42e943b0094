// SPDX-License-Identifier: Apache-2.0
// Which jobs go together, and who bears what of their request.
#include "core/pack.h"

#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/own.h"

__extension__ typedef __int128 wide;

// A key point with its quote and their JSON, in characters.
#define POINT_CHARS 500
// The JSON around a document's answer, its id among it.
#define FRAME_TOKENS 64
// An own form says nothing of its length: it may take this part of what it might alone.
#define OWN_FORM_PART 4

// ------------------------------------------------------------------------------- together

bool pack_allowed(const struct job_spec *spec)
{
    return spec->pack && spec->evidence_quotes && !spec->reasoning_effort &&
           spec->reasoning_mode != REASONING_ON;
}

static void add_text(struct buf *out, const char *text)
{
    size_t len = text ? strlen(text) : SIZE_MAX;
    buf_add(out, &len, sizeof(len));
    buf_add_str(out, text ? text : "");
}

// Everything of a spec that a request says, or that its row in the ledger says of it.
static void add_key(struct buf *out, const struct job_spec *spec)
{
    const int64_t numbers[] = {spec->max_chars,         spec->points_min,
                               spec->points_max,        spec->evidence_quotes,
                               spec->max_output_tokens, spec->reasoning_mode};
    const char *const texts[] = {
        spec->tenant,           spec->batch,        spec->model,
        spec->language,         spec->instructions, spec->output_schema_json,
        spec->reasoning_effort, spec->temperature,  spec->template_label};
    buf_add(out, numbers, sizeof(numbers));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        add_text(out, texts[i]);
}

bool pack_same(const struct job_spec *a, const struct job_spec *b)
{
    struct buf left OWN_BUF, right OWN_BUF;
    buf_init(&left, 0);
    buf_init(&right, 0);
    add_key(&left, a);
    add_key(&right, b);
    return left.len == right.len && memcmp(left.data, right.data, left.len) == 0;
}

uint64_t pack_hash(const struct job_spec *spec)
{
    struct buf key OWN_BUF;
    buf_init(&key, 0);
    add_key(&key, spec);
    return XXH64(key.data, key.len, 0);
}

int64_t pack_output_tokens(const struct job_spec *spec, int64_t text_tokens, int64_t text_chars,
                           int64_t alone_tokens)
{
    if (spec->output_schema_json)
        return alone_tokens / OWN_FORM_PART;
    int64_t chars = spec->max_chars + spec->points_max * POINT_CHARS;
    // Three characters a token at most, however many the text has.
    bool dense = text_chars > 0 && text_tokens * 3 > text_chars;
    wide tokens = dense ? (wide)chars * text_tokens / text_chars : chars / 3;
    return tokens + FRAME_TOKENS < alone_tokens ? (int64_t)tokens + FRAME_TOKENS : alone_tokens;
}

bool pack_take(struct pack_room *room, const struct pack_room *need)
{
    if (need->documents > room->documents || need->tokens > room->tokens ||
        need->output_tokens > room->output_tokens || need->doubt_picousd > room->doubt_picousd)
        return false;
    room->documents -= need->documents;
    room->tokens -= need->tokens;
    room->output_tokens -= need->output_tokens;
    room->doubt_picousd -= need->doubt_picousd;
    return true;
}

// ------------------------------------------------------------------------------- shares

struct split {
    int64_t weight, cap;
    int64_t share;
    wide remainder;
    bool full; // it has its cap, and takes no part any more
};

static wide open_weight(const struct split *splits, size_t count)
{
    wide sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += splits[i].full ? 0 : splits[i].weight;
    return sum;
}

static void weigh_the_same(struct split *splits, size_t count)
{
    for (size_t i = 0; i < count; i++)
        splits[i].weight = 1;
}

// Whoever would pass its cap gets it. Returns what is left for the others; *out_again: somebody
// did, and the others' shares have grown.
static int64_t fill_caps(struct split *splits, size_t count, int64_t left, bool *out_again)
{
    wide sum = open_weight(splits, count);
    int64_t taken = 0;
    *out_again = false;
    for (size_t i = 0; i < count; i++) {
        struct split *split = &splits[i];
        if (split->full || (wide)left * split->weight <= (wide)split->cap * sum)
            continue;
        split->share = split->cap;
        split->full = true;
        taken += split->cap;
        *out_again = true;
    }
    return left - taken;
}

static struct split *largest_remainder(struct split *splits, size_t count)
{
    struct split *best = NULL;
    for (size_t i = 0; i < count; i++)
        if (!splits[i].full && (!best || splits[i].remainder > best->remainder))
            best = &splits[i];
    return best;
}

// All that is left, by weight, among those that are not full.
static void split_rest(struct split *splits, size_t count, int64_t left)
{
    wide sum = open_weight(splits, count);
    int64_t given = 0;
    for (size_t i = 0; i < count; i++) {
        struct split *split = &splits[i];
        if (split->full)
            continue;
        wide part = (wide)left * split->weight;
        split->share += (int64_t)(part / sum);
        split->remainder = part % sum;
        given += (int64_t)(part / sum);
    }
    for (; given < left; given++) {
        struct split *split = largest_remainder(splits, count);
        split->share++;
        split->remainder = -1;
    }
}

void pack_share(int64_t total, const int64_t *weights, const int64_t *caps, size_t count,
                int64_t *out)
{
    struct split splits[PACK_MOST];
    wide weight = 0, room = 0;
    CHECK(count > 0 && count <= PACK_MOST && total >= 0);
    for (size_t i = 0; i < count; i++) {
        weight += weights[i] > 0 ? weights[i] : 0;
        room += caps[i] > 0 ? caps[i] : 0;
    }
    for (size_t i = 0; i < count; i++)
        splits[i] = (struct split){.weight = weights[i] > 0 ? weights[i] : 0,
                                   .cap = caps[i] > 0 ? caps[i] : 0};
    if (weight == 0)
        weigh_the_same(splits, count);
    int64_t left = total;
    for (bool again = room >= total && left > 0; again;) {
        if (open_weight(splits, count) == 0)
            weigh_the_same(splits, count);
        left = fill_caps(splits, count, left, &again);
    }
    if (left > 0)
        split_rest(splits, count, left);
    for (size_t i = 0; i < count; i++)
        out[i] = splits[i].share;
}

void pack_share_usage(const struct usage *whole, const struct pack_weight *weights, size_t count,
                      struct usage *out)
{
    struct usage bounded = usage_bounded(whole);
    int64_t weight[PACK_MOST], cap[PACK_MOST], input[PACK_MOST], output[PACK_MOST], part[PACK_MOST];
    CHECK(count > 0 && count <= PACK_MOST);
    for (size_t i = 0; i < count; i++) {
        out[i] = (struct usage){.known = whole->known};
        weight[i] = weights[i].input_tokens;
        cap[i] = weights[i].input_most;
    }
    pack_share(bounded.input_tokens, weight, cap, count, input);
    for (size_t i = 0; i < count; i++) {
        weight[i] = weights[i].output_tokens;
        cap[i] = weights[i].output_most;
    }
    pack_share(bounded.output_tokens, weight, cap, count, output);
    pack_share(bounded.cached_tokens, input, input, count, part);
    for (size_t i = 0; i < count; i++) {
        out[i].input_tokens = input[i];
        out[i].output_tokens = output[i];
        out[i].cached_tokens = part[i];
    }
    pack_share(bounded.reasoning_tokens, output, output, count, part);
    for (size_t i = 0; i < count; i++)
        out[i].reasoning_tokens = part[i];
}
