// SPDX-License-Identifier: Apache-2.0
// The topics of jobs: from the text that the file gave to names with weights.
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/config_check.h"

void config_split_topics(struct config_kafka *kafka)
{
    char *rest = kafka->topic_jobs;
    for (size_t len; rest && *rest; rest += len + (rest[len] == ',')) {
        len = strcspn(rest, ",");
        size_t name_len = strcspn(rest, "=,");
        kafka->job_topics =
            own_grow(kafka->job_topics, kafka->job_topic_count + 1, sizeof(*kafka->job_topics));
        kafka->job_topics[kafka->job_topic_count++] = (struct config_topic){
            own_strndup(rest, name_len),
            rest[name_len] == '=' ? strtoll(rest + name_len + 1, NULL, 10) : 1};
    }
    if (kafka->job_topic_count == 0)
        return;
    free(kafka->topic_jobs);
    kafka->topic_jobs = own_strdup(kafka->job_topics[0].name);
}

bool config_topics_clash(const struct config_kafka *kafka)
{
    for (size_t i = 0; i < kafka->job_topic_count; i++) {
        const char *name = kafka->job_topics[i].name;
        if ((kafka->topic_dlq && strcmp(name, kafka->topic_dlq) == 0) ||
            (kafka->topic_results && strcmp(name, kafka->topic_results) == 0))
            return true;
        for (size_t k = 0; k < i; k++)
            if (strcmp(name, kafka->job_topics[k].name) == 0)
                return true;
    }
    return false;
}
