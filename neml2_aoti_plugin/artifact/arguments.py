"""Compares what the graphs take with what the metadata says, and learns what only graphs tell.

Graphs check nothing when they run: too few arguments, or other shapes than those they were traced
with, are read past their end. Where a package says what its graph takes (see ``signature``), a
graph that does not belong to the metadata is found here. Metadata does not record

- the batch that the graphs were traced with, where its size is not free;
- the order of arguments where parameters are promoted (written by neml2 3.0.0 to 3.0.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from neml2_aoti_plugin.artifact.groups import packed_shape
from neml2_aoti_plugin.artifact.manifest import (
    ForwardSegment,
    FusedDirection,
    ImplicitSegment,
    KrylovDirection,
    Manifest,
    OperatorParameterSensitivity,
    OperatorSensitivity,
    Parameter,
    Shape,
)
from neml2_aoti_plugin.artifact.package import PackageFacts
from neml2_aoti_plugin.artifact.signature import Extents, GraphArgument
from neml2_aoti_plugin.errors import ArtifactError

_DTYPE = "float64"
"""What the core hands to every graph."""

_FREE_BATCH: Extents = (None,)

_RECOMPILE = "Recompile the model."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    """One argument of a graph by the metadata."""

    what: str
    shape: Shape | None
    """Without the batch; ``None`` where the metadata does not tell."""
    is_batched: bool = True


def check_arguments(manifest: Manifest, packages: Mapping[str, PackageFacts]) -> Manifest:
    """Raise ArtifactError for a graph that the metadata does not describe; the manifest with the
    traced batch and the order of arguments filled in."""
    segments = tuple(
        _with_argument_order(segment, manifest, packages)
        if isinstance(segment, ForwardSegment)
        else segment
        for segment in manifest.segments
    )
    manifest = replace(manifest, segments=segments)
    batches: dict[Extents, str] = {}
    for graph, expected in _expected_arguments(manifest):
        package = packages[graph]
        if package.arguments is None:
            continue
        _check_count(package, len(expected))
        for index, (argument, wanted) in enumerate(zip(package.arguments, expected, strict=True)):
            batch = _check_argument(package, index, argument, wanted)
            if batch is not None:
                batches.setdefault(batch, graph)
    for graph, count in _expected_counts(manifest):
        _check_count(packages[graph], count)
    fixed_batch = _fixed_batch(manifest, batches)
    if fixed_batch is None or len(fixed_batch) == 1:
        return replace(manifest, fixed_batch=fixed_batch)
    ranks = {graph: _argument_ranks(package) for graph, package in packages.items()}
    return replace(manifest, fixed_batch=fixed_batch, argument_ranks=ranks)


# -- order of arguments --------------------------------------------------------------------------


def _with_argument_order(
    segment: ForwardSegment, manifest: Manifest, packages: Mapping[str, PackageFacts]
) -> ForwardSegment:
    if not segment.stored_parameters or not segment.parameters:
        return segment
    graphs = [segment.value]
    if segment.input_derivatives is not None:
        graphs.append(segment.input_derivatives.graph)
    orders = [_argument_order(segment, manifest, packages[graph]) for graph in graphs]
    if orders.count(orders[0]) != len(orders):
        raise ArtifactError(
            f"{packages[graphs[1]].file}: takes its arguments in another order than "
            f"'{graphs[0]}'; expected the same, as both were traced of one model. {_RECOMPILE}"
        )
    return replace(segment, argument_order=orders[0])


def _argument_order(
    segment: ForwardSegment, manifest: Manifest, package: PackageFacts
) -> tuple[int, ...]:
    """Inputs keep their order among themselves, and parameters theirs."""
    listed = (*segment.inputs, *segment.parameters)
    are_parameters = None
    if package.arguments is not None:
        _check_count(package, len(listed))
        are_parameters = _which_are_parameters(segment, manifest, package.arguments)
    if are_parameters is None:
        if len(manifest.segments) == 1:
            # A lone segment was traced as listed.
            return tuple(range(len(listed)))
        raise ArtifactError(
            f"{package.file}: parameters {', '.join(segment.parameters)} are promoted, and in "
            f"what order the graph takes them and {', '.join(segment.inputs)} is recorded neither "
            f"in '{manifest.metadata_file.name}' nor in the graph. Recompile the model with neml2 "
            "3.0.4 or later."
        )
    inputs = iter(range(len(segment.inputs)))
    parameters = iter(range(len(segment.inputs), len(listed)))
    return tuple(next(parameters if is_one else inputs) for is_one in are_parameters)


def _which_are_parameters(
    segment: ForwardSegment, manifest: Manifest, arguments: Sequence[GraphArgument]
) -> list[bool] | None:
    """By type: only inputs were traced as typed values, from 3.0.3 on. Else by rank: a parameter
    without axes is no value of a row."""
    untyped = [argument.type_name is None for argument in arguments]
    if untyped.count(True) == len(segment.parameters):
        return untyped
    stored = {parameter.name: parameter.shape for parameter in manifest.parameters}
    scalar = [argument.shape == () for argument in arguments]
    if all(stored[name] == () for name in segment.parameters) and (
        scalar.count(True) == len(segment.parameters)
    ):
        return scalar
    return None


# -- what the metadata says ----------------------------------------------------------------------


def _expected_arguments(manifest: Manifest) -> Iterator[tuple[str, tuple[_Expected, ...]]]:
    """Arguments of the graphs that take values of the model."""
    shapes = {
        variable.name: (*(variable.sub_batch_shape or ()), *variable.base_shape)
        for variable in manifest.inputs
    }
    parameters = {parameter.name: parameter for parameter in manifest.parameters}
    for segment in manifest.segments:
        if isinstance(segment, ForwardSegment):
            yield from _of_forward(segment, shapes, parameters)
            for name in segment.outputs:
                shapes.pop(name, None)
        else:
            yield from _of_implicit(segment, shapes, parameters)
            shapes |= {
                slot.name: (*slot.sub_batch_shape, *slot.base_shape) for slot in segment.unknowns
            }


def _of_forward(
    segment: ForwardSegment, shapes: Mapping[str, Shape], parameters: Mapping[str, Parameter]
) -> Iterator[tuple[str, tuple[_Expected, ...]]]:
    listed = (
        *_variables(segment.inputs, shapes),
        *(
            _stored(parameters[name]) if segment.stored_parameters else _per_row(parameters[name])
            for name in segment.parameters
        ),
    )
    order = segment.argument_order or range(len(listed))
    arguments = tuple(listed[position] for position in order)
    yield segment.value, arguments
    for derivative in (segment.input_derivatives, segment.parameter_derivatives):
        if derivative is not None:
            yield derivative.graph, arguments
    if segment.parameter_adjoint is not None:
        cotangents = (
            _Expected(what=f"the cotangent of '{name}'", shape=None)
            for name in segment.parameter_adjoint.outputs
        )
        yield segment.parameter_adjoint.graph, (*arguments, *cotangents)


def _of_implicit(
    segment: ImplicitSegment, shapes: Mapping[str, Shape], parameters: Mapping[str, Parameter]
) -> Iterator[tuple[str, tuple[_Expected, ...]]]:
    if segment.predictor is not None:
        known = dict(shapes)
        if segment.predictor.feedback is not None:
            feedback = segment.predictor.feedback
            known[feedback.input] = (*feedback.sub_batch_shape, *feedback.base_shape)
        yield segment.predictor.graph, tuple(_variables(segment.predictor.inputs, known))
    values = tuple(
        _Expected(what=f"the {kind} {', '.join(slot.name for slot in group.slots)}", shape=shape)
        for kind, groups in (
            ("unknowns", segment.unknown_groups),
            ("givens", segment.given_groups),
        )
        for group in groups
        for shape in [packed_shape(group)]
    )
    stored = (*values, *(_stored(parameters[name]) for name in segment.parameters))
    per_row = (*values, *(_per_row(parameters[name]) for name in segment.parameters))
    for graph in _graphs_of_values(segment):
        yield graph, stored
    if isinstance(segment.parameter_sensitivity, OperatorParameterSensitivity):
        yield segment.parameter_sensitivity.residual_jacobians, per_row
    elif segment.parameter_sensitivity is not None:
        yield segment.parameter_sensitivity.graph, per_row


def _graphs_of_values(segment: ImplicitSegment) -> Iterator[str]:
    """Graphs that take unknowns, givens and parameters."""
    yield segment.residual
    direction = segment.direction
    if isinstance(direction, FusedDirection):
        yield direction.step
    elif not isinstance(direction, KrylovDirection):
        yield direction.jacobian
    sensitivity = segment.input_sensitivity
    if isinstance(sensitivity, OperatorSensitivity):
        yield sensitivity.jacobian
        yield sensitivity.jacobian_given
    elif sensitivity is not None:
        yield sensitivity.graph


def _expected_counts(manifest: Manifest) -> Iterator[tuple[str, int]]:
    """Numbers of arguments of the graphs that take what other graphs return."""
    for segment in manifest.segments:
        if isinstance(segment, ForwardSegment):
            continue
        unknowns, givens = len(segment.unknown_groups), len(segment.given_groups)
        direction, sensitivity = segment.direction, segment.input_sensitivity
        if isinstance(direction, KrylovDirection):
            yield direction.matvec, 2 * unknowns + givens + len(segment.parameters)
        elif not isinstance(direction, FusedDirection):
            yield direction.solve, unknowns * unknowns + unknowns
        if isinstance(sensitivity, OperatorSensitivity) and sensitivity.solve is not None:
            yield sensitivity.solve, unknowns * unknowns + unknowns * givens
        parameter_sensitivity = segment.parameter_sensitivity
        if (
            isinstance(parameter_sensitivity, OperatorParameterSensitivity)
            and parameter_sensitivity.solve is not None
        ):
            yield parameter_sensitivity.solve, 2


def _variables(names: Sequence[str], shapes: Mapping[str, Shape]) -> Iterator[_Expected]:
    for name in names:
        yield _Expected(what=f"'{name}'", shape=shapes.get(name))


def _stored(parameter: Parameter) -> _Expected:
    known = parameter.shape == parameter.base_shape
    return _Expected(
        what=f"parameter '{parameter.name}'",
        shape=parameter.shape if known else None,
        is_batched=False,
    )


def _per_row(parameter: Parameter) -> _Expected:
    known = parameter.shape == parameter.base_shape
    return _Expected(
        what=f"parameter '{parameter.name}'", shape=parameter.base_shape if known else None
    )


# -- comparison ----------------------------------------------------------------------------------


def _check_count(package: PackageFacts, expected: int) -> None:
    if package.arguments is not None and len(package.arguments) != expected:
        raise _other_compilation(
            package, f"takes {len(package.arguments)} arguments; expected {expected}"
        )


def _check_argument(
    package: PackageFacts, index: int, argument: GraphArgument, expected: _Expected
) -> Extents | None:
    """The batch that the argument was traced with, where it tells."""
    where = f"takes argument {index}, {expected.what},"
    if argument.dtype != _DTYPE:
        raise ArtifactError(
            f"{package.file}: {where} in {argument.dtype}; expected {_DTYPE}, which every release "
            f"of neml2 compiles to. {_RECOMPILE}"
        )
    if expected.shape is None:
        return None
    batch_rank = len(argument.shape) - len(expected.shape)
    fits = batch_rank >= 0 and argument.shape[batch_rank:] == expected.shape
    if not fits or (batch_rank > 0 and not expected.is_batched):
        found = ", ".join("*" if extent is None else str(extent) for extent in argument.shape)
        wanted = ", ".join(["batch"] * expected.is_batched + list(map(str, expected.shape)))
        raise _other_compilation(package, f"{where} as ({found}); expected ({wanted})")
    return argument.shape[:batch_rank] if expected.is_batched else None


def _other_compilation(package: PackageFacts, difference: str) -> ArtifactError:
    return ArtifactError(
        f"{package.file}: {difference} by the metadata. The graph and the metadata are of "
        "different compilations, as when another leaf was compiled later with other options. "
        "Recompile this leaf."
    )


def _argument_ranks(package: PackageFacts) -> tuple[int, ...]:
    if package.arguments is None:
        raise ArtifactError(
            f"{package.file}: does not tell the shapes of its arguments, while other graphs were "
            "traced with several batch axes. Recompile the model with an --example-batch-shape of "
            "one axis."
        )
    return tuple(len(argument.shape) for argument in package.arguments)


def _fixed_batch(manifest: Manifest, batches: Mapping[Extents, str]) -> Extents | None:
    if len(batches) > 1:
        (first, graph), (second, other) = list(batches.items())[:2]
        raise ArtifactError(
            f"{manifest.leaf.folder}: '{graph}' was traced with a batch of shape {first}, "
            f"'{other}' with {second}; expected the same (None is free). {_RECOMPILE}"
        )
    batch = next(iter(batches), _FREE_BATCH)
    return None if batch == _FREE_BATCH else batch
