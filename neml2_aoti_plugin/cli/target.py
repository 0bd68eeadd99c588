"""What a path on the command line means: an artifact, or a stub that names one."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neml2_aoti_plugin.cli.outcome import UsageError
from neml2_aoti_plugin.errors import AOTIError
from neml2_aoti_plugin.hit_blocks import block_type, blocks_of
from neml2_aoti_plugin.stub import find_artifact

if TYPE_CHECKING:
    import argparse

_ORIGIN = re.compile(r"^#.*neml2-compile from (\S+)", re.MULTILINE)
"""In the first lines of a stub that neml2-compile wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """What an input file holds, read without building anything of it."""

    path: Path
    compiled: dict[str, Path]
    """Blocks of type ``AOTIModel`` and the artifacts that they name."""
    native: tuple[str, ...]
    """The other ``[Models]`` blocks."""
    drivers: dict[str, str]
    """Blocks of ``[Drivers]`` and their types."""
    driven: dict[str, str]
    """Model of each driver that names one."""
    origin: str | None
    """Name of the file that a stub was made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    artifact: Path
    stub: InputFile | None
    model: str | None
    """The block of the stub."""


def add_stub_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments ``STUB`` and ``--model`` of commands that run a compiled model."""
    stub = parser.add_argument(
        "stub", metavar="STUB", type=Path, help="input file with a compiled model (model_aoti.i)"
    )
    complete_files(stub)
    parser.add_argument(
        "--model", metavar="NAME", help="its [Models] block, where it has several compiled ones"
    )


def complete_files(action: argparse.Action) -> None:
    """Let shells complete file names for this argument."""
    action.complete = _FILES  # type: ignore[attr-defined]


_FILES = {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}


def find_target(path: Path, model: str | None = None) -> Target:
    """The artifact that ``path`` means; ``model`` chooses among the blocks of a stub."""
    if path.suffix != ".i":
        return Target(artifact=path, stub=None, model=None)
    file = read_input_file(path)
    return target_of(file, model)


def target_of(file: InputFile, model: str | None = None) -> Target:
    """The compiled model of an input file, by the name of its block or the only one."""
    if not file.compiled:
        raise UsageError(
            f"{file.path}: no [Models] block of type AOTIModel, so nothing compiled. "
            f"Compile it: neml2-aoti compile {file.path}"
        )
    if model is None and len(file.compiled) == 1:
        (model,) = file.compiled
    if model not in file.compiled:
        found = ", ".join(file.compiled)
        asked = f"'{model}' is not among" if model else "which one is meant of"
        raise UsageError(f"{file.path}: {asked} its compiled models: {found}. Use --model NAME.")
    return Target(artifact=file.compiled[model], stub=file, model=model)


def read_input_file(path: Path) -> InputFile:
    """Read the blocks of a HIT file. Raises UsageError where it is none."""
    if importlib.util.find_spec("nmhit") is None:
        raise UsageError(
            f"{path}: reading input files needs the package 'nmhit', which comes with neml2: "
            "pip install neml2. Without, name the folder of the artifact."
        )
    if not path.is_file():
        raise UsageError(f"{path}: no such file. Correct the path.")
    import nmhit

    try:
        root = nmhit.parse_file(path)
    except Exception as error:
        raise UsageError(f"{path}: cannot be read as an input file: {error}") from error
    models = blocks_of(root, "Models")
    drivers = blocks_of(root, "Drivers")
    compiled = {
        name: _artifact(node, path)
        for name, node in models.items()
        if block_type(node) == "AOTIModel"
    }
    origin = _ORIGIN.search(path.read_text(errors="replace")[:2000])
    return InputFile(
        path=path,
        compiled=compiled,
        native=tuple(name for name in models if name not in compiled),
        drivers={name: block_type(node) for name, node in drivers.items()},
        driven={
            name: node.param_optional_str("model", "")
            for name, node in drivers.items()
            if node.find("model") is not None
        },
        origin=origin.group(1) if origin else None,
    )


def choose_driver(file: InputFile, name: str | None, models: tuple[str, ...]) -> str:
    """The transient driver ``name``, or the first that drives one of ``models``."""
    if name is not None:
        if name in file.drivers:
            return name
        listed = ", ".join(file.drivers) or "none"
        raise UsageError(f"{file.path}: no driver '{name}'; there are: {listed}.")
    found = [each for each, model in file.driven.items() if model in models]
    if not found:
        raise UsageError(
            f"{file.path}: no driver of {' or '.join(models)}; name one with --driver, or add a "
            "[Drivers] block of type TransientDriver."
        )
    return found[0]


def _artifact(node: Any, path: Path) -> Path:
    try:
        return find_artifact(node, path)
    except AOTIError as error:
        raise UsageError(str(error)) from error
