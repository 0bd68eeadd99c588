"""Reads an implicit segment, whose solves are fused graphs or operator and solve graphs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from neml2_aoti_plugin.artifact.fields import Fields, enumeration
from neml2_aoti_plugin.artifact.forward_segment import AVAILABLE
from neml2_aoti_plugin.artifact.groups import (
    check_all_grouped,
    check_partners,
    group_size,
    read_groups,
    read_slot,
)
from neml2_aoti_plugin.artifact.manifest import (
    Cell,
    CellSensitivity,
    FusedDirection,
    FusedParameterSensitivity,
    FusedSensitivity,
    Given,
    Group,
    ImplicitSegment,
    InitialGuess,
    KrylovDirection,
    OperatorDirection,
    OperatorParameterSensitivity,
    OperatorSensitivity,
    Predictor,
    PredictorFeedback,
    Role,
    Slot,
    Structure,
)
from neml2_aoti_plugin.artifact.pairs import PairSides, read_input_pairs, read_parameter_pairs
from neml2_aoti_plugin.artifact.scope import BaseShapes, Scope
from neml2_aoti_plugin.artifact.solver import (
    read_segment_newton_settings,
    read_sensitivity_krylov_settings,
)

_RESIDUAL_SUFFIXES = ("_residual", "_rhs")

_PAIRED_ROLES = (Role.OLD_STATE, Role.CUR_FORCE, Role.OLD_FORCE)


def read_implicit_segment(fields: Fields, root: Fields, scope: Scope) -> ImplicitSegment:
    newton = read_segment_newton_settings(fields) or scope.newton
    if newton is None:
        raise root.error("solver_config", "the settings of the implicit segments")
    residual = fields.graph("residual_package")
    # The predictor runs before anything is packed, so its outputs may serve as givens.
    predictor = _read_predictor(fields, scope)
    unknowns = _read_slots(fields, "unknowns", scope.base_shapes)
    givens = _read_givens(fields, scope, unknowns)
    unknown_groups, given_groups, residual_groups = _read_all_groups(
        fields, scope, unknowns, givens
    )
    parameters = fields.names("param_inputs", scope.parameters, "the promoted parameters")
    fields.names("incremental_variables", givens, "the givens of the segment")
    sides = _input_sides(unknowns, unknown_groups, given_groups)
    parameter_sides = _parameter_sides(scope, unknowns, unknown_groups, parameters)
    segment = ImplicitSegment(
        label=_label(residual),
        unknowns=tuple(unknowns.values()),
        givens=tuple(givens.values()),
        unknown_groups=unknown_groups,
        given_groups=given_groups,
        residual_groups=residual_groups,
        parameters=parameters,
        residual=residual,
        direction=_read_direction(fields, root, scope),
        input_sensitivity=_read_input_sensitivity(
            fields, scope, sides, unknown_groups, given_groups
        ),
        parameter_sensitivity=_read_parameter_sensitivity(fields, parameter_sides),
        predictor=predictor,
        initial_guess=(
            fields.choice("initial_guess", InitialGuess)
            if fields.has("initial_guess")
            else InitialGuess.STATE
        ),
        newton=newton,
        max_substepping_level=fields.integer("max_substepping_level"),
    )
    scope.provide(unknowns)
    return segment


# -- variables and groups ------------------------------------------------------------------------


def _read_slots(fields: Fields, key: str, shapes: BaseShapes) -> dict[str, Slot]:
    slots = (read_slot(entry, shapes) for entry in fields.named_objects(key))
    return {slot.name: slot for slot in slots}


def _read_givens(fields: Fields, scope: Scope, unknowns: Mapping[str, Slot]) -> dict[str, Given]:
    entries = fields.named_objects("givens", scope.available, AVAILABLE)
    names = {entry.text("name") for entry in entries}
    givens = (_read_given(entry, scope, unknowns, names) for entry in entries)
    return {given.name: given for given in givens}


def _read_given(
    fields: Fields, scope: Scope, unknowns: Mapping[str, Slot], givens: set[str]
) -> Given:
    slot = read_slot(fields, scope.base_shapes)
    role = fields.choice("role", Role)
    pair = fields.optional_text("pair")
    if role not in _PAIRED_ROLES and pair is not None:
        raise fields.error("pair", f"null, as role is {role.value}")
    if role is Role.OLD_STATE and pair not in unknowns:
        raise fields.error("pair", "an unknown of the segment, as role is old_state")
    if role in (Role.CUR_FORCE, Role.OLD_FORCE) and pair not in givens:
        raise fields.error("pair", f"another given of the segment, as role is {role.value}")
    return Given(
        name=slot.name,
        base_shape=slot.base_shape,
        sub_batch_shape=slot.sub_batch_shape,
        role=role,
        pair=pair,
    )


def _read_all_groups(
    fields: Fields, scope: Scope, unknowns: Mapping[str, Slot], givens: Mapping[str, Given]
) -> tuple[tuple[Group, ...], tuple[Group, ...], tuple[Group, ...]]:
    # Residuals are named apart from variables, anew in each segment.
    residual_shapes = BaseShapes()
    residuals = _read_slots(fields, "residuals", residual_shapes)
    given_slots = {name: _as_slot(given) for name, given in givens.items()}
    unknown_groups = read_groups(fields, "unknown_group_infos", unknowns, scope.base_shapes)
    given_groups = read_groups(fields, "given_group_infos", given_slots, scope.base_shapes)
    residual_groups = read_groups(fields, "residual_group_infos", residuals, residual_shapes)
    check_all_grouped(fields, "unknown_group_infos", unknown_groups, list(unknowns))
    check_all_grouped(fields, "residual_group_infos", residual_groups, list(residuals))
    # A force that is ramped without a history of its own gets a phantom old value, which the
    # substeps need and no graph takes.
    packed = [name for name, given in givens.items() if given.role is not Role.OLD_FORCE]
    check_all_grouped(fields, "given_group_infos", given_groups, packed)
    check_partners(fields, residual_groups, unknown_groups)
    return unknown_groups, given_groups, residual_groups


def _as_slot(given: Given) -> Slot:
    return Slot(name=given.name, base_shape=given.base_shape, sub_batch_shape=given.sub_batch_shape)


def _label(residual: str) -> str:
    stem = PurePath(residual).stem
    for suffix in _RESIDUAL_SUFFIXES:
        if stem != suffix and stem.endswith(suffix):
            return stem.removesuffix(suffix)
    return stem


# -- Newton direction ----------------------------------------------------------------------------


def _read_direction(
    fields: Fields, root: Fields, scope: Scope
) -> FusedDirection | OperatorDirection | KrylovDirection:
    if _is_fused(fields):
        return FusedDirection(
            step=fields.graph("step_package"),
            returns_iterate=fields.boolean("step_returns_iterate", default=False),
        )
    # The kind of solve is recorded for the whole model, but which graphs there are by segment.
    direct = scope.krylov is None or fields.has("solve_package")
    if direct and not fields.has("matvec_package"):
        return OperatorDirection(
            jacobian=fields.graph("jacobian_package"), solve=fields.graph("solve_package")
        )
    if scope.krylov is None:
        raise root.object("solver_config").error(
            "solver_kind", f"'krylov', as {fields.where('matvec_package')} is given"
        )
    preconditioned = fields.has("precond_setup_package", "precond_apply_package")
    return KrylovDirection(
        matvec=fields.graph("matvec_package"),
        preconditioner_setup=fields.graph("precond_setup_package") if preconditioned else None,
        preconditioner_apply=fields.graph("precond_apply_package") if preconditioned else None,
        settings=scope.krylov,
    )


def _is_fused(fields: Fields) -> bool:
    return fields.boolean("fused_solve", default=False)


# -- sensitivities -------------------------------------------------------------------------------


def _input_sides(
    unknowns: Mapping[str, Slot], unknown_groups: Sequence[Group], given_groups: Sequence[Group]
) -> PairSides:
    return PairSides(
        outputs={name: slot.base_shape for name, slot in unknowns.items()},
        columns={slot.name: slot.base_shape for group in given_groups for slot in group.slots},
        row_total=sum(map(group_size, unknown_groups)),
        column_total=sum(map(group_size, given_groups)),
    )


def _parameter_sides(
    scope: Scope,
    unknowns: Mapping[str, Slot],
    unknown_groups: Sequence[Group],
    parameters: Sequence[str],
) -> PairSides:
    # Here, unlike in forward segments, a pair records the shape of the stored value.
    shapes = {name: scope.parameters[name].shape for name in parameters}
    return PairSides(
        outputs={name: slot.base_shape for name, slot in unknowns.items()},
        columns=shapes,
        row_total=sum(map(group_size, unknown_groups)),
        column_total=sum(math.prod(shape) for shape in shapes.values()),
    )


def _read_input_sensitivity(
    fields: Fields,
    scope: Scope,
    sides: PairSides,
    unknown_groups: Sequence[Group],
    given_groups: Sequence[Group],
) -> FusedSensitivity | CellSensitivity | OperatorSensitivity | None:
    if fields.boolean("cell_sensitivity", default=False):
        return CellSensitivity(
            graph=fields.graph("ift_package"),
            cells=_read_cells(fields, scope, unknown_groups, given_groups),
        )
    if _is_fused(fields):
        if not fields.has("ift_package", "jacobian_pairs"):
            return None
        return FusedSensitivity(
            graph=fields.graph("ift_package"), pairs=read_input_pairs(fields, sides)
        )
    if not fields.has(
        "jacobian_given_package", "solve_ift_package", "input_sensitivity", "jacobian_pairs"
    ):
        return None
    krylov = read_sensitivity_krylov_settings(fields, "input_sensitivity")
    return OperatorSensitivity(
        jacobian=fields.graph("jacobian_package"),
        jacobian_given=fields.graph("jacobian_given_package"),
        solve=fields.graph("solve_ift_package") if krylov is None else None,
        krylov=krylov,
        pairs=read_input_pairs(fields, sides),
    )


def _read_cells(
    fields: Fields, scope: Scope, unknown_groups: Sequence[Group], given_groups: Sequence[Group]
) -> tuple[Cell, ...]:
    """Every pair of groups, unknowns slow and givens fast: the only order that was ever written."""
    expected = [
        (row, column) for row in range(len(unknown_groups)) for column in range(len(given_groups))
    ]
    entries = fields.objects("ift_cells")
    if len(entries) != len(expected):
        raise fields.error("ift_cells", f"a list of length {len(expected)}, one per pair of groups")
    cells = []
    for entry, (row, column) in zip(entries, expected, strict=True):
        _check_cell_side(entry, "row", row, unknown_groups, scope.base_shapes)
        _check_cell_side(entry, "col", column, given_groups, scope.base_shapes)
        cell = Cell(rows=unknown_groups[row], columns=given_groups[column])
        if entry.shape("sub_batch_shape") != cell.site_shape:
            raise entry.error("sub_batch_shape", f"{list(cell.site_shape)}, that of the groups")
        cells.append(cell)
    return tuple(cells)


def _check_cell_side(
    fields: Fields, side: str, index: int, groups: Sequence[Group], shapes: BaseShapes
) -> None:
    """What a cell says of its groups is what the segment says of them."""
    if fields.integer(f"{side}_group_idx") != index:
        raise fields.error(f"{side}_group_idx", f"{index}, by the order of the groups")
    structure = groups[index].structure
    if fields.choice(f"{side}_structure", Structure) is not structure:
        raise fields.error(f"{side}_structure", f"{structure.value}, that of the group")
    entries = fields.named_objects(f"{side}_vars")
    if tuple(read_slot(entry, shapes) for entry in entries) != groups[index].slots:
        names = enumeration(slot.name for slot in groups[index].slots)
        raise fields.error(f"{side}_vars", f"the variables of the group: {names}")


def _read_parameter_sensitivity(
    fields: Fields, sides: PairSides
) -> FusedParameterSensitivity | OperatorParameterSensitivity | None:
    if _is_fused(fields):
        if not fields.has("param_ift_package", "param_jacobian_pairs"):
            return None
        return FusedParameterSensitivity(
            graph=fields.graph("param_ift_package"), pairs=read_parameter_pairs(fields, sides)
        )
    if not fields.has(
        "dr_dparam_package", "solve_param_package", "param_sensitivity", "param_jacobian_pairs"
    ):
        return None
    krylov = read_sensitivity_krylov_settings(fields, "param_sensitivity")
    return OperatorParameterSensitivity(
        residual_jacobians=fields.graph("dr_dparam_package"),
        solve=fields.graph("solve_param_package") if krylov is None else None,
        krylov=krylov,
        pairs=read_parameter_pairs(fields, sides),
    )


# -- predictor -----------------------------------------------------------------------------------


def _read_predictor(fields: Fields, scope: Scope) -> Predictor | None:
    if not fields.has(
        "predictor_package", "predictor_inputs", "predictor_outputs", "predictor_feedback"
    ):
        return None
    feedback = _read_feedback(fields, scope)
    # The loop itself sets the value that is fed back.
    known = scope.available if feedback is None else {**scope.available, feedback.input: None}
    predictor = Predictor(
        graph=fields.graph("predictor_package"),
        inputs=fields.object_names("predictor_inputs", known, AVAILABLE),
        outputs=fields.object_names("predictor_outputs"),
        feedback=feedback,
    )
    if feedback is not None:
        loop = fields.object("predictor_feedback")
        loop.name_among("input", predictor.inputs, "predictor_inputs")
        loop.name_among("output", predictor.outputs, "predictor_outputs")
    scope.provide(predictor.outputs)
    return predictor


def _read_feedback(fields: Fields, scope: Scope) -> PredictorFeedback | None:
    loop = fields.optional_object("predictor_feedback")
    if loop is None:
        return None
    return PredictorFeedback(
        input=loop.text("input"),
        output=loop.text("output"),
        sub_batch_shape=loop.shape("sub_batch_shape"),
        base_shape=scope.base_shapes.read(loop, loop.text("output")),
        iterations=loop.integer("iterations", minimum=1),
    )
