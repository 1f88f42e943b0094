# SPDX-License-Identifier: Apache-2.0
"""A worker, precis or the plain one in Go, from its start to its last job: what it used."""
import contextlib
import decimal
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import tempfile
import time

from rig.common import ROOT, Process, clean_env, wait_until
from rig.program import KEY, Precis
from rig.promises import Promises
from rig.servers import ModelSim

PARTITIONS = 4
TICKS = os.sysconf("SC_CLK_TCK")
PLAIN = ROOT / "build" / "bench" / "plain"


def output_of(*argv, cwd):
    return subprocess.run(argv, cwd=cwd, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout


def go_program():
    """The Go that go.mod asks for: from 1.21 on any Go fetches it by itself, and for an older one (Debian's) it is fetched
    here, by that Go, as the module that it is; modules lose their executable bits."""
    folder = ROOT / "tests" / "bench" / "go"
    release, system, machine = output_of("go", "env", "GOVERSION", "GOOS", "GOARCH", cwd="/").split()
    if tuple(map(int, re.findall(r"\d+", release)[:2])) >= (1, 21):
        return "go"
    wanted = re.search(r"^go (\S+)$", (folder / "go.mod").read_text(), re.M).group(1)
    with tempfile.TemporaryDirectory() as empty:
        (pathlib.Path(empty) / "go.mod").write_text("module empty\n")
        found = json.loads(output_of("go", "mod", "download", "-json",
                                     f"golang.org/toolchain@v0.0.1-go{wanted}.{system}-{machine}", cwd=empty))
    root = pathlib.Path(found["Dir"])
    for program in (root / "bin" / "go", *(root / "pkg" / "tool" / f"{system}_{machine}").iterdir()):
        program.chmod(0o555)
    return root / "bin" / "go"


def build_plain():
    """Compiles the Go worker; returns why it could not."""
    try:
        output_of(go_program(), "build", "-trimpath", "-o", PLAIN, ".", cwd=ROOT / "tests" / "bench" / "go")
    except FileNotFoundError:
        return "go is missing; run: tools/setup --bench"
    except subprocess.CalledProcessError as problem:
        return problem.stderr
    return None


# What /proc says of a process.

def cpu_seconds(pid, with_dead_children=False):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15 if with_dead_children else 13])) / TICKS


def status_kib(pid, name):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+)", text, re.M).group(1))


class Database:
    """CPU of a PostgreSQL server: all of its processes, dead ones too, without the bench's own session."""

    def __init__(self, session, folder):
        self.own = session.value("select pg_backend_pid()")
        self.server = int((folder / "data" / "postmaster.pid").read_text().split()[0])

    def cpu_seconds(self):
        total = cpu_seconds(self.server, with_dead_children=True)
        children = pathlib.Path(f"/proc/{self.server}/task/{self.server}/children").read_text().split()
        for pid in map(int, children):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                total += cpu_seconds(pid) if pid != self.own else 0
        return total


class Model:
    """The simulator, with TLS and HTTP/2 before it where a case asks for that."""

    def __init__(self, folder, case):
        folder.mkdir()
        self.sim = ModelSim(folder, "--canned", "--latency", case.latency)
        self.sim.start()
        self.front = None
        self.base_url, self.ca = self.sim.base_url, None
        if case.tls:
            self.front = Process("tls", [ROOT / "tools" / "modelsim" / "tls", self.sim.port, folder / "tls"], folder,
                                 clean_env())
            found = wait_until("TLS to be in front of the simulator", self._listens)
            self.base_url, self.ca = f"https://127.0.0.1:{found.group(2)}/v1", found.group(1)

    def _listens(self):
        if not self.front.running:
            raise RuntimeError(self.front.log())
        return re.search(r"ca (\S+)\nport (\d+)", self.front.out())

    def fresh(self):
        """An empty bill. Not a new process: nghttpx would find its kept connections dead."""
        self.sim.reset()

    def close(self):
        if self.front:
            self.front.signal(signal.SIGTERM)
            self.front.wait(10)
        self.sim.kill()


class Run:
    """One case and one round: a database and a topic of their own, with the jobs in it."""

    def __init__(self, name, case, folder, servers, model, messages):
        self.case, self.folder, self.model = case, folder / name, model
        self.folder.mkdir()
        model.fresh()
        self.precis = Precis(name, self.folder, *servers, model.sim, PARTITIONS)
        self._configure()
        self.precis.migrate()
        self.jobs = len(messages)
        self.places = dict(zip([message["key"].decode().rsplit("/", 1)[1] for message in messages],
                               self.precis.send(messages)))

    def _configure(self):
        most, ca = self.case.in_flight, {"ca": self.model.ca} if self.model.ca else {}
        self.precis.configure(
            log={"level": "info"}, worker={"in_flight": most},
            providers={"sim": {"connections": {"max": most, "idle": most}, "base_url": self.model.base_url, **ca,
                               "timeouts": {"connect": "30s", "first_byte": "60s", "idle": "60s"}}},
            models={"grok-4.3": {"limits": {"in_flight": most}, "stream": self.case.stream}})

    def start_precis(self):
        return self.precis.start_worker(ready=False)

    def start_plain(self):
        argv = [PLAIN, "-brokers", self.precis.kafka.address, "-topic", self.precis.topics["jobs"], "-group", "plain",
                "-database", self.precis.dsn, "-url", self.model.base_url, "-ca", self.model.ca or "", "-key", KEY,
                "-in-flight", self.case.in_flight, f"-stream={str(self.case.stream).lower()}"]
        return Process("plain", argv, self.folder, clean_env())

    def close(self):
        self.precis.modelsim = None  # it outlives the run
        problems = self.precis.close()
        assert not problems, problems

    # Figures.

    def measure(self, start, table, watch=contextlib.nullcontext):
        """Figures of the worker that start() starts; `table` gets a row a finished job; watch(pid) is entered."""
        with self.precis.session() as session:
            database = Database(session, self.precis.postgres.folder)
            database_before, began = database.cpu_seconds(), time.time()
            worker = start()
            with watch(worker.pid):
                self._follow(worker, session, table)
            figures = {
                "worker_cpu_us_per_job": cpu_seconds(worker.pid) / self.jobs * 1e6,
                "postgres_cpu_us_per_job": (database.cpu_seconds() - database_before) / self.jobs * 1e6,
                "peak_resident_mib": status_kib(worker.pid, "VmHWM") / 1024,
                "jobs_per_second": self.rate(session, table),
            }
        return worker, began, figures

    def _follow(self, worker, session, table):
        """Until `table` has a row a job."""
        last, moved_at = 0, time.monotonic()
        while last < self.jobs:
            time.sleep(0.1)
            if not worker.running:
                raise RuntimeError(f"the worker ended with {worker.popen.returncode}:\n{worker.log()[-2000:]}")
            there = session.value("select to_regclass(%s) is not null", table)
            done = session.value(f"select count(*) from {table}") if there else 0
            if done == last and time.monotonic() - moved_at > 120:
                raise RuntimeError(f"{done} of {self.jobs} jobs after two minutes without another; see {worker.log_path}")
            if done > last:
                last, moved_at = done, time.monotonic()

    def rate(self, session, table):
        """Jobs a second between the first and the last tenth of the jobs."""
        seconds = session.value(f"""
            select extract(epoch from percentile_disc(0.9) within group (order by finished_at)
                   - percentile_disc(0.1) within group (order by finished_at))::float8 from {table}""")
        return 0.8 * self.jobs / max(seconds, 0.001)

    def precis_figures(self, watch=contextlib.nullcontext):
        worker, began, figures = self.measure(self.start_precis, "precis_data.outcomes", watch)
        first, busiest = self.precis.rows("""
            select extract(epoch from min(j.first_claimed_at))::float8 as first,
                   (select max(n) from (select sum(d) over (order by at, d) as n from
                      (select started_at as at, 1 as d from precis_data.attempts union all
                       select started_at + duration_ms * interval '1 ms', -1 from precis_data.attempts) e) s) as busiest
            from precis_data.jobs j""")[0].values()
        self._check_precis(worker)
        return {**figures, "start_to_first_claim_ms": (first - began) * 1000, "calls_at_once": int(busiest)}

    def _check_precis(self, worker):
        """Every job done once, by one call each, and paid for exactly as the provider says."""
        self.precis.wait_committed()
        assert worker.terminate() == 0, worker.log()[-2000:]
        promises = Promises(self.precis, self.places)
        promises.check()
        counts = self.precis.rows("""select (select count(*) from precis_data.outcomes where state = 'done') as done,
            (select count(*) from precis.summaries) as summaries,
            (select count(*) from precis_data.attempts where outcome <> 'cancelled') as calls,
            (select sum(cost_usd) from precis.costs)::text as ledger""")[0]
        ledger = counts.pop("ledger")
        assert set(counts.values()) == {self.jobs}, f"{self.jobs} jobs, but {counts}"
        assert decimal.Decimal(ledger) == decimal.Decimal(promises.bill["cost_usd"]) > 0, \
            f"the ledger says {ledger}, the bill {promises.bill['cost_usd']}"

    def plain_figures(self):
        self.model.fresh()
        worker, _, figures = self.measure(self.start_plain, "plain.summaries")
        worker.signal(signal.SIGTERM)
        assert worker.wait(30) == 0 and not worker.log(), worker.log()[-2000:]
        counts = self.precis.rows("""select count(*) as jobs, (select count(*) from plain.costs) as costs,
            (select trim_scale(sum(cost_picousd) * 0.000000000001) from plain.costs)::text as ledger
            from plain.summaries""")[0]
        bill = self.model.sim.bill()["cost_usd"]
        assert counts["jobs"] == counts["costs"] == self.jobs and decimal.Decimal(counts["ledger"]) == decimal.Decimal(bill), \
            f"{counts}, and the bill is {bill}"
        return figures

    # kill -9.

    def restart_seconds(self):
        """From kill -9 (and a new worker at once) until jobs end as fast as before."""
        worker = self.start_precis()
        with self.precis.session() as session:
            def done():
                assert worker.running, worker.log()[-2000:]
                return session.value("select count(*) from precis_data.outcomes")
            wait_until("a quarter of the jobs", lambda: done() > self.jobs / 4, timeout=120)
            killed_at = time.time()
            worker.kill()
            worker = self.start_precis()
            wait_until("the rest of the jobs", lambda: done() > self.jobs * 0.9, timeout=120)
            worker.kill()
            ends = [row["at"] for row in session.rows(
                "select extract(epoch from finished_at)::float8 as at from precis_data.outcomes order by 1")]
        return until_full_rate(ends, killed_at)


def until_full_rate(ends, killed_at, share=0.9, window=1.0):
    """ends: sorted times at which jobs ended. Seconds until a window in which `share` of the earlier rate is seen."""
    before = [at for at in ends if at < killed_at]
    after = [at for at in ends if at >= killed_at]
    steady = [at for at in before if at > before[0] + 0.5]
    seconds = [sum(1 for at in steady if start <= at < start + window) / window
               for start in [steady[0] + 0.25 * i for i in range(max(1, int((killed_at - steady[0] - window) / 0.25)))]]
    wanted = share * statistics.median(seconds) * window
    for i, at in enumerate(after):
        ended = sum(1 for other in after[i:i + int(wanted) + 1] if other < at + window)
        if ended >= wanted:
            return at - killed_at
    raise RuntimeError(f"{wanted / window:.0f} jobs a second were not reached again; take more --jobs")
