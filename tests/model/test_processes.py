"""Models in forked and spawned workers, and at the end of an interpreter."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from artifact_cache import compiled

from neml2_aoti_plugin import Model

PROGRAM = Path(__file__).with_name("workers.py")
TIMEOUT_S = 600


def run_workers(kind: str, case: str) -> subprocess.CompletedProcess[str]:
    """In an interpreter of its own: this one has threads that a fork would not bring along."""
    return subprocess.run(
        [sys.executable, str(PROGRAM), kind, str(compiled(case).root)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=os.environ | {"OMP_NUM_THREADS": "2"},
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("case", ["elasticity", "chaboche"])
@pytest.mark.parametrize("kind", ["fork", "spawn", "forked", "loader_fork", "loader_spawn"])
def test_workers_get_the_same_bits(kind: str, case: str) -> None:
    done = run_workers(kind, case)
    assert (done.returncode, done.stdout) == (0, "same\n"), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("case", ["elasticity", "chaboche"])
def test_an_interpreter_may_end_while_daemon_threads_are_in_calls(case: str) -> None:
    for _ in range(5):
        done = run_workers("shutdown", case)
        assert (done.returncode, done.stdout, done.stderr) == (0, "same\n", "")


def test_a_model_is_not_sent_to_another_process(elasticity) -> None:
    with pytest.raises(TypeError, match=r"open the artifact again with Model\(path\)"):
        pickle.dumps(Model(elasticity.root))
