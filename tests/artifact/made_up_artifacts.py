"""Artifacts for tests: golden metadata with made-up packages in place of the graphs."""

from __future__ import annotations

import copy
import json
import platform
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from neml2_aoti_plugin.artifact.fields import Fields
from neml2_aoti_plugin.artifact.manifest import Leaf, Manifest
from neml2_aoti_plugin.artifact.reader import canonical_fields, read_manifest
from neml2_aoti_plugin.artifact.version import upgrade_to_canonical

DATA = Path(__file__).parent / "data"

GOLDEN = (
    "v2/elasticity",
    "v2/viscoplasticity",
    "v3/elasticity",
    "v3/viscoplasticity",
    "v7/elasticity",
    "v7/viscoplasticity",
    "v12/substepped",
    "v14/elasticity",
    "v14/krylov",
    "v14/viscoplasticity",
)

FILE = Path("/artifact/model/metadata.json")
"""Where the metadata of :func:`read` claims to be, for messages."""


def golden(name: str) -> dict[str, Any]:
    """A golden document that the caller may change."""
    document: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
    return document


def canonical(document: Mapping[str, Any]) -> Fields:
    return canonical_fields(upgrade_to_canonical(document, FILE), FILE)


def read(document: Mapping[str, Any]) -> Manifest:
    """The manifest of a document, without any file."""
    upgraded = upgrade_to_canonical(document, FILE)
    return read_manifest(
        canonical_fields(upgraded, FILE),
        written_version=upgraded.written_version,
        metadata_file=FILE,
        leaf=Leaf(folder=FILE.parent / "cpu" / "float64", device="cpu", dtype="float64"),
    )


def graph_fields(value: Any) -> Iterator[str]:
    """All values of keys that name graph files, found without the reader."""
    if isinstance(value, list):
        for element in value:
            yield from graph_fields(element)
    elif isinstance(value, dict):
        for key, element in value.items():
            if key == "package" or key.endswith("_package"):
                yield element
            else:
                yield from graph_fields(element)


def package_members(top: str = "graph", **own_metadata: str | None) -> dict[str, bytes]:
    """Members of a package like those of the compiler, for this machine unless told otherwise."""
    facts: dict[str, str | None] = {
        "AOTI_DEVICE_KEY": "cpu",
        "AOTI_PLATFORM": sys.platform,
        "AOTI_MACHINE": platform.machine(),
        "AOTI_CPU_ISA": "INVALID_VEC_ISA",
        "AOTI_COMPUTE_CAPABILITY": "",
        **own_metadata,
    }
    written = json.dumps({key: value for key, value in facts.items() if value is not None})
    model = f"{top}/data/aotinductor/model"
    calls = {"nodes": [{"name": "buf7", "node": {"target": "neml2::opaque_pow"}}]}
    return {
        f"{model}/cddshesk.wrapper.cpp": b"// generated\n",
        f"{model}/cddshesk.wrapper.json": json.dumps(calls).encode(),
        f"{model}/cddshesk.wrapper_metadata.json": written.encode(),
        f"{model}/ccvf2e5z.kernel_metadata.json": written.encode(),
        f"{model}/cddshesk.wrapper.so": b"\x7fELF" + bytes(256),
        f"{top}/archive_format": b"pt2",
        f"{top}/byteorder": b"little",
    }


def write_package(
    file: Path, members: Mapping[str, bytes] | None = None, method: int = zipfile.ZIP_STORED
) -> Path:
    if members is None:
        members = package_members(file.stem)
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file


def write_leaf(folder: Path, document: Mapping[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in set(graph_fields(document)):
        write_package(folder / name)
    return folder


def write_artifact(
    folder: Path, document: Mapping[str, Any], leaves: tuple[str, ...] = ("cpu/float64",)
) -> Path:
    """An artifact in the layout of its schema version; returns its root."""
    root = folder / "model"
    if document.get("schema_version") in (2, 3):
        write_leaf(root, document)
        (root / "model_meta.json").write_text(json.dumps(document), encoding="utf-8")
        return root
    if document.get("schema_version") == 7:
        leaf = write_leaf(root / "cpu", document)
        (leaf / "model_meta.json").write_text(json.dumps(document), encoding="utf-8")
        return root
    for name in leaves:
        write_leaf(root / name, document)
    (root / "metadata.json").write_text(json.dumps(document), encoding="utf-8")
    return root


def changed(document: Mapping[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """A copy of the document with the value at ``path`` replaced."""
    result: dict[str, Any] = copy.deepcopy(dict(document))
    parent: Any = result
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    return result


def without(document: Mapping[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    """A copy of the document that lacks the key at ``path``."""
    result: dict[str, Any] = copy.deepcopy(dict(document))
    parent: Any = result
    for step in path[:-1]:
        parent = parent[step]
    del parent[path[-1]]
    return result


def shown(path: tuple[str | int, ...]) -> str:
    """A path as messages spell it."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")
