# SPDX-License-Identifier: Apache-2.0
"""Completion in real shells, and the manual page: both are made from the tables behind the help."""
import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import subprocess
import time

import pytest

from rig.common import PATIENCE, ROOT, clean_env
from rig.program import Precis

SHELLS = ("bash", "zsh", "fish")


def precis(*words):
    done = subprocess.run([Precis.program(), *words], capture_output=True, text=True, check=False, timeout=30 * PATIENCE,
                          env=clean_env())
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(text):
    """name -> what the help says, of the indented lines of a help page; a long name has a line of its own."""
    found, last = {}, None
    for line in text.splitlines():
        name = re.match(r"  (\S+(?: \S+)?) *(?:  |$)(.*)", line)
        if name and not line.startswith("   "):
            last = name[1].split()[0]
            found[last] = name[2].strip()
        elif last and line.startswith("   ") and not found[last]:
            found[last] = line.strip()
    return found


@pytest.fixture(scope="module")
def commands():
    """command -> its options, without what comes later."""
    listed = rows(precis("--help").split("Commands:")[1].split("`precis COMMAND")[0])
    assert len(listed) > 20
    here = [name for name, words in listed.items() if not words.startswith("(later)")]
    options = {}
    for name in here:
        options[name] = {option for option, words in rows(precis(name, "--help").split("\nOptions:\n")[1]).items()
                         if not words.startswith("(later)")}
        assert {"--config", "--env-file", "--help"} <= options[name]
    assert "--labels-from" in options["submit"] and "serve" not in options
    return options


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shells")
    for shell in SHELLS:
        (folder / shell).write_text(precis("completion", shell))
    return folder


def bash_offers(scripts, *words):
    """What the bash function offers for the last word."""
    script = (f"source {shlex.quote(str(scripts / 'bash'))}\n"
              f"COMP_WORDS=(precis {shlex.join(words)}) COMP_CWORD={len(words)}\n"
              "_precis\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, cwd=scripts)
    assert done.stderr == ""
    return set(done.stdout.split("\n")) - {""}


def fish_offers(scripts, *words):
    line = shlex.join(["precis", *words[:-1]]) + " " + words[-1]
    done = subprocess.run(["fish", "--no-config", "-c", f"source {scripts}/fish; complete -C {shlex.quote(line)}"],
                          capture_output=True, text=True, check=True, cwd=scripts,
                          env=clean_env(HOME=str(scripts), PATH=os.environ["PATH"]))
    return {offer.split("\t")[0] for offer in done.stdout.splitlines()}


@pytest.mark.parametrize("offers", [bash_offers, fish_offers])
def test_every_command_and_option_is_completed(scripts, commands, offers):
    assert set(commands) <= offers(scripts, "")
    for command, options in commands.items():
        assert options == offers(scripts, command, "--"), command


def test_zsh_has_every_command_and_option(scripts, commands):
    text = (scripts / "zsh").read_text()
    assert set(re.findall(r"^      '(\w+):", text, re.M)) == set(commands)
    for command, options in commands.items():
        part = re.search(rf"^    {command}\)\n(.*?)^      ;;", text, re.M | re.S)[1]
        assert set(re.findall(r"'(--[a-z-]+)", part)) == options


WORDS = [
    (["submit", "--on-too-long", ""], ["split", "truncate", "fail"]),
    (["submit", "--on-too-long", "tr"], ["truncate"]),
    (["config", "s"], ["show", "schema"]),
    (["results", "--format", "m"], ["markdown"]),
    (["jobs", "--state", "f"], ["failed"]),
    (["completion", ""], [*SHELLS]),
]


@pytest.mark.parametrize("words, expected", WORDS, ids=str)
def test_words_are_completed(scripts, words, expected):
    assert bash_offers(scripts, *words) == set(expected)
    assert set(expected) <= fish_offers(scripts, *words)


def test_bash_takes_a_value_behind_an_equals_sign(scripts):
    # COMP_WORDBREAKS makes three words of it.
    assert bash_offers(scripts, "submit", "--on-too-long", "=") == {"split", "truncate", "fail"}
    assert bash_offers(scripts, "submit", "--on-too-long", "=", "f") == {"fail"}


def test_files_are_completed(scripts):
    (scripts / "my contracts").mkdir(exist_ok=True)
    (scripts / "my table.csv").touch()
    assert bash_offers(scripts, "submit", "my") == {"my contracts", "my table.csv"}
    assert bash_offers(scripts, "submit", "--labels-from", "my") == {"my contracts", "my table.csv"}
    assert bash_offers(scripts, "submit", "--template", "my") == {"my contracts", "my table.csv"}
    assert bash_offers(scripts, "dev", "--dir", "my") == {"my contracts"}
    assert bash_offers(scripts, "submit", "--batch", "my") == set()


@pytest.mark.parametrize("shell, start", [
    ("bash", "bash --norc --noprofile -i"), ("zsh", "zsh -f -i")], ids=["bash", "zsh"])
def test_a_person_presses_tab(scripts, shell, start):
    """In the real shell on a terminal: what was completed is what the shell then runs."""
    setup = "autoload -Uz compinit; compinit -u -D; " if shell == "zsh" else ""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(scripts)
        os.execvpe(start.split()[0], start.split(), {"TERM": "dumb", "PATH": os.environ["PATH"], "HOME": str(scripts),
                                                     "PS1": "$ ", "LC_ALL": "C.UTF-8"})
    out = b""
    try:
        for text in (f"{setup}source {scripts}/{shell}; precis() {{ printf '<%s>' \"$@\"; }}; echo rea''dy\n",
                     "precis subm\t--on-to\ttrun\t--revi\t; echo en''d\n"):
            os.write(terminal, text.encode())
            marker = b"end" if b"ready" in out else b"ready"
            limit = time.monotonic() + 20 * PATIENCE
            while marker not in out:
                assert time.monotonic() < limit, out
                if select.select([terminal], [], [], 0.2)[0]:
                    out += os.read(terminal, 4096)
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    # Echoed word by word by each shell in its own way; what was run is what counts.
    assert b"<submit><--on-too-long><truncate><--revise>" in out.replace(b"\r", b"") or \
        b"<submit><--on-too-long=truncate><--revise>" in out.replace(b"\r", b""), out


# ------------------------------------------------------------------------------- the manual page


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("man") / "precis.1"
    path.write_text(precis("man"))
    return path


def test_the_page_has_no_warnings(page):
    groff = subprocess.run(["groff", "-man", "-Tutf8", "-k", "-ww", page], capture_output=True, text=True, check=True)
    assert groff.stderr == ""
    assert page.read_bytes().isascii()
    lint = subprocess.run(["mandoc", "-Tlint", "-W", "warning", page], capture_output=True, text=True, check=False)
    # The page has no date on purpose: it is the program's, whose version it names.
    assert [line for line in lint.stdout.splitlines() if "missing date" not in line] == []


def test_the_page_says_it_all(page, commands):
    shown = subprocess.run(["man", "-l", page], capture_output=True, text=True, check=True,
                           env={"MANWIDTH": "200", "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]})
    assert shown.stderr == ""
    parts = dict(re.findall(r"^([A-Z][A-Z ]+)\n(.*?)(?=^\S|\Z)", shown.stdout, re.M | re.S))
    common = set(re.findall(r"^ {7}(--[a-z-]+)", parts["OPTIONS OF EVERY COMMAND"], re.M))
    sections = dict(re.findall(r"^   (\w+).*\n((?:(?: {4}.*)?\n)*)", parts["COMMANDS"], re.M))
    assert set(sections) == set(commands)
    for command, options in commands.items():
        assert options <= common | set(re.findall(r"^ {7}(--[a-z-]+)", sections[command], re.M)), command
    assert "serve" in parts["NOT IN THIS VERSION"]
    assert set(re.findall(r"^ {7}(\d+) ", parts["EXIT STATUS"], re.M)) == {"0", "1", "2", "3", "130"}


def test_the_page_has_every_variable(page):
    """What the code asks the environment for, without what a test alone sets and what ${env:} names."""
    source = "".join(path.read_text() for path in (ROOT / "worker").rglob("*.c"))
    asked = set(re.findall(r'getenv\("([A-Z_]+)"\)', source)) - {"PRECIS_CRASH_AT"}
    listed = set(re.findall(r"^\.B ([A-Z_]+)$", page.read_text().split(".SH ENVIRONMENT")[1], re.M))
    assert asked == listed


def test_an_installation_brings_them_along(tmp_path):
    cmake = shutil.which("cmake")
    build = Precis.program().parents[1]
    subprocess.run([cmake, "--install", build, "--prefix", tmp_path], check=True, capture_output=True)
    installed = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {"bin/precis", "share/man/man1/precis.1", "share/bash-completion/completions/precis",
            "share/zsh/site-functions/_precis", "share/fish/vendor_completions.d/precis.fish"} <= installed
    assert (tmp_path / "share/man/man1/precis.1").read_text() == precis("man")
    assert pathlib.Path(tmp_path / "share/zsh/site-functions/_precis").read_text().startswith("#compdef precis\n")


def test_wrong_names_are_answered_with_the_nearest():
    for words, said in ((["sub"], 'did you mean "submit"?'), (["stauts"], 'did you mean "status"?'),
                        (["submit", "--reviese"], "did you mean --revise?"), (["status", "--jsn"], "did you mean --json?"),
                        (["completion", "tcsh"], "knows bash, zsh and fish"), (["completion"], "needs one of")):
        done = subprocess.run([Precis.program(), *words], capture_output=True, text=True, check=False)
        assert done.returncode == 2 and said in done.stderr
