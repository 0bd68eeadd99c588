"""The finite-element example, on a small mesh."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "finite_elements"


@pytest.mark.slow
def test_plate_converges_quadratically_with_the_tangent_and_not_without() -> None:
    picture = EXAMPLE / "output" / "plate.png"
    picture.unlink(missing_ok=True)
    options = ["--divisions", "6", "--increments", "9"]
    command = [sys.executable, "-W", "error", str(EXAMPLE / "plate.py"), *options]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    taken = {
        tangent: (int(iterations), float(order))
        for tangent, iterations, order in re.findall(
            r"^(consistent|elastic) +(\d+) +(\S+)", run.stdout, re.MULTILINE
        )
    }
    assert taken["consistent"][0] <= 7
    assert taken["consistent"][1] > 1.7
    assert taken["elastic"][0] > 5 * taken["consistent"][0]
    assert taken["elastic"][1] < 1.2
    assert picture.read_bytes().startswith(b"\x89PNG")
