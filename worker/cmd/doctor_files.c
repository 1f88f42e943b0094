// SPDX-License-Identifier: Apache-2.0
// precis doctor: folders of documents, the programs that read them, and room for their files.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "cmd/doctor.h"
#include "cmd/screen.h"
#include "io/extract_kind.h"

#define ROOM_BYTES (INT64_C(1) << 30) // below it somebody should look

// ------------------------------------------------------------------------------- extractors

// As execvp looks for it. A path with a slash stands for itself.
static bool is_program(const char *name)
{
    const char *path = getenv("PATH");
    struct stat at;
    if (strchr(name, '/'))
        return access(name, X_OK) == 0 && stat(name, &at) == 0 && S_ISREG(at.st_mode);
    for (path = path ? path : "/usr/bin:/bin"; *path;) {
        size_t len = strcspn(path, ":");
        struct buf whole OWN_BUF;
        buf_init(&whole, 0);
        buf_printf(&whole, "%.*s/%s", (int)len, path, name);
        if (len > 0 && access(buf_str(&whole), X_OK) == 0)
            return true;
        path += len + (path[len] == ':');
    }
    return false;
}

static void check_extractors(struct doctor *doctor, const struct config *config)
{
    const struct config_command *commands = config->documents.extractors;
    size_t missing = 0, count = 0;
    for (const struct config_command *one = commands; one && one->name; one++, count++)
        if (!is_program(one->argv[0])) {
            missing++;
            doctor_add(doctor, DOCTOR_FAIL, "extractors",
                       "Install it where workers run, or take it out of documents.extractors.",
                       "%s, which reads %s, is not there", one->argv[0], one->name);
        }
    if (!extract_command_for(commands, "application/pdf") && !is_program("pdftotext")) {
        missing++;
        doctor_add(doctor, DOCTOR_WARN, "extractors",
                   "Install it where workers run:\n  apt-get install poppler-utils",
                   "pdftotext is not there: no PDF can be read");
    }
    if (missing == 0)
        doctor_add(doctor, DOCTOR_OK, "extractors", NULL, "text, HTML, DOCX, PDF%s",
                   count > 0 ? ", and what is configured" : "");
}

// ------------------------------------------------------------------------------- folders

static void check_folders(struct doctor *doctor, const struct config *config)
{
    for (char **folder = config->documents.allow; folder && *folder; folder++) {
        struct stat at;
        if (stat(*folder, &at) == 0 && !S_ISDIR(at.st_mode))
            doctor_add(doctor, DOCTOR_WARN, "documents", "Name its folder in documents.allow.",
                       "%s is no folder", *folder);
        else if (access(*folder, R_OK | X_OK) != 0)
            doctor_add(doctor, DOCTOR_WARN, "documents",
                       "Make it, let this user read it, or take it out of documents.allow.",
                       "%s cannot be read", *folder);
    }
}

// Extractors get a copy of the document as a file.
static void check_room(struct doctor *doctor, const struct config *config)
{
    const char *named = getenv("TMPDIR");
    const char *folder = named && named[0] ? named : "/tmp";
    struct statvfs at;
    if (access(folder, W_OK | X_OK) != 0 || statvfs(folder, &at) != 0) {
        doctor_add(doctor, DOCTOR_FAIL, "disk", "Set TMPDIR to a folder that the worker may use.",
                   "nothing can be written to %s", folder);
        return;
    }
    int64_t free_bytes = (int64_t)at.f_bavail * (int64_t)at.f_frsize;
    int64_t needed = config->documents.children * config->documents.max_bytes;
    struct buf have OWN_BUF, want OWN_BUF;
    buf_init(&have, 0);
    buf_init(&want, 0);
    screen_add_bytes(&have, free_bytes);
    screen_add_bytes(&want, needed);
    if (free_bytes < needed)
        doctor_add(doctor, DOCTOR_FAIL, "disk",
                   "Make room, set TMPDIR, or lower documents.children or documents.max_bytes.",
                   "%s has %s left; documents that are read at once may need %s", folder,
                   buf_str(&have), buf_str(&want));
    else if (free_bytes < ROOM_BYTES)
        doctor_add(doctor, DOCTOR_WARN, "disk", "Make room, or set TMPDIR.", "%s has only %s left",
                   folder, buf_str(&have));
}

void doctor_documents(struct doctor *doctor, const struct config *config)
{
    check_folders(doctor, config);
    check_extractors(doctor, config);
    check_room(doctor, config);
}
