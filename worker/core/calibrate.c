// SPDX-License-Identifier: Apache-2.0
// Weighted means and variances of ratios.
#include "core/calibrate.h"

#include <math.h>

#include "base/check.h"

#define FIRST_FACTOR   1.1
#define FIRST_SPREAD   0.1
#define EARLY_SAMPLES  10
#define EARLY_WEIGHT   0.2
#define WEIGHT         0.05
#define LEAST_TOKENS   200
#define LOOK_BYTES     4096
#define OUTPUT_SAMPLES 30
#define EXPECT_SAMPLES 5
#define EXPECT_FIRST   0.25
#define EXPECT_SPREADS 2
#define OUTPUT_SPREADS 6
#define OUTPUT_MARGIN  1.25
#define MOST_FADES     0.999
#define MONEY_SAMPLES  20
#define MONEY_MARGIN   1.5

void calibrate_init(struct calibrate *calibrate)
{
    *calibrate = (struct calibrate){0};
    double deviation = FIRST_FACTOR * FIRST_SPREAD;
    for (int i = 0; i < SCRIPTS; i++)
        calibrate->input[i] =
            (struct calibrate_mean){.mean = FIRST_FACTOR, .variance = deviation * deviation};
}

static bool is_cjk_lead(unsigned char c)
{
    return (c >= 0xe3 && c <= 0xed) || c == 0xef || c == 0xf0;
}

enum calibrate_script calibrate_script_of(const char *text, size_t len)
{
    int64_t latin = 0, cjk = 0, other = 0, dense = 0;
    for (size_t i = 0; i < len && i < LOOK_BYTES; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
            latin++;
        else if (c > ' ' && c < 0x80)
            dense += 2; // two of three characters of code and tables are letters all the same
        else if (is_cjk_lead(c))
            cjk += 2;
        else if (c >= 0xc3 && c < 0xc6) // accents of Latin scripts
            latin++;
        else if (c >= 0xc6)
            other++;
    }
    if (cjk > latin && cjk > other && cjk > dense)
        return SCRIPT_CJK;
    if (other > latin && other > dense)
        return SCRIPT_OTHER;
    return dense > latin ? SCRIPT_DENSE : SCRIPT_LATIN;
}

int calibrate_kind(int prompt, bool reasoning, bool own_schema)
{
    CHECK(prompt >= 0 && prompt < CALIBRATE_KINDS / 4);
    return prompt * 4 + reasoning * 2 + own_schema;
}

static void take_sample(struct calibrate_mean *mean, double ratio)
{
    double weight = mean->samples < EARLY_SAMPLES ? EARLY_WEIGHT : WEIGHT;
    double away = ratio - mean->mean;
    mean->mean += weight * away;
    mean->variance = (1 - weight) * (mean->variance + weight * away * away);
    mean->most *= MOST_FADES;
    if (ratio > mean->most)
        mean->most = ratio;
    if (mean->samples < INT32_MAX)
        mean->samples++;
}

static int64_t scaled(int64_t amount, double factor)
{
    double result = ceil((double)amount * factor);
    return result < 9e18 ? (int64_t)result : INT64_MAX;
}

int64_t calibrate_input_upper(const struct calibrate *calibrate, enum calibrate_script script,
                              int64_t estimate)
{
    if (!calibrate)
        return scaled(estimate, FIRST_FACTOR * (1 + 2 * FIRST_SPREAD));
    const struct calibrate_mean *mean = &calibrate->input[script];
    return scaled(estimate, mean->mean + 2 * sqrt(mean->variance));
}

int64_t calibrate_input_most(const struct calibrate *calibrate, enum calibrate_script script,
                             int64_t estimate, int64_t bytes)
{
    if (!calibrate || calibrate->input[script].samples < MONEY_SAMPLES)
        return bytes;
    int64_t seen = scaled(estimate, calibrate->input[script].most * MONEY_MARGIN);
    return seen < bytes ? seen : bytes;
}

void calibrate_input_told(struct calibrate *calibrate, enum calibrate_script script,
                          int64_t estimate, int64_t reported)
{
    if (estimate < LEAST_TOKENS || reported <= 0)
        return;
    double ratio = (double)reported / (double)estimate;
    if (ratio >= 0.3 && ratio <= 4)
        take_sample(&calibrate->input[script], ratio);
}

static int64_t bounded(int64_t tokens, int64_t bound)
{
    if (tokens < CALIBRATE_OUTPUT_LEAST)
        tokens = CALIBRATE_OUTPUT_LEAST;
    return tokens < bound ? tokens : bound;
}

int64_t calibrate_output_expected(const struct calibrate *calibrate, int kind, int64_t bound)
{
    if (!calibrate || calibrate->output[kind].samples < EXPECT_SAMPLES)
        return bounded(scaled(bound, EXPECT_FIRST), bound);
    const struct calibrate_mean *mean = &calibrate->output[kind];
    return bounded(scaled(bound, mean->mean + EXPECT_SPREADS * sqrt(mean->variance)), bound);
}

int64_t calibrate_output_limit(const struct calibrate *calibrate, int kind, int64_t bound)
{
    if (!calibrate)
        return bound;
    const struct calibrate_mean *mean = &calibrate->output[kind];
    int64_t most = mean->most > 1 ? scaled(bound, mean->most) : bound;
    if (mean->samples < OUTPUT_SAMPLES)
        return most;
    double usual = mean->mean + OUTPUT_SPREADS * sqrt(mean->variance);
    double longest = mean->most * OUTPUT_MARGIN;
    return bounded(scaled(bound, usual > longest ? usual : longest), most);
}

void calibrate_output_told(struct calibrate *calibrate, int kind, int64_t bound, int64_t tokens)
{
    struct calibrate_mean *mean = &calibrate->output[kind];
    if (bound <= 0 || tokens <= 0)
        return;
    double ratio = (double)tokens / (double)bound;
    if (mean->samples == 0) // what is the most stays: it may be known from a cut answer
        *mean = (struct calibrate_mean){
            .mean = ratio, .variance = ratio * ratio / 4, .most = mean->most};
    take_sample(mean, ratio);
}

void calibrate_output_cut(struct calibrate *calibrate, int kind, int64_t bound, int64_t sent)
{
    struct calibrate_mean *mean = &calibrate->output[kind];
    if (bound <= 0)
        return;
    mean->samples = 0;
    double ratio = 2 * (double)sent / (double)bound;
    if (mean->most < ratio)
        mean->most = ratio;
}
