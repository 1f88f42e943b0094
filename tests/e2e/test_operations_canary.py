# SPDX-License-Identifier: Apache-2.0
"""`submit --canary`: the first jobs, then the rest or not; and `submit --budget`."""
import decimal
import os
import pty
import subprocess
import time

from rig.common import PATIENCE

TEXT = "The supplier delivers 12 machines by 1 March 2027. The fee is 40,000 dollars, due on delivery. " * 8


def folder_of(tmp_path, count, bad=()):
    folder = tmp_path / "papers"
    folder.mkdir(exist_ok=True)
    for n in range(count):
        (folder / f"{n:02}.txt").write_text(f"Contract {n}. {TEXT}" + ("[[sim:http_400]]" if n in bad else ""))
    return folder


def states(precis):
    return sorted(job["state"] for job in precis.jobs().values())


def test_the_rest_goes_when_the_first_went_well(precis, tmp_path):
    precis.start_worker()
    folder = folder_of(tmp_path, 8)
    # Nobody can be asked: it stops, and the same command goes on.
    held = precis.run("submit", folder, "--canary", "3")
    assert "Canary: 3 of 3 jobs are done, 0 failed, for $" in held.stderr and "The rest is not sent" in held.stderr
    assert "the other 5 files cost about $" in held.stderr
    assert states(precis) == ["done"] * 3
    assert precis.rows("select state from precis.batches")[0]["state"] == "open"
    assert precis.json("submit", folder, "--canary", "2")["stopped_after_canary"]
    assert states(precis) == ["done"] * 5
    done = precis.run("submit", folder, "--canary", "2", "--yes", "--wait", timeout=90)
    assert "The rest goes." in done.stderr and "8 of 8 jobs are done" in done.stdout
    assert len(precis.modelsim.bill()["calls"]) == 8
    # A canary as large as the whole is none.
    assert "Canary" not in precis.run("submit", folder, "--batch", "again", "--canary", "8").stderr


def test_a_canary_larger_than_the_folder(precis, tmp_path):
    """It holds nothing back: all go, nobody is asked or waited for, and it is said."""
    folder = folder_of(tmp_path, 4, bad=(1,))
    done = precis.run("submit", folder, "--canary", "20")  # no worker: nothing could be waited for
    assert "The canary of 20 holds nothing back: there are 4 jobs." in done.stderr, done.stderr
    assert precis.rows("select state, total from precis.batches")[0] == {"state": "sealed", "total": 4}
    assert "stopped_after_canary" not in precis.json("submit", folder, "--batch", "b", "--canary", "5")
    precis.start_worker()
    done = precis.run("submit", folder, "--batch", "c", "--canary", "20", "--wait", "--max-failed", "0", check=False, timeout=90)
    assert done.returncode == 3 and precis.rows("select state, total from precis.batches where batch = 'c'")[0] == {"state": "ended", "total": 4}


def test_the_rest_stays_when_the_first_went_badly(precis, tmp_path):
    precis.start_worker()
    folder = folder_of(tmp_path, 8, bad=(1,))
    held = precis.run("submit", folder, "--canary", "3", "--yes", check=False)
    assert held.returncode == 3 and "Canary: 2 of 3 jobs are done, 1 failed" in held.stderr
    assert "1 http_400: " in held.stderr
    assert states(precis) == ["done", "done", "failed"]
    done = precis.run("submit", folder, "--batch", "b", "--canary", "3", "--yes", "--max-failed", "1", "--wait", timeout=90)
    assert "7 of 8 jobs are done, 1 failed" in done.stdout
    for words in (["--canary", "0"], ["--canary", "x"], ["--yes"], ["--canary", "1", "--dry-run"], ["--budget", "much"]):
        assert precis.run("submit", folder, *words, check=False).returncode == 2, words


def test_somebody_is_asked_on_a_terminal(precis, tmp_path):
    precis.start_worker()
    folder = folder_of(tmp_path, 4)
    for answer, count in (("n", 2), ("y", 4)):
        terminal, other = pty.openpty()
        run = subprocess.Popen([str(precis.program()), "submit", "--config", str(precis.config_path), str(folder),
                                "--batch", answer, "--canary", "2"], stdin=other, stdout=subprocess.DEVNULL, stderr=other,
                               env=precis.env(), cwd=precis.folder)
        os.close(other)
        seen = ""
        until = time.monotonic() + 60 * PATIENCE
        while "[y/N]" not in seen and time.monotonic() < until:
            seen += os.read(terminal, 4096).decode(errors="replace")
        assert "Submit the rest? [y/N]" in seen, seen
        os.write(terminal, f"{answer}\n".encode())
        assert run.wait(60 * PATIENCE) == 0
        os.close(terminal)
        total = precis.rows("select total from precis.batches where batch = %s", answer)[0]["total"]
        assert total == count


def test_a_batch_gets_its_budget_before_its_jobs(precis, tmp_path):
    folder = folder_of(tmp_path, 2)
    precis.run("submit", folder, "--budget", "12.5")
    assert precis.rows("select budget_usd from precis.batches")[0]["budget_usd"] == decimal.Decimal("12.5")
    precis.run("submit", folder, "--budget", "20")
    rows = precis.rows("select scope, name, period, limit_usd from precis.budgets")
    assert rows == [{"scope": "batch", "name": "default/papers", "period": "life", "limit_usd": decimal.Decimal("20")}]
    precis.run("submit", folder)
    assert precis.rows("select limit_usd from precis.budgets")[0]["limit_usd"] == 20
