"""Programs as a user runs them, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path
from subprocess import CompletedProcess

from artifact_cache import compiler_torch

REMARK_OF_TORCH = "[WARNING] Could not dlsym AOTInductor"
"""torch says so of every graph from an older torch, which lacks entry points that we never call."""


def neml2_run(input_file: Path, driver: str) -> CompletedProcess[str]:
    """From another folder: golds and artifacts are found beside the input file."""
    command = [str(Path(sys.executable).with_name("neml2-run")), str(input_file), driver]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)


def run_python(program: str, *arguments: str, warnings: str = "default") -> CompletedProcess[str]:
    """A fresh process, away from the source tree: what is installed is what it imports."""
    command = [sys.executable, "-W", warnings, "-c", program, *arguments]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)


def assert_passes_in_silence(run: CompletedProcess[str]) -> None:
    said = run.stderr.splitlines()
    if compiler_torch() != metadata.version("torch"):
        said = [line for line in said if not line.startswith(REMARK_OF_TORCH)]
    assert (run.returncode, run.stdout, said) == (0, "", [])
