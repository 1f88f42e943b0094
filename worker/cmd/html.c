// SPDX-License-Identifier: Apache-2.0
// Escaping for HTML.
#include "cmd/html.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/check.h"
#include "cmd/screen.h"

static void add_escaped(struct buf *out, const struct buf *clean)
{
    for (size_t i = 0; i < clean->len; i++) {
        char c = clean->data[i];
        if (c && strchr("&<>\"'`=", c))
            buf_printf(out, "&#%d;", c);
        else
            buf_add_char(out, c);
    }
}

void html_add(struct buf *out, const char *text)
{
    struct buf clean OWN_BUF;
    buf_init(&clean, 0);
    screen_add_line(&clean, text ? text : "");
    add_escaped(out, &clean);
}

void html_add_lines(struct buf *out, const char *text)
{
    struct buf clean OWN_BUF;
    buf_init(&clean, 0);
    screen_add_text(&clean, text ? text : "");
    add_escaped(out, &clean);
}

void html_add_element(struct buf *out, const char *tag, const char *text)
{
    buf_printf(out, "<%s>", tag);
    html_add(out, text);
    buf_printf(out, "</%.*s>", (int)strcspn(tag, " "), tag);
}

void html_add_language(struct buf *out, const char *language)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t first = language ? strspn(language, letters) : 0;
    if (first < 2 || first > 3 || (language[first] && language[first] != '-'))
        return;
    size_t rest = strspn(language + first, "-0123456789abcdefghijklmnopqrstuvwxyz"
                                           "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (language[first + rest] == '\0' && first + rest < 36)
        buf_printf(out, " lang=\"%s\"", language);
}

void html_add_hash(struct buf *out, const char *text)
{
    unsigned char digest[EVP_MAX_MD_SIZE], base64[2 * EVP_MAX_MD_SIZE];
    unsigned len;
    CHECK(EVP_Digest(text, strlen(text), digest, &len, EVP_sha256(), NULL) == 1);
    EVP_EncodeBlock(base64, digest, (int)len);
    buf_printf(out, "'sha256-%s'", (const char *)base64);
}
