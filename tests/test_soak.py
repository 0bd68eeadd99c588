"""A short piece of the soak: one process, changing calls, nothing that grows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parent.parent / "benchmarks" / "soak.py"


@pytest.mark.slow
def test_a_thousand_changing_calls_leave_the_process_as_it_was() -> None:
    command = [sys.executable, str(PROGRAM), "--calls", "1000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("results equal bit by bit")
