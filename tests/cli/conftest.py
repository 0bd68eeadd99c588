"""The command line, run in this process or, as a user would, as the installed program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from artifact_cache import CompiledCase
from programs import REMARK_OF_TORCH
from said import Program, Said

from neml2_aoti_plugin.cli.program import main


@pytest.fixture
def aoti(capfd: pytest.CaptureFixture[str]) -> Program:
    """``aoti("inspect", path)``: the command in this process."""

    def run(*words: str | Path) -> Said:
        capfd.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as error:  # of argparse
            code = int(error.code or 0)
        out, err = capfd.readouterr()
        return Said(code=code, out=out, err=_without_remarks(err))

    return run


@pytest.fixture
def installed() -> Program:
    """The program ``neml2-aoti`` in a process of its own, away from the sources."""

    def run(*words: str | Path, **environment: str) -> Said:
        command = [str(Path(sys.executable).with_name("neml2-aoti")), *map(str, words)]
        done = subprocess.run(
            command,
            cwd="/",
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return Said(code=done.returncode, out=done.stdout, err=_without_remarks(done.stderr))

    return run


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[CompiledCase], CompiledCase]:
    """A compiled case to damage."""

    def copy(case: CompiledCase) -> CompiledCase:
        folder = tmp_path / "case"
        shutil.copytree(case.folder, folder)
        return replace(
            case,
            folder=folder,
            root=folder / case.root.relative_to(case.folder),
            metadata=folder / case.metadata.relative_to(case.folder),
            stub=folder / case.stub.relative_to(case.folder),
        )

    return copy


def _without_remarks(err: str) -> str:
    """Without what a newer torch says of every graph of an older one."""
    lines = err.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(REMARK_OF_TORCH))
