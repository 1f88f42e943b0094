# SPDX-License-Identifier: Apache-2.0
"""precis dev: everything in one process tree, and more documents than its broker could hold."""
import json
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import time

import pytest

from rig.common import BUILD, ROOT

DOCUMENTS = 50
CHARACTERS = 1_000_000

# 4,600 calls take minutes under the sanitizers; the release build, where there is one, takes half a minute.
RELEASE = ROOT / "build" / "release"
PROGRAMS = RELEASE if (RELEASE / "worker" / "precis").exists() else BUILD


def text_of(number):
    """About a megabyte of clauses, different in each document."""
    rng = random.Random(number)
    lines = [f"Agreement number {number}.\n"]
    size = 0
    while size < CHARACTERS:
        line = (
            f"Clause {len(lines)}. The supplier shall deliver {rng.randint(2, 900)} crates of lot "
            f"{rng.randint(1000, 9999)} by the {rng.randint(1, 28)}th, and the buyer shall pay EUR "
            f"{rng.randint(100, 99999)} within {rng.randint(10, 60)} days.\n\n"
        )
        lines.append(line)
        size += len(line)
    return "".join(lines)


@pytest.fixture
def dev():
    """A running `precis dev` in a folder that its PostgreSQL may enter; (folder, environment)."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="precis-dev-"))
    folder.chmod(0o755)
    environment = dict(os.environ, PRECIS_CONFIG=str(folder / "dev" / "precis.yaml"))
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [PROGRAMS / "worker" / "precis", "dev", "--dir", folder / "dev", "--latency", "20ms"],
            stdout=log, stderr=log)
    try:
        until = time.monotonic() + 90
        while b"kafka_reading" not in (folder / "log").read_bytes():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.2)
        yield folder, environment
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        subprocess.run(["rm", "-rf", folder], check=True)


def precis(environment, *words):
    return subprocess.run([PROGRAMS / "worker" / "precis", *words], env=environment, text=True,
                          capture_output=True, timeout=500)


def test_fifty_megabytes_of_documents_through_dev(dev):
    """The in-memory broker keeps 5 MB a partition and drops the rest in silence: submit stores documents
    in PostgreSQL and holds back, so that nothing is lost."""
    folder, environment = dev
    documents = folder / "documents"
    documents.mkdir()
    for number in range(DOCUMENTS):
        (documents / f"doc-{number:02}.txt").write_text(text_of(number))
    done = precis(environment, "submit", str(documents), "--batch", "big", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    results = precis(environment, "results", "big", "--format", "jsonl").stdout.splitlines()
    assert len(results) == DOCUMENTS
    for line in results:
        row = json.loads(line)
        assert row["state"] == "done" and row["output"]["summary"], row


def test_documents_of_every_kind(dev, data_dir):
    """What the worker does in dev it does as everywhere: PDF, DOCX and HTML become text in children of this program."""
    folder, environment = dev
    contracts = data_dir / "contracts"
    paths = ["cuad/cuad-140-content-license-agreement.pdf", "cuad/cuad-209-service-agreement.docx",
             "lang/fr-firefox-cloud-tos.html"]
    done = subprocess.run([PROGRAMS / "worker" / "precis", "submit", *[contracts / path for path in paths],
                           "--batch", "kinds", "--wait"], env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = subprocess.run([PROGRAMS / "worker" / "precis", "results", "kinds", "--format", "jsonl"], env=environment,
                           capture_output=True, text=True, timeout=60, check=True)
    rows = [json.loads(line) for line in shown.stdout.splitlines()]
    assert len(rows) == 3 and all(row["summary"] for row in rows), rows
