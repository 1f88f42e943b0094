# SPDX-License-Identifier: Apache-2.0
"""How much of a limit a fleet used, by the provider's own bill and clock.

`Meter(modelsim, rpm, tpm)` says it for any window [from, to) of the simulator's milliseconds: the share of the limit that
was used, of requests or of tokens, whichever is nearer to its end, and the part of the calls that was refused.
"""
from .common import LONG, wait_until

FOUNDERS = ["Acorn", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Ginkgo", "Hazel", "Ivy", "Juniper", "Kapok", "Larch"]


def contract(name, sentences=2):
    """A short contract that no other job has: equal ones would be bought once."""
    founder = FOUNDERS[hash_of(name) % len(FOUNDERS)]
    body = " ".join(f"Clause {number}: {founder} pays {100 + number} dollars for licence {name}."
                    for number in range(1, sentences))
    return f"Contract {name} of {founder} Ltd. {body} The term is two years. Either party may end it with notice."


def hash_of(name):
    return sum(ord(letter) * (place + 1) for place, letter in enumerate(name))


class Meter:
    def __init__(self, modelsim, rpm, tpm):
        self.modelsim, self.rpm, self.tpm = modelsim, rpm, tpm

    def now(self):
        return self.modelsim.stats()["now_ms"]

    def wait(self, until_ms, alive=()):
        """Until the simulator's clock says so. `alive`: workers that must not end meanwhile."""
        def reached():
            for worker in alive:
                if not worker.running:
                    raise RuntimeError(f"{worker.name} ended with {worker.popen.returncode}:\n{worker.log()[-3000:]}")
            return self.now() >= until_ms

        wait_until(f"the simulator's clock to be {until_ms}", reached, 60 + (until_ms - self.now()) / 1000, every=0.25)
        return until_ms

    def wait_calls(self, count, timeout=60):
        wait_until(f"{count} calls", lambda: self.modelsim.stats()["completions"] >= count, timeout, every=0.1)

    def read(self):
        """Reads the bill; the figures below are of what it said."""
        self.calls = self.modelsim.bill()["calls"]
        return self

    def within(self, start_ms, end_ms):
        return [call for call in self.calls if start_ms <= call["at_ms"] < end_ms]

    def share(self, start_ms, end_ms, of=1.0):
        """The part of `of` times the limit that was used."""
        passed = [call for call in self.within(start_ms, end_ms) if call["billed"]]
        minutes = (end_ms - start_ms) / 60000 * of
        tokens = sum(call["prompt_tokens"] + call["completion_tokens"] for call in passed)
        return max(len(passed) / (self.rpm * minutes), tokens / (self.tpm * minutes) if self.tpm else 0)

    def tokens_by_tenant(self, start_ms, end_ms):
        """Tokens that were billed, of each tenant: a call's name begins with it."""
        tokens = {}
        for call in self.within(start_ms, end_ms):
            if call["billed"]:
                tenant = call["id"].split("/")[0]
                tokens[tenant] = tokens.get(tenant, 0) + call["prompt_tokens"] + call["completion_tokens"]
        return tokens

    def refused(self, start_ms, end_ms):
        """The calls that the limit refused."""
        return [call for call in self.within(start_ms, end_ms) if call["outcome"] == "throttled"]

    def refused_part(self, start_ms, end_ms):
        calls = self.within(start_ms, end_ms)
        return len(self.refused(start_ms, end_ms)) / len(calls) if calls else 0.0

    def by_second(self, start_ms, end_ms):
        """Calls that passed, second by second: what to look at when a figure is not as it should be."""
        counts = [0] * ((end_ms - start_ms + 999) // 1000)
        for call in self.within(start_ms, end_ms):
            counts[(call["at_ms"] - start_ms) // 1000] += call["billed"]
        return counts


def long_or(short, exact):
    """The issue's own figure in --long, else one that a busy machine reaches."""
    return exact if LONG else short
