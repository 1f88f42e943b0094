# SPDX-License-Identifier: Apache-2.0
"""The files of deploy/: their schemas, their units, and what they say to each other. No server, no Docker."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import kubernetes_validate
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
BUILD = ROOT / (os.environ.get("PRECIS_BUILD") or "build/asan")
PROGRAM = BUILD / "worker" / "precis"
KUBERNETES = ("1.28", "1.31", "1.34")
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
# After drain_timeout: 5 s for jobs that are left, 10 s for Kafka, 5 s for PostgreSQL (worker/app.c).
GOODBYE_S = 20


def run(*words, env=None, **options):
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **(env or {})}
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, timeout=60, env=env, **options)


def manifests():
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] != "Kustomization":
                yield path.name, document


def manifest(kind, name=None):
    found = [one for _, one in manifests() if one["kind"] == kind and name in (None, one["metadata"]["name"])]
    assert len(found) == 1, (kind, name)
    return found[0]


def compose():
    return yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())


def seconds(text):
    number, word = re.fullmatch(r"(\d+)(s|m|min)", text).groups()
    return int(number) * {"s": 1, "m": 60, "min": 60}[word]


def unit(path):
    """{key: [values]} of a systemd unit."""
    values = {}
    for line in path.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            values.setdefault(key, []).append(value)
    return values


@pytest.fixture(name="secrets")
def secret_files(tmp_path):
    """Something in the place of each secret that the files of deploy/ name."""
    for name in ("database_url", "grok_api_key", "http_token"):
        (tmp_path / name).write_text("postgresql://u@127.0.0.1/x" if name == "database_url" else f"xai-{name}-0123456789\n")
        (tmp_path / name).chmod(0o600)
    return tmp_path


def config_check(path, **env):
    return run(PROGRAM, "config", "check", "--config", path, env=env)


def drain_s(path, **env):
    """worker.drain_timeout as the program reads it."""
    done = run(PROGRAM, "config", "show", "--json", "--config", path, env=env)
    assert done.returncode == 0, done.stderr
    return seconds(json.loads(done.stdout)["worker.drain_timeout"]["value"])


# ---------------------------------------------------------------- configurations


@pytest.mark.parametrize("name, env", [
    ("seed.yaml", {"DATABASE_URL": "postgresql://u@127.0.0.1/x"}),
    ("xai.yaml", {"DATABASE_URL": "postgresql://u@127.0.0.1/x", "GROK_API_KEY": "xai-0123456789"}),
])
def test_samples_are_complete(name, env):
    done = config_check(DEPLOY / "examples" / name, **env)
    assert done.returncode == 0, done.stderr
    for missing in env:
        done = config_check(DEPLOY / "examples" / name, **{key: env[key] for key in env if key != missing})
        assert done.returncode == 2 and f"{missing} is not set" in done.stderr


def test_the_seed_sample_has_the_articles_numbers():
    seed = yaml.safe_load((DEPLOY / "examples" / "seed.yaml").read_text())
    prices = {name: (model["price"]["per_1k"]["input"], model["price"]["per_1k"]["output"]) for name, model in seed["models"].items()}
    assert prices == {"grok-4.3": (0.00025, 0.001), "claude-opus-4.8": (0.005, 0.015), "gemini-3.5-flash": (0.00035, 0.0012)}
    assert {(model["limits"]["rpm"], model["limits"]["tpm"]) for model in seed["models"].values()} == {(10, 100000)}
    for name in ("seed.yaml", "xai.yaml"):
        for model in yaml.safe_load((DEPLOY / "examples" / name).read_text())["models"].values():
            assert str(model["price"]["since"]) == "2026-11-01"
    xai = yaml.safe_load((DEPLOY / "examples" / "xai.yaml").read_text())
    assert {model["reasoning"]["parameter"] for model in xai["models"].values()} == {"reasoning_effort"}


def test_the_configurations_of_the_ways(secrets, tmp_path):
    env = {"CREDENTIALS_DIRECTORY": str(secrets)}
    in_pod = tmp_path / "pod.yaml"
    in_pod.write_text(manifest("ConfigMap")["data"]["precis.yaml"])
    for path in (DEPLOY / "compose" / "precis.yaml", in_pod, DEPLOY / "systemd" / "precis.yaml"):
        done = config_check(path, **env)
        assert done.returncode == 0, f"{path}: {done.stderr}"


# ---------------------------------------------------------------- Kubernetes


@pytest.mark.parametrize("version", KUBERNETES)
def test_manifests_fit_their_schemas(version):
    kinds = []
    for _, one in manifests():
        kubernetes_validate.validate(one, version, strict=True)
        kinds.append(one["kind"])
    assert {"Namespace", "ConfigMap", "Secret", "Job", "Deployment", "PodDisruptionBudget"} <= set(kinds)


def test_a_misspelt_manifest_is_seen():
    broken = manifest("Deployment")
    broken["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, KUBERNETES[-1], strict=True)


def pods():
    return [manifest("Deployment")["spec"]["template"]["spec"], manifest("Job")["spec"]["template"]["spec"]]


def test_probes_are_the_right_way_round():
    worker = pods()[0]["containers"][0]
    assert worker["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert worker["startupProbe"]["httpGet"]["path"] == "/health/live"
    assert worker["readinessProbe"]["httpGet"]["path"] == "/health"
    config = yaml.safe_load(manifest("ConfigMap")["data"]["precis.yaml"])
    port = int(config["http"]["listen"].rsplit(":", 1)[1])
    assert [one["containerPort"] for one in worker["ports"]] == [port]
    assert manifest("Deployment")["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] == str(port)


def test_pods_have_no_rights_and_all_they_refer_to():
    kustomization = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    assert {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")} == \
        {"kustomization.yaml", "secret.example.yaml", *kustomization["resources"]}
    secret_keys = {one["metadata"]["name"]: set(one["stringData"]) for _, one in manifests() if one["kind"] == "Secret"}
    user = re.search(r"^USER (\d+):(\d+)$", (DEPLOY / "Dockerfile").read_text(), re.M)
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] and pod["automountServiceAccountToken"] is False
        assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["fsGroup"]) == (int(user[1]), int(user[2]))
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"] and rights["allowPrivilegeEscalation"] is False
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
        for volume in pod["volumes"]:
            sources = volume.get("projected", {}).get("sources", [])
            sources = [one["secret"] for one in sources] + ([{"name": volume["secret"]["secretName"]}] if "secret" in volume else [])
            for source in sources:
                assert {item["key"] for item in source.get("items", [])} <= secret_keys[source["name"]]
    wanted = set(re.findall(r"\$\{file:(\w+)\}", manifest("ConfigMap")["data"]["precis.yaml"]))
    assert wanted == secret_keys["precis"]
    assert manifest("PodDisruptionBudget")["spec"]["selector"] == manifest("Deployment")["spec"]["selector"]
    assert {one["metadata"].get("namespace", "precis") for _, one in manifests()} == {"precis"}


# ---------------------------------------------------------------- compose


def test_compose_fits_the_specification():
    checker = pathlib.Path(sys.executable).parent / "check-jsonschema"
    done = run(checker, "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose" / "compose.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_is_whole():
    file = compose()
    for name, service in file["services"].items():
        used = [one if isinstance(one, str) else one["source"] for one in service.get("secrets", [])]
        assert set(used) <= set(file["secrets"]), name
        for other in service.get("depends_on", {}):
            assert other in file["services"]
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in file["volumes"] or source.startswith("${") or (DEPLOY / "compose" / source).exists(), volume
    worker = file["services"]["worker"]
    assert worker["deploy"]["replicas"] == 2 and worker["read_only"] and worker["cap_drop"] == ["ALL"]
    inside = {one if isinstance(one, str) else one["target"] for one in worker["secrets"]}
    wanted = set(re.findall(r"\$\{file:(\w+)\}", (DEPLOY / "compose" / "precis.yaml").read_text()))
    assert wanted == inside
    for needed in ("migrate", "topics"):
        assert worker["depends_on"][needed] == {"condition": "service_completed_successfully"}


def test_make_secrets(tmp_path):
    script = shutil.copy(DEPLOY / "compose" / "make-secrets", tmp_path)
    done = run(script, input="xai-key-from-input\n")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "secrets"
    assert folder.stat().st_mode & 0o777 == 0o700
    made = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(made) == set(compose()["secrets"])
    assert made["grok_api_key"] == "xai-key-from-input"
    assert made["worker_password"] in made["database_url"] and made["owner_password"] in made["owner_database_url"]
    assert made["worker_password"] != made["owner_password"] and len(made["worker_password"]) == 48
    assert not any(secret in done.stdout + done.stderr for name, secret in made.items())
    assert run(script, input="").returncode == 0 # again: what is there stays
    assert {path.name: path.read_text() for path in folder.iterdir()} == made


def test_make_secrets_wants_a_key(tmp_path):
    done = run(shutil.copy(DEPLOY / "compose" / "make-secrets", tmp_path), input="")
    assert done.returncode == 1 and "no key was given" in done.stderr


# ---------------------------------------------------------------- how long a stop may take


def test_nobody_kills_a_worker_that_drains(secrets, tmp_path):
    env = {"CREDENTIALS_DIRECTORY": str(secrets)}
    in_pod = tmp_path / "pod.yaml"
    in_pod.write_text(manifest("ConfigMap")["data"]["precis.yaml"])
    stop = seconds(compose()["services"]["worker"]["stop_grace_period"])
    assert stop >= drain_s(DEPLOY / "compose" / "precis.yaml", **env) + GOODBYE_S
    assert pods()[0]["terminationGracePeriodSeconds"] >= drain_s(in_pod, **env) + GOODBYE_S
    for path in UNITS:
        if "TimeoutStopSec" in unit(path):
            assert seconds(unit(path)["TimeoutStopSec"][0]) >= drain_s(DEPLOY / "systemd" / "precis.yaml", **env) + GOODBYE_S


# ---------------------------------------------------------------- systemd


@pytest.fixture(name="unit_root")
def unit_tree(tmp_path):
    """A root folder in which the units' program is there."""
    units = tmp_path / "root" / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    for path in UNITS:
        shutil.copy(path, units)
    for name in ("usr/local/bin/precis", "usr/bin/precis", "bin/kill", "usr/bin/kill"):
        program = tmp_path / "root" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    shutil.copytree("/usr/lib/systemd/system", tmp_path / "root/usr/lib/systemd/system", symlinks=True, ignore_dangling_symlinks=True)
    return tmp_path / "root"


def verify(root, path):
    return run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={root}", path)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_are_valid(unit_root, path):
    done = verify(unit_root, f"/etc/systemd/system/{path.name}")
    assert done.returncode == 0 and done.stderr.strip() == "", done.stderr


def test_a_misspelt_unit_is_seen(unit_root):
    path = unit_root / "etc/systemd/system/precis-worker.service"
    path.write_text(path.read_text().replace("NoNewPrivileges=yes", "NoNewPriviliges=yes"))
    assert "NoNewPriviliges" in verify(unit_root, "/etc/systemd/system/precis-worker.service").stderr


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_are_hardened(path):
    done = run("systemd-analyze", "security", "--offline=true", "--json=short", "--threshold=30", path)
    assert done.returncode == 0, done.stdout
    loose = {row["name"] for row in json.loads(done.stdout) if row["set"] is False and float(row["exposure"] or 0) >= 0.2}
    # The network, and for a worker what its extractors need to put themselves into a namespace.
    allowed = {"PrivateNetwork=", "IPAddressDeny=", "RestrictAddressFamilies=~AF_(INET|INET6)"}
    if path.name.startswith("precis-worker"):
        allowed |= {"RestrictNamespaces=~user", "SystemCallFilter=~@mount", "SystemCallFilter=~@privileged", "SystemCallFilter=~@resources"}
    assert loose <= allowed, sorted(loose - allowed)


def test_the_template_is_the_unit():
    one, many = (unit(DEPLOY / "systemd" / name) for name in ("precis-worker.service", "precis-worker@.service"))
    differ = {key for key in one.keys() | many.keys() if one.get(key) != many.get(key)}
    assert differ == {"Description", "ExecStart"}


def test_units_read_what_the_configuration_names(secrets):
    wanted = set(re.findall(r"\$\{file:(\w+)\}", (DEPLOY / "systemd" / "precis.yaml").read_text()))
    for path in UNITS:
        given = {value.split(":")[0] for value in unit(path)["LoadCredential"]}
        assert given == wanted, path


# ---------------------------------------------------------------- the image


def test_the_image_has_every_library_of_the_program():
    """What the program is linked with, as packages, is what tools/setup --image installs."""
    setup = (ROOT / "tools" / "setup").read_text()
    listed = re.search(r"^image_packages=\((.*?)\)", setup, re.M | re.S)[1].split()
    needed = re.findall(r"NEEDED\s+(\S+)", run("objdump", "-p", PROGRAM).stdout)
    libraries = dict(re.findall(r"(\S+) => (/\S+)", run("ldd", PROGRAM).stdout))
    packages = set()
    for name in needed:
        if re.match(r"lib(asan|ubsan)\.", name): # of this build, not of the image's
            continue
        path = pathlib.Path(libraries[name]).resolve()
        done = run("dpkg-query", "-S", f"*/{path.name}")
        places = {str(path), str(path).removeprefix("/usr")}
        packages |= {line.split(":")[0] for line in done.stdout.splitlines() if line.split(": ")[1] in places}
    assert packages, "ldd told nothing"
    assert packages <= set(listed), "tools/setup: image_packages lacks these"
    assert {name for name in listed if name.startswith("lib")} <= packages, "tools/setup: image_packages has too many"


def test_the_dockerfile():
    text = (DEPLOY / "Dockerfile").read_text()
    linter = pathlib.Path(sys.executable).parent / "hadolint"
    done = run(linter, DEPLOY / "Dockerfile")
    assert done.returncode == 0, done.stdout
    assert "http://127.0.0.1:8000/health/live" in text and "STOPSIGNAL SIGTERM" in text
    assert text.count("tools/setup") >= 3, "the packages are tools/setup's"
    for secret in (".env", ".git", "build", "deploy/compose/secrets"):
        assert f"!{secret}" not in (DEPLOY / "Dockerfile.dockerignore").read_text()
