# SPDX-License-Identifier: Apache-2.0
"""precis extract: what a person sees of documents before anything is paid."""
import json
import subprocess

from rig.common import BUILD, PATIENCE, clean_env


def extract(*words, cwd, env=None):
    return subprocess.run([str(BUILD / "worker" / "precis"), "extract", *map(str, words)], cwd=cwd, text=True,
                          capture_output=True, check=False, timeout=60 * PATIENCE, env={**clean_env(), **(env or {})})


def test_text_goes_out_and_notes_beside_it(case_dir, data_dir):
    done = extract(data_dir / "contracts/nasty/cp1252-de.txt", cwd=case_dir)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (data_dir / "contracts/lang/de-made-wartungsvertrag.txt").read_text("utf-8")
    assert "text/plain by text-1" in done.stderr
    assert "warning: The document does not say its encoding; it was read as WINDOWS-1252." in done.stderr


def test_a_folder_in_order_with_its_failures(case_dir, data_dir):
    folder = case_dir / "in"
    folder.mkdir()
    for name, source in {"a.pdf": "cuad/cuad-234-outsourcing-agreement.pdf", "b.pdf": "nasty/truncated.pdf",
                         "c.html": "lang/fr-firefox-cloud-tos.html"}.items():
        (folder / name).write_bytes((data_dir / "contracts" / source).read_bytes())
    done = extract(folder, "--json", cwd=case_dir)
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["name"].rsplit("/", 1)[1] for line in lines] == ["a.pdf", "b.pdf", "c.html"]
    assert lines[0]["pages"] == lines[0]["text"].count("\f") > 0
    assert lines[0]["extractor"].startswith("pdftotext-") and lines[0]["error"] is None
    assert lines[1]["text"] is None and lines[1]["error"]["code"] == "damaged" and lines[1]["error"]["suggestion"]
    assert lines[2]["pages"] is None and lines[2]["media_type"] == "text/html"
    assert not list(case_dir.glob("precis-extract-*"))
    plain = extract(folder, cwd=case_dir)
    assert plain.returncode == 1
    assert "b.pdf: The PDF is cut or damaged" in plain.stderr and "Suggestion: " in plain.stderr
    assert plain.stdout.count("==> ") == 2


def test_urls_follow_the_configuration(case_dir, data_dir):
    secret = case_dir / "secret.txt"
    secret.write_text("SECRET")
    allowed = data_dir / "contracts"
    config = case_dir / "precis.yaml"
    config.write_text(f"""database: postgresql:///none
providers: {{none: {{base_url: "http://127.0.0.1:1/v1", key: none}}}}
models: {{m: {{provider: none, context_tokens: 10000, price: none}}}}
documents: {{allow: [{allowed}], hosts: [docs.example.com]}}
""")
    done = extract(f"file://{allowed}/nasty/utf8-bom.txt", cwd=case_dir)
    assert done.returncode == 0, done.stderr
    for url in (f"file://{secret}", "https://example.com/x", "https://docs.example.com@127.0.0.1/x"):
        done = extract(url, "--json", cwd=case_dir)
        error = json.loads(done.stdout)["error"]
        assert (done.returncode, error["code"]) == (1, "forbidden_url"), url
        assert "SECRET" not in done.stdout + done.stderr


def test_usage(case_dir):
    done = extract(cwd=case_dir)
    assert done.returncode == 2 and "files, folders or URLs" in done.stderr
    done = extract("nothing.txt", cwd=case_dir)
    assert done.returncode == 1 and "nothing.txt: " in done.stderr
    # A child that is asked nothing ends by itself.
    done = subprocess.run([str(BUILD / "worker" / "precis"), "extract", "--child"], stdin=subprocess.DEVNULL,
                          capture_output=True, check=False, timeout=60)
    assert done.returncode == 2 and not done.stdout
