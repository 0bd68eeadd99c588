"""Compiles marked kernels into a shared library for this machine."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from neml2_aoti_plugin.errors import AOTIError

if TYPE_CHECKING:
    from neml2_aoti_plugin.tuning.sources import Kernels

_TORCH = Path(torch.__file__).parent
_LINES_SHOWN = 10


class BuildError(AOTIError):
    """There is no compiler, or it refused the kernels."""


def compiler() -> list[str]:
    """The C++ compiler: the one that ``CXX`` names, else ``g++``, ``clang++`` or ``c++``.

    Raises :class:`BuildError` where there is none.
    """
    if given := shlex.split(os.environ.get("CXX", "")):
        return given
    for name in ("g++", "clang++", "c++"):
        if found := shutil.which(name):
            return [found]
    raise BuildError(
        "no C++ compiler (g++, clang++ or c++) is installed; tuning compiles kernels. Install one, "
        "or name one in the environment variable CXX"
    )


def build(kernels: Kernels, library: Path) -> None:
    """Compile ``kernels`` with the options that they had into the new file ``library``.

    Raises :class:`BuildError` with what the compiler said.
    """
    source = library.with_suffix(".cpp")
    source.write_text(kernels.text)
    headers = _TORCH / "include"
    folders = (headers, headers / "torch/csrc/api/include", sysconfig.get_paths()["include"])
    command = [
        *compiler(),
        str(source),
        *kernels.options,
        "-w",
        *(word for folder in folders for word in ("-isystem", str(folder))),
        "-shared",
        "-fPIC",
        f"-L{_TORCH / 'lib'}",
        "-ltorch_cpu",
        "-o",
        str(library),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BuildError(f"the compiler cannot be run: {error}") from error
    if done.returncode != 0:
        said = "\n".join(done.stderr.strip().splitlines()[:_LINES_SHOWN])
        raise BuildError(f"{shlex.join(command)}\nexited with {done.returncode}:\n{said}")
