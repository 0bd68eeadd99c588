"""Rewrites the metadata of an older schema as the newest one, graphs untouched.

Possible where the graphs are called the way the newest schema says they are. Where they are not,
every reason is named: no metadata can make up for a graph that was compiled to another signature.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from neml2_aoti_plugin.artifact import read_artifact
from neml2_aoti_plugin.artifact.device import device_family
from neml2_aoti_plugin.artifact.document import load_document
from neml2_aoti_plugin.artifact.graphs import graph_names
from neml2_aoti_plugin.artifact.manifest import (
    ForwardSegment,
    ImplicitSegment,
    Manifest,
    NewtonSettings,
    Role,
)
from neml2_aoti_plugin.artifact.recompile import recompile_command
from neml2_aoti_plugin.artifact.version import (
    CANONICAL_VERSION,
    RELEASES,
    upgrade_to_canonical,
)
from neml2_aoti_plugin.errors import UnsupportedFeatureError

NEVER = sys.float_info.max
"""In place of an infinite ``substep_del_tol``, which JSON cannot say: no update is ever larger."""

_CANONICAL_ONLY = ("stacked_jacobian", "stored_parameters")
"""Keys of forward segments that the newest schema does not know."""


def obstacles(manifest: Manifest) -> list[str]:
    """What the newest schema cannot say of this artifact, in the words of its segments."""
    return [
        f"segment '{segment.label}': {reason}"
        for segment in manifest.segments
        for reason in (
            _forward_obstacles(segment)
            if isinstance(segment, ForwardSegment)
            else _implicit_obstacles(segment, manifest.schema_version)
        )
    ]


def _forward_obstacles(segment: ForwardSegment) -> Iterator[str]:
    if segment.parameters and segment.stored_parameters:
        yield (
            f"its graphs take {', '.join(segment.parameters)} at the stored shape; the newest "
            "ones take a value per row"
        )
    derivatives = segment.input_derivatives
    if derivatives is not None and derivatives.stacked and len(derivatives.pairs) > 1:
        yield (
            f"{derivatives.graph} returns one matrix of {len(derivatives.pairs)} pairs; the "
            "newest ones return a block for each"
        )


def _implicit_obstacles(segment: ImplicitSegment, version: int) -> Iterator[str]:
    if version < 12:
        yield (
            "its graphs linearize and solve in one (step, ift); the newest ones are a jacobian and "
            "a solve graph, and start from the caller's guess"
        )
    ramped = [given.name for given in segment.givens if given.role is Role.INCREMENTAL]
    if ramped and segment.max_substepping_level > 0:
        yield (
            f"substeps take a fraction of the value of {', '.join(ramped)}; the newest ones take "
            "it between an old and a new value, and there is no old one"
        )


def renew(path: Path, target: Path, *, device: str, dtype: str | None) -> Manifest:
    """Write the artifact at ``path`` as schema 14 into a new folder; what was written.

    ``target`` gets ``metadata.json`` and ``<device>/<dtype>/`` with copies of the graphs. Read
    again it describes the same model, which is checked before this returns.

    Raises UnsupportedFeatureError where the newest schema cannot say what the artifact is, with
    every reason, and FileExistsError where ``target`` exists and is not empty.
    """
    manifest = read_artifact(path, device=device, dtype=dtype)
    reasons = obstacles(manifest)
    if reasons:
        raise _refusal(manifest, reasons)
    if target.exists() and any(target.iterdir()):
        raise FileExistsError(f"{target}: is there already, and not empty")
    document = load_document(manifest.metadata_file)
    content = _renewed(upgrade_to_canonical(document, manifest.metadata_file).content)
    leaf = target / device_family(manifest.leaf.device) / manifest.leaf.dtype
    leaf.mkdir(parents=True, exist_ok=True)
    for name in graph_names(manifest):
        shutil.copy2(manifest.leaf.folder / name, leaf / name)
    (target / "metadata.json").write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
    written = read_artifact(target, device=device, dtype=manifest.leaf.dtype)
    if _comparable(written) != _comparable(manifest):
        raise AssertionError(f"{target}: describes another model than {path}; this is a defect")
    return written


def _refusal(manifest: Manifest, reasons: list[str]) -> UnsupportedFeatureError:
    family = device_family(manifest.leaf.device)
    command = recompile_command(manifest.metadata_file, family, manifest.leaf.dtype)
    version = manifest.schema_version
    listed = "".join(f"\n  {reason}" for reason in reasons)
    return UnsupportedFeatureError(
        f"{manifest.metadata_file}: schema {version} of {RELEASES[version]} cannot be rewritten as "
        f"schema {CANONICAL_VERSION}:{listed}\n"
        f"This package runs it as it is. For other tools, recompile: {command}"
    )


def _renewed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical dictionary without what only this package understands."""
    result = {key: value for key, value in content.items() if key not in ("device", "dtype")}
    result["segments"] = [_segment(segment) for segment in content["segments"]]
    solver = content.get("solver_config")
    if isinstance(solver, dict):
        tolerance = min(solver.get("substep_del_tol", NEVER), NEVER)
        result["solver_config"] = {**solver, "substep_del_tol": tolerance}
    return result


def _segment(segment: Mapping[str, Any]) -> dict[str, Any]:
    result = {key: value for key, value in segment.items() if key not in _CANONICAL_ONLY}
    if segment.get("kind") == "implicit":
        result["givens"] = [_given(given) for given in segment["givens"]]
        return result
    if segment.get("stacked_jacobian"):
        result["jacobian_pairs"] = [_only_pair(segment)]
        for key in ("inputs", "outputs"):
            result[key] = [{"name": entry["name"]} for entry in segment[key]]
    return result


def _given(given: Mapping[str, Any]) -> dict[str, Any]:
    """Without substeps no role has an effect, and the newest schema does not know this one."""
    if given.get("role") != Role.INCREMENTAL.value:
        return dict(given)
    return {**given, "role": Role.STATIC.value, "pair": None}


def _only_pair(segment: Mapping[str, Any]) -> dict[str, Any]:
    """One output by one input: the matrix of all pairs is the block of this one."""
    (output,), (given,) = segment["outputs"], segment["inputs"]
    return {
        "out_var": output["name"],
        "in_var": given["name"],
        "out_base_shape": output["base_shape"],
        "in_base_shape": given["base_shape"],
        "in_sub_batch_shape": [],
        "batch_independent": False,
    }


def _comparable(manifest: Manifest) -> Manifest:
    """Without what a rewriting changes: places, the version, and how the same is said."""
    return replace(
        manifest,
        schema_version=CANONICAL_VERSION,
        metadata_file=Path("metadata.json"),
        leaf=replace(manifest.leaf, folder=Path()),
        segments=tuple(_comparable_segment(segment) for segment in manifest.segments),
    )


def _comparable_segment(segment: ForwardSegment | ImplicitSegment) -> Any:
    if isinstance(segment, ForwardSegment):
        derivatives = segment.input_derivatives
        plain = None if derivatives is None else replace(derivatives, stacked=False)
        return replace(segment, stored_parameters=False, input_derivatives=plain)
    givens = tuple(
        replace(given, role=Role.STATIC, pair=None) if given.role is Role.INCREMENTAL else given
        for given in segment.givens
    )
    return replace(segment, givens=givens, newton=_comparable_newton(segment.newton))


def _comparable_newton(newton: NewtonSettings) -> NewtonSettings:
    return replace(newton, update_tolerance=min(newton.update_tolerance, NEVER))
