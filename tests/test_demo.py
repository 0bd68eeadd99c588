"""The demo, as ``make demo`` runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parent.parent / "examples" / "demo"


@pytest.mark.slow
def test_demo_draws_the_loop_and_agrees_with_the_native_model() -> None:
    plot = DEMO / "output" / "cyclic.png"
    plot.unlink(missing_ok=True)
    run = subprocess.run(
        [sys.executable, str(DEMO / "demo.py")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "AOTIModel comes from neml2_aoti_plugin/hit.py" in run.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")
