// SPDX-License-Identifier: Apache-2.0
// References in configured values: the environment, files, and the output of programs.
#include "io/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "core/config_value.h"
#include "io/secret_exec.h"

struct variable {
    char *name, *value;
};

struct variables {
    struct variable *items;
    size_t len;
};

// `first` is what was handed out; `file` what an --env-file says.
struct secrets {
    struct variables first, file;
};

static struct variable *variable_find(const struct variables *variables, const char *name)
{
    for (size_t i = 0; i < variables->len; i++)
        if (strcmp(variables->items[i].name, name) == 0)
            return &variables->items[i];
    return NULL;
}

static void variable_set(struct variables *variables, const char *name, const char *value)
{
    struct variable *known = variable_find(variables, name);
    if (known) {
        config_wipe(known->value);
        known->value = own_strdup(value);
        return;
    }
    variables->items = own_grow(variables->items, variables->len + 1, sizeof(struct variable));
    variables->items[variables->len++] = (struct variable){own_strdup(name), own_strdup(value)};
}

static void variables_deinit(struct variables *variables)
{
    for (size_t i = 0; i < variables->len; i++) {
        free(variables->items[i].name);
        config_wipe(variables->items[i].value);
    }
    free(variables->items);
}

struct secrets *secrets_new(void)
{
    return own_alloc(sizeof(struct secrets));
}

void secrets_free(struct secrets *secrets)
{
    if (secrets == NULL)
        return;
    variables_deinit(&secrets->first);
    variables_deinit(&secrets->file);
    free(secrets);
}

// ------------------------------------------------------------------------------------- files

static void buf_wipe(struct buf *buf)
{
    if (buf->data)
        explicit_bzero(buf->data, buf->len);
    buf_deinit(buf);
}
#define OWN_WIPED __attribute__((cleanup(buf_wipe)))

// Reads until the end or the buffer's cap; false: errno says why (EFBIG past the cap).
static bool read_all(int fd, struct buf *out)
{
    char piece[4096];
    ssize_t len;
    while ((len = read(fd, piece, sizeof(piece))) != 0) {
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return false;
        if (!buf_add(out, piece, (size_t)len)) {
            errno = EFBIG;
            return false;
        }
    }
    explicit_bzero(piece, sizeof(piece));
    return true;
}

static bool read_file(const char *path, struct buf *out, struct buf *why)
{
    struct stat stat;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool fine = fd >= 0 && fstat(fd, &stat) == 0;
    if (fine && S_ISDIR(stat.st_mode)) {
        errno = EISDIR;
        fine = false;
    }
    fine = fine && read_all(fd, out);
    if (!fine)
        buf_printf(why, "%s cannot be read: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return fine;
}

// ------------------------------------------------------------------------------------- env files

static bool name_char(char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

static size_t name_len(const char *text)
{
    size_t len = 0;
    while (name_char(text[len], len == 0))
        len++;
    return len;
}

// What follows the backslash at `at`; 0 where it is no escape.
static char unescape(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case '\\':
    case '"':
    case '$':
        return c;
    default:
        return 0;
    }
}

// Reads a quoted value; NULL: the quote is not closed. Else what follows it.
static const char *quoted_value(const char *text, struct buf *out)
{
    char quote = *text++;
    while (*text != quote) {
        if (*text == '\0')
            return NULL;
        char escape = quote == '"' && *text == '\\' ? unescape(text[1]) : 0;
        buf_add_char(out, escape ? escape : *text);
        text += escape ? 2 : 1;
    }
    return text + 1;
}

static void plain_value(const char *text, struct buf *out)
{
    size_t len = 0;
    while (text[len] && !(text[len] == '#' && (len == 0 || strchr(" \t", text[len - 1]))))
        len++;
    while (len > 0 && strchr(" \t\r", text[len - 1]))
        len--;
    buf_add(out, text, len);
}

// NULL, or what is wrong with the line.
static const char *env_line(struct variables *variables, const char *line)
{
    line += strspn(line, " \t\r");
    if (*line == '\0' || *line == '#')
        return NULL;
    if (strncmp(line, "export", 6) == 0 && strchr(" \t", line[6]) && line[6])
        line += 6 + strspn(line + 6, " \t");
    size_t len = name_len(line);
    const char *equals = line + len + strspn(line + len, " \t");
    if (len == 0 || *equals != '=')
        return "expected NAME=VALUE";
    struct buf value OWN_WIPED;
    buf_init(&value, 0);
    const char *text = equals + 1 + strspn(equals + 1, " \t");
    if (*text == '\'' || *text == '"') {
        text = quoted_value(text, &value);
        if (text == NULL)
            return "the quote is not closed on this line";
        text += strspn(text, " \t\r");
        if (*text && *text != '#')
            return "there is text after the closing quote";
    } else {
        plain_value(text, &value);
    }
    char *name OWN_FREE = own_strndup(line, len);
    variable_set(variables, name, buf_str(&value));
    return NULL;
}

bool secrets_read_env_file(struct secrets *secrets, const char *path, struct buf *why)
{
    struct buf file OWN_WIPED;
    buf_init(&file, SECRETS_ENV_FILE_BYTES);
    buf_clear(why);
    if (!read_file(path, &file, why))
        return false;
    if (file.len == 0)
        return true;
    char *line = file.data;
    char *end = line + file.len;
    if (file.len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0)
        line += 3;
    for (int number = 1; line && line < end; number++) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        if (stop)
            *stop = '\0';
        size_t len = (size_t)((stop ? stop : end) - line);
        const char *fault =
            strlen(line) == len ? env_line(&secrets->file, line) : "there is a NUL byte";
        if (fault) {
            buf_printf(why, "%s:%d: %s", path, number, fault);
            return false;
        }
        line = stop ? stop + 1 : NULL;
    }
    return true;
}

// ------------------------------------------------------------------------------------- references

// The environment's, else the file's; NULL where neither has it. An empty one counts, but a
// non-empty one of the file goes before an empty one of the environment.
static const char *env_lookup(struct secrets *secrets, const char *name)
{
    struct variable *first = variable_find(&secrets->first, name);
    if (first)
        return first->value;
    const char *value = getenv(name);
    struct variable *filed = variable_find(&secrets->file, name);
    if (filed && (value == NULL || value[0] == '\0'))
        value = filed->value;
    if (value == NULL || value[0] == '\0')
        return value;
    variable_set(&secrets->first, name, value);
    return variable_find(&secrets->first, name)->value;
}

// NAME or NAME:-default.
static bool expand_env(struct secrets *secrets, const char *text, struct expansion *out,
                       struct buf *value, struct buf *why)
{
    size_t len = name_len(text);
    const char *rest = text + len;
    if (len == 0 || (*rest && strncmp(rest, ":-", 2) != 0)) {
        buf_add_str(why, "write ${env:NAME} or ${env:NAME:-default}");
        return false;
    }
    char *name OWN_FREE = own_strndup(text, len);
    const char *found = env_lookup(secrets, name);
    struct buf from OWN_BUF;
    buf_init(&from, 0);
    if (*rest && (found == NULL || found[0] == '\0')) {
        out->defaulted = true;
        found = rest + 2;
    }
    if (found == NULL) {
        buf_printf(why, "%s is not set", name);
        return false;
    }
    buf_printf(&from, "env %s%s", name, out->defaulted ? ", its default" : "");
    out->from = buf_take(&from);
    return buf_add_str(value, found);
}

static void trim_line_ends(struct buf *value)
{
    while (value->len > 0 &&
           (value->data[value->len - 1] == '\n' || value->data[value->len - 1] == '\r'))
        value->data[--value->len] = '\0';
}

// Drops the line ends; false where it cannot be a value.
static bool settle(struct buf *value, const char *what, struct buf *why)
{
    trim_line_ends(value);
    if (value->len > 0 && memchr(value->data, 0, value->len) == NULL)
        return true;
    buf_printf(why, "%s %s", what, value->len == 0 ? "is empty" : "has a NUL byte");
    return false;
}

// A relative name is a file of $CREDENTIALS_DIRECTORY, where that is set; the caller frees.
static char *placed(const char *path)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    struct buf whole;
    buf_init(&whole, 0);
    if (path[0] != '/' && folder && folder[0])
        buf_printf(&whole, "%s/", folder);
    buf_add_str(&whole, path);
    return buf_take(&whole);
}

static bool expand_file(const char *name, struct expansion *out, struct buf *value, struct buf *why)
{
    char *path OWN_FREE = placed(name);
    struct buf content OWN_WIPED;
    buf_init(&content, SECRET_MAX_BYTES);
    struct buf from OWN_BUF;
    buf_init(&from, 0);
    if (!read_file(path, &content, why) || !settle(&content, path, why))
        return false;
    buf_printf(&from, "file %s", path);
    out->from = buf_take(&from);
    return buf_add(value, content.data, content.len);
}

static bool expand_exec(const char *command, struct expansion *out, struct buf *value,
                        struct buf *why)
{
    struct buf output OWN_WIPED;
    buf_init(&output, SECRET_MAX_BYTES);
    if (!secret_exec(command, SECRETS_EXEC_LIMIT_MS, &output, why) ||
        !settle(&output, "the output of ${exec:…}", why))
        return false;
    out->from = own_strdup("exec");
    return buf_add(value, output.data, output.len);
}

// `inner` is what stands between the braces.
static bool expand_one(struct secrets *secrets, const char *inner, struct expansion *out,
                       struct buf *value, struct buf *why)
{
    free(out->from);
    out->from = NULL;
    out->count++;
    if (strstr(inner, "${")) {
        buf_add_str(why, "a ${…} cannot stand inside another");
        return false;
    }
    if (strncmp(inner, "env:", 4) == 0)
        return expand_env(secrets, inner + 4, out, value, why);
    if (strncmp(inner, "file:", 5) == 0)
        return expand_file(inner + 5, out, value, why);
    if (strncmp(inner, "exec:", 5) == 0)
        return expand_exec(inner + 5, out, value, why);
    buf_add_str(why, "expected ${env:NAME}, ${file:/path} or ${exec:command}");
    return false;
}

static bool expand_all(struct secrets *secrets, const char *text, struct expansion *out,
                       struct buf *value, struct buf *why)
{
    const char *start = text;
    while (*text) {
        size_t plain = strcspn(text, "$");
        buf_add(value, text, plain);
        text += plain;
        if (strncmp(text, "$${", 3) == 0) {
            buf_add_str(value, "${");
            text += 3;
        } else if (strncmp(text, "${", 2) == 0) {
            const char *end = strchr(text, '}');
            if (end == NULL) {
                buf_add_str(why, "a ${ is not closed");
                return false;
            }
            char *inner OWN_FREE = own_strndup(text + 2, (size_t)(end - text - 2));
            if (!expand_one(secrets, inner, out, value, why))
                return false;
            out->whole = text == start && end[1] == '\0';
            text = end + 1;
        } else if (*text) {
            buf_add_char(value, *text++);
        }
    }
    return true;
}

bool secrets_expand(struct secrets *secrets, const char *text, struct expansion *out,
                    struct buf *why)
{
    struct buf value OWN_WIPED;
    buf_init(&value, SECRET_MAX_BYTES);
    *out = (struct expansion){0};
    buf_clear(why);
    bool fine = expand_all(secrets, text, out, &value, why);
    if (fine && value.overflow) {
        buf_printf(why, "the value is over %d bytes", SECRET_MAX_BYTES);
        fine = false;
    }
    if (!fine) {
        expansion_deinit(out);
        return false;
    }
    out->text = own_strdup(buf_str(&value));
    return true;
}

void expansion_deinit(struct expansion *expansion)
{
    config_wipe(expansion->text);
    free(expansion->from);
    *expansion = (struct expansion){0};
}
