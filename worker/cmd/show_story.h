// SPDX-License-Identifier: Apache-2.0
// One job as a story for people: what it is, what happened when, what came of it.
#ifndef PRECIS_CMD_SHOW_STORY_H
#define PRECIS_CMD_SHOW_STORY_H

#include "cmd/show_ask.h"

// On stdout; an exit code.
int show_story(struct invocation *invocation, const struct job_name *name);
// "What happened", and below it a line an event, in the order of time.
void show_events(struct invocation *invocation, const struct job_name *name,
                 const struct pg_rows *job);
// "Summary" with warnings, key points and quotes; nothing where there is none.
void show_summary(struct invocation *invocation, const struct job_name *name);
// A bold title with an empty line above it.
void show_title(const char *title);

#endif
