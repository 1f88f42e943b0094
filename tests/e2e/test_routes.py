# SPDX-License-Identifier: Apache-2.0
"""Routes and rules: the next model when the first cannot, and who gets which reasoning; always with the reason told."""
import collections

import pytest

KEY, OTHER = "sk-first-0011223344556677", "sk-other-7766554433221100"
TEXT = ("Letter {}. The supplier delivers 12 machines by 1 March 2027. The fee is 40,000 dollars, due on delivery. "
        "Either side may end the contract with three months' notice. ")


def submit(precis, names, **members):
    precis.send([precis.job(name, TEXT.format(name) * 6, **members) for name in names])


def calls(precis):
    """(model, outcome) -> how many."""
    return collections.Counter((row["model"], row["outcome"]) for row in precis.rows("select model, outcome from precis.costs"))


def told(precis, name):
    return " ".join(precis.run("show", name).stdout.split())


@pytest.mark.modelsim("--key", KEY, "--key", OTHER, "--close", f"{KEY}:600s")
def test_the_next_model_when_the_first_is_closed(precis):
    keys = {name: precis.folder / f"{name}.key" for name in ("first", "other")}
    keys["first"].write_text(KEY)
    keys["other"].write_text(OTHER)
    second = {**precis.config["providers"]["sim"], "key": f"${{file:{keys['other']}}}"}
    precis.configure(providers={"sim": {"key": f"${{file:{keys['first']}}}"}, "second": second},
                     models={"gemini-3.5-flash": {"provider": "second"}},
                     routes={"default": ["grok-4.3", "gemini-3.5-flash"]}, worker={"route_patience": "1s"})
    worker = precis.start_worker()
    names = [f"closed-{n}" for n in range(30)]
    submit(precis, names)
    precis.wait_final(names, 30)
    worker.terminate()
    seen = calls(precis)
    assert seen["gemini-3.5-flash", "ok"] == 30 and ("grok-4.3", "ok") not in seen, seen
    assert "grok-4.3: its key is closed" in told(precis, names[-1])
    precis.check_promises(names)


def test_the_next_model_when_the_first_is_too_dear_or_too_small(precis):
    precis.configure(routes={"dear": ["claude-opus-4.8", "grok-4.3"], "small": ["tiny", "grok-4.3"]},
                     models={"tiny": {**precis.config["models"]["grok-4.3"], "context_tokens": 600, "max_output_tokens": 256}})
    worker = precis.start_worker()
    submit(precis, ["dear"], summarize={"model": "dear"}, max_cost_usd="0.008")
    submit(precis, ["small"], summarize={"model": "small", "on_too_long": "fail"})
    submit(precis, ["none"], summarize={"model": "dear"}, max_cost_usd="0.000001")
    jobs = precis.wait_final(["dear", "small", "none"])
    worker.terminate()
    assert jobs["dear"]["state"] == jobs["small"]["state"] == "done"
    assert jobs["none"]["state"] == "failed" and jobs["none"]["error_code"] == "over_max_cost"
    assert calls(precis) == {("grok-4.3", "ok"): 2}
    assert "claude-opus-4.8: over max_cost_usd" in told(precis, "dear")
    assert "tiny: context_" in told(precis, "small")


@pytest.mark.modelsim("--latency", "300ms")
def test_rules_choose_what_jobs_leave_open(precis):
    reasoning = {"reasoning": {"parameter": "reasoning_mode"}, "limits": {"in_flight": 4}}
    precis.configure(models={"grok-4.3": reasoning}, worker={"in_flight": 20},
                     tenants={"legal": {"tier": "vip"}},
                     rules={"vip": {"when": {"tenant_tier": "vip"}, "reasoning_mode": "reasoning"},
                            "busy": {"when": {"load": {"over": 80}}, "reasoning_mode": "non-reasoning"},
                            "short": {"when": {"document_tokens": {"under": 20}}, "route": "gemini-3.5-flash"}})
    worker = precis.start_worker()
    submit(precis, ["vip"], tenant="legal")
    submit(precis, ["own"], tenant="legal", summarize={"reasoning_mode": "non-reasoning"})
    precis.send([precis.job("short", "The fee is 12 dollars.")])
    precis.wait_final(["vip", "own", "short"])
    many = [f"many-{n}" for n in range(60)]
    submit(precis, many)
    precis.wait_final(many)
    worker.terminate()
    modes = {row["job_id"]: (row["model"], row["reasoning_mode"]) for row in
             precis.rows("select job_id, model, reasoning_mode from precis.costs where outcome = 'ok'")}
    assert modes["vip"] == ("grok-4.3", "reasoning")
    assert modes["own"] == ("grok-4.3", "non-reasoning")
    assert modes["short"] == ("gemini-3.5-flash", "auto")
    chosen = collections.Counter(modes[name][1] for name in many)
    assert chosen["non-reasoning"] >= 20 and set(chosen) <= {"non-reasoning", "auto"}, chosen
    assert "rule vip: reasoning_mode reasoning" in told(precis, "vip")
    assert "rule short: route gemini-3.5-flash" in told(precis, "short")
    assert "(rule" not in told(precis, "own")


def test_a_rule_that_names_nothing_is_refused(precis):
    precis.configure(rules={"lost": {"route": "grok-4.4"}})
    refused = precis.run("config", "check", check=False)
    assert refused.returncode == 2 and "grok-4.4" in refused.stderr + refused.stdout, refused
