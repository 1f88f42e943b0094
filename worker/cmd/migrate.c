// SPDX-License-Identifier: Apache-2.0
// precis migrate: brings the database schema up to this program, shows where it stands, or makes
// the three roles.
#include "io/migrate.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/command.h"

struct told {
    bool json;
    json_t *applied; // names
};

static void tell(void *context, const char *line)
{
    struct told *told = context;
    if (told->json)
        json_array_append_new(told->applied, json_string(line + strlen("applied ")));
    else
        puts(line);
}

static int fail(const struct pg_error *error)
{
    if (strcmp(error->sqlstate, "42501") == 0)
        fprintf(stderr,
                "error: PostgreSQL: this user may not change the schema (%s).\nRun it as the owner "
                "of the database, or grant the user precis_migrator.\n",
                error->text);
    else
        fprintf(stderr, "error: PostgreSQL: %s\n", error->text);
    return EXIT_FAILED;
}

static int print_json(json_t *object)
{
    char *text = json_dumps(object, JSON_INDENT(1));
    puts(text);
    free(text);
    json_decref(object);
    return EXIT_DONE;
}

static int up(struct invocation *invocation, const char *database)
{
    struct told told = {.json = invocation_json(invocation), .applied = json_array()};
    struct pg_error error;
    bool ok = migrate_up(database, tell, &told, &error);
    json_t *answer =
        json_pack("{s:o, s:I}", "applied", told.applied, "version", (json_int_t)migrate_count);
    if (ok && told.json)
        return print_json(answer);
    json_decref(answer);
    if (!ok)
        return fail(&error);
    printf("The schema is at version %zu.\n", migrate_count);
    return EXIT_DONE;
}

static const char *state_name(enum migrate_state state)
{
    switch (state) {
    case MIGRATE_PENDING:
        return "pending";
    case MIGRATE_APPLIED:
        return "applied";
    case MIGRATE_CHANGED:
        return "changed";
    case MIGRATE_UNKNOWN:
        return "newer";
    }
    return "unknown";
}

static void status_lines(const struct migrate_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf("%04d  %-20s  %-7s  %s\n", rows[i].version, rows[i].name, state_name(rows[i].state),
               rows[i].applied_at[0] ? rows[i].applied_at : "-");
}

static void status_json(const struct migrate_row *rows, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:i, s:s, s:s, s:s?}", "version", rows[i].version,
                                              "name", rows[i].name, "state",
                                              state_name(rows[i].state), "applied_at",
                                              rows[i].applied_at[0] ? rows[i].applied_at : NULL));
    print_json(list);
}

static size_t count_of(const struct migrate_row *rows, size_t count, enum migrate_state state)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += rows[i].state == state;
    return found;
}

// What the states come to, in words on stderr; the exit code.
static int status_verdict(const struct migrate_row *rows, size_t count)
{
    if (count_of(rows, count, MIGRATE_CHANGED) > 0) {
        fprintf(stderr, "A migration was applied in another form: this program and the database "
                        "do not belong together.\n");
        return EXIT_FAILED;
    }
    if (count_of(rows, count, MIGRATE_PENDING) > 0) {
        fprintf(stderr, "`precis migrate` applies what is pending; workers wait for it.\n");
        return EXIT_FAILED;
    }
    if (count_of(rows, count, MIGRATE_UNKNOWN) > 0)
        fprintf(stderr, "The database is newer than this program; `precis doctor` says whether "
                        "it still serves it.\n");
    return EXIT_DONE;
}

static int status(struct invocation *invocation, const char *database)
{
    struct migrate_row *rows;
    size_t count;
    struct pg_error error;
    if (!migrate_status(database, &rows, &count, &error))
        return fail(&error);
    if (invocation_json(invocation))
        status_json(rows, count);
    else
        status_lines(rows, count);
    int code = status_verdict(rows, count);
    free(rows);
    return code;
}

static int roles(struct invocation *invocation, const char *database)
{
    struct pg_error error;
    if (!migrate_roles(database, &error))
        return fail(&error);
    if (invocation_json(invocation))
        return print_json(
            json_pack("{s:[s,s,s]}", "roles", "precis_migrator", "precis_worker", "precis_reader"));
    printf("The roles precis_migrator, precis_worker and precis_reader are there and have their "
           "rights.\nThey cannot log in: grant them to your users, e.g. "
           "`grant precis_worker to my_user`.\n");
    return EXIT_DONE;
}

static int run(struct invocation *invocation)
{
    size_t count = invocation_argument_count(invocation);
    const char *what = count > 0 ? invocation_argument(invocation, 0) : "up";
    if (count > 1)
        return invocation_misuse(invocation, "`migrate` takes one of up, status, roles");
    int (*action)(struct invocation *, const char *) = strcmp(what, "up") == 0       ? up
                                                       : strcmp(what, "status") == 0 ? status
                                                       : strcmp(what, "roles") == 0  ? roles
                                                                                     : NULL;
    if (!action)
        return invocation_misuse(invocation, "`migrate %s` is unknown: up, status or roles", what);
    const struct config *config = invocation_config(invocation);
    return config ? action(invocation, config->database) : EXIT_USAGE;
}

const struct command command_migrate = {
    .name = "migrate",
    .arguments = "[up|status|roles]",
    .summary = "Make or update the database schema",
    .details =
        "up      applies what is pending, in order; any number of them may run at once (the "
        "default)\n"
        "status  lists the migrations; exit 1 where some are pending, or were applied otherwise\n"
        "roles   creates precis_migrator, precis_worker and precis_reader, grants to them, and "
        "makes "
        "the\n        migrator the owner; as a superuser, once, before or after the first `up`",
    .prints_data = true,
    .run = run,
};
