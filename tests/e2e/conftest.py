# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the e2e ring.

postgres, kafka   one private server each for the whole run, started by the first test that asks
modelsim          the model simulator, one a test: its bill is the test's bill
precis            a deployment: fresh database (migrated), topics, group and configuration
data_dir          $PRECIS_TEST_DATA, else ../shared/data; the test is skipped where neither is there

Marks: @pytest.mark.partitions(N) of the jobs topic (4), @pytest.mark.modelsim("--rpm", "60") options,
@pytest.mark.unmigrated leaves the database empty. A test that stops a server starts it again; if it
fails before, the fixture does. Logs are kept in build/test/e2e/RUN/TEST, and their ends shown on failure.
"""
import os
import pathlib
import re
import shutil

import pytest

from rig.common import BUILD, LONG, PATIENCE, ROOT
from rig.program import Precis
from rig.servers import Kafka, ModelSim, Postgres

RUNS = ROOT / "build" / "test" / "e2e"


def _alive(pid):
    try:
        os.kill(int(pid), 0)
        return True
    except (OSError, ValueError):
        return False


@pytest.fixture(scope="session")
def run_dir():
    """build/test/e2e/PID; servers of runs that were killed are dropped first."""
    for old in RUNS.glob("*"):
        if not _alive(old.name):
            Kafka(old / "kafka").drop()
            Postgres(old / "pg").drop()
            shutil.rmtree(old, ignore_errors=True)
    folder = RUNS / str(os.getpid())
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(scope="session")
def _postgres(run_dir):
    server = Postgres(run_dir / "pg")
    server.start()
    yield server
    server.drop()


@pytest.fixture(scope="session")
def _kafka(run_dir):
    server = Kafka(run_dir / "kafka")
    server.start()
    yield server
    server.drop()


@pytest.fixture
def postgres(_postgres):
    yield _postgres
    _postgres.start()


@pytest.fixture
def kafka(_kafka):
    yield _kafka
    _kafka.start()


@pytest.fixture
def case_name(request):
    """A name that no other test has, good for databases, topics and groups. A second try has its own."""
    number = request.session.items.index(request.node)
    tries = getattr(request.node, "execution_count", 1)
    number = f"{number}_{tries}" if tries > 1 else number
    return f"t{number}_" + re.sub(r"[^a-z0-9]+", "_", request.node.name.lower())[:40].strip("_")


@pytest.fixture
def case_dir(run_dir, case_name):
    folder = run_dir / case_name
    folder.mkdir()
    return folder


@pytest.fixture
def modelsim(request, case_dir):
    if not ModelSim.program().exists():
        pytest.fail(f"{ModelSim.program()} is not built")
    mark = request.node.get_closest_marker("modelsim")
    sim = ModelSim(case_dir, *(mark.args if mark else ()))
    sim.start()
    yield sim
    sim.kill()


@pytest.fixture
def precis(request, case_name, case_dir, postgres, kafka, modelsim):
    if not Precis.program().exists():
        pytest.fail(f"{Precis.program()} is not built")
    mark = request.node.get_closest_marker("partitions")
    deployment = Precis(case_name, case_dir, postgres, kafka, modelsim, mark.args[0] if mark else 4)
    if not request.node.get_closest_marker("unmigrated"):
        deployment.migrate()
    yield deployment
    # The servers are up again before workers are asked to drain into them.
    postgres.start()
    kafka.start()
    problems = deployment.close()
    report = getattr(request.node, "report", None)
    if problems or (report is not None and report.failed):
        for path in sorted(case_dir.glob("*.log")):
            print(f"==> {path}")
            print("\n".join(path.read_text(errors="replace").splitlines()[-40:]))
    assert not problems, "\n".join(problems)


@pytest.fixture(scope="session")
def data_dir():
    folder = pathlib.Path(os.environ.get("PRECIS_TEST_DATA") or ROOT / ".." / "shared" / "data").resolve()
    if not folder.is_dir():
        pytest.skip(f"no test data: PRECIS_TEST_DATA is not set and {folder} is not there")
    return folder


@pytest.fixture(scope="session")
def long_run():
    """True in tools/test --long."""
    return LONG


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call":
        item.report = report
    return report


def pytest_collection_modifyitems(items):
    """The limit of a whole test is as patient as its waits."""
    for item in items:
        mark = item.get_closest_marker("timeout")
        seconds = mark.args[0] if mark else float(item.config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(seconds * PATIENCE), append=False)


def pytest_report_header():
    return f"build: {BUILD}"
