# SPDX-License-Identifier: Apache-2.0
# cmake -DTEMPLATES=DIR -DNAMES=a,b -DOUT=FILE.c -P embed.cmake: the YAML files as byte arrays, in the order of NAMES.
set(arrays "")
set(rows "")
file(GLOB files ${TEMPLATES}/*.yaml)
string(REPLACE "," ";" names "${NAMES}")
list(LENGTH files file_count)
list(LENGTH names name_count)
if(NOT file_count EQUAL name_count)
  message(FATAL_ERROR "there are ${file_count} templates and ${name_count} names")
endif()
foreach(name ${names})
  file(READ ${TEMPLATES}/${name}.yaml hex HEX)
  string(LENGTH ${hex} hex_len)
  math(EXPR len "${hex_len} / 2")
  string(REGEX REPLACE "(..)" "0x\\1," bytes ${hex})
  string(REGEX REPLACE "(................................................................................)"
    "\\1\n    " bytes ${bytes})
  string(APPEND arrays "static const unsigned char ${name}_yaml[] = {\n    ${bytes}0};\n\n")
  string(APPEND rows "    {\"${name}\", (const char *)${name}_yaml, ${len}},\n")
endforeach()
file(WRITE ${OUT} "// Made from templates/ by embed.cmake.\n#include \"templates/template.h\"\n\n"
  "${arrays}const struct template_file template_files[] = {\n${rows}};\n"
  "const size_t template_file_count = sizeof(template_files) / sizeof(template_files[0]);\n")
