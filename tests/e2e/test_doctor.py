# SPDX-License-Identifier: Apache-2.0
"""doctor: every fault that can be staged is found, and what to do is said."""
import email.utils
import http.server
import json
import os
import resource
import socket
import socketserver
import struct
import subprocess
import threading
import time

import pytest

from rig.common import PATIENCE, free_port
from rig.program import KEY


def doctor(precis, exit_code, **options):
    """name -> [(state, text + suggestion)]; nothing secret may be in it."""
    done = precis.run("doctor", "--json", check=False, **options)
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert KEY not in done.stdout + done.stderr and "hunter2" not in done.stdout + done.stderr
    found = {}
    for check in json.loads(done.stdout)["checks"]:
        found.setdefault(check["name"], []).append((check["state"], f"{check['text']} | {check['suggestion']}"))
    return found


def finding(found, name, state):
    texts = [text for one, text in found[name] if one == state]
    assert texts, found
    return "\n".join(texts)


@pytest.mark.modelsim("--key", KEY)
def test_doctor_finds_nothing_where_all_is_well(precis):
    precis.run("migrate", "roles")
    found = doctor(precis, 0)
    assert all(state != "fail" for states_ in found.values() for state, _ in states_)
    assert {"config", "files", "http", "postgresql", "clock", "schema", "rights", "kafka", "sim"} <= set(found)
    assert "takes the key" in finding(found, "sim", "ok")
    assert "4 partitions" in finding(found, "kafka", "ok")
    text = precis.run("doctor").stdout
    assert text.startswith("ok ") and "A worker can do its work" in text or "All is well" in text


def test_doctor_and_the_configuration(precis):
    precis.configure(models={"grok-4.3": {"price": None}})
    found = doctor(precis, 1)
    assert "grok-4.3 has no price" in finding(found, "price", "fail")
    precis.configure(models={"grok-4.3": {"contextt_tokens": 1}})
    assert "cannot be used" in finding(doctor(precis, 1), "config", "fail")
    assert "context_tokens" in precis.run("doctor", check=False).stderr


def test_doctor_and_what_has_no_effect(precis):
    precis.configure(packing={"size": 1, "tokens": 9000}, tenants={"legal": {"tier": "vip", "budget": {"at_wall": "fail"}}},
                     rules={"dear": {"when": {"tenant_tier": "vpi"}, "reasoning_mode": "reasoning"}})
    found = finding(doctor(precis, 0), "config", "warn")
    for words in ("`packing.tokens` has no effect", "`budget.at_wall` has no effect", "Did you mean `vip`?"):
        assert words in found, found
    checked = precis.run("config", "check")
    assert "warning: " in checked.stderr and "`packing.tokens` has no effect" in checked.stderr
    assert len(precis.json("config", "check")["warnings"]) == 3
    # What cannot be is a mistake.
    precis.configure(rules={"dear": {"when": {"load": {"over": 80, "under": 20}}, "route": "grok-4.4"}})
    refused = precis.run("config", "check", check=False)
    assert refused.returncode == 2 and "never holds" in refused.stderr and "Did you mean `grok-4.3`?" in refused.stderr


def test_doctor_and_kafka(precis):
    topic = precis.topics["results"]
    precis.kafka.delete_topic(topic)
    missing = finding(doctor(precis, 1), "kafka", "fail")
    assert topic in missing and "kafka-topics.sh" in missing and "--create" in missing
    precis.kafka.create_topic(topic, 1)
    precis.kafka.delete_topic(precis.topics["dlq"])
    precis.kafka.create_topic(precis.topics["dlq"], 1, max_message_bytes=1000)
    assert "max.message.bytes 1000)" in finding(doctor(precis, 0), "kafka", "warn")
    port = free_port()
    precis.configure(kafka={"brokers": f"127.0.0.1:{port}"})
    assert str(port) in finding(doctor(precis, 1), "kafka", "fail")


def test_doctor_looks_at_the_limits_of_every_topic(precis):
    """Not only the first: other job topics, against the consumer and the dead letters; and that of results."""
    second, third, results = (f"{precis.name}.{word}" for word in ("second", "third", "short"))
    precis.kafka.create_topic(second, 2, max_message_bytes=8388608 - 16384)
    precis.kafka.create_topic(results, 1, max_message_bytes=1000)

    def use(*jobs, **topics):
        precis.configure(kafka={"topics": {**precis.topics, "jobs": [{"name": name, "weight": 1} for name in jobs], **topics}})

    first = f"{precis.name}.first"  # smaller than what dead letters take
    precis.kafka.create_topic(first, 2, max_message_bytes=100000)
    use(first, second)
    assert "kafka" in doctor(precis, 0) and "max.message.bytes" not in precis.run("doctor").stdout
    use(first, second, results=results)
    warned = finding(doctor(precis, 0), "kafka", "warn")
    assert f"do not fit into {results}" not in warned and f"may not fit into {results} (max.message.bytes 1000)" in warned, warned
    assert precis.topics["dlq"] not in warned, warned
    use(first, precis.topics["jobs"])  # as large as the dead letters, which need room for headers
    warned = finding(doctor(precis, 0), "kafka", "warn")
    assert f"do not fit into {precis.topics['dlq']}" in warned and results not in warned, warned
    precis.kafka.create_topic(third, 1, max_message_bytes=200000000)
    use(first, second, third)
    refused = finding(doctor(precis, 1), "kafka", "fail")
    assert f"the topic {third} takes messages of 200000000 bytes" in refused, refused
    assert "receive.message.max.bytes" in refused and "200000512" in refused and second not in refused, refused
    worker = precis.start_worker(ready=False)
    worker.may_crash = True
    assert worker.wait(60) == 2 and third in worker.log()


@pytest.mark.partitions(1)
def test_doctor_and_a_topic_with_one_partition(precis):
    assert "one partition" in finding(doctor(precis, 0), "kafka", "warn")


def test_doctor_and_postgresql(precis):
    with precis.session() as session:
        session.execute("insert into precis_data.migrations (version, name, sha256, oldest_program)"
                        " values (99, 'future', 'x', '99.0.0')")
    assert "99.0.0" in finding(doctor(precis, 1), "schema", "fail")
    with precis.session() as session:
        session.execute("delete from precis_data.migrations where version = 99")
        session.execute("update precis_data.migrations set sha256 = 'other' where version = 1")
    assert "another form" in finding(doctor(precis, 1), "schema", "fail")
    with precis.session() as session:
        session.execute("delete from precis_data.migrations"
                        " where version = (select max(version) from precis_data.migrations)")
    assert "precis migrate" in finding(doctor(precis, 1), "schema", "fail")
    precis.configure(database=f"postgresql://somebody:hunter2@127.0.0.1:{free_port()}/precis")
    assert "database" in finding(doctor(precis, 1), "postgresql", "fail")


@pytest.mark.unmigrated
def test_doctor_and_an_empty_database(precis):
    assert "precis migrate" in finding(doctor(precis, 1), "schema", "fail")


def test_doctor_and_a_user_without_rights(precis):
    user = f"{precis.name}_user"
    with precis.session() as session:
        session.execute(f'create role "{user}" login')
        session.execute(f'grant usage on schema precis, precis_data to "{user}"')
        session.execute(f'grant select on all tables in schema precis, precis_data to "{user}"')
    try:
        precis.configure(database=precis.dsn.replace("postgres@", f"{user}@"))
        assert "precis_worker" in finding(doctor(precis, 1), "rights", "fail")
    finally:
        with precis.session() as session:
            session.execute(f'drop owned by "{user}"; drop role "{user}"')


def test_doctor_and_the_clock(precis):
    with precis.session() as session:
        session.execute("create schema wrong")
        session.execute("create function wrong.clock_timestamp() returns timestamptz language sql as"
                        " $$ select pg_catalog.clock_timestamp() - interval '5 s' $$")
        session.execute(f'alter database "{precis.name}" set search_path = wrong, pg_catalog, public')
    behind = finding(doctor(precis, 0), "clock", "warn")
    assert "behind" in behind and "5.0 s" in behind


@pytest.mark.modelsim("--key", "another-key-than-ours-0123456789")
def test_doctor_and_a_key_that_is_refused(precis):
    assert "refuses the key (401)" in finding(doctor(precis, 1), "sim", "fail")


def test_doctor_and_the_provider(precis):
    precis.configure(models={"grok-5": {**precis.config["models"]["grok-4.3"]}})
    unlisted = finding(doctor(precis, 0), "sim", "warn")
    assert "grok-5" in unlisted and "grok-4.3" in unlisted
    precis.modelsim.kill()
    down = finding(doctor(precis, 1), "sim", "fail")
    assert "cannot be asked" in down and precis.modelsim.base_url in down


def test_doctor_and_the_port(precis):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        precis.configure(http={"listen": f"127.0.0.1:{port}"})
        assert "is taken" in finding(doctor(precis, 0), "http", "ok")
    precis.configure(http={"listen": "192.0.2.1:8000", "tokens": ["${env:PRECIS_TEST_KEY}"]})
    assert "192.0.2.1" in finding(doctor(precis, 1), "http", "fail")


def test_doctor_and_limits(precis):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (150, 150))
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard != resource.RLIM_INFINITY:
        pytest.skip("core dumps cannot be allowed here")
    precis.configure(worker={"memory": "900GB"})
    env = precis.env()
    env["ASAN_OPTIONS"] += ":disable_coredump=0"
    done = subprocess.run([str(precis.program()), "doctor", "--json", "--config", str(precis.config_path)],
                          capture_output=True, text=True, env=env, preexec_fn=limit, check=False,
                          timeout=60 * PATIENCE)
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert checks["files"]["state"] == "fail" and "150" in checks["files"]["text"]
    assert checks["core dumps"]["state"] == "warn"
    assert checks["memory"]["state"] == "fail"


# ------------------------------------------------------------------------------- Kafka


def test_doctor_names_all_topics_that_are_missing(precis):
    names = list(precis.topics.values())
    for name in names:
        precis.kafka.delete_topic(name)
    missing = finding(doctor(precis, 1), "kafka", "fail")
    assert missing.startswith(f"{names[0]}, {names[1]}, {names[2]}: these topics do not exist")
    text = precis.run("doctor", check=False).stdout
    commands = [line.strip() for line in text.splitlines() if "kafka-topics.sh" in line]
    assert commands == [f"kafka-topics.sh --bootstrap-server {precis.kafka.address} --create --topic {name} "
                        f"--partitions {partitions}" for name, partitions in zip(names, (12, 1, 1), strict=True)]


def test_doctor_and_a_broker_that_is_none(precis):
    port = precis.modelsim.base_url.split(":")[2].split("/")[0]
    precis.configure(kafka={"brokers": f"127.0.0.1:{port}"})
    assert "it does not answer as a Kafka broker does" in finding(doctor(precis, 1), "kafka", "fail")
    precis.configure(kafka={"brokers": "no-such-host.invalid:9092"})
    assert "Failed to resolve" in finding(doctor(precis, 1), "kafka", "fail")


def test_doctor_and_messages_that_are_too_large(precis):
    precis.configure(kafka={"properties": {"receive.message.max.bytes": "1000000", "fetch.max.bytes": "900000"}})
    told = finding(doctor(precis, 1), "kafka", "fail")
    assert "8388608" in told and "receive.message.max.bytes" in told


def live(precis, count, version):
    with precis.session() as session:
        session.execute("""insert into precis_data.workers (nonce, name, host, pid, version, consumer_group, lease_until)
            select 'n' || n, 'host:' || n, 'host', n, %s, 'g', clock_timestamp() + interval '1 hour'
            from generate_series(1, %s) n""", version, count)


def test_doctor_and_more_workers_than_partitions(precis):
    live(precis, 5, "0.1.0")
    found = doctor(precis, 0)
    assert "5 workers are live" in finding(found, "kafka", "warn")
    assert "5 are live" in finding(found, "workers", "ok")


def test_doctor_and_workers_of_another_version(precis):
    live(precis, 2, "0.0.9")
    assert "have another version: 0.0.9" in finding(doctor(precis, 0), "workers", "warn")


# ------------------------------------------------------------------------------- PostgreSQL


class WrongPassword(socketserver.BaseRequestHandler):
    """A PostgreSQL that lets nobody in."""

    def handle(self):
        while True:
            size = struct.unpack("!i", self.request.recv(4))[0]
            if struct.unpack("!i", self.request.recv(size - 4)[:4])[0] == 80877103:  # wants TLS
                self.request.sendall(b"N")
                continue
            fields = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user \"precis\"\0\0"
            self.request.sendall(b"E" + struct.pack("!i", len(fields) + 4) + fields)
            return


@pytest.fixture
def serve():
    """Starts a server of a handler on a free port of loopback; returns the port."""
    servers = []

    def start(handler):
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_address[1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_doctor_and_a_wrong_password(precis, serve):
    precis.configure(database=f"postgresql://precis:hunter2@127.0.0.1:{serve(WrongPassword)}/precis")
    told = finding(doctor(precis, 1), "postgresql", "fail")
    assert "password authentication failed" in told and "The password of `database` is wrong" in told


def test_doctor_and_names_that_postgresql_does_not_know(precis):
    dsn = precis.dsn
    precis.configure(database=precis.postgres.dsn_of("nowhere"))
    assert "createdb" in finding(doctor(precis, 1), "postgresql", "fail")
    precis.configure(database=dsn.replace("postgres@", "nobody@"))
    assert "Make the user" in finding(doctor(precis, 1), "postgresql", "fail")
    precis.configure(database="postgresql://x@no-such-host.invalid/x?sslmode=disable")
    assert "Check the host's name" in finding(doctor(precis, 1), "postgresql", "fail")


def test_doctor_names_the_rights_that_are_missing(precis):
    user = f"{precis.name}_half"
    with precis.session() as session:
        session.execute(f'create role "{user}" login')
        session.execute(f'grant usage on schema precis, precis_data to "{user}"')
        session.execute(f'grant all on all tables in schema precis, precis_data to "{user}"')
        session.execute(f'revoke insert, update on precis_data.attempts from "{user}"')
    try:
        precis.configure(database=precis.dsn.replace("postgres@", f"{user}@"))
        assert "lacks rights that a worker needs: attempts (insert, update) |" in finding(doctor(precis, 1), "rights", "fail")
    finally:
        with precis.session() as session:
            session.execute(f'drop owned by "{user}"; drop role "{user}"')


# ------------------------------------------------------------------------------- documents


def test_doctor_and_extractors(precis, case_dir):
    precis.configure(documents={"extractors": {"application/msword": ["no-such-antiword", "{in}"]}})
    assert "no-such-antiword, which reads application/msword, is not there" in finding(doctor(precis, 1), "extractors", "fail")
    precis.configure(documents={"extractors": {"application/msword": ["cat", "{in}"]}})
    assert "and what is configured" in finding(doctor(precis, 0), "extractors", "ok")
    empty = case_dir / "bin"
    empty.mkdir()
    precis.configure(documents={"extractors": {"application/msword": ["/bin/cat", "{in}"]}})
    assert "poppler-utils" in finding(doctor(precis, 0, env={"PATH": str(empty)}), "extractors", "warn")


def test_doctor_and_folders(precis, case_dir):
    (case_dir / "file").touch()
    precis.configure(documents={"allow": [str(case_dir / "gone"), str(case_dir / "file")]})
    told = finding(doctor(precis, 0), "documents", "warn")
    assert "gone cannot be read" in told and "file is no folder" in told


def test_doctor_and_room_for_files(precis, case_dir):
    assert "nothing can be written to" in finding(doctor(precis, 1, env={"TMPDIR": str(case_dir / "gone")}), "disk", "fail")
    precis.configure(documents={"children": 64, "max_bytes": "1GB"})
    # Somewhere there is less than 64 GB left: in memory at the latest.
    at = {place: os.statvfs(place) for place in (case_dir, "/dev/shm")}
    small = next(place for place, room in at.items() if room.f_bavail * room.f_frsize < 64e9)
    assert "64000.0 MB" in finding(doctor(precis, 1, env={"TMPDIR": str(small)}), "disk", "fail")


# ------------------------------------------------------------------------------- providers


@pytest.mark.modelsim("--key", KEY)
def test_doctor_and_no_key(precis):
    precis.configure(providers={"sim": {"key": None}})
    assert "refuses requests without a key (401) | Set `key` of the provider." in finding(doctor(precis, 1), "sim", "fail")


def test_doctor_and_a_key_that_is_not_set(precis):
    precis.configure(providers={"sim": {"key": "${env:PRECIS_TEST_KEY_THAT_IS_NOT_THERE}"}})
    assert "cannot be used" in finding(doctor(precis, 1), "config", "fail")
    assert "PRECIS_TEST_KEY_THAT_IS_NOT_THERE" in precis.run("doctor", check=False).stderr


class OldClock(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"data": [{"id": "grok-4.3"}]}).encode()
        self.send_response_only(200)
        self.send_header("Date", email.utils.formatdate(time.time() - 3600, usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_doctor_and_the_clock_of_a_provider(precis, serve):
    precis.configure(providers={"sim": {"base_url": f"http://127.0.0.1:{serve(OldClock)}/v1"}})
    told = finding(doctor(precis, 0), "clock", "warn")
    assert "the clock of sim is 3600 s behind" in told or "the clock of sim is 3601 s behind" in told


# ------------------------------------------------------------------------------- as a person sees it


def test_doctor_is_aligned_and_wrapped(precis):
    precis.configure(kafka={"brokers": "no-such-host.invalid:9092"})
    lines = precis.run("doctor", check=False, env={"COLUMNS": "80"}).stdout.splitlines()
    body, total = lines[:lines.index("")], lines[-1]
    assert total.startswith("1 to mend before a worker can do its work, ")
    for line in body:
        assert len(line) <= 80 or " " not in line[19:], line
        assert line[:6].strip() in ("ok", "warn", "FAIL", "") and line[18] == " " and line[19] != " ", line
