# SPDX-License-Identifier: Apache-2.0
"""The image that tools/image-check built, run as compose.yaml runs it: its user, a root that cannot be
written, secrets by file, its entrypoint; with a real Kafka, PostgreSQL and model simulator of this machine."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from rig.common import Process, clean_env, die_with_parent, free_port, tool, wait_until # noqa: E402  pylint: disable=C0413
from rig.servers import Kafka, ModelSim, Postgres # noqa: E402  pylint: disable=C0413

COMPOSE = ROOT / "deploy" / "compose"
CHECK = ROOT / "tools" / "image-check"
KEY = "xai-test-0123456789abcdef0123456789abcdef"
JARS = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "precis" / "kafka-4.1.0"


class Image:
    """`docker run`, as far as it goes."""

    def __init__(self, folder, secrets, config, documents):
        self.folder, self.secrets, self.config, self.documents = folder, secrets, config, documents
        self.services = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]

    def argv(self, service, *options):
        """As the service has it: its secrets under the names it gives them, its two mounts."""
        words = [CHECK, "run", "--mount", f"{self.config}=/etc/precis/precis.yaml", "--mount", f"{self.documents}=/documents"]
        for one in self.services[service]["secrets"]:
            source, target = (one, one) if isinstance(one, str) else (one["source"], one["target"])
            words += ["--secret", f"{target}={self.secrets / source}"]
        return [*words, *options]

    def run(self, service, *words, options=(), check=True):
        argv = [*self.argv(service, *options), "--", *(words or self.services[service]["command"])]
        done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=False, timeout=180,
                              stdin=subprocess.DEVNULL, preexec_fn=die_with_parent, env=clean_env())
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def start(self, name, service):
        return Process(name, [*self.argv(service), "--", *self.services[service]["command"]], self.folder, clean_env())

    def healthy(self):
        """HEALTHCHECK, at this test's own port: 8000 may be somebody else's on this machine."""
        words = json.loads((ROOT / "build" / "image" / "image.json").read_text())["healthcheck"]
        assert words[-1] == "http://127.0.0.1:8000/health/live"
        words[-1] = words[-1].replace("8000", str(self.port))
        return self.run("worker", *words, options=["--entrypoint"], check=False).returncode == 0


def small_pdf(text):
    """A PDF of one page with this line."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
               "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
               f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    out, places = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    return out + f"xref\n0 6\n0000000000 65535 f \n{table}trailer << /Size 6 /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"


def make_database(postgres, secrets, folder):
    """What PostgreSQL's image does with init-database.sh: as the superuser, in the fresh database."""
    host = postgres.dsn.split("@")[-1].split("/")[0].rpartition(":")
    password = (secrets / "owner_password").read_text()
    with postgres.connect() as session:
        session.execute(f"create role precis_owner superuser login password '{password}'")
        session.execute("create database shop owner precis_owner")
    env = clean_env(PGHOST=host[0], PGPORT=host[2], PGPASSWORD=password, POSTGRES_USER="precis_owner", POSTGRES_DB="shop",
                    WORKER_PASSWORD_FILE=secrets / "worker_password")
    done = subprocess.run([COMPOSE / "init-database.sh"], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    (folder / "init.log").write_text(done.stdout + done.stderr)
    for name in ("database_url", "owner_database_url"):
        path = secrets / name
        text = path.read_text().replace("@postgres/precis", f"@{host[0]}:{host[2]}/shop")
        path.chmod(0o644)
        path.write_text(text)


def make_topics(kafka, folder):
    """make-topics.sh with Kafka's own program under the name that its image has."""
    shim = folder / "bin" / "kafka-topics.sh"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec java -Xmx128m -cp "{JARS}/*" org.apache.kafka.tools.TopicCommand "$@"\n')
    shim.chmod(0o755)
    env = clean_env(BROKERS=kafka.address, PARTITIONS=4, PATH=f"{shim.parent}:{os.environ['PATH']}")
    for _ in range(2): # the second time they are there
        done = subprocess.run([COMPOSE / "make-topics.sh"], env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(name="image", scope="module")
def deployment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    folder.chmod(0o755) # the image's user has to get at what is mounted from here
    for above in folder.parents:
        if above.stat().st_uid == os.getuid() and above != pathlib.Path("/"):
            above.chmod(above.stat().st_mode | 0o711)
    shutil.copy(COMPOSE / "make-secrets", folder)
    subprocess.run([folder / "make-secrets"], input=KEY + "\n", text=True, check=True, capture_output=True, timeout=60)
    secrets = folder / "secrets"
    postgres, kafka, sim = Postgres(folder / "pg"), Kafka(folder / "kafka"), ModelSim(folder)
    try:
        postgres.start()
        kafka.start()
        sim.start()
        make_database(postgres, secrets, folder)
        make_topics(kafka, folder)
        config = yaml.safe_load((COMPOSE / "precis.yaml").read_text())
        config["kafka"]["brokers"] = kafka.address
        config["providers"]["xai"]["base_url"] = sim.base_url
        port = free_port()
        config["http"]["listen"] = f"127.0.0.1:{port}"
        (folder / "precis.yaml").write_text(json.dumps(config, default=str))
        (folder / "precis.yaml").chmod(0o644)
        documents = folder / "documents"
        shutil.copytree(ROOT / "tests" / "data" / "demo", documents)
        (documents / "order.pdf").write_text(small_pdf("The supplier delivers 12 machines. The fee is 40,000 dollars."))
        image = Image(folder, secrets, folder / "precis.yaml", documents)
        image.sim, image.postgres, image.port = sim, postgres, port
        yield image
    finally:
        sim.kill()
        tool("kafka", "drop", kafka.folder)
        tool("pg", "drop", postgres.folder)


def test_it_is_built_from_these_sources(image):
    done = image.run("precis", "--version")
    assert done.stdout.startswith("precis ")
    assert image.run("precis", "config", "check").stdout.startswith("/etc/precis/precis.yaml is right")


def test_its_user_has_no_rights(image):
    shown = image.run("worker", "sh", "-c", "id -u; grep -E 'CapEff|NoNewPrivs' /proc/self/status; touch /x /etc/precis/x /usr/x; ls /src",
                      options=["--entrypoint"], check=False)
    assert shown.stdout.split() == ["10001", "CapEff:", "0000000000000000", "NoNewPrivs:", "1"]
    assert shown.stderr.count("Read-only file system") == 3 and "/src" in shown.stderr, shown.stderr
    assert shown.returncode != 0


def test_no_secret_and_no_compiler_is_inside(image):
    found = image.run("worker", "sh", "-c", "command -v gcc cmake postgres git; find / -xdev -name .env -o -xdev -path '*/worker/*.c' | head",
                      options=["--entrypoint"], check=False)
    assert found.stdout == ""
    assert image.run("worker", "pdftotext", "-v", options=["--entrypoint"]).stderr.startswith("pdftotext version")


def test_two_workers_do_the_work(image):
    assert "precis migrate" in image.run("worker", check=False).stderr # not before the schema is there
    image.run("migrate")
    assert not image.healthy()
    first = image.start("worker-1", "worker")
    wait_until("the first worker's HEALTHCHECK", image.healthy, timeout=60, every=0.5)
    second = image.start("worker-2", "worker") # its port is taken: it listens on the next one
    wait_until("two workers", lambda: len(json.loads(image.run("precis", "workers", "--json").stdout)) == 2, timeout=60, every=0.5)
    doctor = image.run("precis", "doctor", check=False)
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    done = image.run("precis", "submit", "/documents", "--batch", "first", "--wait", check=False)
    assert done.returncode == 3, done.stdout + done.stderr # one of the documents has no text
    results = [json.loads(line) for line in image.run("precis", "results", "first", "--format", "jsonl").stdout.splitlines()]
    assert len(results) == len(list(image.documents.iterdir())) - 1
    assert any("40,000 dollars" in json.dumps(one) for one in results if "order.pdf" in json.dumps(one)), "the PDF, by pdftotext"
    for worker in (first, second):
        worker.popen.terminate() # STOPSIGNAL, to tini
        assert worker.wait(90) == 0, worker.log()
        assert KEY not in worker.log() + worker.out()
    with image.postgres.connect("shop") as session:
        users = session.rows("select distinct usename from pg_stat_activity where datname = 'shop' and pid <> pg_backend_pid()")
        assert not users
