// SPDX-License-Identifier: Apache-2.0
// Names of readers.
#include "io/extract_name.h"

#include <stdint.h>
#include <string.h>

#include <xxhash.h>

#include "base/buf.h"
#include "base/own.h"

const char extract_docx_type[] =
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

static char *command_name(char *const *argv)
{
    struct buf words OWN_BUF, name;
    buf_init(&words, 0);
    buf_init(&name, 0);
    for (size_t i = 0; argv[i]; i++)
        buf_add(&words, argv[i], strlen(argv[i]) + 1);
    uint64_t hash = XXH3_64bits(buf_str(&words), words.len);
    const char *program = argv[0] ? argv[0] : "", *slash = strrchr(program, '/');
    buf_printf(&name, "%.60s-%08x", slash ? slash + 1 : program, (unsigned)(hash & 0xffffffffu));
    return buf_take(&name);
}

char *extract_reader_name(const struct config_command *command, enum extract_kind kind,
                          const char *pdf_version)
{
    if (command)
        return command_name(command->argv);
    switch (kind) {
    case EXTRACT_HTML:
        return own_strdup(EXTRACT_HTML_NAME);
    case EXTRACT_DOCX:
    case EXTRACT_ZIP:
        return own_strdup(EXTRACT_DOCX_NAME);
    case EXTRACT_PDF:
        return own_strdup(pdf_version ? pdf_version : "pdftotext");
    case EXTRACT_TEXT:
    case EXTRACT_FOREIGN:
        break;
    }
    return own_strdup(EXTRACT_TEXT_NAME);
}
