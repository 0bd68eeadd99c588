"""Manifest to the core's description of the same thing, field by field. No decisions are made."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from neml2_aoti_plugin import _core
from neml2_aoti_plugin.artifact import manifest as m

_Segment: TypeAlias = _core.ForwardSegment | _core.ImplicitSegment


def describe_model(manifest: m.Manifest) -> _core.ModelDescription:
    """The core's description of a leaf."""
    return _core.ModelDescription(
        label=str(manifest.metadata_file),
        device=manifest.leaf.device,
        dtype=manifest.leaf.dtype,
        inputs=[_variable(variable) for variable in manifest.inputs],
        outputs=[_variable(variable) for variable in manifest.outputs],
        parameters=[_parameter(parameter) for parameter in manifest.parameters],
        derivatives=manifest.derivatives,
        parameter_derivatives=manifest.parameter_derivatives,
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
        update_tolerance=settings.update_tolerance,
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


def _optional_path(folder: Path, graph: str | None) -> str | None:
    return None if graph is None else _path(folder, graph)


def _pairs(pairs: tuple[m.InputPair, ...]) -> list[_core.InputPair]:
    return [
        _core.InputPair(
            output=pair.output,
            input=pair.input,
            output_base_shape=pair.output_base_shape,
            input_base_shape=pair.input_base_shape,
            input_sub_batch_shape=pair.input_sub_batch_shape,
            batch_independent=pair.batch_independent,
            row_offset=pair.row_offset,
            column_offset=pair.column_offset,
        )
        for pair in pairs
    ]


def _parameter_pairs(pairs: tuple[m.ParameterPair, ...]) -> list[_core.ParameterPair]:
    return [
        _core.ParameterPair(
            output=pair.output,
            parameter=pair.parameter,
            output_base_shape=pair.output_base_shape,
            parameter_base_shape=pair.parameter_base_shape,
            row_offset=pair.row_offset,
            column_offset=pair.column_offset,
        )
        for pair in pairs
    ]


def _forward_segment(
    segment: m.ForwardSegment, folder: Path, whole_batch: bool
) -> _core.ForwardSegment:
    by_input = segment.input_derivatives
    by_parameter = segment.parameter_derivatives
    adjoint = segment.parameter_adjoint
    return _core.ForwardSegment(
        label=segment.label,
        value=_path(folder, segment.value),
        inputs=segment.inputs,
        outputs=segment.outputs,
        parameters=segment.parameters,
        input_derivatives=None
        if by_input is None
        else _core.InputDerivativeGraph(
            graph=_path(folder, by_input.graph),
            pairs=_pairs(by_input.pairs),
            stacked=by_input.stacked,
        ),
        parameter_derivatives=None
        if by_parameter is None
        else _core.ParameterDerivativeGraph(
            graph=_path(folder, by_parameter.graph), pairs=_parameter_pairs(by_parameter.pairs)
        ),
        parameter_adjoint=None
        if adjoint is None
        else _core.ParameterAdjointGraph(
            graph=_path(folder, adjoint.graph),
            parameters=adjoint.parameters,
            outputs=adjoint.outputs,
        ),
        stored_parameters=segment.stored_parameters,
        argument_order=segment.argument_order or (),
        whole_batch=whole_batch,
    )


def _implicit_segment(
    segment: m.ImplicitSegment, folder: Path, whole_batch: bool
) -> _core.ImplicitSegment:
    return _core.ImplicitSegment(
        label=segment.label,
        unknown_groups=[_group(group) for group in segment.unknown_groups],
        given_groups=[_group(group) for group in segment.given_groups],
        residual_groups=[_group(group) for group in segment.residual_groups],
        givens=[_given(given) for given in segment.givens],
        parameters=segment.parameters,
        residual=_path(folder, segment.residual),
        direction=_direction(segment.direction, folder),
        sensitivity=_sensitivity(segment.input_sensitivity, folder),
        parameter_sensitivity=_parameter_sensitivity(segment.parameter_sensitivity, folder),
        predictor=_predictor(segment.predictor, folder),
        initial_guess=_core.InitialGuess.__members__[segment.initial_guess.name],
        newton=describe_newton(segment.newton),
        max_substepping_level=segment.max_substepping_level,
        whole_batch=whole_batch,
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


def _given(given: m.Given) -> _core.Given:
    # The file's role 'unknown' says that nothing happens to the value either.
    name = m.Role.STATIC.name if given.role is m.Role.UNKNOWN else given.role.name
    return _core.Given(name=given.name, role=_core.Role.__members__[name], pair=given.pair or "")


def _direction(
    direction: m.FusedDirection | m.OperatorDirection | m.KrylovDirection, folder: Path
) -> _core.FusedDirection | _core.OperatorDirection | _core.KrylovDirection:
    if isinstance(direction, m.FusedDirection):
        return _core.FusedDirection(
            step=_path(folder, direction.step), returns_iterate=direction.returns_iterate
        )
    if isinstance(direction, m.OperatorDirection):
        return _core.OperatorDirection(
            jacobian=_path(folder, direction.jacobian), solve=_path(folder, direction.solve)
        )
    setup, apply = direction.preconditioner_setup, direction.preconditioner_apply
    return _core.KrylovDirection(
        matvec=_path(folder, direction.matvec),
        preconditioner=None
        if setup is None or apply is None
        else _core.Preconditioner(setup=_path(folder, setup), apply=_path(folder, apply)),
        settings=_krylov(direction.settings),
    )


def _krylov(settings: m.KrylovSettings) -> _core.KrylovSettings:
    return _core.KrylovSettings(
        method=_core.KrylovMethod.__members__[settings.method.name],
        restart=settings.restart,
        max_iterations=settings.max_iterations,
        absolute_tolerance=settings.absolute_tolerance,
        relative_tolerance=settings.relative_tolerance,
        cache=_core.PreconditionerCache.__members__[settings.cache_strategy.name],
        cache_max_iterations=settings.cache_max_iterations,
    )


def _sensitivity(
    sensitivity: m.FusedSensitivity | m.CellSensitivity | m.OperatorSensitivity | None, folder: Path
) -> _core.FusedSensitivity | _core.CellSensitivity | _core.OperatorSensitivity | None:
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
    return _core.OperatorSensitivity(
        jacobian=_path(folder, sensitivity.jacobian),
        jacobian_given=_path(folder, sensitivity.jacobian_given),
        solve=_optional_path(folder, sensitivity.solve),
        pairs=_pairs(sensitivity.pairs),
    )


def _parameter_sensitivity(
    sensitivity: m.FusedParameterSensitivity | m.OperatorParameterSensitivity | None, folder: Path
) -> _core.FusedParameterSensitivity | _core.OperatorParameterSensitivity | None:
    if sensitivity is None:
        return None
    if isinstance(sensitivity, m.FusedParameterSensitivity):
        return _core.FusedParameterSensitivity(
            graph=_path(folder, sensitivity.graph), pairs=_parameter_pairs(sensitivity.pairs)
        )
    return _core.OperatorParameterSensitivity(
        residual_jacobians=_path(folder, sensitivity.residual_jacobians),
        solve=_optional_path(folder, sensitivity.solve),
        pairs=_parameter_pairs(sensitivity.pairs),
    )


def _predictor(predictor: m.Predictor | None, folder: Path) -> _core.Predictor | None:
    if predictor is None:
        return None
    loop = predictor.feedback
    return _core.Predictor(
        graph=_path(folder, predictor.graph),
        inputs=predictor.inputs,
        outputs=predictor.outputs,
        feedback=None
        if loop is None
        else _core.PredictorFeedback(
            input=loop.input,
            output=loop.output,
            shape=(*loop.sub_batch_shape, *loop.base_shape),
            iterations=loop.iterations,
        ),
    )
