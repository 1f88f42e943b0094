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
#define LEAST_RATIO    0.3
#define MOST_RATIO     4
// Of the fleet's rows. The migration `calibrations` has the same numbers.
#define ROW_SAMPLES   200
#define TOLD_SAMPLES  50
#define HALF_LIFE_MS  604800000.0
#define OLDEST_HALVES 1000
#define OWN_SAMPLES   20

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

static double larger(double a, double b)
{
    return a > b ? a : b;
}

// What is left of the weight that a mean of `samples` has when so many more have been taken.
static double weight_left(double samples, double more)
{
    double early = samples < EARLY_SAMPLES ? EARLY_SAMPLES - samples : 0;
    early = more < early ? more : early;
    return pow(1 - EARLY_WEIGHT, early) * pow(1 - WEIGHT, more - early);
}

// Takes samples that are alike, one or many.
static void take_samples(struct calibrate_mean *mean, double samples, double ratio, double variance)
{
    double left = weight_left(mean->samples, samples), away = ratio - mean->mean;
    mean->mean += (1 - left) * away;
    mean->variance =
        left * mean->variance + (1 - left) * variance + left * (1 - left) * away * away;
    int64_t all = mean->samples + (int64_t)(samples + 0.5);
    mean->samples = all < INT32_MAX ? (int32_t)all : INT32_MAX;
}

static bool has_news(const struct calibration *untold)
{
    return untold->samples > 0 || untold->cut;
}

static void take_sample(struct calibrate *calibrate, struct calibrate_mean *mean, double ratio)
{
    take_samples(mean, 1, ratio, 0);
    mean->most = larger(mean->most * MOST_FADES, ratio);
    mean->own += mean->own < INT32_MAX;
    struct calibration *untold = &mean->untold;
    calibrate->untold += !has_news(untold);
    untold->samples++;
    untold->mean += ratio;
    untold->square += ratio * ratio;
    untold->most = larger(untold->most, ratio);
}

static struct calibrate_mean first_input(void)
{
    double deviation = FIRST_FACTOR * FIRST_SPREAD;
    return (struct calibrate_mean){.mean = FIRST_FACTOR, .variance = deviation * deviation};
}

static struct calibrate_mean first_output(double ratio)
{
    return (struct calibrate_mean){.mean = ratio, .variance = ratio * ratio / 4};
}

void calibrate_init(struct calibrate *calibrate)
{
    *calibrate = (struct calibrate){0};
    for (int i = 0; i < SCRIPTS; i++)
        calibrate->input[i] = first_input();
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

void calibrate_input_told(struct calibrate *calibrate, enum calibrate_script script,
                          int64_t estimate, int64_t reported)
{
    if (estimate < LEAST_TOKENS || reported <= 0)
        return;
    double ratio = (double)reported / (double)estimate;
    if (ratio >= LEAST_RATIO && ratio <= MOST_RATIO)
        take_sample(calibrate, &calibrate->input[script], ratio);
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
    if (mean->samples == 0) { // the rest stays: the most may be known from a cut answer
        struct calibrate_mean first = first_output(ratio);
        mean->mean = first.mean;
        mean->variance = first.variance;
    }
    take_sample(calibrate, mean, ratio);
}

void calibrate_output_cut(struct calibrate *calibrate, int kind, int64_t bound, int64_t sent)
{
    struct calibrate_mean *mean = &calibrate->output[kind];
    if (bound <= 0)
        return;
    mean->samples = 0;
    mean->most = larger(mean->most, 2 * (double)sent / (double)bound);
    calibrate->untold += !has_news(&mean->untold);
    mean->untold = (struct calibration){.most = mean->most, .cut = true};
}

// ------------------------------------------------------------------------------- the fleet

static struct calibrate_mean *mean_of(struct calibrate *calibrate, int subject)
{
    CHECK(subject >= 0 && subject < CALIBRATE_SUBJECTS);
    return subject < SCRIPTS ? &calibrate->input[subject] : &calibrate->output[subject - SCRIPTS];
}

bool calibrate_tell(struct calibrate *calibrate, int subject, struct calibration *out)
{
    struct calibrate_mean *mean = mean_of(calibrate, subject);
    struct calibration told = mean->untold;
    if (!has_news(&told))
        return false;
    calibrate->untold--;
    if (told.samples > 0) {
        told.mean /= told.samples;
        told.square /= told.samples;
    }
    mean->untold = (struct calibration){0};
    *out = told;
    return true;
}

double calibrate_worth(double samples, int64_t age_ms)
{
    double halves = age_ms > 0 ? (double)age_ms / HALF_LIFE_MS : 0;
    return samples * pow(0.5, halves < OLDEST_HALVES ? halves : OLDEST_HALVES);
}

void calibrate_merge(struct calibration *row, const struct calibration *told, int64_t age_ms)
{
    double fresh = told->samples < TOLD_SAMPLES ? told->samples : TOLD_SAMPLES;
    double kept = told->cut ? 0 : calibrate_worth(row->samples, age_ms);
    if (kept > ROW_SAMPLES - fresh)
        kept = ROW_SAMPLES - fresh;
    double all = kept + fresh;
    if (all > 0) {
        row->mean = (kept * row->mean + fresh * told->mean) / all;
        row->square = (kept * row->square + fresh * told->square) / all;
    }
    row->samples = all;
    row->most = larger(row->most * pow(MOST_FADES, fresh), told->most);
}

static double variance_of(double mean, double square)
{
    return larger(square - mean * mean, 0);
}

static bool is_sane(const struct calibration *row, bool input)
{
    if (!isfinite(row->samples) || !isfinite(row->mean) || !isfinite(row->square) ||
        !isfinite(row->most) || row->samples < 0 || row->samples > ROW_SAMPLES || row->most < 0)
        return false;
    if (row->samples < 1)
        return true;
    return input ? row->mean >= LEAST_RATIO && row->mean <= MOST_RATIO && row->most <= MOST_RATIO
                 : row->mean > 0;
}

// As if the samples had been seen here, from the beginning.
static void begin_again(struct calibrate_mean *mean, const struct calibration *row, bool input)
{
    struct calibrate_mean first = input ? first_input() : first_output(row->mean);
    mean->mean = first.mean;
    mean->variance = first.variance;
    mean->samples = 0;
    if (row->samples >= 1)
        take_samples(mean, row->samples, row->mean, variance_of(row->mean, row->square));
}

void calibrate_adopt(struct calibrate *calibrate, int subject, const struct calibration *row)
{
    struct calibrate_mean *mean = mean_of(calibrate, subject);
    const struct calibration *untold = &mean->untold;
    bool input = subject < SCRIPTS, knows = mean->own >= OWN_SAMPLES;
    if (!is_sane(row, input))
        return;
    mean->most = larger(mean->most, row->most);
    mean->own = 0;
    if (knows || untold->cut)
        return;
    begin_again(mean, row, input);
    if (untold->samples < 1) // seen since the row was asked for
        return;
    double ratio = untold->mean / untold->samples;
    if (mean->samples == 0 && !input)
        *mean = (struct calibrate_mean){.mean = ratio,
                                        .variance = first_output(ratio).variance,
                                        .most = mean->most,
                                        .untold = mean->untold};
    take_samples(mean, untold->samples, ratio,
                 variance_of(ratio, untold->square / untold->samples));
}
