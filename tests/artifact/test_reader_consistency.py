"""One contradiction per case, and the whole message."""

from __future__ import annotations

from typing import Any

import pytest
from made_up_artifacts import FILE, changed, golden, read

from neml2_aoti_plugin.errors import ArtifactError

SEGMENT = ("segments", 0)

Change = tuple[tuple[str | int, ...], Any]

CASES: dict[str, tuple[str, Change, str]] = {
    "type_of_no_release": (
        "v3/elasticity",
        (("inputs", 0, "var_type"), "SR3"),
        "inputs[0].var_type is 'SR3'; expected a type of the release that wrote the file",
    ),
    "type_of_no_release_in_a_segment": (
        "v2/elasticity",
        ((*SEGMENT, "outputs", 0, "var_type"), "SR3"),
        "segments[0].outputs[0].var_type is 'SR3'; "
        "expected a type of the release that wrote the file",
    ),
    "size_of_another_type": (
        "v2/viscoplasticity",
        ((*SEGMENT, "unknowns", 0, "unflattened_shape"), [7]),
        "segments[0].unknowns[0].unflattened_shape is [7]; "
        "expected [6], as in outputs[1].unflattened_shape",
    ),
    "number_of_cells": (
        "v3/viscoplasticity",
        ((*SEGMENT, "ift_cells"), []),
        "segments[0].ift_cells is []; expected a list of length 1, one per pair of groups",
    ),
    "group_of_a_cell": (
        "v3/viscoplasticity",
        ((*SEGMENT, "ift_cells", 0, "col_group_idx"), 1),
        "segments[0].ift_cells[0].col_group_idx is 1; expected 0, by the order of the groups",
    ),
    "structure_of_a_cell": (
        "v3/viscoplasticity",
        ((*SEGMENT, "ift_cells", 0, "row_structure"), "block"),
        "segments[0].ift_cells[0].row_structure is 'block'; expected dense, that of the group",
    ),
    "sites_of_a_cell": (
        "v3/viscoplasticity",
        ((*SEGMENT, "ift_cells", 0, "sub_batch_shape"), [3]),
        "segments[0].ift_cells[0].sub_batch_shape is [3]; expected [], that of the groups",
    ),
    "negative_tolerance_of_a_segment": (
        "v3/viscoplasticity",
        ((*SEGMENT, "atol"), -1.0),
        "segments[0].atol is -1.0; expected a number, zero or more, and finite",
    ),
    "no_outputs": (
        "v7/elasticity",
        (("outputs",), []),
        "outputs is []; expected a list of at least one output: a model without any has no use",
    ),
    "type": (
        "v14/elasticity",
        (("type",), "simple"),
        "type is 'simple'; expected composed",
    ),
    "kind": (
        "v14/elasticity",
        ((*SEGMENT, "kind"), "explicit"),
        "segments[0].kind is 'explicit'; expected one of forward, implicit",
    ),
    "role": (
        "v14/krylov",
        ((*SEGMENT, "givens", 0, "role"), "old_sate"),
        "segments[0].givens[0].role is 'old_sate'; expected one of old_state, cur_force, "
        "old_force, incremental, static, unknown",
    ),
    "duplicate_input": (
        "v14/krylov",
        (("inputs", 3, "name"), "t"),
        "inputs[3].name is 't'; expected a name that stands once in inputs",
    ),
    "var_size_of_master": (
        "v14/elasticity",
        (("inputs", 0, "var_size"), 5),
        "inputs[0].var_size is 5; expected 6, the product of base_shape",
    ),
    "negative_extent": (
        "v14/elasticity",
        (("inputs", 0, "base_shape"), [-6]),
        "inputs[0].base_shape is [-6]; expected a list of integers from 0 to 2147483647",
    ),
    "boolean_extent": (
        "v14/elasticity",
        (("inputs", 0, "base_shape"), [True]),
        "inputs[0].base_shape is [true]; expected a list of integers from 0 to 2147483647",
    ),
    "enormous_shape": (
        "v14/elasticity",
        (("inputs", 0, "base_shape"), [2000000000, 2000000000]),
        "inputs[0].base_shape is [2000000000, 2000000000]; "
        "expected a shape of at most 1099511627776 elements",
    ),
    "number_of_values": (
        "v14/elasticity",
        (("parameters", 0, "values"), [1.0, 2.0]),
        "parameters[0].values is [1.0, 2.0]; expected a list of length 1, the product of shape",
    ),
    "base_shape_of_parameter": (
        "v14/elasticity",
        (("parameters", 0, "param_base_shape"), [6]),
        "parameters[0].param_base_shape is [6]; expected the last extents of shape []",
    ),
    "fraction_in_integer_parameter": (
        "v14/elasticity",
        (
            ("parameters", 0),
            {
                "name": "model.E",
                "shape": [],
                "param_base_shape": [],
                "values": [0.5],
                "dtype": "int64",
            },
        ),
        "parameters[0].values is [0.5]; expected whole numbers, as dtype is int64",
    ),
    "dtype_of_parameter": (
        "v14/elasticity",
        (("parameters", 0, "dtype"), "complex64"),
        "parameters[0].dtype is 'complex64'; expected one of int64, int32, bool",
    ),
    "derivative_of_unknown_name": (
        "v14/elasticity",
        (("derivatives", 0), ["stress", "temperature"]),
        'derivatives[0] is ["stress", "temperature"]; expected an output and an input of the model',
    ),
    "parameter_derivative_of_unknown_name": (
        "v14/elasticity",
        (("parameter_derivatives", 0), ["stress", "strain"]),
        'parameter_derivatives[0] is ["stress", "strain"]; '
        "expected an output and a parameter of the model",
    ),
    "derivative_twice": (
        "v14/elasticity",
        (("derivatives",), [["stress", "strain"], ["stress", "strain"]]),
        'derivatives[1] is ["stress", "strain"]; expected a pair that is listed once only',
    ),
    "alias_of_unknown_name": (
        "v14/elasticity",
        (("boundary_aliases", "inputs"), {"stretch": "total_strain"}),
        'boundary_aliases.inputs is {"stretch": "total_strain"}; '
        "expected keys that are names of inputs: strain",
    ),
    "alias_taken": (
        "v14/elasticity",
        (("boundary_aliases", "parameters", "model.E"), "model.nu"),
        "boundary_aliases.parameters.model.E is 'model.nu'; "
        "expected a name that no other of the parameters has",
    ),
    "input_computed_by_nobody": (
        "v14/viscoplasticity",
        (("segments", 1, "inputs", 0, "name"), "temperature"),
        "segments[1].inputs[0].name is 'temperature'; expected one of the master inputs and the "
        "outputs of earlier segments: strain, plastic_strain, plastic_strain~1, t, t~1",
    ),
    "output_computed_by_nobody": (
        "v14/viscoplasticity",
        (("segments", 1, "outputs", 0, "name"), "strength"),
        "segments[1].jacobian_pairs[0].out_var is 'stress'; "
        "expected one of the outputs of the segment: strength",
    ),
    "parameter_not_promoted": (
        "v14/elasticity",
        ((*SEGMENT, "param_inputs", 1), "model.G"),
        "segments[0].param_inputs[1] is 'model.G'; "
        "expected one of the promoted parameters: model.E, model.nu",
    ),
    "adjoint_of_unknown_output": (
        "v14/elasticity",
        ((*SEGMENT, "param_vjp_outputs"), ["strain"]),
        "segments[0].param_vjp_outputs[0] is 'strain'; "
        "expected one of the outputs of the segment: stress",
    ),
    "base_shape_differs_between_places": (
        "v14/krylov",
        ((*SEGMENT, "unknowns", 0, "base_shape"), [3, 2]),
        "segments[0].unknowns[0].base_shape is [3, 2]; expected [6], as in outputs[1].base_shape",
    ),
    "var_size_of_slot": (
        "v14/krylov",
        ((*SEGMENT, "unknowns", 0, "var_size"), 7),
        "segments[0].unknowns[0].var_size is 7; "
        "expected 6, the product of sub_batch_shape and base_shape",
    ),
    "pair_of_old_state": (
        "v14/krylov",
        ((*SEGMENT, "givens", 1, "pair"), "strain"),
        "segments[0].givens[1].pair is 'strain'; "
        "expected an unknown of the segment, as role is old_state",
    ),
    "pair_of_force": (
        "v14/krylov",
        ((*SEGMENT, "givens", 0, "pair"), None),
        "segments[0].givens[0].pair is null; "
        "expected another given of the segment, as role is cur_force",
    ),
    "pair_of_static": (
        "v14/viscoplasticity",
        ((*SEGMENT, "givens", 0, "pair"), "t"),
        "segments[0].givens[0].pair is 't'; expected null, as role is static",
    ),
    "group_of_unknown_variable": (
        "v14/krylov",
        ((*SEGMENT, "unknown_group_infos", 0, "per_var_info", 0, "name"), "back_stress"),
        "segments[0].unknown_group_infos[0].per_var_info[0].name is 'back_stress'; "
        "expected one of the variables of the segment: plastic_strain",
    ),
    "group_names_disagree": (
        "v14/krylov",
        ((*SEGMENT, "given_group_infos", 0, "var_names"), ["t"]),
        'segments[0].given_group_infos[0].var_names is ["t"]; '
        "expected the names in per_var_info, in the same order",
    ),
    "variable_in_no_group": (
        "v14/krylov",
        ((*SEGMENT, "unknown_group_infos"), []),
        "segments[0].unknown_group_infos is []; "
        "expected groups that hold every variable, also plastic_strain",
    ),
    "group_that_is_no_object": (
        "v14/krylov",
        ((*SEGMENT, "unknown_group_infos", 0), None),
        "segments[0].unknown_group_infos[0] is null; expected an object",
    ),
    "residual_structure_differs": (
        "v14/krylov",
        ((*SEGMENT, "residual_group_infos", 0, "structure"), "block"),
        "segments[0].residual_group_infos[0] is "
        '{"structure": "block", "sub_batch_shape": [], "var_names": ["plastic_strain_r...; '
        "expected a dense group of 6 values, as unknown_group_infos[0]",
    ),
    "pair_of_unknown_given": (
        "v14/krylov",
        ((*SEGMENT, "jacobian_pairs", 0, "in_var"), "strain~1"),
        "segments[0].jacobian_pairs[0].in_var is 'strain~1'; "
        "expected one of the inputs of the segment: strain, plastic_strain~1, t, t~1",
    ),
    "pair_twice": (
        "v14/krylov",
        (
            (*SEGMENT, "jacobian_pairs", 1),
            {
                "out_var": "plastic_strain",
                "in_var": "strain",
                "out_base_shape": [6],
                "in_base_shape": [6],
                "in_sub_batch_shape": [],
            },
        ),
        'segments[0].jacobian_pairs[1] is {"out_var": "plastic_strain", "in_var": "strain", '
        '"out_base_shape": [6], "in_...; expected a pair that is listed once only',
    ),
    "shape_of_pair": (
        "v14/krylov",
        ((*SEGMENT, "jacobian_pairs", 0, "in_base_shape"), [3]),
        "segments[0].jacobian_pairs[0].in_base_shape is [3]; "
        "expected [6], as declared for that name",
    ),
    "offset_beyond_the_matrix": (
        "v14/krylov",
        ((*SEGMENT, "jacobian_pairs", 0, "col_offset"), 9),
        "segments[0].jacobian_pairs[0].col_offset is 9; expected at most 8, as the block must fit",
    ),
    "matvec_without_krylov": (
        "v14/krylov",
        (("solver_config", "solver_kind"), "direct"),
        "solver_config.solver_kind is 'direct'; "
        "expected 'krylov', as segments[0].matvec_package is given",
    ),
    "krylov_method": (
        "v14/krylov",
        (("solver_config", "krylov", "method"), "cg"),
        "solver_config.krylov.method is 'cg'; expected one of gmres, bicgstab",
    ),
    "krylov_restart": (
        "v14/krylov",
        (("solver_config", "krylov", "restart"), 0),
        "solver_config.krylov.restart is 0; expected an integer from 1 to 2147483647",
    ),
    "tolerance_not_finite": (
        "v14/krylov",
        (("solver_config", "atol"), float("nan")),
        "solver_config.atol is NaN; expected a number, zero or more, and finite",
    ),
    "tolerance_infinite": (
        "v14/krylov",
        (("solver_config", "rtol"), float("inf")),
        "solver_config.rtol is Infinity; expected a number, zero or more, and finite",
    ),
    "cutback_of_zero": (
        "v14/krylov",
        (("solver_config", "ls_cutback"), 0),
        "solver_config.ls_cutback is 0; expected a positive number, and finite",
    ),
    "line_search": (
        "v14/krylov",
        (("solver_config", "ls_type"), "WOLFE"),
        "solver_config.ls_type is 'WOLFE'; expected one of BACKTRACKING, STRONG_WOLFE",
    ),
    "predictor_of_nothing": (
        "v14/krylov",
        ((*SEGMENT, "predictor_inputs", 0, "name"), "plastic_strain"),
        "segments[0].predictor_inputs[0].name is 'plastic_strain'; "
        "expected one of the master inputs and the outputs of earlier segments: "
        "strain, plastic_strain~1, t, t~1, strain~1",
    ),
    "ramp_of_unknown_given": (
        "v14/krylov",
        ((*SEGMENT, "incremental_variables"), ["temperature"]),
        "segments[0].incremental_variables[0] is 'temperature'; expected one of the givens "
        "of the segment: strain, plastic_strain~1, t, t~1, strain~1",
    ),
    "graph_in_parent_folder": (
        "v14/elasticity",
        ((*SEGMENT, "package"), "../model.pt2"),
        "segments[0].package is '../model.pt2'; "
        "expected the bare name of a graph file, without any folder",
    ),
    "unspeakable_name": (
        "v14/elasticity",
        (("inputs", 0, "name"), "\ud800"),
        r"inputs[0].name is '\ud800'; expected a name",
    ),
    "old_spelling_of_graph": (
        "v7/viscoplasticity",
        ((*SEGMENT, "rhs_package"), 3),
        "segments[0].rhs_package is 3; expected the bare name of a graph file, without any folder",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_contradiction_is_refused(case: str) -> None:
    name, (path, value), expected = CASES[case]
    with pytest.raises(ArtifactError) as caught:
        read(changed(golden(name), path, value))
    assert str(caught.value) == f"{FILE}: {expected}. Recompile the model."


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b.pt2", "/a.pt2", "a\\b.pt2", "C:a.pt2", "a\0.pt2", "../../etc/passwd"],
)
@pytest.mark.parametrize("key", ["package", "jvp_package", "param_vjp_package"])
def test_graph_name_that_is_not_bare_is_refused(key: str, name: str) -> None:
    with pytest.raises(ArtifactError, match=rf"segments\[0\]\.{key} is .*; expected the bare name"):
        read(changed(golden("v14/elasticity"), (*SEGMENT, key), name))


def test_sub_batch_of_block_group_must_be_that_of_its_variables() -> None:
    document = golden("v14/krylov")
    document["segments"][0]["unknown_group_infos"][0] |= {
        "structure": "block",
        "sub_batch_shape": [3],
    }
    with pytest.raises(ArtifactError) as caught:
        read(document)
    assert str(caught.value) == (
        f"{FILE}: segments[0].unknown_group_infos[0].sub_batch_shape is [3]; "
        "expected [], that of 'plastic_strain' in this block group. Recompile the model."
    )


def test_variable_in_two_groups_is_refused() -> None:
    document = golden("v14/krylov")
    groups = document["segments"][0]["given_group_infos"]
    groups.append(groups[0])
    with pytest.raises(ArtifactError) as caught:
        read(document)
    assert str(caught.value) == (
        f"{FILE}: segments[0].given_group_infos[1].var_names[0] is 'strain'; "
        "expected names that stand in one group only. Recompile the model."
    )


def test_number_of_residual_groups_must_match() -> None:
    document = golden("v14/krylov")
    segment = document["segments"][0]
    segment["residuals"] = []
    segment["residual_group_infos"] = []
    with pytest.raises(ArtifactError) as caught:
        read(document)
    assert str(caught.value) == (
        f"{FILE}: segments[0].residual_group_infos is []; "
        "expected a list of length 1, as unknown_group_infos. Recompile the model."
    )


def test_output_that_no_segment_computes_is_refused() -> None:
    document = golden("v14/viscoplasticity")
    document["segments"] = document["segments"][:1]
    with pytest.raises(ArtifactError) as caught:
        read(document)
    assert str(caught.value) == (
        f"{FILE}: outputs[0].name is 'stress'; "
        "expected one of the master inputs and what segments compute: "
        "strain, plastic_strain, plastic_strain~1, t, t~1. Recompile the model."
    )


def test_ungrouped_given_must_be_a_phantom() -> None:
    document = golden("v14/krylov")
    document["segments"][0]["givens"][4] |= {"role": "static", "pair": None}
    with pytest.raises(ArtifactError, match="hold every variable, also strain~1"):
        read(document)


def test_residual_may_have_the_name_of_a_variable_of_another_shape() -> None:
    document = golden("v7/viscoplasticity")
    first = document["segments"][0]
    first["residuals"][0]["name"] = "strain"
    group = first["residual_group_infos"][0]
    group["var_names"] = ["strain"]
    group["per_var_info"][0]["name"] = "strain"
    for entry in (first["residuals"][0], group["per_var_info"][0]):
        entry["base_shape"] = [2, 3]
    read(document)
