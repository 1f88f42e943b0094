# SPDX-License-Identifier: Apache-2.0
"""The schemas of schema/ are schemas, and draw the line between the examples where they say.

What the decoder makes of the same examples is checked in tests/unit/test_job_schema.c.
"""
import json
import pathlib

import jsonschema
import pytest

SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "schema"
KINDS = {"job": "job.v1.json", "seal": "job.v1.json", "result": "result.v1.json"}


def validator(name):
    schema = json.loads((SCHEMA / name).read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)


def examples(folder):
    found = sorted((SCHEMA / "examples" / folder).glob("*.json"))
    assert {path.name.split("-")[0] for path in found} == set(KINDS)
    return [pytest.param(path, id=path.stem) for path in found]


def is_valid(path):
    document = json.loads(path.read_text(encoding="utf-8"))
    return validator(KINDS[path.name.split("-")[0]]).is_valid(document)


@pytest.mark.parametrize("name", sorted(set(KINDS.values())))
def test_is_a_schema(name):
    jsonschema.Draft202012Validator.check_schema(validator(name).schema)


@pytest.mark.parametrize("path", examples("valid"))
def test_valid(path):
    assert is_valid(path)


@pytest.mark.parametrize("path", examples("invalid"))
def test_invalid(path):
    assert not is_valid(path)
