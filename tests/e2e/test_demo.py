# SPDX-License-Identifier: Apache-2.0
"""tools/demo without a terminal: what it shows, and that nothing of it is left."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import uuid

import pytest

from rig.common import PATIENCE, ROOT, clean_env, wait_until
from rig.program import KEY

DOCUMENTS = sorted(path.name for path in (ROOT / "tests" / "data" / "demo").iterdir())
TEXTLESS = "scan-without-text.txt"


class Demo:
    """A run of tools/demo with a TMPDIR of its own; its processes are known by their environment."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.mark = f"DEMO_TEST_MARK={uuid.uuid4()}"
        name, value = self.mark.split("=")
        # Wide enough that no name is folded.
        self.env = clean_env(TMPDIR=self.folder, COLUMNS="200", **{name: value})

    def start(self, *words, **env):
        # Python's children inherit an ignored SIGINT where the test run itself was put into the background.
        return subprocess.Popen([ROOT / "tools" / "demo", *map(str, words)], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env={**self.env, **env}, start_new_session=True,
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))

    def run(self, *words, **env):
        """(exit status, all that it printed)"""
        process = self.start(*words, **env)
        out, _ = process.communicate(timeout=900 * PATIENCE)
        return process.returncode, out

    def processes(self):
        """Command lines of this demo's processes, also those that left its session."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and self.mark.encode() in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue  # it ended, or is another user's
        return found

    def check_nothing_is_left(self):
        wait_until("the demo's processes to end", lambda: not self.processes(), 15)
        assert not list(self.folder.iterdir())


@pytest.fixture
def demo():
    folder = tempfile.mkdtemp(prefix="precis-demo-test.")
    os.chmod(folder, 0o755)
    run = Demo(folder)
    yield run
    wait_until("the demo's processes to end", lambda: not run.processes(), 60)
    shutil.rmtree(folder, ignore_errors=True)


def section(out, title):
    """What stands under the heading."""
    found = re.search(rf"^== {re.escape(title)}\n(.*?)(?=^== |\Z)", out, re.M | re.S)
    assert found, f"no section {title!r} in:\n{out}"
    return found.group(1)


def test_the_demo_shows_everything_and_leaves_nothing(demo):
    status, out = demo.run()
    assert status == 0, out
    summaries = section(out, "Summaries")
    assert [name for name in DOCUMENTS if name in summaries] == [name for name in DOCUMENTS if name != TEXTLESS]
    tokens = re.search(r"^framework-agreement-long\.txt .* ([\d,]+) +[\d,]+ +\$", summaries, re.M)
    assert int(tokens.group(1).replace(",", "")) > 20_000  # the parts, and what combines them
    assert "医疗器械" in summaries or "乙方" in summaries
    failed = section(out, "What failed, and why")
    assert [name for name in DOCUMENTS if name in failed] == [TEXTLESS]
    assert "no_text" in failed and "Suggestion:" in failed
    costs = section(out, "Costs")
    bill = re.search(r"own bill says \$(\d\.\d+)\.$", costs, re.M).group(1)
    assert float(bill) > 0.01
    total = re.search(r"^total +.*\$([\d.]+) +0 +\$0$", costs, re.M).group(1)  # nothing is in doubt
    assert total == bill  # the ledger, to the last digit
    assert re.search(r"^In all +\d+\.\d s$", out, re.M)
    assert "\x1b" not in out
    demo.check_nothing_is_left()


def test_the_demo_takes_files_of_the_user_and_can_be_kept(demo):
    own = demo.folder / "own.txt"
    own.write_text("The seller shall deliver ten boats by 1 May 2027. The price is EUR 90,000. "
                   "Payment is due on delivery. Danish law governs the contract.\n")
    status, out = demo.run("--keep", own)
    assert status == 0, out
    assert "own.txt" in section(out, "Summaries")
    end = section(out, "End")
    assert [line for line in demo.processes() if "modelsim" in line]
    config = re.search(r"export PRECIS_CONFIG=(\S+)", end).group(1)
    found = subprocess.run(["bash", "-c", re.search(r"^  psql .*$", end, re.M).group(0) +
                            " -XAtc 'select job_id, state from precis.jobs'"], text=True, capture_output=True,
                           env={**demo.env, "PRECIS_CONFIG": config}, timeout=30 * PATIENCE, check=True)
    assert found.stdout == "own.txt|done\n"
    subprocess.run(["bash", "-c", re.search(r"^  kill .*$", end, re.M).group(0)], timeout=60 * PATIENCE, check=True)
    own.unlink()
    demo.check_nothing_is_left()


@pytest.mark.parametrize("how, to_group, expected", [(signal.SIGINT, True, 130), (signal.SIGTERM, False, 143)])
def test_a_demo_that_is_interrupted_leaves_nothing(demo, how, to_group, expected):
    process = demo.start()
    for line in process.stdout:
        if line.startswith("== Submit"):
            assert demo.processes()
            (os.killpg if to_group else os.kill)(process.pid, how)
            break
    process.stdout.read()
    assert process.wait(60 * PATIENCE) == expected
    demo.check_nothing_is_left()


def test_the_demo_pays_for_nothing_without_being_told(demo):
    status, out = demo.run(GROK_API_KEY="xai-0123456789abcdef", GROK_BASE_URL="http://127.0.0.1:9/v1")
    assert status == 1
    assert re.search(r"that is about 0\.\d+ USD", out)
    assert "needs --yes" in out
    assert "== " not in out and "xai-0123456789abcdef" not in out


@pytest.mark.modelsim("--key", KEY)
def test_the_demo_uses_the_api_of_an_env_file(demo, modelsim, tmp_path):
    env_file = tmp_path / ".env"
    env_file.write_text(f'GROK_API_KEY={KEY}\nGROK_BASE_URL="{modelsim.base_url}"\n')
    status, out = demo.run("--yes", "--env-file", env_file, ROOT / "tests" / "data" / "demo" / "office-lease.md")
    assert status == 0, out
    assert "the real API" in section(out, "Start")
    assert [call["outcome"] for call in modelsim.bill()["calls"]] == ["answered"]
    assert KEY not in out
    demo.check_nothing_is_left()


def test_the_demo_says_what_it_cannot_read(demo):
    status, out = demo.run(demo.folder / "not-there.txt")
    assert (status, out) == (1, f"demo: cannot read {demo.folder}/not-there.txt\n")
    assert demo.run("--unknown")[0] == 2
