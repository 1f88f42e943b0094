# SPDX-License-Identifier: Apache-2.0
"""Where things are, how programs are started, how a test waits."""
import ctypes
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("PRECIS_BUILD") or "build/asan")
if not BUILD.is_absolute():
    BUILD = ROOT / BUILD

# A machine that is ten times slower sets PRECIS_TEST_PATIENCE=10; no test has a time of its own.
PATIENCE = float(os.environ.get("PRECIS_TEST_PATIENCE") or 1)
LONG = os.environ.get("PRECIS_LONG") == "1"

SANITIZER = re.compile(
    r"^.*(ERROR: AddressSanitizer|ERROR: LeakSanitizer|SUMMARY: \w*Sanitizer|: runtime error: ).*$", re.M)


def wait_until(what, probe, timeout=30, every=0.05):
    """Calls probe() until it returns something true, and returns that.

    An exception of probe that is an AssertionError or LookupError counts as "not yet"."""
    deadline = time.monotonic() + timeout * PATIENCE
    last = None
    while True:
        try:
            last = probe()
            if last:
                return last
        except (AssertionError, LookupError) as problem:
            last = problem
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout * PATIENCE:g} s for {what}; the last look gave {last!r}")
        time.sleep(every)


def free_port():
    """A port below the range from which outgoing connections take theirs."""
    # Processes that share a run (pytest-xdist) look in ranges of their own: what one has found, it has not bound yet.
    first = 15000 + 8000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    for number in range(8000):
        port = first + (os.getpid() + number) % 8000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                if port not in _given:
                    _given.add(port)
                    return port
            except OSError:
                continue
    raise RuntimeError("no free port")


_given = set()


def clean_env(**more):
    """The environment of a program under test: nothing that would lead it elsewhere."""
    unwanted = re.compile(r"^(PG.*|PRECIS_.*|DATABASE_URL|GROK_.*|.*_proxy|.*_PROXY|LD_PRELOAD)$")
    env = {name: value for name, value in os.environ.items() if not unwanted.match(name)}
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    env.update({name: str(value) for name, value in more.items()})
    return env


def die_with_parent():
    """In a child before exec: it ends when the test run is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def tool(*words, timeout=180):
    """Runs tools/WORDS[0] and returns what it printed."""
    done = subprocess.run([ROOT / "tools" / words[0], *map(str, words[1:])], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout * PATIENCE, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"tools/{' '.join(map(str, words))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout.strip()


class Process:
    """A program in the background whose output goes to files."""

    def __init__(self, name, argv, folder, env, cwd=None):
        self.name = name
        self.out_path = folder / f"{name}.out"
        self.log_path = folder / f"{name}.log"
        with open(self.out_path, "ab") as out, open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(list(map(str, argv)), stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                                          env=env, cwd=cwd, preexec_fn=die_with_parent)

    @property
    def pid(self):
        return self.popen.pid

    @property
    def running(self):
        return self.popen.poll() is None

    def out(self):
        return self.out_path.read_text(errors="replace")

    def log(self):
        return self.log_path.read_text(errors="replace")

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, timeout=60):
        """The exit status; negative after a signal."""
        try:
            return self.popen.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end in {timeout * PATIENCE:g} s") from None

    def kill(self):
        """SIGKILL, and reaped."""
        if self.running:
            self.popen.kill()
        return self.popen.wait()
