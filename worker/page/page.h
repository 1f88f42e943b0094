// SPDX-License-Identifier: Apache-2.0
// The parts of the pages that the program writes, as they lie in this folder. report.html is a text
// with places: {{name}} is where something named so goes. Style and script are put between their
// tags byte by byte, since the page's policy names their hashes.
#ifndef PRECIS_PAGE_PAGE_H
#define PRECIS_PAGE_PAGE_H

extern const char page_report_html[];
extern const char page_report_css[];
extern const char page_report_js[];

#endif
