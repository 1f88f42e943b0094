# SPDX-License-Identifier: Apache-2.0
"""A deployment that all tests of a file share: many small cases at once, each looked at by a test of its own."""
import contextlib

from .program import Precis
from .servers import ModelSim


@contextlib.contextmanager
def standing(name, run_dir, postgres, kafka, *options, partitions=1):
    """Yields a migrated Precis with a simulator of its own; fails at the end on crashes and sanitizer reports."""
    tries = len(list(run_dir.glob(f"{name}-*")))
    name = f"{name}-{tries + 1}"
    folder = run_dir / name
    folder.mkdir()
    sim = ModelSim(folder, *options)
    sim.start()
    deployment = Precis(name, folder, postgres, kafka, sim, partitions)
    deployment.migrate()
    problems = []
    try:
        yield deployment
    finally:
        problems += deployment.close()
    assert not problems, "\n".join(problems)
