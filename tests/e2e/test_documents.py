# SPDX-License-Identifier: Apache-2.0
"""Documents as they come: PDF, DOCX, HTML, Markdown and text, with the message, stored, or by URL."""
import base64
import hashlib
import json
import signal
import subprocess
import time

import pytest

from rig.common import wait_until

TYPES = {"pdf": "application/pdf", "html": "text/html", "md": "text/markdown", "txt": "text/plain",
         "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document"}
ONE_OF_EACH = ["cuad/cuad-140-content-license-agreement.pdf", "cuad/cuad-209-service-agreement.docx",
               "lang/fr-firefox-cloud-tos.html", "standards/github-beipa.md", "nda/contractnli-446.txt",
               "nasty/cp1252-de.txt", "nasty/gb18030-zh.txt"]
UNREADABLE = {"nasty/scan-no-text-layer.pdf": "no_text", "nasty/empty.txt": "no_text",
              "nasty/truncated.pdf": "damaged", "nasty/encrypted-password.pdf": "protected"}


def type_of(path):
    return TYPES[path.suffix[1:]]


def with_document(precis, name, document, **members):
    message = {"v": 1, "id": name, "kind": "summarize", "document": document, **members}
    return {"key": f"default/default/{name}".encode(), "value": json.dumps(message).encode()}


def as_data(precis, name, path):
    data = base64.b64encode(path.read_bytes()).decode()
    return with_document(precis, name, {"data": data, "media_type": type_of(path), "name": path.name})


def as_stored(precis, name, path):
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    with precis.session() as session:
        session.execute("""insert into precis_data.documents (sha256, bytes, media_type, size) values (%s, %s, %s, %s)
                           on conflict do nothing""", sha256, content, type_of(path), len(content))
    return with_document(precis, name, {"stored": sha256, "media_type": type_of(path), "name": path.name})


def as_file(precis, name, path):
    return with_document(precis, name, {"url": path.as_uri(), "name": path.name})


FORMS = {"data": as_data, "stored": as_stored, "file": as_file}


def summaries(precis):
    return {row["job_id"]: row for row in precis.rows("select * from precis.summaries")}


def test_each_format_in_each_form(precis, data_dir):
    contracts = data_dir / "contracts"
    precis.configure(documents={"allow": [str(contracts)]})
    messages = {f"{form}:{path.rsplit('/', 1)[1]}": make(precis, f"{form}:{path.rsplit('/', 1)[1]}", contracts / path)
                for path in ONE_OF_EACH for form, make in FORMS.items()}
    precis.send(list(messages.values()))
    precis.start_worker()
    jobs = precis.wait_final(messages, timeout=120)
    assert {name: row["error"] for name, row in jobs.items() if row["state"] != "done"} == {}
    found = summaries(precis)
    for path in ONE_OF_EACH:
        file = contracts / path
        texts = set()
        for form in FORMS:
            row = found[f"{form}:{file.name}"]
            assert row["document_name"] == file.name
            assert row["document_uri"] == (file.as_uri() if form == "file" else None)
            assert (row["pages"] is not None) == (file.suffix == ".pdf"), row["pages"]
            if file.suffix != ".txt" and file.suffix != ".md":
                assert row["document_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
            texts.add(row["summary"])
        assert len(texts) == 1, f"{file.name} reads otherwise in another form"
    assert "ü" in found["data:cp1252-de.txt"]["summary"] + "".join(found["data:cp1252-de.txt"]["key_points"])
    precis.wait_committed()
    precis.check_promises(messages)


def test_citations_name_the_page(precis, data_dir):
    """Each quote that was found stands on the page that pdftotext gives it."""
    path = data_dir / "contracts/standards/bonterms-cloud-terms.pdf"
    precis.send([as_data(precis, "pages", path)])
    precis.start_worker()
    precis.wait_final(["pages"])
    text = precis.rows("select text, pages from precis_data.texts")[0]
    expected = subprocess.run(["pdftotext", "-enc", "UTF-8", path, "-"], capture_output=True, text=True, check=True).stdout
    assert text["pages"] == expected.count("\f") == summaries(precis)["pages"]["pages"]
    rows = precis.rows("select * from precis.citations where found")
    assert rows
    for row in rows:
        assert row["page"] == 1 + text["text"][:row["char_start"]].count("\f")
        page = " ".join(expected.split("\f")[row["page"] - 1].split())
        assert " ".join(row["quote"].split())[:30] in page


def test_what_cannot_be_read_costs_nothing(precis, data_dir, tmp_path):
    contracts = data_dir / "contracts"
    (tmp_path / "allowed").mkdir()
    (tmp_path / "secret.txt").write_text("The secret fee is 900 dollars.")
    (tmp_path / "allowed" / "link.txt").symlink_to(tmp_path / "secret.txt")
    precis.configure(documents={"allow": [str(contracts), str(tmp_path / "allowed")], "max_bytes": "1MB"})
    expected = {}
    messages = []
    for path, code in UNREADABLE.items():
        for form, make in FORMS.items():
            name = f"{form}:{path.rsplit('/', 1)[1]}"
            expected[name] = code
            messages.append(make(precis, name, contracts / path))
    sha256 = "0" * 64
    urls = {"outside": "file:///etc/hostname", "above": f"file://{contracts}/../../../../etc/hostname",
            "link": f"file://{tmp_path}/allowed/link.txt", "no-hosts": "https://example.com/a.pdf",
            "other-host": "file://elsewhere/etc/hostname"}
    for name, url in urls.items():
        expected[name] = "forbidden_url"
        messages.append(with_document(precis, name, {"url": url}))
    expected["gone"] = "unreadable"
    messages.append(with_document(precis, "gone", {"url": f"file://{tmp_path}/allowed/gone.txt"}))
    expected["missing"] = "document_missing"
    messages.append(with_document(precis, "missing", {"stored": sha256, "media_type": "application/pdf"}))
    big = tmp_path / "allowed" / "big.txt"
    big.write_text("The fee is 900 dollars. " * 60000)
    expected["big"] = "too_large"
    messages.append(as_file(precis, "big", big))
    precis.send(messages)
    precis.start_worker()
    jobs = precis.wait_final(expected, timeout=120)
    told = {name: (row["state"], row["error_code"]) for name, row in jobs.items()}
    assert told == {name: ("failed", code) for name, code in expected.items()}
    assert all(row["suggestion"] and row["error"] for row in jobs.values())
    assert precis.rows("select 1 from precis.costs") == []
    assert precis.modelsim.bill()["calls"] == []
    letters = {row["job_id"]: row["error_code"] for row in precis.rows("select * from precis.dead_letters")}
    assert letters == expected
    precis.wait_committed()


@pytest.mark.parametrize("point", ["after_extract:1", "after_keep:1", "after_intent:1", "last_byte:1"])
def test_a_killed_workers_document_is_read_once(precis, data_dir, tmp_path, point):
    """Once a plan is stored, the job goes on with the text that was kept, even if the file has changed."""
    file = tmp_path / "contract.txt"
    first_text = "Alder Ltd leases the hall. The rent is 900 dollars. The lease ends in May. Repairs are the owner's."
    file.write_text(first_text)
    precis.configure(documents={"allow": [str(tmp_path)]})
    victim = precis.start_worker(env={"PRECIS_CRASH_AT": point}, ready=False)
    victim.may_crash = True
    precis.send([as_file(precis, "job", file)])
    assert victim.wait() == -signal.SIGKILL
    file.write_text(first_text.replace("900", "1200"))
    precis.start_worker()
    precis.wait_final(["job"], timeout=90)
    texts = precis.rows("select text, extractor from precis_data.texts order by created_at")
    plans = precis.rows("select plan_no, text_sha256 from precis_data.plans")
    kept = point != "after_extract:1"
    assert [("900" in row["text"], "1200" in row["text"]) for row in texts] == [(kept, not kept)]
    assert [row["plan_no"] for row in plans] == [1]
    assert plans[0]["text_sha256"] == hashlib.sha256(texts[0]["text"].encode()).hexdigest()
    row = summaries(precis)["job"]
    assert ("900" in json.dumps(row["output"])) == kept
    assert row["document_sha256"] == hashlib.sha256(
        (first_text if kept else first_text.replace("900", "1200")).encode()).hexdigest()
    precis.wait_committed()
    precis.check_promises(["job"])


@pytest.mark.modelsim("--latency", "400ms")
def test_a_folder_of_pdfs_keeps_calls_going(precis, data_dir):
    """Twenty PDFs through four children: calls go on while later documents are still being read."""
    pdfs = sorted((data_dir / "contracts").glob("[cls]*/*.pdf"))
    assert len(pdfs) >= 7
    precis.configure(documents={"children": 4})
    names = [f"pdf-{number}" for number in range(20)]
    messages = []
    for number, name in enumerate(names): # each its own bytes, so that no text is there before
        path = pdfs[number % len(pdfs)]
        data = path.read_bytes() + b"%% %d\n" % number
        messages.append(with_document(precis, name, {"data": base64.b64encode(data).decode(),
                                                     "media_type": "application/pdf", "name": path.name}))
    precis.send(messages)
    worker = precis.start_worker()
    jobs = precis.wait_final(names, timeout=120)
    assert {row["state"] for row in jobs.values()} == {"done"}
    texts = precis.rows("select created_at from precis_data.texts order by 1")
    calls = precis.rows("select sent_at from precis_data.attempts order by 1")
    assert len(texts) == 20
    assert calls[0]["sent_at"] < texts[-1]["created_at"], "the first call waited for the last document"
    assert precis.rows("select count(*) as n from precis.summaries where pages > 0")[0]["n"] == 20
    assert worker.terminate() == 0
    precis.check_promises(names)


def test_a_draining_worker_leaves_documents_to_others(precis, tmp_path):
    """TERM does not wait for a slow extractor; the next worker reads the document."""
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nsleep 30\ncat \"$1\"\n")
    slow.chmod(0o755)
    text = b"Alder Ltd leases the hall. The rent is 900 dollars. The lease ends in May."
    document = {"data": base64.b64encode(text).decode(), "media_type": "application/x-slow"}
    precis.send([with_document(precis, "slow", document)])
    first = precis.start_worker(documents={"extractors": {"application/x-slow": [str(slow), "{in}"]}})
    wait_until("the document to be read", lambda: first.metrics().get('precis_jobs_step{step="extract"}') == 1)
    began = time.monotonic()
    assert first.terminate() == 0
    assert time.monotonic() - began < 20
    precis.start_worker(documents={"extractors": {"application/x-slow": ["cat", "{in}"]}})
    jobs = precis.wait_final(["slow"])
    assert jobs["slow"]["state"] == "done"
    precis.check_promises(["slow"])
