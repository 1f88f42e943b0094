# SPDX-License-Identifier: Apache-2.0
"""The built program: a configuration of its own, its commands, its workers, and what it promised."""
import copy
import decimal
import json
import pathlib
import signal
import subprocess
import urllib.error
import urllib.request

from .common import BUILD, PATIENCE, SANITIZER, Process, clean_env, free_port, wait_until

FINAL = ("done", "failed", "cancelled")
KEY = "sk-test-0123456789abcdef0123456789abcdef"


def merged(base, changes):
    """base with changes laid over it, section by section; None removes a key."""
    result = copy.deepcopy(base)
    for name, value in changes.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] = merged(result[name], value)
        else:
            result[name] = copy.deepcopy(value)
    return result


class Worker(Process):
    """A `precis worker`. may_crash is for tests that make it crash."""

    may_crash = False

    def __init__(self, precis, name, config_path, port, env, options):
        self.url = f"http://127.0.0.1:{port}"
        self.killed = False
        argv = [precis.program(), "worker", "--config", config_path, *options]
        super().__init__(name, argv, precis.folder, env, cwd=precis.folder)

    def terminate(self, timeout=90):
        """TERM, as an operator does it; returns the exit status."""
        if self.running:
            self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self):
        self.killed = self.killed or self.running
        return super().kill()

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def log_lines(self):
        """Its log, parsed; a line that is not JSON comes as {"text": line}."""
        lines = []
        for line in self.log().splitlines():
            try:
                parsed = json.loads(line)
            except ValueError:
                parsed = None
            lines.append(parsed if isinstance(parsed, dict) else {"text": line})
        return lines

    def get(self, path):
        """(status, text) of a GET on its HTTP port."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(self.url + path, timeout=10 * PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode()

    def is_ready(self):
        assert self.running, f"{self.name} ended with {self.popen.returncode}:\n{self.log()[-3000:]}"
        try:
            return self.get("/health")[0] == 200
        except OSError:
            return False

    def metrics(self):
        """name{labels} -> number"""
        values = {}
        for line in self.get("/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values


class Precis:
    """One deployment: database, topics, group and configuration that no other test has."""

    def __init__(self, name, folder, postgres, kafka, modelsim, partitions=4):
        self.name = name
        self.folder = pathlib.Path(folder)
        self.postgres, self.kafka, self.modelsim = postgres, kafka, modelsim
        self.partitions = partitions
        self.workers = []
        self.count = 0
        self.dsn = postgres.create_database(name)
        self.group = name
        self.topics = {"jobs": f"{name}.jobs", "dlq": f"{name}.dlq", "results": f"{name}.results"}
        for kind, topic in self.topics.items():
            kafka.create_topic(topic, partitions if kind == "jobs" else 1, max_message_bytes=8388608)
        self.config_path = self.folder / "precis.yaml"
        self.config = self._first_config()
        self.configure()

    def _first_config(self):
        prices = {"grok-4.3": ("0.00025", "0.00006", "0.001"),
                  "claude-opus-4.8": ("0.005", "0.0005", "0.015"),
                  "gemini-3.5-flash": ("0.00035", "0.00009", "0.0012")}
        models = {name: {"provider": "sim", "context_tokens": 128000, "max_output_tokens": 8192,
                         "price": {"per_1k": {"input": decimal.Decimal(given), "output": decimal.Decimal(written),
                                              "cached": decimal.Decimal(cached)}, "since": "2026-11-01"}}
                  for name, (given, cached, written) in prices.items()}
        return {
            "kafka": {"brokers": self.kafka.address, "group": self.group, "topics": self.topics},
            "database": self.dsn,
            "http": {"listen": f"127.0.0.1:{free_port()}"},
            "log": {"level": "debug"},
            "retry": {"base": "50ms", "max": "2s"},
            "providers": {"sim": {"api": "openai", "base_url": self.modelsim.base_url,
                                  "key": "${env:PRECIS_TEST_KEY}",
                                  "timeouts": {"connect": "5s", "first_byte": "10s", "idle": "5s"}}},
            "models": models,
            "routes": {"default": ["grok-4.3"]},
        }

    @staticmethod
    def program():
        return BUILD / "worker" / "precis"

    def configure(self, **changes):
        """Lays changes over the configuration and writes it. YAML 1.2 takes JSON as it is."""
        self.config = merged(self.config, changes)
        self._write(self.config_path, self.config)

    @staticmethod
    def _write(path, config):
        path.write_text(json.dumps(config, indent=1, default=str))

    def env(self, **more):
        return clean_env(PRECIS_TEST_KEY=KEY, **more)

    def run(self, *words, check=True, stdin=None, timeout=60, env=None):
        """A command of the program; .returncode, .stdout and .stderr. check: it must exit with 0."""
        self.count += 1
        argv = [self.program(), words[0], "--config", self.config_path, *words[1:]]
        done = subprocess.run(list(map(str, argv)), input=stdin, capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL if stdin is None else None,
                              timeout=timeout * PATIENCE, env=self.env(**(env or {})), cwd=self.folder)
        log = self.folder / f"command-{self.count}-{words[0]}.log"
        log.write_text(f"$ precis {' '.join(map(str, words))}\n{done.stdout}\n{done.stderr}\nexit {done.returncode}\n")
        if check:
            assert done.returncode == 0, log.read_text()
        return done

    def json(self, *words, **options):
        """What the command prints with --json; several lines come as a list."""
        text = self.run(*words, "--json", **options).stdout
        try:
            return json.loads(text)
        except ValueError:
            return [json.loads(line) for line in text.splitlines() if line.strip()]

    def migrate(self):
        self.run("migrate", "up")

    def start_worker(self, *options, env=None, ready=True, **changes):
        """A worker with a port of its own; changes are laid over the configuration for it alone."""
        name = f"worker-{len(self.workers) + 1}"
        port = free_port()
        path = self.folder / f"{name}.yaml"
        self._write(path, merged(self.config, {"http": {"listen": f"127.0.0.1:{port}"}, **changes}))
        worker = Worker(self, name, path, port, self.env(**(env or {})), options)
        self.workers.append(worker)
        if ready:
            wait_until(f"{name} to be ready or to end", lambda: not worker.running or worker.is_ready(), timeout=60)
            assert worker.running, f"{name} ended with {worker.popen.returncode}:\n{worker.log()[-3000:]}"
        return worker

    # Jobs, straight onto the topic.

    def job(self, name, text, **members):
        """A summarize message; members of the top level, or `summarize={…}`."""
        message = {"v": 1, "id": name, "kind": "summarize", "document": {"text": text}, **members}
        full = "/".join([message.get("tenant", "default"), message.get("batch", "default"), name])
        return {"key": full.encode(), "value": json.dumps(message).encode()}

    def send(self, messages):
        """messages of job(), or dicts with value and key, headers, partition. Returns their places."""
        return self.kafka.produce(self.topics["jobs"], messages)

    # What came of it.

    def session(self):
        return self.postgres.connect(self.name)

    def rows(self, sql, *values):
        with self.session() as session:
            return session.rows(sql, *values)

    def jobs(self):
        """job_id -> row of the view precis.jobs, newest revisions."""
        rows = self.rows("select * from precis.jobs order by revision")
        return {row["job_id"]: row for row in rows}

    def wait_final(self, names, timeout=60):
        """Until each of these jobs is done, failed or cancelled; returns jobs()."""
        names = set(names)

        def all_final():
            for worker in self.workers:
                assert worker.running or worker.killed or worker.may_crash or worker.popen.returncode == 0, \
                    f"{worker.name} ended with {worker.popen.returncode}"
            jobs = self.jobs()
            left = [name for name in names if name not in jobs or jobs[name]["state"] not in FINAL]
            assert not left, f"{len(left)} of {len(names)} jobs are not final, e.g. {sorted(left)[:5]}"
            return jobs

        return wait_until("the jobs to end", all_final, timeout, every=0.2)

    def wait_committed(self, timeout=30):
        """Until the group's offsets have reached the ends of the jobs topic."""
        topic = self.topics["jobs"]
        ends = {number: end for number, end in self.kafka.ends(topic).items() if end > 0}

        def reached():
            committed = self.kafka.committed(self.group, topic)
            left = {number: (committed.get(number), end) for number, end in ends.items()
                    if committed.get(number) != end}
            assert not left, f"partition: (committed, end) of those behind: {left}"
            return True

        wait_until("every offset to be committed", reached, timeout, every=0.2)

    def dead_letters(self):
        return self.kafka.read_all(self.topics["dlq"])

    def check_promises(self, names):
        """What holds after every test, whatever died: call it when all jobs are final and work has stopped."""
        jobs = self.jobs()
        missing = set(names) - set(jobs)
        assert not missing, f"lost: {sorted(missing)[:5]}"
        open_jobs = [name for name in names if jobs[name]["state"] not in FINAL]
        assert not open_jobs, f"without an outcome: {open_jobs[:5]}"
        with self.session() as session:
            doubles = session.rows("""select tenant, batch, job_id, revision, count(*) from precis.summaries
                                      group by 1, 2, 3, 4 having count(*) > 1""")
            assert not doubles, f"stored twice: {doubles[:5]}"
            torn = session.rows("""select job_id, state, s.job_id is not null as has_summary
                                   from precis.jobs j left join precis.summaries s
                                        using (tenant, batch, job_id, revision)
                                   where (j.state = 'done') <> (s.job_id is not null)""")
            assert not torn, f"outcome and summary do not agree: {torn[:5]}"
        self.check_bill()

    def check_bill(self):
        """sum(cost) <= the provider's bill <= sum(cost) + sum(at most), to the last digit."""
        with self.session() as session:
            known, at_most, doubtful = session.rows("""
                select coalesce(sum(cost_usd), 0) as known, coalesce(sum(at_most_usd), 0) as at_most,
                       count(*) filter (where outcome in ('in_doubt', 'sent')) as doubtful
                from precis.costs""")[0].values()
        bill = decimal.Decimal(self.modelsim.bill()["cost_usd"])
        assert known <= bill <= known + (at_most if doubtful else 0), \
            f"the bill is {bill}, the ledger {known} and at most {at_most} more in {doubtful} doubtful attempts"

    # The end of a test.

    def close(self):
        """Ends what still runs; returns what went wrong as lines."""
        problems = []
        for worker in self.workers:
            if worker.running:
                try:
                    worker.terminate(30)
                except AssertionError as problem:
                    problems.append(str(problem))
                    worker.kill()
            if worker.popen.returncode < 0 and not worker.killed and not worker.may_crash:
                problems.append(f"{worker.name} died of {signal.Signals(-worker.popen.returncode).name}")
        if self.modelsim:
            self.modelsim.kill()
        for path in sorted(self.folder.glob("*.log")):
            found = SANITIZER.search(path.read_text(errors="replace"))
            if found:
                problems.append(f"{path}: {found.group(0)}")
        return problems
