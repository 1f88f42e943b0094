# SPDX-License-Identifier: Apache-2.0
"""Where a worker's microseconds go: perf's samples, each given to the innermost frame that says whose work it is."""
import collections
import contextlib
import pathlib
import re
import shutil
import signal
import subprocess
import sys

# What a sample is counted as: by the object file of one of our functions, or by the library. libc, libuv, the kernel,
# libcrypto and our own containers work for whoever called them, so they are passed over.
LIBRARIES = {"librdkafka": "Kafka", "libcurl": "HTTP", "libssl": "HTTP", "libnghttp2": "HTTP", "libpq": "PostgreSQL",
             "libjansson": "JSON", "libmicrohttpd": "health, metrics"}
OBJECTS = [
    (r"^(kafka_.*|kafka)$", "Kafka"),
    (r"^(model_http.*|resolve)$", "HTTP"),
    (r"^(pg_.*|store.*)$", "PostgreSQL"),
    (r"^(json_.*|decode|fields|job_fields|openai_.*|reader|sse|summary|provider|identity)$", "JSON"),
    (r"^(log|redact)$", "log lines"),
    (r"^(buf|list|heap|slots|own|keys|str|text|visible|metrics|pg_array)$", None),
    (r".*", "rules"),
]


@contextlib.contextmanager
def recording(path, pid):
    if not shutil.which("perf"):
        sys.exit("bench: perf is missing (tools/setup --bench)")
    perf = subprocess.Popen(["perf", "record", "-q", "-F", "499", "--call-graph", "dwarf,16384", "-o", path, "-p", str(pid)],
                            stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        perf.send_signal(signal.SIGINT)
        perf.wait()


def objects_of(build):
    """function -> names of the object files that define it"""
    found = collections.defaultdict(set)
    archives = [*pathlib.Path(build).glob("*.a"), *pathlib.Path(build).glob("worker/*.a")]
    objects = list(pathlib.Path(build).glob("worker/CMakeFiles/**/*.o")) + archives
    text = subprocess.run(["nm", "-A", "--defined-only", *objects], check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        match = re.match(r".*?([\w-]+)\.c\.o:[0-9a-f]+ [tT] (\S+)$", line)
        if match:
            found[match.group(2)].add(match.group(1))
    return found


def area_of(frame, objects):
    """The area of one frame "function (file)", or None."""
    function, file = frame
    for name, area in LIBRARIES.items():
        if name in file:
            return area
    if not file.endswith("/precis"):
        return None
    names = objects.get(re.sub(r"\.(part|constprop|isra|cold)[.\d]*.*$", "", function), ())
    if len(names) != 1:
        return None  # several have a function of that name: an outer frame decides
    (name,) = names
    return next(area for pattern, area in OBJECTS if re.match(pattern, name))


def stacks(path):
    """Each sample as a list of (function, file), the innermost first."""
    text = subprocess.run(["perf", "script", "-i", path, "-F", "ip,sym,dso", "--no-inline"], check=True, capture_output=True,
                          text=True, errors="replace").stdout
    for block in text.split("\n\n"):
        frames = re.findall(r"^\s+[0-9a-f]+ (.*) \((.*)\)$", block, re.M)
        if frames:
            yield frames


def areas(path, build):
    """area -> share of the samples"""
    objects, counts = objects_of(build), collections.Counter()
    for frames in stacks(path):
        found = next((area for area in (area_of(frame, objects) for frame in frames) if area), "the loop and the rest")
        counts[found] += 1
    total = sum(counts.values())
    return {area: count / total for area, count in counts.most_common()}


def print_areas(shares, microseconds, case):
    print(f"{case}: {microseconds:.0f} us of the worker's CPU a job, perf's own disturbance included")
    for area, share in shares.items():
        print(f"  {area:<24}{share:>7.1%}{share * microseconds:>8.0f} us")
