// SPDX-License-Identifier: Apache-2.0
// What a document is called, three lines of it: a media type, a name, its first bytes. And whether
// a host is one of those that are allowed.
#include "fuzz.h"

#include <string.h>

#include "base/own.h"
#include "io/extract_html.h"
#include "io/extract_kind.h"
#include "io/extract_url.h"

#define S(text) ((char *)(uintptr_t)(text))

static char *take_line(const char **text)
{
    size_t len = strcspn(*text, "\n");
    char *line = own_strndup(*text, len);
    *text += len + ((*text)[len] == '\n');
    return line;
}

static void check_host(const char *host)
{
    char *const hosts[] = {S("docs.example.com"), S("*.example.org"), NULL};
    if (!host_is_allowed(hosts, host, 443))
        return;
    size_t len = strlen(host);
    FUZZ_CHECK(strcasecmp(host, "docs.example.com") == 0 ||
               (len > 12 && strcasecmp(host + len - 12, ".example.org") == 0) ||
               (len > 13 && strcasecmp(host + len - 13, ".example.org.") == 0) ||
               strcasecmp(host, "docs.example.com.") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *whole OWN_FREE = own_strndup((const char *)data, len);
    const char *rest = whole;
    char *media_type OWN_FREE = take_line(&rest);
    char *name OWN_FREE = take_line(&rest);
    char value[20], suffix[8];
    const struct extract_type *type = extract_type_of(media_type, name, rest, strlen(rest));
    FUZZ_CHECK(type && type->media_type && type->what);
    FUZZ_CHECK(extract_type_of(NULL, NULL, NULL, 0));
    if (extract_parameter(media_type, "charset", value, sizeof(value)))
        FUZZ_CHECK(strlen(value) < sizeof(value));
    extract_suffix(media_type, suffix, sizeof(suffix));
    FUZZ_CHECK(strlen(suffix) < sizeof(suffix));
    html_declared_charset(rest, strlen(rest), value, sizeof(value));
    FUZZ_CHECK(strlen(value) < sizeof(value));
    check_host(name);
    return 0;
}
