"""Manifest to the core's description of the same thing, field by field.

No decisions are made here, but one: what the core cannot run is refused, with what to do about it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from neml2_aoti_plugin import _core
from neml2_aoti_plugin.artifact import manifest as m
from neml2_aoti_plugin.errors import UnsupportedFeatureError

_Segment: TypeAlias = _core.ForwardSegment | _core.ImplicitSegment


def describe_model(manifest: m.Manifest) -> _core.ModelDescription:
    """The core's description of a leaf.

    Raises :class:`UnsupportedFeatureError` for a Krylov solve, adaptive substepping or a predictor
    loop.
    """
    return _core.ModelDescription(
        label=str(manifest.metadata_file),
        device=manifest.leaf.device,
        dtype=manifest.leaf.dtype,
        inputs=[_variable(variable) for variable in manifest.inputs],
        outputs=[_variable(variable) for variable in manifest.outputs],
        parameters=[_parameter(parameter) for parameter in manifest.parameters],
        derivatives=list(manifest.derivatives),
        segments=[
            _segment(segment, manifest.leaf.folder, manifest.fixed_batch is not None)
            for segment in manifest.segments
        ],
        fixed_batch=manifest.fixed_batch,
        argument_ranks={
            _path(manifest.leaf.folder, graph): ranks
            for graph, ranks in manifest.argument_ranks.items()
        },
    )


def describe_newton(settings: m.NewtonSettings) -> _core.NewtonSettings:
    return _core.NewtonSettings(
        absolute_tolerance=settings.absolute_tolerance,
        relative_tolerance=settings.relative_tolerance,
        max_iterations=settings.max_iterations,
        line_search=_core.LineSearch.__members__[settings.line_search.name],
        line_search_max_iterations=settings.line_search_max_iterations,
        line_search_cutback=settings.line_search_cutback,
        line_search_constant=settings.line_search_constant,
    )


def _variable(variable: m.Variable) -> _core.BoundaryVariable:
    return _core.BoundaryVariable(
        name=variable.name,
        public_name=variable.public_name,
        base_shape=variable.base_shape,
        sub_batch_shape=variable.sub_batch_shape,
    )


def _parameter(parameter: m.Parameter) -> _core.Parameter:
    return _core.Parameter(
        name=parameter.name,
        public_name=parameter.public_name,
        shape=parameter.shape,
        base_shape=parameter.base_shape,
        values=parameter.values,
        dtype=parameter.dtype,
    )


def _segment(
    segment: m.ForwardSegment | m.ImplicitSegment, folder: Path, whole_batch: bool
) -> _Segment:
    if isinstance(segment, m.ForwardSegment):
        return _forward_segment(segment, folder, whole_batch)
    return _implicit_segment(segment, folder, whole_batch)


def _path(folder: Path, graph: str) -> str:
    return str(folder / graph)


def _pairs(pairs: tuple[m.InputPair, ...]) -> list[_core.InputPair]:
    return [
        _core.InputPair(
            output=pair.output,
            input=pair.input,
            output_base_shape=pair.output_base_shape,
            input_base_shape=pair.input_base_shape,
            input_sub_batch_shape=pair.input_sub_batch_shape,
            batch_independent=pair.batch_independent,
        )
        for pair in pairs
    ]


def _forward_segment(
    segment: m.ForwardSegment, folder: Path, whole_batch: bool
) -> _core.ForwardSegment:
    derivatives = segment.input_derivatives
    return _core.ForwardSegment(
        label=segment.label,
        value=_path(folder, segment.value),
        inputs=segment.inputs,
        outputs=segment.outputs,
        parameters=segment.parameters,
        input_derivatives=None
        if derivatives is None
        else _core.InputDerivativeGraph(
            graph=_path(folder, derivatives.graph),
            pairs=_pairs(derivatives.pairs),
            stacked=derivatives.stacked,
        ),
        stored_parameters=segment.stored_parameters,
        argument_order=segment.argument_order or (),
        whole_batch=whole_batch,
    )


def _implicit_segment(
    segment: m.ImplicitSegment, folder: Path, whole_batch: bool
) -> _core.ImplicitSegment:
    _refuse_unsupported(segment)
    return _core.ImplicitSegment(
        label=segment.label,
        unknown_groups=[_group(group) for group in segment.unknown_groups],
        given_groups=[_group(group) for group in segment.given_groups],
        residual_groups=[_group(group) for group in segment.residual_groups],
        parameters=segment.parameters,
        residual=_path(folder, segment.residual),
        direction=_direction(segment, folder),
        sensitivity=_sensitivity(segment, folder),
        predictor=_predictor(segment, folder),
        initial_guess=_core.InitialGuess.__members__[segment.initial_guess.name],
        newton=describe_newton(segment.newton),
        whole_batch=whole_batch,
    )


def _refuse_unsupported(segment: m.ImplicitSegment) -> None:
    if isinstance(segment.direction, m.KrylovDirection):
        raise _unsupported(
            segment, "solves its linear systems with a Krylov method", "a direct linear solver"
        )
    if (
        isinstance(segment.input_sensitivity, m.OperatorSensitivity)
        and segment.input_sensitivity.krylov
    ):
        raise _unsupported(
            segment, "computes its derivatives with a Krylov method", "a direct sensitivity solver"
        )
    if segment.max_substepping_level > 0:
        raise _unsupported(segment, "uses adaptive substepping", "max_substepping_level = 0")
    if segment.predictor is not None and segment.predictor.feedback is not None:
        raise _unsupported(segment, "uses a predictor loop", "a single-pass predictor")


def _unsupported(segment: m.ImplicitSegment, found: str, instead: str) -> UnsupportedFeatureError:
    return UnsupportedFeatureError(
        f"segment '{segment.label}' {found}, which this version cannot run yet. "
        f"Recompile the model with {instead}, or run it with neml2's own runtime "
        "(NEML2_AOTI_PLUGIN=0)."
    )


def _group(group: m.Group) -> _core.Group:
    return _core.Group(
        structure=_core.Structure.__members__[group.structure.name],
        sub_batch_shape=group.sub_batch_shape,
        slots=[
            _core.Slot(
                name=slot.name, base_shape=slot.base_shape, sub_batch_shape=slot.sub_batch_shape
            )
            for slot in group.slots
        ],
    )


def _direction(
    segment: m.ImplicitSegment, folder: Path
) -> _core.FusedDirection | _core.OperatorDirection:
    direction = segment.direction
    if isinstance(direction, m.FusedDirection):
        return _core.FusedDirection(
            step=_path(folder, direction.step), returns_iterate=direction.returns_iterate
        )
    assert isinstance(direction, m.OperatorDirection), "refused before"
    return _core.OperatorDirection(
        jacobian=_path(folder, direction.jacobian), solve=_path(folder, direction.solve)
    )


def _sensitivity(
    segment: m.ImplicitSegment, folder: Path
) -> _core.FusedSensitivity | _core.OperatorSensitivity | _core.CellSensitivity | None:
    sensitivity = segment.input_sensitivity
    if sensitivity is None:
        return None
    if isinstance(sensitivity, m.CellSensitivity):
        return _core.CellSensitivity(
            graph=_path(folder, sensitivity.graph),
            cells=[
                _core.Cell(rows=_group(cell.rows), columns=_group(cell.columns))
                for cell in sensitivity.cells
            ],
        )
    if isinstance(sensitivity, m.FusedSensitivity):
        return _core.FusedSensitivity(
            graph=_path(folder, sensitivity.graph), pairs=_pairs(sensitivity.pairs)
        )
    assert sensitivity.solve is not None, "refused before"
    return _core.OperatorSensitivity(
        jacobian=_path(folder, sensitivity.jacobian),
        jacobian_given=_path(folder, sensitivity.jacobian_given),
        solve=_path(folder, sensitivity.solve),
        pairs=_pairs(sensitivity.pairs),
    )


def _predictor(segment: m.ImplicitSegment, folder: Path) -> _core.Predictor | None:
    predictor = segment.predictor
    if predictor is None:
        return None
    return _core.Predictor(
        graph=_path(folder, predictor.graph), inputs=predictor.inputs, outputs=predictor.outputs
    )
