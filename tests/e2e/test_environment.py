# SPDX-License-Identifier: Apache-2.0
"""What the machine does to a worker, by its number in the list of bad inputs."""
import json
import os
import signal
import socket
import subprocess
import time

import pytest

from rig.common import Process, wait_until
from rig.program import KEY, Worker
from rig.promises import Promises


def finish(precis, promises, **what):
    precis.wait_final(promises.places, timeout=90)
    promises.check(**what)
    assert {row["state"] for row in promises.jobs.values()} == {"done"}


def test_98_variables_that_would_lead_elsewhere(precis, case_dir):
    """98: proxies, key logs and PG* of the environment change nothing."""
    keylog = case_dir / "tls-keys"
    nowhere = "http://127.0.0.1:9"
    worker = precis.start_worker(env={
        "http_proxy": nowhere, "HTTP_PROXY": nowhere, "https_proxy": nowhere, "ALL_PROXY": nowhere, "no_proxy": "",
        "SSLKEYLOGFILE": keylog, "PGHOST": "127.0.0.2", "PGPORT": "9", "PGUSER": "nobody", "PGDATABASE": "elsewhere",
        "PGSERVICE": "elsewhere", "PGOPTIONS": "-c statement_timeout=1", "PGSSLMODE": "verify-full",
        "PGPASSFILE": "/nonexistent", "NETRC": "/nonexistent", "CURL_CA_BUNDLE": "/nonexistent"})
    promises = Promises(precis)
    promises.send(["one", "two"])
    finish(precis, promises)
    assert worker.terminate() == 0
    assert not keylog.exists()


class Talk(Worker):
    """A worker whose stderr is ours to mistreat."""

    def __init__(self, precis, name, stderr):
        config, port = precis.config_path, precis.config["http"]["listen"].rsplit(":", 1)[1]
        self.url, self.killed, self.name = f"http://127.0.0.1:{port}", False, name
        self.out_path = self.log_path = precis.folder / f"{name}.log"
        self.log_path.touch()
        argv = ["bash", "-c", 'exec "$@" 2>&-', "closed", precis.program()] if stderr is None else [precis.program()]
        self.popen = subprocess.Popen([*map(str, argv), "worker", "--config", str(config)], env=precis.env(),
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
                                      cwd=precis.folder)
        precis.workers.append(self)


def test_91_stderr_closed(precis):
    """91: nowhere to write the log to; nothing else gets its file descriptor by mistake."""
    worker = Talk(precis, "silent", None)
    wait_until("the worker to be ready", worker.is_ready, timeout=60)
    promises = Promises(precis)
    promises.send(["one", "two"])
    finish(precis, promises)
    assert worker.terminate() == 0


def test_91_slow_log_reader(precis):
    """91: a full pipe that nobody reads holds nothing up."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    worker = Talk(precis, "unread", writer)
    os.close(writer)
    wait_until("the worker to be ready", worker.is_ready, timeout=60)
    promises = Promises(precis)
    promises.send([f"job-{n}" for n in range(30)])
    finish(precis, promises)
    assert worker.terminate() == 0
    os.close(reader)


@pytest.mark.modelsim("--latency", "30s")
def test_90_term_twice(precis):
    """90: the second TERM leaves at once."""
    worker = precis.start_worker()
    promises = Promises(precis)
    promises.send(["slow"])
    wait_until("the call", lambda: precis.modelsim.bill()["calls"])
    worker.signal(signal.SIGTERM)
    wait_until("it to drain", lambda: json.loads(worker.get("/health")[1])["agent"] == "draining")
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    assert worker.wait(10) == 130
    assert time.monotonic() - began < 10


@pytest.mark.modelsim("--latency", "4s")
def test_90_stopped_for_longer_than_a_lease(precis):
    """90: SIGSTOP until another worker has the jobs, then CONT. What comes late is booked, and never wins."""
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": 3}}})
    promises = Promises(precis)
    stopped = precis.start_worker()
    promises.send(["one", "two", "three"])
    wait_until("three calls", lambda: len(precis.modelsim.bill()["calls"]) == 3)
    stopped.pause()
    other = precis.start_worker()
    precis.modelsim.script(latency="100ms")
    precis.wait_final(promises.places, timeout=90)
    ends = precis.rows("select job_id, worker, finished_at from precis.jobs order by 1")
    stopped.resume()
    wait_until("the late answers to be booked", lambda: precis.rows(
        "select count(*) as n from precis.costs where outcome = 'ok'")[0]["n"] == 6)
    wait_until("both to be ready", lambda: stopped.is_ready() and other.is_ready())
    assert precis.rows("select job_id, worker, finished_at from precis.jobs order by 1") == ends
    finish(precis, promises)
    # Three answers of one worker came late and are no longer in doubt; none of its jobs was asked a third time.
    assert len(promises.calls) == 6
    assert stopped.terminate() == 0 and other.terminate() == 0


@pytest.mark.unmigrated
def test_94_no_schema(precis):
    """94: a worker does not migrate; it says what to run."""
    worker = precis.start_worker(ready=False)
    assert worker.wait(60) == 2
    assert "precis migrate" in worker.log()


@pytest.mark.parametrize("change, says", [
    ("delete from precis_data.migrations where version = (select max(version) from precis_data.migrations)",
     "precis migrate"),
    ("""insert into precis_data.migrations (version, name, sha256, oldest_program)
       select max(version) + 1, 'later', 'none', '99.0.0' from precis_data.migrations""", "Upgrade this worker"),
], ids=["older", "newer"])
def test_94_schema_of_another_version(precis, change, says):
    """94: a schema that lacks a migration, and one that is made for later programs: exit 2 with a reason."""
    with precis.session() as session:
        session.execute(change)
    worker = precis.start_worker(ready=False)
    assert worker.wait(60) == 2
    assert says in worker.log()


@pytest.mark.unmigrated
def test_94_ten_migrations_at_once(precis):
    """94: all succeed, and the schema is there once."""
    argv = [precis.program(), "migrate", "--config", precis.config_path, "up"]
    all_ten = [Process(f"migrate-{n}", argv, precis.folder, precis.env()) for n in range(10)]
    assert [process.wait(120) for process in all_ten] == [0] * 10, [process.log()[-300:] for process in all_ten]
    worker = precis.start_worker()
    promises = Promises(precis)
    promises.send(["one"])
    finish(precis, promises)
    assert worker.terminate() == 0


def test_95_a_bad_file_on_hup(precis):
    """95: the old configuration stays, the log says why; a good one is taken."""
    worker = precis.start_worker()
    path = precis.folder / f"{worker.name}.yaml"
    good = path.read_text()

    def events(name):
        return [line for line in worker.log_lines() if line.get("event") == name]

    for number, bad in enumerate(["kafka: [", good.replace('"brokers"', '"brokrs"'), ""], 1):
        path.write_text(bad)
        worker.signal(signal.SIGHUP)
        wait_until("it to be refused", lambda n=number: len(events("configuration_refused")) == n)
    promises = Promises(precis)
    promises.send(["one"])
    precis.wait_final(["one"])
    path.write_text(good.replace('"debug"', '"info"'))
    worker.signal(signal.SIGHUP)
    wait_until("the good one to be taken", lambda: events("configuration_reread"))
    finish(precis, promises)
    assert KEY not in worker.log()


@pytest.mark.parametrize("change, says", [
    ({"worker": {"in_flihgt": 3}}, "in_flight"),
    ({"worker": {"in_flight": -3}}, "in_flight"),
    ({"worker": {"in_flight": 10**15}}, "in_flight"),
    ({"providers": {"sim": {"key": "${env:PRECIS_EMPTY}"}}}, "PRECIS_EMPTY"),
    ({"providers": {"sim": {"key": "sk-plain-text-in-the-file"}}}, "key"),
    ({"models": {"grok-4.3": {"price": {"per_1k": {"input": "-1"}}}}}, "price"),
], ids=["unknown_key", "negative", "huge", "empty_secret", "plain_secret", "96_negative_price"])
def test_95_refused_configuration(precis, change, says):
    """95, 96: exit 2 before anything starts, with the place, and without the secret."""
    worker = precis.start_worker(ready=False, env={"PRECIS_EMPTY": ""}, **change)
    assert worker.wait(60) == 2
    assert says in worker.log() and "sk-plain-text" not in worker.log()


def test_97_bad_clients_of_the_http_port(precis):
    """97: slow, large and malformed requests are ended, and the loop goes on."""
    worker = precis.start_worker()
    host, port = worker.url.rsplit("/", 1)[1].split(":")

    def talk(data):
        with socket.create_connection((host, int(port)), timeout=20) as client:
            try:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                return client.recv(65536)
            except OSError:
                return b""

    assert b"200" not in talk(b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n").split(b"\r\n")[0]
    assert b" 200 " not in talk(b"GET / HTTP/1.1\r\nHost: x\r\nX-Big: " + b"a" * 1_000_000 + b"\r\n\r\n").split(b"\r\n")[0]
    assert b" 200 " not in talk(b"\x16\x03\x01 not http at all\r\n\r\n").split(b"\r\n")[0]
    slow = [socket.create_connection((host, int(port)), timeout=20) for _ in range(50)]
    for client in slow:
        client.sendall(b"GET /health HT")
    promises = Promises(precis)
    promises.send(["one"])
    finish(precis, promises)
    assert worker.get("/health/live")[0] == 200
    for client in slow:
        client.close()
