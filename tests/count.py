#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""count.py FILE...: what JUnit files of ctest and pytest say, as "passed failed skipped".

A test of ctest that is a cmocka program counts as its cases, so that a case which a program skips
on its own is seen. A file that is missing or holds no test counts as one failure: a ring that
ran nothing has shown nothing.
"""
import re
import sys
import xml.etree.ElementTree as tree

CMOCKA = re.compile(r"^\[  (PASSED |FAILED |SKIPPED) +\] (\d+) test\(s\)", re.M)


def cmocka_counts(case):
    out = "".join(case.itertext())
    counts = {"PASSED": 0, "FAILED": 0, "SKIPPED": 0}
    for word, number in CMOCKA.findall(out):
        counts[word.strip()] += int(number)
    return counts["PASSED"], counts["FAILED"], counts["SKIPPED"]


def case_counts(case):
    """(passed, failed, skipped) of one <testcase>."""
    passed, failed, skipped = cmocka_counts(case)
    bad = case.find("failure") is not None or case.find("error") is not None
    if bad:
        return passed, max(failed, 1), skipped
    if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
        return 0, 0, 1
    if passed + skipped == 0:
        return 1, 0, 0
    return passed, failed, skipped


def file_counts(path):
    try:
        cases = list(tree.parse(path).iter("testcase"))
    except (OSError, tree.ParseError) as problem:
        print(f"count: {path}: {problem}", file=sys.stderr)
        return 0, 1, 0
    if not cases:
        print(f"count: {path}: no test in it", file=sys.stderr)
        return 0, 1, 0
    for case in cases:
        skip = case.find("skipped")
        if skip is not None:
            print(f"skipped: {case.get('name')}: {skip.get('message') or ''}", file=sys.stderr)
    return tuple(map(sum, zip(*map(case_counts, cases))))


def main(paths):
    print(*map(sum, zip(*map(file_counts, paths))))


if __name__ == "__main__":
    main(sys.argv[1:])
