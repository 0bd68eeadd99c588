from __future__ import annotations

import copy
import math
from typing import Any

import pytest
from made_up_artifacts import FILE, GOLDEN, golden, read

from neml2_aoti_plugin.artifact.upgrades import from_v2, from_v3, from_v7, from_v12
from neml2_aoti_plugin.artifact.version import READABLE_VERSIONS, read_version, upgrade_to_canonical
from neml2_aoti_plugin.errors import ArtifactError, UnsupportedSchemaError

RECOMPILE = "Recompile the model with neml2 3.1.0."


@pytest.mark.parametrize("version", READABLE_VERSIONS)
def test_readable_version_is_returned(version: int) -> None:
    assert read_version({"schema_version": version}, FILE) == version


@pytest.mark.parametrize(
    ("version", "origin", "remedy"),
    [
        *(
            (version, "which no release of neml2 wrote", RECOMPILE)
            for version in (-1, 0, 1, 4, 5, 6, 8, 9, 10, 11, 13)
        ),
        (
            15,
            "newer than this plugin",
            "Upgrade neml2_aoti_plugin, or recompile the model with neml2 3.1.0.",
        ),
    ],
)
def test_other_version_is_refused(version: int, origin: str, remedy: str) -> None:
    with pytest.raises(UnsupportedSchemaError) as caught:
        read_version({"schema_version": version}, FILE)
    assert str(caught.value) == (
        f"{FILE}: schema_version is {version}, {origin}; expected one of 2, 3, 7, 12, 14. {remedy}"
    )


def test_missing_version_is_refused() -> None:
    with pytest.raises(ArtifactError) as caught:
        read_version({"type": "composed"}, FILE)
    assert str(caught.value) == (
        f"{FILE}: schema_version is missing; expected one of 2, 3, 7, 12, 14. "
        "This is no metadata written by neml2-compile."
    )


@pytest.mark.parametrize("version", [True, 14.0, "14", None, [14]])
def test_version_that_is_no_integer_is_refused(version: Any) -> None:
    with pytest.raises(ArtifactError) as caught:
        read_version({"schema_version": version}, FILE)
    assert str(caught.value) == (
        f"{FILE}: schema_version is {version!r}; expected an integer, one of 2, 3, 7, 12, 14. "
        "Recompile the model."
    )


@pytest.mark.parametrize("name", GOLDEN)
def test_upgrades_leave_their_input_alone(name: str) -> None:
    document = golden(name)
    before = copy.deepcopy(document)
    upgrade_to_canonical(document, FILE)
    assert document == before


@pytest.mark.parametrize("name", GOLDEN)
def test_canonical_document_reads_like_the_original(name: str) -> None:
    document = golden(name)
    upgraded = upgrade_to_canonical(document, FILE)
    again = read(upgraded.content)
    first = read(document)
    assert again.segments == first.segments
    assert again.parameters == first.parameters
    assert again.inputs == first.inputs


def test_upgrade_from_2_makes_one_dense_group_of_each_side() -> None:
    upgraded = from_v2.upgrade(golden("v2/viscoplasticity"))
    segment = upgraded["segments"][0]
    assert upgraded["schema_version"] == 3
    assert segment["step_returns_iterate"] is True
    (group,) = segment["given_group_infos"]
    assert group["structure"] == "dense"
    assert group["var_names"] == ["strain", "plastic_strain~1", "t", "t~1"]
    assert [slot["base_shape"] for slot in group["per_var_info"]] == [[6], [6], [], []]
    assert [residual["var_size"] for residual in segment["residuals"]] == [6]
    (cell,) = segment["ift_cells"]
    assert [slot["name"] for slot in cell["row_vars"]] == ["plastic_strain"]
    assert upgraded["segments"][1]["stacked_jacobian"] is True


def test_upgrade_from_3_offers_all_derivatives_and_base_shapes_by_type() -> None:
    upgraded = from_v3.upgrade(golden("v3/viscoplasticity"))
    assert upgraded["schema_version"] == 7
    inputs = [entry["name"] for entry in upgraded["inputs"]]
    assert upgraded["derivatives"] == [
        [output["name"], name] for output in upgraded["outputs"] for name in inputs
    ]
    assert upgraded["parameter_derivatives"] == []
    assert {entry["var_type"]: entry["base_shape"] for entry in upgraded["inputs"]} == {
        "SR2": [6],
        "Scalar": [],
    }
    assert upgraded["segments"][1]["stored_parameters"] is True


def test_upgrade_from_3_gives_parameters_their_stored_shape_as_base_shape() -> None:
    upgraded = from_v3.upgrade(golden("v3/elasticity"))
    assert [entry["param_base_shape"] for entry in upgraded["parameters"]] == [[], []]


def test_upgrade_from_7_says_what_12_cannot() -> None:
    upgraded = from_v7.upgrade(golden("v7/viscoplasticity"))
    segment = upgraded["segments"][0]
    assert upgraded["schema_version"] == 12
    assert segment["residual_package"] == "model_seg0_rhs.pt2"
    assert "rhs_package" not in segment
    assert segment["fused_solve"] is True
    assert segment["initial_guess"] == "zero"
    assert segment["max_substepping_level"] == 0
    assert {given["role"] for given in segment["givens"]} == {"static"}
    assert {given["pair"] for given in segment["givens"]} == {None}
    assert upgraded["solver_config"]["ls_max_iters"] == 1


def test_upgrade_from_7_invents_no_solver_for_forward_models() -> None:
    assert "solver_config" not in from_v7.upgrade(golden("v7/elasticity"))


def test_upgrade_from_7_keeps_only_dtypes_that_are_not_floating() -> None:
    document = {"parameters": [{"dtype": "float32", "device": "cpu"}, {"dtype": "int64"}]}
    assert from_v7.upgrade(document)["parameters"] == [{}, {"dtype": "int64"}]


def test_upgrade_from_12_sets_no_bound_on_updates() -> None:
    upgraded = from_v12.upgrade(golden("v12/substepped"))
    assert upgraded["schema_version"] == 14
    assert upgraded["solver_config"]["substep_del_tol"] == math.inf


@pytest.mark.parametrize(
    "upgrade", [from_v2.upgrade, from_v3.upgrade, from_v7.upgrade, from_v12.upgrade]
)
@pytest.mark.parametrize(
    "document",
    [
        {},
        {"segments": None, "parameters": 3, "solver_config": []},
        {"segments": [None, {"kind": "implicit", "givens": 7}], "parameters": [None]},
    ],
)
def test_upgrades_pass_mistyped_values_through(upgrade: Any, document: dict[str, Any]) -> None:
    upgraded = upgrade(document)
    assert upgraded.get("parameters") == document.get("parameters")
