# SPDX-License-Identifier: Apache-2.0
"""Secrets: deploy/secrets.md's examples as they stand there, what is said when one fails, a new key while
the worker runs, and where a secret can be seen."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from rig.common import ROOT, Process, wait_until
from rig.program import KEY, Precis

TEXT = "The supplier delivers 12 machines by 1 March 2027. The fee is 40,000 dollars, due on delivery. " * 4
OLD = "sk-old-00112233445566778899aabbccddeeff"
NEW = "sk-new-ffeeddccbbaa99887766554433221100"
PAGE = (ROOT / "deploy" / "secrets.md").read_text()
EXAMPLES = [line.strip() for line in PAGE.splitlines() if line.startswith("    key: ")]

# What the clients of servers are asked, to the word, and what such a server's client prints.
STAND_INS = {
    ("vault", "kv", "get", "-field=grok_api_key", "secret/precis"): KEY,
    ("aws", "kms", "decrypt", "--ciphertext-blob", "fileb://{etc}/grok_api_key.kms", "--query", "Plaintext", "--output", "text"): "base64",
    ("aws", "secretsmanager", "get-secret-value", "--secret-id", "precis/grok", "--query", "SecretString", "--output", "text"): KEY + "\n",
    ("gcloud", "secrets", "versions", "access", "latest", "--secret=grok-api-key"): KEY,
    ("sops", "--decrypt", "--extract", '["grok_api_key"]', "{etc}/secrets.yaml"): KEY,
}


def config(folder, line):
    """A configuration whose provider has this line."""
    path = folder / "precis.yaml"
    path.write_text("database: host=127.0.0.1\nproviders:\n  p:\n    base_url: https://api.example/v1\n    " + line +
                    "\nmodels: {m: {provider: p, context_tokens: 10000, max_output_tokens: 100, price: none}}\nroutes: {default: [m]}\n")
    return path


def check(path, *words, timeout=60, **env):
    env = {"PATH": os.environ["PATH"], "HOME": str(path.parent), **env}
    return subprocess.run([Precis.program(), "config", "check", "--config", path, *words], env=env, capture_output=True, text=True,
                          check=False, timeout=timeout)


def stand_in(folder, etc, name):
    """A program of that name which answers exactly the command lines of STAND_INS."""
    answers = {" ".join(words[1:]).format(etc=etc): answer for words, answer in STAND_INS.items() if words[0] == name}
    path = folder / name
    path.write_text("#!/usr/bin/env python3\nimport base64, sys\n"
                    f"answer = {answers!r}.get(' '.join(sys.argv[1:])) or sys.exit('unknown: ' + ' '.join(sys.argv[1:]))\n"
                    f"print(base64.b64encode({KEY!r}.encode()).decode() if answer == 'base64' else answer, end='')\n")
    path.chmod(0o755)


def encrypt(etc):
    """The files of the examples with age and, where it is there, with sops."""
    subprocess.run(["age-keygen", "-o", etc / "age.key"], check=True, capture_output=True)
    recipient = re.search(r"public key: (\S+)", (etc / "age.key").read_text())[1]
    subprocess.run(["age", "-r", recipient, "-o", etc / "grok_api_key.age"], input=KEY + "\n", text=True, check=True)
    if shutil.which("sops"):
        (etc / "plain.yaml").write_text(json.dumps({"grok_api_key": KEY, "other": "x"}))
        done = subprocess.run(["sops", "--encrypt", "--age", recipient, etc / "plain.yaml"], check=True, capture_output=True, text=True)
        (etc / "secrets.yaml").write_text(done.stdout)
        (etc / "plain.yaml").unlink()
        assert KEY not in done.stdout


@pytest.mark.parametrize("line", EXAMPLES, ids=lambda line: re.search(r"\b(kms|secretsmanager|vault|gcloud|sops|age)\b", line)[1])
def test_the_examples_of_the_page(case_dir, line):
    encrypt(case_dir)
    for name in {words[0] for words in STAND_INS}:
        if name != "sops" or not shutil.which("sops"):
            stand_in(case_dir, case_dir, name)
    path = config(case_dir, line.replace("/etc/precis", str(case_dir)))
    env = {"PATH": f"{case_dir}:{os.environ['PATH']}", "SOPS_AGE_KEY_FILE": str(case_dir / "age.key")}
    done = check(path, **env)
    assert done.returncode == 0, done.stderr
    shown = subprocess.run([Precis.program(), "config", "show", "--config", path], capture_output=True, text=True, check=True,
                           env={"HOME": "/", **env}).stdout
    assert KEY not in shown and re.search(r"providers\.p\.key: set\s+# exec", shown), shown


def test_the_page_has_all_of_them():
    assert len(EXAMPLES) == 6
    for word in ("vault", "aws kms decrypt", "sops", "LoadCredential", "Kubernetes", "--env-file"):
        assert word in PAGE


HINT = "Run the command by hand, as the user of precis, to see what it says"


@pytest.mark.parametrize("command, says", [
    ("sh -c 'echo topsecret; echo topsecret >&2; exit 3'", f"`sh` of ${{exec:…}} ended with status 3. {HINT}."),
    ("sh -c 'echo topsecret; kill -9 $$'", "`sh` of ${exec:…} was ended by a signal."),
    ("echo", f"`echo` of ${{exec:…}} printed nothing. {HINT}."),
    ("printf 'topsecret\\ntopsecret\\n'", "printed several lines. Let it print the value alone, in one line."),
    ("no-such-program topsecret", "`no-such-program` of ${exec:…} cannot be started: No such file or directory."),
    ("sh -c 'echo topsecret; sleep 600'", f"`sh` of ${{exec:…}} took over 10 s and was stopped. {HINT}."),
], ids=["status", "signal", "empty", "two_lines", "missing", "time"])
def test_what_is_said_of_a_program_that_fails(case_dir, command, says):
    path = config(case_dir, "key: " + json.dumps("${exec:" + command + "}"))
    done = check(path)
    assert done.returncode == 2 and says in done.stderr, done.stderr
    assert f"{path}:5:10: `providers.p.key` has no value: " in done.stderr
    assert "topsecret" not in (done.stderr + done.stdout).replace(command, "")


def test_credentials_of_systemd(case_dir):
    folder = case_dir / "credentials"
    folder.mkdir(mode=0o700)
    (folder / "grok_api_key").write_text(KEY + "\n")
    path = config(case_dir, 'key: "${file:grok_api_key}"')
    assert check(path, CREDENTIALS_DIRECTORY=str(folder)).returncode == 0
    done = check(path, CREDENTIALS_DIRECTORY=str(case_dir))
    assert done.returncode == 2 and f"{case_dir}/grok_api_key cannot be read: No such file or directory" in done.stderr


def open_folder():
    """A folder that every user can enter (pytest's own cannot be)."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="precis-secrets-"))
    folder.chmod(0o755)
    return folder


def test_files_that_everybody_can_read_are_told():
    folder = open_folder()
    try:
        key, env_file = folder / "key", folder / ".env"
        key.write_text(KEY)
        env_file.write_text("OTHER=x\n")
        path = config(folder, f'key: "${{file:{key}}}"')
        for mode, words in ((0o600, None), (0o640, None), (0o644, "can be read by every user"), (0o666, "can be changed by every user")):
            key.chmod(mode)
            env_file.chmod(mode)
            done = check(path, "--env-file", env_file)
            assert done.returncode == 0
            told = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
            assert told == ([f"warning: {name} {words} of this machine: chmod 600" for name in (env_file, key)] if words else [])
        folder.chmod(0o700) # nobody else gets there
        assert check(path).stderr == ""
        folder.chmod(0o755)
        doctor = subprocess.run([Precis.program(), "doctor", "--json", "--config", path], capture_output=True, text=True, check=False,
                                timeout=60, env={"PATH": os.environ["PATH"]})
        assert any(one["name"] == "secrets" and one["state"] == "warn" for one in json.loads(doctor.stdout)["checks"])
        assert KEY not in doctor.stdout
    finally:
        shutil.rmtree(folder)


# ------------------------------------------------------------------------------- a new key


def ways(folder):
    """name: (the value, how the key is changed)"""
    key = folder / "key"
    key.write_text(OLD + "\n")
    key.chmod(0o600)
    return {"file": f"${{file:{key}}}", "exec": f"${{exec:cat {key}}}"}, key


@pytest.mark.modelsim("--key", OLD)
@pytest.mark.parametrize("way, told", [("file", True), ("exec", True), ("file", False)], ids=["file-hup", "exec-hup", "file-401"])
def test_a_new_key_while_the_worker_runs(precis, way, told):
    values, key = ways(precis.folder)
    precis.configure(providers={"sim": {"key": values[way]}})
    worker = precis.start_worker()
    precis.send([precis.job("before", TEXT)])
    precis.wait_final(["before"])
    precis.modelsim.script(key=NEW) # from now on the old one is refused
    if told:
        key.write_text(NEW + "\n")
        worker.signal(signal.SIGHUP)
        wait_until("the new key to be read", lambda: "configuration_reread" in worker.log())
        precis.send([precis.job("after", f"After. {TEXT}")])
    else:
        precis.send([precis.job("after", f"After. {TEXT}")])
        wait_until("the key to be refused", lambda: precis.jobs().get("after", {}).get("waiting_for") == "key_closed")
        key.write_text(NEW + "\n")
    jobs = precis.wait_final(["after"], timeout=90)
    assert jobs["after"]["state"] == "done"
    precis.wait_committed()
    assert worker.terminate() == 0
    precis.check_promises(["before", "after"])
    for text in (worker.log(), worker.out()):
        assert OLD not in text and NEW not in text


@pytest.mark.modelsim("--key", OLD)
def test_a_new_key_that_cannot_be_read_leaves_the_old_one(precis):
    values, key = ways(precis.folder)
    precis.configure(providers={"sim": {"key": values["exec"]}})
    worker = precis.start_worker()
    key.unlink()
    worker.signal(signal.SIGHUP)
    wait_until("it to be refused", lambda: "configuration_refused" in worker.log())
    refused = [line for line in worker.log_lines() if line.get("event") == "configuration_refused"][0]
    assert "`cat` of ${exec:…} ended with status 1" in refused["reason"], refused
    precis.send([precis.job("one", TEXT)])
    assert precis.wait_final(["one"])["one"]["state"] == "done"


# ------------------------------------------------------------------------------- where it can be seen


def read_as(uid, path):
    """What that user can read of the file, or None."""
    done = subprocess.run(["cat", path], capture_output=True, check=False, preexec_fn=(lambda: os.setuid(uid)) if os.getuid() == 0 else None)
    return done.stdout if done.returncode == 0 else None


def test_where_a_secret_can_be_seen(precis):
    """As a user without rights: not on the command line, and its environment and memory are closed to that user."""
    folder = open_folder()
    uid = 65534 if os.getuid() == 0 else os.getuid()
    worker = None
    try:
        program = shutil.copy(Precis.program(), folder)
        key = folder / "key"
        key.write_text(KEY)
        path = folder / "precis.yaml"
        changed = json.loads(json.dumps(precis.config, default=str))
        changed["providers"]["other"] = {**changed["providers"]["sim"], "key": f"${{file:{key}}}"}
        path.write_text(json.dumps(changed))
        in_file = "sk-file-0123456789abcdef0123456789abcdef"
        key.write_text(in_file)
        drop = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if os.getuid() == 0 else []
        port = int(changed["http"]["listen"].rsplit(":", 1)[1])
        # As nobody the sanitizer's tracer of leaks cannot look into a process that is not dumpable.
        worker = Process("worker-nobody", [*drop, program, "worker", "--config", path], precis.folder,
                         precis.env(ASAN_OPTIONS="detect_leaks=0"))
        wait_until("the worker to be live", lambda: worker.running and f":{port}" in worker.log() and "started" in worker.log())
        place = pathlib.Path("/proc") / str(worker.pid)
        assert in_file not in (place / "cmdline").read_text() and KEY not in (place / "cmdline").read_text()
        assert re.search(r"^Uid:\s+%d\s" % uid, (place / "status").read_text(), re.M)
        assert re.search(r"^Max core file size\s+0\s+0\s", (place / "limits").read_text(), re.M)
        assert read_as(uid, place / "cmdline") is not None
        assert read_as(uid, place / "environ") is None and read_as(uid, place / "mem") is None
        if os.getuid() == 0: # root sees what was there at the start: a key of ${env:…}, and no other
            environ = (place / "environ").read_bytes()
            assert KEY.encode() in environ and in_file.encode() not in environ
    finally:
        if worker:
            worker.signal(signal.SIGTERM)
            worker.wait(60)
        shutil.rmtree(folder)
