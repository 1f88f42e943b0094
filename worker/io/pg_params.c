// SPDX-License-Identifier: Apache-2.0
// The parameters of a connection.
#include "io/pg_params.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/own.h"
#include "core/config_check.h"

const char *const pg_params_session_sql =
    "select set_config('statement_timeout', '30s', false), set_config('lock_timeout', '10s', "
    "false),"
    " set_config('idle_in_transaction_session_timeout', '60s', false),"
    " set_config('timezone', 'UTC', false), set_config('datestyle', 'ISO', false),"
    " set_config('search_path', 'pg_catalog', false), set_config('bytea_output', 'hex', false),"
    " set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),"
    " set_config('enable_mergejoin', 'off', false), set_config('enable_material', 'off', false),"
    " set_config('join_collapse_limit', '1', false),"
    " set_config('plan_cache_mode', 'force_generic_plan', false), set_config('jit', 'off', false),"
    " set_config('synchronous_commit', case when current_setting('synchronous_commit')"
    " in ('off', 'local') then 'on' else current_setting('synchronous_commit') end, false)";

static const struct {
    const char *key, *value;
} defaults[] = {
    {"host", "127.0.0.1"},          {"port", "5432"},
    {"dbname", "precis"},           {"user", "precis"},
    {"passfile", "/dev/null/none"}, {"connect_timeout", "10"},
    {"gssencmode", "disable"},      {"keepalives", "1"},
    {"keepalives_idle", "10"},      {"keepalives_interval", "5"},
    {"keepalives_count", "3"},      {"tcp_user_timeout", "20000"},
};

// What the user cannot choose otherwise.
static const struct {
    const char *key, *value;
} insisted[] = {{"client_encoding", "UTF8"}, {"target_session_attrs", "read-write"}};

const char *pg_params_get(const struct pg_params *params, const char *key)
{
    for (size_t i = 0; i < params->len; i++) {
        if (strcmp(params->keys[i], key) == 0)
            return params->values[i];
    }
    return NULL;
}

static void set_borrowed(struct pg_params *params, const char *key, const char *value)
{
    for (size_t i = 0; i < params->len; i++) {
        if (strcmp(params->keys[i], key) == 0) {
            params->values[i] = value;
            return;
        }
    }
    CHECK(params->len < PG_PARAMS_MAX);
    params->keys[params->len] = key;
    params->values[params->len++] = value;
}

void pg_params_set(struct pg_params *params, const char *key, const char *value)
{
    CHECK(params->owned_len < PG_PARAMS_MAX);
    char *copy = own_strdup(value);
    params->owned[params->owned_len++] = copy;
    set_borrowed(params, key, copy);
}

// True where every host of the list is this machine. An empty one is libpq's own socket.
static bool hosts_are_local(const char *hosts)
{
    for (;;) {
        size_t len = strcspn(hosts, ",");
        if (len > 0 && hosts[0] != '/' && hosts[0] != '@' && !config_host_is_loopback(hosts, len))
            return false;
        if (hosts[len] == '\0')
            return true;
        hosts += len + 1;
    }
}

static void choose_tls(struct pg_params *params)
{
    static const char system_certificates[] = "/etc/ssl/certs/ca-certificates.crt";
    const char *address = pg_params_get(params, "hostaddr");
    bool whole = address && address[0] != ',' && !strstr(address, ",,") &&
                 address[strlen(address) - 1] != ','; // else the host counts where there is none
    bool local = (!address || hosts_are_local(address)) &&
                 (whole || hosts_are_local(pg_params_get(params, "host")));
    if (pg_params_get(params, "sslmode") == NULL)
        set_borrowed(params, "sslmode", local ? "prefer" : "verify-full");
    const char *mode = pg_params_get(params, "sslmode");
    if (strncmp(mode, "verify-", 7) == 0 && pg_params_get(params, "sslrootcert") == NULL)
        set_borrowed(params, "sslrootcert", system_certificates);
}

bool pg_params_init(struct pg_params *params, const char *conninfo, const char *name)
{
    *params = (struct pg_params){0};
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &message);
    PQfreemem(message); // quotes the conninfo
    if (options == NULL)
        return false;
    params->parsed = options;
    for (PQconninfoOption *option = options; option->keyword; option++) {
        if (option->val && *option->val)
            set_borrowed(params, option->keyword, option->val);
    }
    const char *address = pg_params_get(params, "hostaddr");
    if (address && pg_params_get(params, "host") == NULL)
        set_borrowed(params, "host", address); // a list of the same length
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        if (pg_params_get(params, defaults[i].key) == NULL)
            set_borrowed(params, defaults[i].key, defaults[i].value);
    }
    for (size_t i = 0; i < sizeof(insisted) / sizeof(insisted[0]); i++)
        set_borrowed(params, insisted[i].key, insisted[i].value);
    choose_tls(params);
    char application[64];
    snprintf(application, sizeof(application), "precis:%.55s", name);
    pg_params_set(params, "application_name", application);
    return true;
}

void pg_params_deinit(struct pg_params *params)
{
    for (size_t i = 0; i < params->owned_len; i++)
        free(params->owned[i]);
    PQconninfoFree(params->parsed);
    *params = (struct pg_params){0};
}

void pg_params_where(const struct pg_params *params, char *out, size_t out_bytes)
{
    snprintf(out, out_bytes, "%s:%s/%s", pg_params_get(params, "host"),
             pg_params_get(params, "port"), pg_params_get(params, "dbname"));
}

void pg_params_forget_environment(void)
{
    PQconninfoOption *options = PQconndefaults();
    for (PQconninfoOption *option = options; option && option->keyword; option++) {
        if (option->envvar)
            unsetenv(option->envvar);
    }
    PQconninfoFree(options);
    static const char *const others[] = {"PGSERVICEFILE", "PGSYSCONFDIR", "PGOPTIONS",
                                         "PGDATESTYLE",   "PGTZ",         "PGGEQO"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        unsetenv(others[i]);
}
