"""The examples of gradients through a history, on small sizes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "calibration"


def run(script: str, *options: str) -> str:
    command = [sys.executable, "-W", "error", str(EXAMPLE / script), *options]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.mark.slow
def test_calibration_finds_the_parameters_and_draws() -> None:
    picture = EXAMPLE / "output" / "calibration.png"
    picture.unlink(missing_ok=True)
    printed = run("calibrate.py", "--steps", "60")
    errors = [float(text) for text in re.findall(r"(-?\d+\.\d)%", printed)]
    assert len(errors) == 5
    assert max(map(abs, errors)) < 10.0
    before, after = map(float, re.findall(r"misfit (\S+) -> (\S+) ", printed)[0])
    assert after < 1.2 < before
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_posterior_surrounds_the_true_parameters_and_is_drawn() -> None:
    picture = EXAMPLE / "output" / "posterior.png"
    picture.unlink(missing_ok=True)
    printed = run("posterior.py", "--steps", "30", "--warmup", "5", "--samples", "20")
    rows = re.findall(r"(\d+\.\d) +(\d+\.\d) +(\d+\.\d) +(\d+\.\d)$", printed, re.MULTILINE)
    assert len(rows) == 5
    for true, low, middle, high in (map(float, row) for row in rows):
        assert low < middle < high
        assert 0.5 * true < middle < 2.0 * true
    assert picture.read_bytes().startswith(b"\x89PNG")
