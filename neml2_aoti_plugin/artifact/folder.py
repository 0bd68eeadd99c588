"""Where the metadata and the graphs of an artifact are, and which leaves there are.

Old layout, one leaf per metadata file; up to neml2 3.0.3 without a folder for the device::

    <root>/<device family>/<model>_meta.json and *.pt2
    <root>/<model>_meta.json and *.pt2

New layout, metadata shared by all leaves::

    <root>/metadata.json
    <root>/<device family>/<dtype>/*.pt2
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from neml2_aoti_plugin.artifact.device import KNOWN_DTYPES, KNOWN_FAMILIES, device_family
from neml2_aoti_plugin.artifact.document import load_document
from neml2_aoti_plugin.artifact.manifest import Leaf
from neml2_aoti_plugin.artifact.recompile import recompile_command
from neml2_aoti_plugin.errors import ArtifactError, ArtifactNotFoundError

_SHARED_NAME = "metadata.json"
_OLD_PATTERN = "*_meta.json"


def find_metadata(path: str | Path, device: str) -> Path:
    """The metadata file that ``path`` means: the file itself, or the one in its folder.

    Under a root of the old layout, that of the family of ``device``.
    """
    path = Path(path).absolute()
    family = device_family(device)
    if path.is_file():
        return _checked_metadata_file(path)
    if not path.is_dir():
        raise ArtifactNotFoundError(
            f"{path}: no metadata.json, as there is no such file or folder. "
            "Correct the path, or make the artifact with neml2-compile."
        )
    if (path / _SHARED_NAME).exists():
        return path / _SHARED_NAME
    for folder in (path / family, path):
        found = sorted(folder.glob(_OLD_PATTERN))
        if len(found) > 1:
            names = ", ".join(file.name for file in found)
            raise ArtifactError(
                f"{folder}: {len(found)} metadata files: {names}; expected one. "
                "Give the path of the one that is meant."
            )
        if found:
            return found[0]
    raise _nothing_found(path, device)


def pinned_leaf(
    metadata_file: Path, recorded: tuple[str, str], device: str, dtype: str | None
) -> Leaf:
    """The one leaf of a file of the old layout, which records its (device, dtype)."""
    family = device_family(recorded[0])
    available = [(family, recorded[1])]
    wanted = (device_family(device), dtype or recorded[1])
    if wanted not in available:
        raise _missing_leaf(metadata_file, wanted, available)
    return Leaf(folder=metadata_file.parent, device=device, dtype=recorded[1])


def choose_leaf(metadata_file: Path, device: str, dtype: str | None) -> Leaf:
    """The leaf of the new layout; without a dtype float64 if it is there, else the only one."""
    family = device_family(device)
    available = list_leaves(metadata_file.parent)
    offered = [name for leaf_family, name in available if leaf_family == family]
    if dtype is None:
        dtype = offered[0] if len(offered) == 1 else "float64"
    if dtype not in offered:
        raise _missing_leaf(metadata_file, (family, dtype), available)
    return Leaf(folder=metadata_file.parent / family / dtype, device=device, dtype=dtype)


def list_leaves(root: Path) -> list[tuple[str, str]]:
    """(family, dtype) of the leaf folders of the new layout."""
    return [
        (family, dtype)
        for family in KNOWN_FAMILIES
        for dtype in KNOWN_DTYPES
        if (root / family / dtype).is_dir()
    ]


def offered_leaves(path: Path) -> list[tuple[str, str]]:
    """(family, dtype) of every leaf under ``path``, a metadata file or a folder of any layout.

    Empty where there is none; a dtype that cannot be read is ``unreadable``.
    """
    if path.name == _SHARED_NAME:
        return list_leaves(path.parent)
    if path.is_file():
        return [_recorded_leaf(path)]
    if (path / _SHARED_NAME).exists():
        return list_leaves(path)
    folders = [path, *(path / family for family in KNOWN_FAMILIES)]
    return [_recorded_leaf(file) for folder in folders for file in folder.glob(_OLD_PATTERN)]


def _recorded_leaf(metadata_file: Path) -> tuple[str, str]:
    try:
        device = load_document(metadata_file).get("device")
    except ArtifactError:
        device = None
    family = str(device).partition(":")[0]
    return family if family in KNOWN_FAMILIES else "cpu", _recorded_dtype(metadata_file)


def _checked_metadata_file(path: Path) -> Path:
    if path.suffix != ".json":
        raise ArtifactNotFoundError(
            f"{path}: no metadata.json but a '{path.suffix}' file; expected the folder that "
            "neml2-compile wrote, or the metadata file in it."
        )
    return path


def _nothing_found(path: Path, device: str) -> ArtifactError:
    families = [family for family in KNOWN_FAMILIES if any((path / family).glob(_OLD_PATTERN))]
    if families:
        files = [next((path / family).glob(_OLD_PATTERN)) for family in families]
        wanted = (device_family(device), _recorded_dtype(files[0]))
        available = [
            (family, _recorded_dtype(file)) for family, file in zip(families, files, strict=True)
        ]
        return _missing_leaf(files[0], wanted, available)
    hint = ""
    for parent in list(path.parents)[:2]:
        if (parent / _SHARED_NAME).is_file():
            hint = f" Give '{parent}', which has one, and choose by device and dtype."
    return ArtifactNotFoundError(
        f"{path}: no metadata.json in this folder, and no *_meta.json here or in "
        f"'{device_family(device)}'."
        + (hint or " Correct the path, or make the artifact with neml2-compile.")
    )


def _recorded_dtype(metadata_file: Path) -> str:
    """The dtype for a listing, where a damaged file is not worth another error."""
    try:
        dtype = load_document(metadata_file).get("dtype")
    except ArtifactError:
        return "unreadable"
    return dtype if isinstance(dtype, str) else json.dumps(dtype)


def _missing_leaf(
    metadata_file: Path, wanted: tuple[str, str], available: Sequence[tuple[str, str]]
) -> ArtifactError:
    listed = ", ".join(f"{family}/{dtype}" for family, dtype in available) or "nothing"
    return ArtifactError(
        f"{metadata_file}: no compiled artifact for device '{wanted[0]}' and dtype "
        f"'{wanted[1]}'. Available: {listed}. Choose one of these, or make the other with the "
        f"options of the first compilation: {recompile_command(metadata_file, *wanted)}"
    )
