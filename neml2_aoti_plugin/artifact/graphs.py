"""The graph files that a manifest names, and whether the leaf has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from neml2_aoti_plugin.artifact.fields import enumeration
from neml2_aoti_plugin.artifact.manifest import (
    ForwardSegment,
    FusedDirection,
    ImplicitSegment,
    KrylovDirection,
    Leaf,
    Manifest,
    OperatorDirection,
    OperatorParameterSensitivity,
    OperatorSensitivity,
)
from neml2_aoti_plugin.errors import ArtifactError


def graph_names(manifest: Manifest) -> tuple[str, ...]:
    """Names of all graph files, each once, in the order of the segments."""
    names = (name for segment in manifest.segments for name in segment_graphs(segment))
    return tuple(dict.fromkeys(names))


def segment_graphs(segment: ForwardSegment | ImplicitSegment) -> tuple[str, ...]:
    """Names of the graph files of one segment, each once."""
    graphs = (
        _forward_graphs(segment)
        if isinstance(segment, ForwardSegment)
        else _implicit_graphs(segment)
    )
    return tuple(dict.fromkeys(name for name in graphs if name is not None))


def _forward_graphs(segment: ForwardSegment) -> Iterator[str | None]:
    yield segment.value
    for derivative in (
        segment.input_derivatives,
        segment.parameter_derivatives,
        segment.parameter_adjoint,
    ):
        if derivative is not None:
            yield derivative.graph


def _implicit_graphs(segment: ImplicitSegment) -> Iterator[str | None]:
    yield segment.residual
    yield from _direction_graphs(segment.direction)
    if isinstance(segment.input_sensitivity, OperatorSensitivity):
        yield segment.input_sensitivity.jacobian
        yield segment.input_sensitivity.jacobian_given
        yield segment.input_sensitivity.solve
    elif segment.input_sensitivity is not None:
        yield segment.input_sensitivity.graph
    if isinstance(segment.parameter_sensitivity, OperatorParameterSensitivity):
        yield segment.parameter_sensitivity.residual_jacobians
        yield segment.parameter_sensitivity.solve
    elif segment.parameter_sensitivity is not None:
        yield segment.parameter_sensitivity.graph
    if segment.predictor is not None:
        yield segment.predictor.graph


def _direction_graphs(
    direction: FusedDirection | OperatorDirection | KrylovDirection,
) -> Iterator[str | None]:
    if isinstance(direction, FusedDirection):
        yield direction.step
    elif isinstance(direction, OperatorDirection):
        yield direction.jacobian
        yield direction.solve
    else:
        yield direction.matvec
        yield direction.preconditioner_setup
        yield direction.preconditioner_apply


def check_graph_files(manifest: Manifest) -> None:
    """Every graph is a regular file that lies inside the artifact; nothing is opened."""
    names = graph_names(manifest)
    missing = [name for name in names if not (manifest.leaf.folder / name).is_file()]
    if missing:
        raise _missing_graphs(manifest, missing, len(names))
    inside = manifest.metadata_file.parent.resolve()
    folder = manifest.leaf.folder.resolve()
    for name in names:
        target = folder / name
        if target.is_symlink():
            target = target.resolve()
        if not target.is_relative_to(inside):
            raise ArtifactError(
                f"{manifest.leaf.folder / name}: leads to '{target}' outside the artifact; "
                f"expected a file in '{inside}'. Put the graph itself there."
            )


def _missing_graphs(manifest: Manifest, missing: list[str], total: int) -> ArtifactError:
    """A folder or a dangling link under the right name is as good as nothing."""
    leaf: Leaf = manifest.leaf
    return ArtifactError(
        f"{leaf.folder}: {len(missing)} of {total} graphs are no files: {enumeration(missing)}; "
        f"expected all that '{_relative(manifest.metadata_file, leaf.folder)}' names. Recompile "
        "this leaf: it is incomplete, or older than the metadata and compiled with other options."
    )


def _relative(file: Path, folder: Path) -> str:
    return file.name if file.parent == folder else str(file)
