"""The example of a compiled model in a native one: ``make example-composed``, but short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "composed"


@pytest.mark.slow
def test_example_agrees_with_the_native_material_in_values_and_iterations() -> None:
    plot = EXAMPLE / "output" / "fatigue.png"
    plot.unlink(missing_ok=True)
    command = [sys.executable, str(EXAMPLE / "composed.py"), "--cycles", "1", "--steps", "20"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "AOTIModel comes from neml2_aoti_plugin/hit.py" in run.stdout
    assert "the same in 20 solves" in run.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")
