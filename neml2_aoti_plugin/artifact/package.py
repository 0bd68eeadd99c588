"""Inspects a compiled graph (``.pt2``) without loading it.

A package is an uncompressed zip archive::

    <top folder>/data/aotinductor/model/*.so                one shared library
                                       /*.wrapper.cpp       its source, see signature
                                       /*.kernel.cpp        that of its kernels, see tuning
                                       /*_metadata.json     what it was compiled for
                                       /*.json              operators it calls by name, if any

Loading unpacks it and runs the library, so whatever can be wrong is found here first.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from neml2_aoti_plugin.artifact.archive import ambiguity
from neml2_aoti_plugin.artifact.device import device_family
from neml2_aoti_plugin.artifact.fields import enumeration
from neml2_aoti_plugin.artifact.machine import Machine, architecture
from neml2_aoti_plugin.artifact.manifest import Leaf
from neml2_aoti_plugin.artifact.recompile import recompile_command
from neml2_aoti_plugin.artifact.signature import GraphArgument, read_arguments
from neml2_aoti_plugin.errors import ArtifactError

OPAQUE_POW = "neml2::opaque_pow"

_MODEL_FOLDER = ("data", "aotinductor", "model")
_LIBRARY_SUFFIXES = (".so", ".dylib", ".dll", ".pyd")
_SOURCE_SUFFIX = ".wrapper.cpp"
_KERNEL_SUFFIX = ".kernel.cpp"
_METADATA_SUFFIX = "_metadata.json"
_CHUNK_BYTES = 1 << 20
_ENCRYPTED = 0x1

_KEYS_OF_FAMILY = {"hip": ("cuda", "hip")}
"""Where the compiler's name of a device differs: PyTorch's ROCm builds call it cuda."""

_REPLACE = "The file is damaged or incomplete: copy the artifact again, or recompile the model."


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFacts:
    """What a package says of itself; ``None`` where it does not."""

    file: Path
    device: str | None
    platform: str | None
    architecture: str | None
    cpu_isa: str | None
    operators: frozenset[str]
    """Operators called through the dispatcher, as ``namespace::name``."""
    arguments: tuple[GraphArgument, ...] | None = None
    """What the graph takes."""

    @property
    def needs_opaque_pow(self) -> bool:
        """Whether ``neml2::opaque_pow`` must be registered before the package is loaded."""
        return OPAQUE_POW in self.operators


_FOREIGN_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,  # names that are no UTF-8, offsets before the file
    OverflowError,
    NotImplementedError,
)
"""What ``zipfile`` raises for one or another kind of damage."""


def inspect_package(file: Path) -> PackageFacts:
    """Check the archive (members, checksums) and read what it says of itself."""
    try:
        with file.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            return _inspect(file, stream, archive)
    except ArtifactError:
        raise
    except _FOREIGN_ERRORS as error:
        raise ArtifactError(
            f"{file}: not readable as a zip archive ({error}); expected a compiled graph. "
            + _REPLACE
        ) from error


def _inspect(file: Path, stream: BinaryIO, archive: zipfile.ZipFile) -> PackageFacts:
    members = archive.infolist()
    _check_members(file, members)
    if found := ambiguity(stream, members):
        raise ArtifactError(
            f"{file}: the archive can be read in more than one way: {found}. {_REPLACE}"
        )
    _check_contents(file, archive, members)
    model_members = [member for member in members if _in_model_folder(member)]
    _check_library(file, model_members)
    facts = _read_own_metadata(file, archive, model_members)
    return PackageFacts(
        file=file,
        device=facts.get("AOTI_DEVICE_KEY"),
        platform=facts.get("AOTI_PLATFORM"),
        architecture=facts.get("AOTI_MACHINE"),
        cpu_isa=facts.get("AOTI_CPU_ISA"),
        operators=_read_operators(file, archive, model_members),
        arguments=_read_arguments(archive, model_members),
    )


def library_members(
    members: Sequence[zipfile.ZipInfo],
) -> tuple[zipfile.ZipInfo, list[zipfile.ZipInfo]]:
    """The shared library among the members of an inspected package, and all that is beside it."""
    beside = [member for member in members if _in_model_folder(member)]
    library = next(member for member in beside if member.filename.endswith(_LIBRARY_SUFFIXES))
    return library, beside


def is_source(member: zipfile.ZipInfo) -> bool:
    """Whether the member is only there to be read."""
    return member.filename.endswith(".cpp")


def kernel_sources(file: Path) -> tuple[str, str] | None:
    """The source of the kernels in an inspected package, and that of their caller; ``None`` where
    it does not carry both."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        kernels = _read_source(archive, members, _KERNEL_SUFFIX)
        caller = _read_source(archive, members, _SOURCE_SUFFIX)
    return None if kernels is None or caller is None else (kernels, caller)


def check_package(facts: PackageFacts, leaf: Leaf, machine: Machine, metadata_file: Path) -> None:
    """Raise unless the package was compiled for the leaf's device and can run on the machine."""
    family = device_family(leaf.device)
    remedy = f"Recompile it here: {recompile_command(metadata_file, family, leaf.dtype)}"
    keys = _KEYS_OF_FAMILY.get(family, (family,))
    if facts.device is not None and facts.device not in keys:
        raise ArtifactError(
            f"{facts.file}: compiled for device '{facts.device}'; expected '{family}', "
            f"as of its folder. {remedy}"
        )
    if facts.platform is not None and facts.platform != machine.platform:
        raise ArtifactError(
            f"{facts.file}: compiled for platform '{facts.platform}'; "
            f"expected '{machine.platform}'. {remedy}"
        )
    if facts.architecture is not None and architecture(facts.architecture) != machine.architecture:
        raise ArtifactError(
            f"{facts.file}: compiled for architecture '{facts.architecture}'; "
            f"expected '{machine.architecture}'. {remedy}"
        )
    lacking = machine.missing_flags(facts.cpu_isa or "")
    if lacking:
        raise ArtifactError(
            f"{facts.file}: compiled for the CPU instruction set '{facts.cpu_isa}'; this machine "
            f"has '{machine.offered_isa()}' and lacks {', '.join(lacking)}. {remedy}"
        )


# -- members -------------------------------------------------------------------------------------


def _check_members(file: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    """Names that stay below one top folder, stored as they are: unpacking can surprise nobody."""
    seen: set[str] = set()
    for member in members:
        name = member.orig_filename
        parts = name.split("/")
        if (
            len(parts) < 2
            or any(part in ("", ".", "..") for part in parts)
            or set(name) & {"\\", "\0"}
        ):
            raise ArtifactError(
                f"{file}: member {name!r} is no path below a top folder. {_REPLACE}"
            )
        if name in seen:
            raise ArtifactError(f"{file}: member {name!r} stands twice in the archive. {_REPLACE}")
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & _ENCRYPTED:
            raise ArtifactError(
                f"{file}: member {name!r} is compressed or encrypted; expected stored bytes, "
                f"as neml2-compile writes them. {_REPLACE}"
            )
        seen.add(name)
    tops = sorted({name.split("/")[0] for name in seen})
    if len(tops) != 1:
        raise ArtifactError(
            f"{file}: top folders are {enumeration(tops)}; expected exactly one. {_REPLACE}"
        )


def _check_contents(
    file: Path, archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo]
) -> None:
    """Read all members once; zipfile compares their checksums."""
    for member in members:
        try:
            with archive.open(member) as stream:
                while stream.read(_CHUNK_BYTES):
                    pass
        except (zipfile.BadZipFile, EOFError) as error:
            raise ArtifactError(
                f"{file}: member '{member.filename}' is not what was written ({error}). {_REPLACE}"
            ) from error


def _in_model_folder(member: zipfile.ZipInfo) -> bool:
    return tuple(member.filename.split("/")[1:-1]) == _MODEL_FOLDER


def _check_library(file: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    libraries = [member for member in members if member.filename.endswith(_LIBRARY_SUFFIXES)]
    if len(libraries) != 1:
        raise ArtifactError(
            f"{file}: {len(libraries)} shared libraries in '{'/'.join(_MODEL_FOLDER)}'; "
            f"expected one. {_REPLACE}"
        )


# -- what the package says -----------------------------------------------------------------------


def _read_own_metadata(
    file: Path, archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo]
) -> dict[str, str]:
    """The entries of all ``*_metadata.json``, of which several hold the same."""
    entries: dict[str, str] = {}
    found = [member for member in members if member.filename.endswith(_METADATA_SUFFIX)]
    for member in found:
        content = _read_json(file, archive, member)
        if not isinstance(content, dict):
            raise ArtifactError(f"{file}: '{member.filename}' holds no object. {_REPLACE}")
        entries |= {key: value for key, value in content.items() if isinstance(value, str)}
    if not found:
        raise ArtifactError(
            f"{file}: no *{_METADATA_SUFFIX} in '{'/'.join(_MODEL_FOLDER)}'; expected one. "
            + _REPLACE
        )
    return entries


def _read_operators(
    file: Path, archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo]
) -> frozenset[str]:
    """Operators in the lists of calls, the ``.json`` that have a key ``nodes``."""
    operators: set[str] = set()
    for member in members:
        if not member.filename.endswith(".json") or member.filename.endswith(_METADATA_SUFFIX):
            continue
        content = _read_json(file, archive, member)
        nodes = content.get("nodes", []) if isinstance(content, dict) else []
        operators.update(_targets(nodes))
    return frozenset(operators)


def _read_arguments(
    archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo]
) -> tuple[GraphArgument, ...] | None:
    source = _read_source(archive, members, _SOURCE_SUFFIX)
    return None if source is None else read_arguments(source)


def _read_source(
    archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], suffix: str
) -> str | None:
    """The only member that ends so; ``None`` where there are none or several."""
    sources = [member for member in members if member.filename.endswith(suffix)]
    if len(sources) != 1:
        return None
    return archive.read(sources[0]).decode("utf-8", errors="replace")


def _targets(nodes: Any) -> list[str]:
    if not isinstance(nodes, list):
        return []
    calls = (node.get("node") for node in nodes if isinstance(node, dict))
    targets = (call.get("target") for call in calls if isinstance(call, dict))
    return [target for target in targets if isinstance(target, str)]


def _read_json(file: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Any:
    try:
        return json.loads(archive.read(member))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{file}: '{member.filename}' is not valid JSON ({error}). {_REPLACE}"
        ) from error
