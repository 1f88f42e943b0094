// SPDX-License-Identifier: Apache-2.0
// Walks schedules and says what it found.
//   sim --schedules 10000            seeds 1 to 10000
//   sim --seed 4711 --trace          one schedule, with all that happens
//   sim --schedules 2000 --without
//   fence|write-ahead|watermark|idempotent-result|wall|single-flight|stop
//                                    that protection is off: the fault has to be found
//   sim --fleet 5                    how well many workers use one limit (fleet.h), five seeds
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fleet.h"
#include "schedule.h"

struct choice {
    uint64_t first, count;
    const char *without;
    int fleet; // seeds; 0: schedules are walked
    struct schedule_switches switches;
};

static int usage(void)
{
    fprintf(stderr,
            "usage: sim [--schedules N] [--first SEED] [--seed SEED] [--trace] [--fleet N]\n"
            "           [--without "
            "fence|write-ahead|watermark|idempotent-result|wall|single-flight|stop]\n");
    return 2;
}

static bool switch_off(struct choice *choice, const char *name)
{
    choice->without = name;
    if (strcmp(name, "fence") == 0)
        choice->switches.db.no_fence = true;
    else if (strcmp(name, "write-ahead") == 0)
        choice->switches.db.no_write_ahead = true;
    else if (strcmp(name, "watermark") == 0)
        choice->switches.no_watermark = true;
    else if (strcmp(name, "idempotent-result") == 0)
        choice->switches.db.no_idempotence = true;
    else if (strcmp(name, "wall") == 0)
        choice->switches.db.no_wall = true;
    else if (strcmp(name, "stop") == 0)
        choice->switches.db.no_stop = true;
    else if (strcmp(name, "single-flight") == 0)
        choice->switches.db.no_single_flight = true;
    else
        return false;
    return true;
}

// $PRECIS_LONG walks ten times as many, $PRECIS_QUICK a tenth.
static uint64_t scaled(uint64_t count)
{
    if (getenv("PRECIS_LONG"))
        return count * 10;
    return getenv("PRECIS_QUICK") ? count / 10 + 1 : count;
}

static bool read_options(struct choice *choice, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--trace") == 0) {
            choice->switches.trace = true;
            continue;
        }
        if (!value)
            return false;
        i++;
        if (strcmp(argv[i - 1], "--schedules") == 0)
            choice->count = scaled(strtoull(value, NULL, 10));
        else if (strcmp(argv[i - 1], "--fleet") == 0)
            choice->fleet = (int)scaled(strtoull(value, NULL, 10));
        else if (strcmp(argv[i - 1], "--first") == 0)
            choice->first = strtoull(value, NULL, 10);
        else if (strcmp(argv[i - 1], "--seed") == 0) {
            choice->first = strtoull(value, NULL, 10);
            choice->count = 1;
        } else if (strcmp(argv[i - 1], "--without") != 0 || !switch_off(choice, value))
            return false;
    }
    return true;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// Rows of shared requests whose job was cancelled with its call under way: that was cut, or came
// to its end for others.
static uint64_t cut_shares(const struct db *db)
{
    uint64_t count = 0;
    for (size_t i = 0; i < db->attempts_count; i++) {
        const struct db_attempt *row = &db->attempts[i];
        bool cancelled = db->jobs[row->job_no - 1].state == JOB_CANCELLED;
        count += row->pack && cancelled &&
                 (row->outcome == ATTEMPT_OK || row->outcome == ATTEMPT_IN_DOUBT);
    }
    return count;
}

int main(int argc, char **argv)
{
    struct choice choice = {.first = 1, .count = 1000};
    if (!read_options(&choice, argc, argv))
        return usage();
    if (choice.fleet > 0)
        return fleet_prove(choice.first, choice.fleet) ? 0 : 1;
    uint64_t broken = 0, events = 0, walked = 0, packed = 0, rerouted = 0, cut = 0;
    double start = seconds();
    for (uint64_t i = 0; i < choice.count; i++) {
        struct schedule schedule;
        uint64_t seed = choice.first + i;
        bool held = schedule_run(&schedule, seed, &choice.switches);
        events += schedule.world.events;
        packed += schedule.provider.packed;
        cut += cut_shares(&schedule.db);
        for (size_t p = 0; p < schedule.db.plans_count; p++)
            rerouted += schedule.db.plans[p].plan.why != NULL;
        walked++;
        if (!held) {
            broken++;
            printf("seed %" PRIu64 ": %s\n", seed, schedule.broken);
        }
        schedule_deinit(&schedule);
        if (!held && (choice.without || broken >= 10))
            break;
    }
    double took = seconds() - start;
    printf("%" PRIu64 " schedules, %" PRIu64 " events, %.1f s: %.0f schedules a minute; %" PRIu64
           " requests for several documents, %" PRIu64 " of their shares cancelled, %" PRIu64
           " plans by another model; %" PRIu64 " broken\n",
           walked, events, took, (double)walked / took * 60, packed, cut, rerouted, broken);
    if (choice.without) {
        printf("without %s: %s\n", choice.without, broken ? "found" : "NOT found");
        return broken ? 0 : 1;
    }
    return broken ? 1 : 0;
}
