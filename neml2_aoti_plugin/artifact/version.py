"""Reads the schema version and walks the upgrades to the canonical one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neml2_aoti_plugin.artifact.upgrades import from_v2, from_v3, from_v7, from_v12
from neml2_aoti_plugin.errors import ArtifactError, UnsupportedSchemaError

CANONICAL_VERSION = 14

SHARED_METADATA_SINCE = 12
"""From here on one metadata file serves several leaves; before, device and dtype are in it."""

RELEASES = {
    2: "neml2 3.0.0 to 3.0.2",
    3: "neml2 3.0.3",
    7: "neml2 3.0.4 to 3.0.6",
    12: "neml2 3.0.7",
    14: "neml2 3.1.0",
}
"""Who wrote which schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """One step of the chain: a dictionary of one version to one of the next."""

    to: int
    apply: Callable[[Mapping[str, Any]], dict[str, Any]]
    old_spelling: Mapping[str, str] = field(default_factory=dict)
    """Renamed keys, new to old, so that messages can use the file's own spelling."""


UPGRADES: Mapping[int, Upgrade] = {
    2: Upgrade(to=3, apply=from_v2.upgrade, old_spelling=from_v2.OLD_SPELLING),
    3: Upgrade(to=7, apply=from_v3.upgrade),
    7: Upgrade(to=12, apply=from_v7.upgrade, old_spelling=from_v7.OLD_SPELLING),
    12: Upgrade(to=14, apply=from_v12.upgrade),
}

READABLE_VERSIONS = (*sorted(UPGRADES), CANONICAL_VERSION)


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalDocument:
    """A dictionary in the canonical schema, see :mod:`neml2_aoti_plugin.artifact.upgrades`."""

    written_version: int
    content: Mapping[str, Any]
    old_spelling: Mapping[str, str]


def upgrade_to_canonical(document: Mapping[str, Any], file: Path) -> CanonicalDocument:
    """Apply the upgrades that lead from the written to the canonical version."""
    written = read_version(document, file)
    content = document
    old_spelling: dict[str, str] = {}
    version = written
    while version != CANONICAL_VERSION:
        upgrade = UPGRADES[version]
        content = upgrade.apply(content)
        old_spelling |= upgrade.old_spelling
        version = upgrade.to
    return CanonicalDocument(written_version=written, content=content, old_spelling=old_spelling)


def read_version(document: Mapping[str, Any], file: Path) -> int:
    """The written schema version, one of :data:`READABLE_VERSIONS`; raises otherwise."""
    expected = ", ".join(str(version) for version in READABLE_VERSIONS)
    if "schema_version" not in document:
        raise ArtifactError(
            f"{file}: schema_version is missing; expected one of {expected}. "
            "This is no metadata written by neml2-compile."
        )
    version = document["schema_version"]
    if type(version) is not int:
        raise ArtifactError(
            f"{file}: schema_version is {version!r:.80}; expected an integer, one of {expected}. "
            "Recompile the model."
        )
    if version not in READABLE_VERSIONS:
        raise UnsupportedSchemaError(
            f"{file}: schema_version is {version}, {_origin_of(version)}; "
            f"expected one of {expected}. {_remedy_for(version)}"
        )
    return version


def _origin_of(version: int) -> str:
    if version in RELEASES:
        return f"as written by {RELEASES[version]}"
    if version > CANONICAL_VERSION:
        return "newer than this plugin"
    return "which no release of neml2 wrote"


def _remedy_for(version: int) -> str:
    if version > CANONICAL_VERSION:
        return "Upgrade neml2_aoti_plugin, or recompile the model with neml2 3.1.0."
    return "Recompile the model with neml2 3.1.0."
