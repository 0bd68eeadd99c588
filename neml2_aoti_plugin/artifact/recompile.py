"""The command that makes what an artifact lacks."""

from __future__ import annotations

from pathlib import Path

_OLD_LAYOUT_SUFFIX = "_meta.json"


def model_name(metadata_file: Path) -> str:
    """Name of the compiled ``[Models]`` block, by the compiler's file naming."""
    if metadata_file.name.endswith(_OLD_LAYOUT_SUFFIX):
        return metadata_file.name.removesuffix(_OLD_LAYOUT_SUFFIX)
    return metadata_file.parent.name


def recompile_command(metadata_file: Path, family: str, dtype: str) -> str:
    """``neml2-compile`` call for one leaf; the input file is the user's to name."""
    return (
        f"neml2-compile INPUT.i --model {model_name(metadata_file)} "
        f"--device {family} --dtype {dtype}"
    )
