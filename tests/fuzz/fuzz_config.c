// SPDX-License-Identifier: Apache-2.0
// precis.yaml: any bytes are a configuration or mistakes with places; a secret is in no mistake. No
// program is started and no file is read, whatever ${exec:} and ${file:} say.
#include "fuzz.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/own.h"
#include "core/config_show.h"
#include "io/config_yaml.h"
#include "io/secret_exec.h"

#define SECRET "sk-fuzz-0123456789"

// libfyaml 0.7.12 loses a buffer of 2 KB in some broken documents. That we free what is ours is
// seen by the edge tests of the same code.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}

// In place of io/secret_exec.c.
bool secret_exec(const char *command, int limit_ms, struct buf *out_output, struct buf *why)
{
    (void)limit_ms;
    if (command[0] != 's')
        return buf_add_str(why, "it failed") && false;
    return buf_add_str(out_output, SECRET);
}

char **secret_exec_split(const char *command)
{
    (void)command;
    return NULL;
}

void secret_exec_free(char **argv)
{
    (void)argv;
}

// The linker puts this in place of open (see CMakeLists.txt).
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

static bool inside(int change)
{
    static int depth;
    depth += change;
    return depth > 0;
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    unsigned mode = va_arg(args, unsigned);
    va_end(args);
    if (!inside(0))
        return __real_open(path, flags, mode);
    errno = ENOENT;
    return -1;
}

// `has_it`: the file itself has the text of the secret, in the place of a name for instance.
static void check_shown(const struct config *config, bool has_it)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    char *json OWN_FREE = config_show_json(config);
    config_show_text(config, &text);
    FUZZ_CHECK(json && (has_it || (!strstr(json, SECRET) && !strstr(buf_str(&text), SECRET))));
    FUZZ_CHECK(config->database && config->kafka.brokers && config->worker.in_flight > 0);
    for (size_t i = 0; i < config->model_count; i++)
        FUZZ_CHECK(config->models[i].provider && config->models[i].max_output_tokens > 0);
}

static void check_mistakes(const struct config_errors *errors, bool has_it)
{
    struct buf said OWN_BUF;
    buf_init(&said, 0);
    config_errors_print(errors, &said);
    FUZZ_CHECK(errors->len > 0 && (has_it || !strstr(buf_str(&said), SECRET)));
    for (size_t i = 0; i < errors->len; i++)
        FUZZ_CHECK(errors->items[i].message[0] && errors->items[i].line >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text OWN_FREE = own_strndup((const char *)data, len);
    bool has_it = memmem(data, len, "sk-fuzz", 7) != NULL;
    setenv("FUZZ_KEY", SECRET, 1);
    struct config_errors errors = {0};
    struct config_source source = {.path = "precis.yaml", .text = text};
    inside(1);
    struct config *config = config_load(&source, &errors);
    inside(-1);
    if (config)
        check_shown(config, has_it);
    else
        check_mistakes(&errors, has_it);
    config_free(config);
    config_errors_deinit(&errors);
    return 0;
}
