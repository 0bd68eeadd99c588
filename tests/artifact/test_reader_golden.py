"""Golden files of every release, read into the manifest."""

from __future__ import annotations

import math

import pytest
from made_up_artifacts import GOLDEN, golden, graph_fields, read

from neml2_aoti_plugin.artifact.graphs import graph_names
from neml2_aoti_plugin.artifact.manifest import (
    CacheStrategy,
    CellSensitivity,
    ForwardSegment,
    FusedDirection,
    FusedSensitivity,
    ImplicitSegment,
    InitialGuess,
    InputPair,
    KrylovDirection,
    KrylovMethod,
    NewtonSettings,
    OperatorDirection,
    OperatorParameterSensitivity,
    OperatorSensitivity,
    Role,
    Structure,
)

YIELD_STRESS = "update.residual.yield_surface.sy"


def implicit(name: str) -> ImplicitSegment:
    segment = read(golden(name)).segments[0]
    assert isinstance(segment, ImplicitSegment)
    return segment


@pytest.mark.parametrize("name", GOLDEN)
def test_manifest_names_every_graph_of_the_file(name: str) -> None:
    document = golden(name)
    assert sorted(graph_names(read(document))) == sorted(set(graph_fields(document)))


@pytest.mark.parametrize("name", GOLDEN)
def test_manifest_keeps_order_and_pairs_of_the_file(name: str) -> None:
    document = golden(name)
    manifest = read(document)
    assert [variable.name for variable in manifest.inputs] == [
        entry["name"] for entry in document["inputs"]
    ]
    # Up to 3.0.3 all derivatives with respect to inputs are compiled, and no others.
    all_pairs = [
        [output["name"], input_["name"]]
        for output in document["outputs"]
        for input_ in document["inputs"]
    ]
    assert [list(pair) for pair in manifest.derivatives] == document.get("derivatives", all_pairs)
    assert [list(pair) for pair in manifest.parameter_derivatives] == (
        document.get("parameter_derivatives", [])
    )
    assert manifest.schema_version == document["schema_version"]


@pytest.mark.parametrize("name", GOLDEN)
def test_unknown_keys_are_ignored(name: str) -> None:
    document = golden(name)
    expected = read(document)
    document["added_later"] = {"x": 1}
    for entry in (*document["inputs"], *document["segments"], *document["parameters"]):
        entry["added_later"] = None
    assert read(document) == expected


@pytest.mark.parametrize("name", ["v7/elasticity", "v14/elasticity"])
def test_forward_segment_is_read_in_full(name: str) -> None:
    manifest = read(golden(name))
    (segment,) = manifest.segments
    assert isinstance(segment, ForwardSegment)
    assert segment.label == "model"
    assert segment.inputs == ("strain",)
    assert segment.outputs == ("stress",)
    assert segment.parameters == ("model.E", "model.nu")
    assert segment.input_derivatives is not None
    assert segment.input_derivatives.graph == "model_jvp.pt2"
    assert segment.input_derivatives.pairs == (
        InputPair(
            output="stress",
            input="strain",
            output_base_shape=(6,),
            input_base_shape=(6,),
            input_sub_batch_shape=(),
            batch_independent=False,
            row_offset=0,
            column_offset=0,
        ),
    )
    assert segment.parameter_derivatives is not None
    assert segment.parameter_derivatives.graph == "model_pjac.pt2"
    assert segment.parameter_adjoint is not None
    assert segment.parameter_adjoint.parameters == ("model.E",)
    assert [parameter.values for parameter in manifest.parameters] == [(200e3,), (0.3,)]


@pytest.mark.parametrize(("name", "stacked"), [("v2/elasticity", True), ("v3/elasticity", False)])
def test_first_forward_segments_take_stored_parameters(name: str, stacked: bool) -> None:
    (segment,) = read(golden(name)).segments
    assert isinstance(segment, ForwardSegment)
    assert segment.stored_parameters
    assert segment.parameters == ("E", "nu")
    assert segment.input_derivatives is not None
    assert segment.input_derivatives.stacked is stacked
    (pair,) = segment.input_derivatives.pairs
    assert (pair.output, pair.input) == ("stress", "strain")
    assert (pair.output_base_shape, pair.input_base_shape) == ((6,), (6,))
    assert segment.parameter_derivatives is None


def test_schema_2_places_the_blocks_of_its_one_matrix() -> None:
    segment = read(golden("v2/viscoplasticity")).segments[1]
    assert isinstance(segment, ForwardSegment)
    assert segment.input_derivatives is not None
    assert [
        (pair.output, pair.input, pair.row_offset, pair.column_offset)
        for pair in segment.input_derivatives.pairs
    ] == [("stress", "strain", 0, 0), ("stress", "plastic_strain", 0, 6)]


@pytest.mark.parametrize(
    ("name", "returns_iterate", "searches"),
    [("v2/viscoplasticity", True, 1), ("v3/viscoplasticity", False, 5)],
)
def test_first_solves_have_their_own_settings_and_return_cells(
    name: str, returns_iterate: bool, searches: int
) -> None:
    segment = implicit(name)
    assert segment.direction == FusedDirection(
        step="model_seg0_step.pt2", returns_iterate=returns_iterate
    )
    assert segment.newton == NewtonSettings(
        absolute_tolerance=1e-9,
        relative_tolerance=1e-7,
        max_iterations=50,
        line_search_max_iterations=searches,
    )
    assert segment.initial_guess is InitialGuess.ZERO
    assert isinstance(segment.input_sensitivity, CellSensitivity)
    (cell,) = segment.input_sensitivity.cells
    assert [slot.name for slot in cell.rows.slots] == ["plastic_strain"]
    assert [slot.name for slot in cell.columns.slots] == ["strain", "plastic_strain~1", "t", "t~1"]
    assert cell.site_shape == ()


def test_renamed_names_are_public_only() -> None:
    manifest = read(golden("v14/elasticity"))
    assert [(v.name, v.public_name) for v in manifest.inputs] == [("strain", "total_strain")]
    assert [(v.name, v.public_name) for v in manifest.outputs] == [("stress", "cauchy_stress")]
    assert [(p.name, p.public_name) for p in manifest.parameters] == [
        ("model.E", "youngs_modulus"),
        ("model.nu", "model.nu"),
    ]


def test_outputs_record_no_sub_batch() -> None:
    manifest = read(golden("v14/viscoplasticity"))
    assert {variable.sub_batch_shape for variable in manifest.inputs} == {()}
    assert {variable.sub_batch_shape for variable in manifest.outputs} == {None}


def test_schema_7_solves_are_fused_and_start_at_zero() -> None:
    segment = implicit("v7/viscoplasticity")
    assert segment.label == "model_seg0"
    assert segment.direction == FusedDirection(step="model_seg0_step.pt2")
    assert segment.initial_guess is InitialGuess.ZERO
    assert segment.newton == NewtonSettings()
    assert isinstance(segment.input_sensitivity, FusedSensitivity)
    assert [pair.input for pair in segment.input_sensitivity.pairs] == [
        "strain",
        "plastic_strain~1",
        "t",
        "t~1",
    ]
    assert segment.parameter_sensitivity is None
    assert segment.parameters == (YIELD_STRESS,)


def test_schema_12_solves_are_split_and_start_at_the_state() -> None:
    segment = implicit("v12/substepped")
    assert segment.label == "model_seg0"
    assert segment.direction == OperatorDirection(
        jacobian="model_seg0_jacobian.pt2", solve="model_seg0_solve.pt2"
    )
    assert segment.initial_guess is InitialGuess.STATE
    assert segment.newton.line_search_max_iterations == 5
    assert segment.newton.update_tolerance == math.inf
    assert segment.max_substepping_level == 3
    assert segment.predictor is not None
    assert segment.predictor.outputs == ("plastic_strain",)
    assert [(given.name, given.role, given.pair) for given in segment.givens] == [
        ("strain", Role.INCREMENTAL, None),
        ("plastic_strain~1", Role.OLD_STATE, "plastic_strain"),
        ("t", Role.CUR_FORCE, "t~1"),
        ("t~1", Role.OLD_FORCE, "t"),
    ]
    assert isinstance(segment.input_sensitivity, OperatorSensitivity)
    assert [pair.column_offset for pair in segment.input_sensitivity.pairs] == [0, 6, 12, 13]
    assert isinstance(segment.parameter_sensitivity, OperatorParameterSensitivity)
    assert segment.parameter_sensitivity.solve == "model_seg0_solve_param.pt2"


def test_schema_14_krylov_solve_is_read_in_full() -> None:
    direction = implicit("v14/krylov").direction
    assert isinstance(direction, KrylovDirection)
    assert direction.preconditioner_setup == "model_seg0_precond_setup.pt2"
    assert direction.settings.method is KrylovMethod.GMRES
    assert direction.settings.restart == 12
    assert direction.settings.cache_strategy is CacheStrategy.CHORD
    assert direction.settings.cache_max_iterations == 10


def test_phantom_given_is_in_no_group() -> None:
    segment = implicit("v14/krylov")
    grouped = [slot.name for group in segment.given_groups for slot in group.slots]
    assert [given.name for given in segment.givens if given.name not in grouped] == ["strain~1"]
    assert segment.newton.update_tolerance == 1e-6


def test_krylov_sensitivity_needs_no_solve_graph() -> None:
    document = golden("v14/viscoplasticity")
    settings = {"method": "bicgstab", "restart": 40, "max_its": 9, "abs_tol": 0.0, "rel_tol": 1e-9}
    for kind, graph in (
        ("input_sensitivity", "solve_ift_package"),
        ("param_sensitivity", "solve_param_package"),
    ):
        document["segments"][0][kind] = {"kind": "krylov", "krylov": settings}
        del document["segments"][0][graph]
    segment = read(document).segments[0]
    assert isinstance(segment, ImplicitSegment)
    for sensitivity in (segment.input_sensitivity, segment.parameter_sensitivity):
        assert isinstance(sensitivity, (OperatorSensitivity, OperatorParameterSensitivity))
        assert sensitivity.solve is None
        assert sensitivity.krylov is not None
        assert sensitivity.krylov.method is KrylovMethod.BICGSTAB
        assert sensitivity.krylov.cache_strategy is CacheStrategy.NONE


def test_predictor_loop_feeds_its_own_input() -> None:
    document = golden("v12/substepped")
    document["schema_version"] = 14
    document["solver_config"]["substep_del_tol"] = 1e-6
    segment = document["segments"][0]
    segment["predictor_inputs"].append({"name": "trial"})
    segment["predictor_outputs"].append({"name": "next_trial"})
    segment["predictor_feedback"] = {
        "input": "trial",
        "output": "next_trial",
        "sub_batch_shape": [12],
        "base_shape": [],
        "iterations": 16,
    }
    read_segment = read(document).segments[0]
    assert isinstance(read_segment, ImplicitSegment)
    assert read_segment.predictor is not None
    assert read_segment.predictor.feedback is not None
    assert read_segment.predictor.feedback.sub_batch_shape == (12,)
    assert read_segment.predictor.feedback.iterations == 16


def test_block_groups_keep_their_sub_batch_and_dense_ones_have_none() -> None:
    """The fused file, with every unknown and residual held at three sites."""
    document = golden("v7/viscoplasticity")
    segment = document["segments"][0]
    for key in ("unknowns", "residuals"):
        for entry in segment[key]:
            entry |= {"sub_batch_shape": [3], "var_size": 18}
    for key in ("unknown_group_infos", "residual_group_infos"):
        group = segment[key][0]
        group |= {"structure": "block", "sub_batch_shape": [3]}
        for entry in group["per_var_info"]:
            entry |= {"sub_batch_shape": [3], "var_size": 18}
    segment["given_group_infos"][0]["sub_batch_shape"] = [3]
    read_segment = read(document).segments[0]
    assert isinstance(read_segment, ImplicitSegment)
    assert read_segment.unknown_groups[0].structure is Structure.BLOCK
    assert read_segment.unknown_groups[0].sub_batch_shape == (3,)
    assert read_segment.given_groups[0].structure is Structure.DENSE
    assert read_segment.given_groups[0].sub_batch_shape == ()


def test_parameter_values_that_are_not_finite_are_data() -> None:
    document = golden("v14/elasticity")
    document["parameters"][0]["values"] = [math.inf]
    assert read(document).parameters[0].values == (math.inf,)


def test_batched_parameter_of_integers_keeps_shape_and_dtype() -> None:
    document = golden("v14/elasticity")
    document["parameters"][0] |= {"shape": [3], "values": [1.0, 2.0, 3.0], "dtype": "int64"}
    parameter = read(document).parameters[0]
    assert parameter.shape == (3,)
    assert parameter.base_shape == ()
    assert parameter.dtype == "int64"
