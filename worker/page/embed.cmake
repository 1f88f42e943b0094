# SPDX-License-Identifier: Apache-2.0
# cmake -DPAGE=DIR -DOUT=FILE.c -P embed.cmake: each .html, .css and .js of the folder as a string.
file(GLOB files ${PAGE}/*.html ${PAGE}/*.css ${PAGE}/*.js)
list(SORT files)
file(WRITE ${OUT} "// Made from worker/page/ by embed.cmake.\n#include \"page/page.h\"\n")
foreach(file ${files})
  get_filename_component(name ${file} NAME)
  string(REPLACE "." "_" name ${name})
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(................................................................................)"
    "\\1\n    " bytes "${bytes}")
  file(APPEND ${OUT} "const char page_${name}[] = {\n    ${bytes}0};\n")
endforeach()
