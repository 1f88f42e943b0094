// SPDX-License-Identifier: Apache-2.0
// A conninfo: TLS is verified wherever the server may be another machine, and a password is in no
// message.
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "base/own.h"
#include "io/pg_params.h"

static bool is(const char *host, size_t len, const char *name)
{
    return strlen(name) == len && strncasecmp(host, name, len) == 0;
}

// Is one host of a list this machine, by what it can mean to libpq? Figures and dots are an address
// of this machine or none at all, and no name anywhere.
static bool is_local(const char *host, size_t len)
{
    return len == 0 || host[0] == '/' || host[0] == '@' || is(host, len, "localhost") ||
           is(host, len, "::1") || is(host, len, "[::1]") ||
           (len > 4 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= len);
}

static bool all_local(const char *hosts)
{
    for (;;) {
        size_t len = strcspn(hosts, ",");
        if (!is_local(hosts, len))
            return false;
        if (hosts[len] == '\0')
            return true;
        hosts += len + 1;
    }
}

// `hidden`: the password's text stands nowhere else.
static void check(const struct pg_params *params, bool mode_given, bool hidden)
{
    char where[300];
    const char *host = pg_params_get(params, "hostaddr");
    const char *password = pg_params_get(params, "password");
    pg_params_where(params, where, sizeof(where));
    FUZZ_CHECK(params->len <= PG_PARAMS_MAX && params->keys[params->len] == NULL);
    FUZZ_CHECK(strcmp(pg_params_get(params, "target_session_attrs"), "read-write") == 0);
    if (hidden && password && strcmp(password, "topsecret") == 0)
        FUZZ_CHECK(!strstr(where, "topsecret"));
    host = host && host[0] ? host : pg_params_get(params, "host");
    if (!mode_given && !all_local(host))
        FUZZ_CHECK(strcmp(pg_params_get(params, "sslmode"), "verify-full") == 0 &&
                   pg_params_get(params, "sslrootcert"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text OWN_FREE = own_strndup((const char *)data, len);
    bool mode_given = strcasestr(text, "ssl") || strchr(text, '%') || strstr(text, "gssenc") ||
                      strstr(text, "topsecret@") || strchr(text, '\\');
    struct pg_params params;
    if (!pg_params_init(&params, text, "fuzz"))
        return 0;
    const char *first = strstr(text, "topsecret");
    check(&params, mode_given, first && !strstr(first + 1, "topsecret"));
    pg_params_deinit(&params);
    return 0;
}
