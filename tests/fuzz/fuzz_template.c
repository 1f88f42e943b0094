// SPDX-License-Identifier: Apache-2.0
// A template's YAML: parameters of a job with a label, or mistakes with places.
#include "fuzz.h"

#include <string.h>

#include "templates/template.h"

// libfyaml 0.7.12 loses a buffer of 2 KB in some broken documents. That we free what is ours is
// seen by the edge tests of the same code.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct buf text OWN_BUF;
    buf_init(&text, TEMPLATE_FILE_MAX_BYTES);
    buf_add(&text, data, len);
    struct config_errors errors = {0};
    struct job_template template = {0};
    if (template_read(&template, "template.yaml", &text, &errors)) {
        FUZZ_CHECK(errors.len == 0 && json_is_object(template.summarize));
        FUZZ_CHECK(strlen(template.label) == strlen(template.name) + 1 + strlen(template.version));
        FUZZ_CHECK(template.name[0] && template.version[0] && template.description);
        template_is_strict(&template);
    } else {
        FUZZ_CHECK(errors.len > 0 && errors.items[0].message[0]);
    }
    template_deinit(&template);
    config_errors_deinit(&errors);
    return 0;
}
