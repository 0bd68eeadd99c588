"""Canonical dictionary to :class:`~neml2_aoti_plugin.artifact.manifest.Manifest`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from neml2_aoti_plugin.artifact.device import KNOWN_DTYPES, KNOWN_FAMILIES
from neml2_aoti_plugin.artifact.fields import Fields, Source, enumeration
from neml2_aoti_plugin.artifact.forward_segment import read_forward_segment
from neml2_aoti_plugin.artifact.implicit_segment import read_implicit_segment
from neml2_aoti_plugin.artifact.manifest import (
    ForwardSegment,
    ImplicitSegment,
    Leaf,
    Manifest,
)
from neml2_aoti_plugin.artifact.scope import Scope
from neml2_aoti_plugin.artifact.solver import read_forward_krylov_settings, read_newton_settings
from neml2_aoti_plugin.artifact.variables import read_parameters, read_variables
from neml2_aoti_plugin.artifact.version import CanonicalDocument


def canonical_fields(document: CanonicalDocument, file: Path) -> Fields:
    """The top level of a canonical dictionary that came from ``file``."""
    return Fields(document.content, Source(file=file, old_spelling=document.old_spelling))


def read_manifest(
    root: Fields, *, written_version: int, metadata_file: Path, leaf: Leaf
) -> Manifest:
    """Read every field and check all of them against one another; raises ArtifactError."""
    root.word("type", "composed")
    parameters = read_parameters(root)
    scope = Scope(
        parameters={parameter.name: parameter for parameter in parameters},
        newton=read_newton_settings(root),
        krylov=read_forward_krylov_settings(root),
    )
    inputs = read_variables(root, "inputs", scope)
    outputs = read_variables(root, "outputs", scope)
    if not outputs:
        raise root.error("outputs", "a list of at least one output: a model without any has no use")
    scope.provide(variable.name for variable in inputs)
    segments = tuple(_read_segment(fields, root, scope) for fields in root.objects("segments"))
    root.named_objects("outputs", scope.available, "the master inputs and what segments compute")
    output_names = {variable.name for variable in outputs}
    return Manifest(
        schema_version=written_version,
        metadata_file=metadata_file,
        leaf=leaf,
        inputs=inputs,
        outputs=outputs,
        parameters=parameters,
        derivatives=_read_derivatives(
            root, "derivatives", output_names, {variable.name for variable in inputs}
        ),
        parameter_derivatives=_read_derivatives(
            root, "parameter_derivatives", output_names, scope.parameters
        ),
        segments=segments,
    )


def _read_segment(fields: Fields, root: Fields, scope: Scope) -> ForwardSegment | ImplicitSegment:
    if fields.word("kind", "forward", "implicit") == "forward":
        return read_forward_segment(fields, scope)
    return read_implicit_segment(fields, root, scope)


def _read_derivatives(
    root: Fields, key: str, outputs: Collection[str], columns: Collection[str]
) -> tuple[tuple[str, str], ...]:
    pairs = root.name_pairs(key)
    for index, (output, column) in enumerate(pairs):
        if output not in outputs or column not in columns:
            kind = "an input" if key == "derivatives" else "a parameter"
            raise root.error(key, f"an output and {kind} of the model", indices=(index,))
    return pairs


def read_recorded_leaf(root: Fields) -> tuple[str, str]:
    """(device, dtype) that a file records which describes one leaf only."""
    device = root.text("device")
    family, colon, index = device.partition(":")
    if family not in KNOWN_FAMILIES or (colon and not (index.isascii() and index.isdigit())):
        raise root.error("device", f"one of {enumeration(KNOWN_FAMILIES)}")
    return device, root.word("dtype", *KNOWN_DTYPES)
