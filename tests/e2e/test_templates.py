# SPDX-License-Identifier: Apache-2.0
"""Templates end to end: what each asks, through submit, worker and simulator, into rows that can be checked."""
import json
import re

import pytest

from rig.common import ROOT

DOCUMENTS = {
    "contract": "contracts/cuad/cuad-175-consulting-agreement.txt",
    "nda": "contracts/nda/contractnli-540.txt",
    "lease": "contracts/lang/zh-made-lease.txt",
    "filing": ROOT / "tests" / "data" / "templates" / "quarterly-results.txt",
    "minutes": ROOT / "tests" / "data" / "templates" / "audit-committee-minutes.md",
}
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def document(data_dir, name):
    path = DOCUMENTS[name]
    return data_dir / path if isinstance(path, str) else path


def leaves(value, path=""):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}/{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}/{number}")
    else:
        yield path, value


def fields(schema, path=""):
    """path -> subschema of every leaf; list items stand as *."""
    if "properties" in schema:
        for name, inner in schema["properties"].items():
            yield from fields(inner, f"{path}/{name}")
    elif schema.get("type") == "array":
        yield from fields(schema["items"], f"{path}/*")
    else:
        yield path, schema


def plain(text):
    return re.sub(r"\s+", " ", text)


def days(text):
    """The dates of these documents, however they are written."""
    names = "January February March April May June July August September October November December".split()
    found = set(DAY.findall(text))
    found |= {f"{y}-{int(m):02}-{int(d):02}" for y, m, d in re.findall(r"(\d{4})\s*年\s*(\d+)\s*月\s*(\d+)\s*日", text)}
    for month, name in enumerate(names, 1):
        found |= {f"{y}-{month:02}-{int(d):02}"
                  for d, y in re.findall(rf"(\d+)(?:st|nd|rd|th)?\s+(?:day\s+of\s+)?{name},?\s+(\d{{4}})", text)}
        found |= {f"{y}-{month:02}-{int(d):02}" for d, y in re.findall(rf"{name}\s+(\d+),\s*(\d{{4}})", text)}
    return found


def test_each_template_on_a_document_of_its_kind(precis, data_dir):
    for name in DOCUMENTS:
        precis.run("submit", document(data_dir, name), "--template", name, "--batch", name)
    precis.start_worker()
    ids = {name: document(data_dir, name).name for name in DOCUMENTS}
    jobs = precis.wait_final(ids.values())
    for name in DOCUMENTS:
        job_id = ids[name]
        assert jobs[job_id]["state"] == "done", jobs[job_id]
        row = precis.rows("select * from precis.summaries where job_id = %s", job_id)[0]
        assert row["prompt_version"].startswith(f"{name}@1 summary-"), row["prompt_version"]
        template = precis.json("templates", "show", name)
        schema = template["summarize"]["output_schema"]
        output = row["output"] if isinstance(row["output"], dict) else json.loads(row["output"])
        assert list(schema["required"]) == list(schema["properties"])
        assert set(output) == set(schema["properties"])
        assert not row["warnings"], (name, row["warnings"])
        text = document(data_dir, name).read_text(encoding="utf-8")
        kinds = dict(fields(schema))
        dates = amounts = 0
        for path, value in leaves(output):
            kind = kinds[re.sub(r"/\d+(?=/|$)", "/*", path)]
            description = kind.get("description", "")
            if value is None or "enum" in kind:
                continue
            if "ISO 8601" in description and DAY.fullmatch(value):
                assert value in days(text), (name, path, value)
                dates += 1
            elif description.startswith("amount"):
                assert plain(value) in plain(text), (name, path, value)
                amounts += 1
        assert dates > 0 or name == "nda", f"{name} has no date"
        assert amounts > 0 or name == "nda", f"{name} has no amount"
        cited = precis.rows("select path, quote, found from precis.citations where job_id = %s", job_id)
        assert len(cited) >= 10 and all(row["found"] for row in cited)
        assert {row["path"] for row in cited} <= {path for path, _ in leaves(output)}
        assert any(row["path"].count("/") > 2 for row in cited), "no quote of an entry in a list"
    calls = precis.rows("select outcome from precis.costs")
    assert len(calls) == len(DOCUMENTS) and all(row["outcome"] == "ok" for row in calls)
    precis.check_promises(ids.values())


def test_a_long_contract_is_split_and_its_fields_filled_from_the_parts(precis):
    precis.configure(models={"grok-4.3": {"context_tokens": 20000, "max_output_tokens": 4096}})
    path = ROOT / "tests" / "data" / "demo" / "framework-agreement-long.txt"
    precis.run("submit", path, "--template", "contract", "--batch", "b")
    precis.start_worker()
    jobs = precis.wait_final([path.name])
    assert jobs[path.name]["state"] == "done", jobs
    plan = precis.rows("select calls::text, prompt_version from precis_data.plans")[0]
    kinds = [call["kind"] for call in json.loads(plan["calls"])]
    assert kinds.count("part") >= 2 and kinds[-1] == "combine"
    assert plan["prompt_version"].startswith("contract@1 summary-")
    row = precis.rows("select output, prompt_version from precis.summaries")[0]
    assert row["prompt_version"] == plan["prompt_version"]
    output = row["output"] if isinstance(row["output"], dict) else json.loads(row["output"])
    schema = precis.json("templates", "show", "contract")["summarize"]["output_schema"]
    assert set(output) == set(schema["properties"])
    text = plain(path.read_text())
    assert output["amounts"] and all(plain(item["amount"]) in text for item in output["amounts"])
    cited = precis.rows("select found from precis.citations")
    assert len(cited) >= 10 and all(row["found"] for row in cited)
    precis.check_promises([path.name])


def test_blanks_stay_null(precis, case_dir):
    note = case_dir / "note.txt"
    note.write_text("The parties have not met. No date was set and no sum was named.\n")
    precis.run("submit", note, "--template", "minutes", "--batch", "b")
    precis.start_worker()
    precis.wait_final(["note.txt"])
    output = precis.rows("select output from precis.summaries")[0]["output"]
    output = output if isinstance(output, dict) else json.loads(output)
    assert output["date"] is None and output["quorum"] is None and output["amounts"] == []


def sent(precis):
    return [json.loads(message["value"]) for message in precis.kafka.read_all(precis.topics["jobs"])
            if json.loads(message["value"])["kind"] == "summarize"]


def test_options_win_and_the_label_stands_in_show(precis, case_dir):
    note = case_dir / "note.txt"
    note.write_text("Lease of a barn.\n\nAda lets. Bert rents. The rent is due on 1 March 2026.\n")
    precis.run("submit", note, "--template", "lease", "--model", "gemini-3.5-flash", "--on-too-long", "fail",
               "--instructions", "Write for the board.", "--language", "German", "--batch", "b")
    asked = sent(precis)[0]["summarize"]
    assert asked["template"] == "lease@1" and asked["model"] == "gemini-3.5-flash"
    assert asked["on_too_long"] == "fail" and asked["language"] == "German"
    built_in = precis.json("templates", "show", "lease")["summarize"]
    assert asked["instructions"].startswith(built_in["instructions"])
    assert asked["instructions"].endswith("Write for the board.")
    assert list(asked["output_schema"]["properties"]) == list(built_in["output_schema"]["properties"])
    precis.start_worker()
    precis.wait_final(["note.txt"])
    shown = precis.run("show", "note.txt").stdout
    assert "lease@1 summary-" in shown and "  lease_date:  2026-03-01\n" in shown
    assert "  Nothing on:  " in shown and "permitted_use" in shown.split("Nothing on:")[1]
    # In the order of the schema, each value with its quote; the table shows what the form calls its summary.
    assert shown.index("  title:") < shown.index("  landlord:") < shown.index("  tenant:") < shown.index("  lease_date:")
    assert "\u201cThe rent is due on 1 March 2026.\u201d (characters 40 to 72)" in shown
    table = precis.run("results", "b").stdout
    assert "Lease of a barn." in table and "{" not in table


def test_a_line_with_words_of_its_own_has_no_label(precis):
    lines = [{"id": "plain", "document": {"text": "The rent is due."}},
             {"id": "own", "document": {"text": "The rent is due."}, "summarize": {"instructions": "Name the tenant."}},
             {"id": "labelled", "document": {"text": "The rent is due."},
              "summarize": {"instructions": "Name the tenant.", "template": "ours@7"}}]
    precis.run("submit", "-", "--template", "lease", "--batch", "b", stdin="\n".join(map(json.dumps, lines)))
    asked = {message["id"]: message["summarize"] for message in sent(precis)}
    assert {name: asked[name].get("template") for name in asked} == {"plain": "lease@1", "own": None, "labelled": "ours@7"}
    assert asked["own"]["instructions"] == "Name the tenant." and "output_schema" in asked["own"]


OWN = """\
name: claims
description: Claims by letter
evidence: none
max_chars: 200
instructions: Name the claimant.
output_schema:
  type: object
  additionalProperties: false
  required: [claimant, claimed]
  properties:
    claimant: {type: [string, "null"], description: who claims}
    claimed: {type: [string, "null"], description: amount claimed}
"""


def test_a_file_of_ones_own(precis, case_dir):
    mine = case_dir / "mine.yaml"
    mine.write_text(OWN)
    letter = case_dir / "letter.txt"
    letter.write_text("Ostrava Kotle a.s. claims EUR 18.4 million.\n")
    checked = precis.json("templates", "check", mine)
    assert checked["fields"] == ["claimant", "claimed"] and checked["strict"]
    precis.run("submit", letter, "--template", mine, "--batch", "b")
    precis.start_worker()
    precis.wait_final(["letter.txt"])
    row = precis.rows("select prompt_version, output from precis.summaries")[0]
    output = row["output"] if isinstance(row["output"], dict) else json.loads(row["output"])
    assert output["claimed"] == "EUR 18.4 million"
    assert re.fullmatch(r"claims@[0-9a-f]{8} summary-\d+", row["prompt_version"])
    # A remark changes the version and not the content: the same job, nothing is paid again.
    mine.write_text("# for the claims desk\n" + OWN)
    again = precis.run("submit", letter, "--template", mine, "--batch", "b")
    assert "already" in again.stdout
    assert len(precis.rows("select 1 from precis.costs")) == 1
    mine.write_text(OWN.replace("Name the claimant.", "Name the debtor."))
    changed = precis.run("submit", letter, "--template", mine, "--batch", "b", check=False)
    assert "--revise" in changed.stdout + changed.stderr


@pytest.mark.unmigrated
def test_mistakes_stop_a_submission_before_anything_is_sent(precis, case_dir):
    mine = case_dir / "mine.yaml"
    mine.write_text(OWN.replace("max_chars", "max_char"))
    said = precis.run("submit", case_dir, "--template", mine, check=False)
    assert said.returncode == 2
    assert "mine.yaml:4:1: unknown key `max_char`. Did you mean `max_chars`?" in said.stderr
    said = precis.run("submit", case_dir, "--template", "leese", check=False)
    assert said.returncode == 2 and "Did you mean `lease`?" in said.stderr
    mine.write_text(OWN.replace("type: [string", "type: [strng"))
    said = precis.run("templates", "check", mine, check=False)
    assert said.returncode == 2 and "mine.yaml:11:" in said.stderr


def test_a_printed_template_is_the_beginning_of_ones_own(precis, case_dir):
    names = [line["name"] for line in precis.json("templates")]
    assert names == list(DOCUMENTS)
    for name in names:
        mine = case_dir / f"{name}.yaml"
        mine.write_text(precis.run("templates", "show", name).stdout)
        one, other = precis.json("templates", "check", mine), precis.json("templates", "show", name)
        assert one == other
