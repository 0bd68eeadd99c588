"""What holds for every manifest that the reader lets through, whatever the file was."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from neml2_aoti_plugin.artifact import read_metadata
from neml2_aoti_plugin.artifact.fields import MAX_ELEMENTS
from neml2_aoti_plugin.artifact.graphs import graph_names
from neml2_aoti_plugin.artifact.manifest import (
    CellSensitivity,
    ForwardSegment,
    Group,
    ImplicitSegment,
    InputPair,
    Manifest,
    ParameterPair,
    Role,
    Shape,
)
from neml2_aoti_plugin.errors import ArtifactError

LONGEST_MESSAGE = 6000
"""Characters beside the path of the file: what a file holds cannot flood a terminal or a log."""


class Escape(AssertionError):
    """The reader let something through, or said no in a way that it must not."""


def prepare_folder(root: Path) -> Path:
    """A folder for metadata with a leaf in it; where the metadata go."""
    (root / "cpu" / "float64").mkdir(parents=True)
    return root / "metadata.json"


def read(content: bytes, file: Path) -> Manifest | ArtifactError:
    """The sound manifest that ``content`` describes, or its refusal.

    Raises Escape for a manifest that is not sound and for a refusal that does not name the file,
    and whatever else the reader raises.
    """
    file.write_bytes(content)
    try:
        manifest = read_metadata(file, device="cpu")
    except ArtifactError as refusal:
        message = str(refusal)
        _demand(str(file) in message, f"the refusal does not name the file: {message[:300]}")
        excess = len(message) - message.count(str(file)) * len(str(file))
        _demand(excess <= LONGEST_MESSAGE, f"a refusal of {len(message)} characters")
        _demand(all(_is_shown(letter) for letter in message), f"control characters: {message!r}")
        return refusal
    check_manifest(manifest)
    return manifest


def _is_shown(letter: str) -> bool:
    return letter.isprintable() or letter == "\n"


def check_manifest(manifest: Manifest) -> None:
    """Raise Escape unless names are known where they are used and all extents fit."""
    _check_boundary(manifest)
    available = {variable.name for variable in manifest.inputs}
    parameters = {parameter.name for parameter in manifest.parameters}
    for segment in manifest.segments:
        if isinstance(segment, ForwardSegment):
            _check_forward(segment, available, parameters)
            available |= set(segment.outputs)
        else:
            if segment.predictor is not None:
                available |= set(segment.predictor.outputs)
            _check_implicit(segment, available, parameters)
            available |= {slot.name for slot in segment.unknowns}
    _demand(
        all(variable.name in available for variable in manifest.outputs), "an output of nothing"
    )
    for name in graph_names(manifest):
        _check_graph_name(name)


def _check_boundary(manifest: Manifest) -> None:
    for entries in (manifest.inputs, manifest.outputs, manifest.parameters):
        _demand(_is_distinct([entry.name for entry in entries]), "a name twice")
        _demand(_is_distinct([entry.public_name for entry in entries]), "a public name twice")
    _demand(bool(manifest.outputs), "no outputs")
    for variable in (*manifest.inputs, *manifest.outputs):
        _check_extents((*(variable.sub_batch_shape or ()), *variable.base_shape))
    for parameter in manifest.parameters:
        _check_extents(parameter.shape)
        _demand(len(parameter.values) == math.prod(parameter.shape), "values of another shape")
        base = parameter.shape[len(parameter.shape) - len(parameter.base_shape) :]
        _demand(base == parameter.base_shape, "a base shape that is no part of the shape")
    outputs = {variable.name for variable in manifest.outputs}
    for pairs, columns in (
        (manifest.derivatives, {variable.name for variable in manifest.inputs}),
        (manifest.parameter_derivatives, {parameter.name for parameter in manifest.parameters}),
    ):
        for output, column in pairs:
            _demand(output in outputs and column in columns, "a derivative of nothing")


def _check_forward(segment: ForwardSegment, available: set[str], parameters: set[str]) -> None:
    _demand(set(segment.inputs) <= available, "an input that nothing computes")
    _demand(set(segment.parameters) <= parameters, "a parameter that is none")
    if segment.input_derivatives is not None:
        for pair in segment.input_derivatives.pairs:
            _demand(pair.output in segment.outputs, "a pair of another output")
            _demand(pair.input in segment.inputs, "a pair of another input")
    if segment.parameter_derivatives is not None:
        for parameter_pair in segment.parameter_derivatives.pairs:
            _demand(parameter_pair.output in segment.outputs, "a pair of another output")
            _demand(parameter_pair.parameter in segment.parameters, "a pair of another parameter")


def _check_implicit(segment: ImplicitSegment, available: set[str], parameters: set[str]) -> None:
    _demand({given.name for given in segment.givens} <= available, "a given that nothing computes")
    _demand(set(segment.parameters) <= parameters, "a parameter that is none")
    _check_groups(segment)
    rows = sum(map(_size, segment.unknown_groups))
    for pair in _pairs(segment):
        _demand(pair.output in {slot.name for slot in segment.unknowns}, "a pair of no unknown")
        _demand(
            pair.row_offset + math.prod(pair.output_base_shape) <= rows, "a block beyond its rows"
        )
    newton = segment.newton
    for number in (newton.absolute_tolerance, newton.relative_tolerance):
        _demand(0 <= number < math.inf, "a tolerance that is none")
    _demand(newton.line_search_cutback > 0, "a cutback that is none")
    _demand(segment.max_substepping_level >= 0, "a negative number of substeps")


def _check_groups(segment: ImplicitSegment) -> None:
    packed = {given.name for given in segment.givens if given.role is not Role.OLD_FORCE}
    for groups, names in (
        (segment.unknown_groups, {slot.name for slot in segment.unknowns}),
        (segment.given_groups, packed),
    ):
        grouped = [slot.name for group in groups for slot in group.slots]
        _demand(_is_distinct(grouped), "a variable in two groups")
        _demand(names <= set(grouped), "a variable in no group")
    layouts = [
        [(group.structure, group.sub_batch_shape, _size(group)) for group in groups]
        for groups in (segment.unknown_groups, segment.residual_groups)
    ]
    _demand(layouts[0] == layouts[1], "residuals that are laid out unlike the unknowns")
    for group in (*segment.unknown_groups, *segment.given_groups, *segment.residual_groups):
        for slot in group.slots:
            _check_extents((*slot.sub_batch_shape, *slot.base_shape))
    sensitivity = segment.input_sensitivity
    if isinstance(sensitivity, CellSensitivity):
        expected = len(segment.unknown_groups) * len(segment.given_groups)
        _demand(len(sensitivity.cells) == expected, "cells that are not those of the groups")


def _pairs(segment: ImplicitSegment) -> Iterator[InputPair | ParameterPair]:
    for sensitivity in (segment.input_sensitivity, segment.parameter_sensitivity):
        if sensitivity is not None and not isinstance(sensitivity, CellSensitivity):
            yield from sensitivity.pairs


def _size(group: Group) -> int:
    return sum(math.prod(slot.sub_batch_shape) * math.prod(slot.base_shape) for slot in group.slots)


def _check_extents(shape: Shape) -> None:
    # Zero hides what products of some of the extents would be.
    elements = math.prod(extent or 1 for extent in shape)
    _demand(elements <= MAX_ELEMENTS, f"a shape of {len(shape)} axes that no product can hold")


def _check_graph_name(name: str) -> None:
    is_bare = PurePosixPath(name).name == name and PureWindowsPath(name).name == name
    _demand(is_bare and name not in (".", "..") and "\0" not in name, f"a graph named {name!r}")


def _is_distinct(names: list[str]) -> bool:
    return len(set(names)) == len(names)


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise Escape(what)
