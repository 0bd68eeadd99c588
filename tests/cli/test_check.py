"""``neml2-aoti check``: a compiled model that agrees, and ones that do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from artifact_cache import INPUTS, CompiledCase, compiled
from said import Program


def test_check_of_a_healthy_model_agrees_in_values_and_derivatives(
    aoti: Program, chaboche: CompiledCase
) -> None:
    said = aoti("check", chaboche.stub, "--against", chaboche.model_file, "--json")

    assert said.code == 0, said.out
    data = said.data
    assert data["agrees"] is True
    assert (data["steps"], data["rows"]) == (6, 8)
    assert [each["name"] for each in data["values"]] == [
        "stress",
        "equivalent_plastic_strain",
        "X1",
        "X2",
    ]
    assert len(data["derivatives"]) == 32
    # The native model is differentiated where it can be: to rounding, not to a difference step.
    assert {each["reference"] for each in data["derivatives"]} == {"native"}
    assert max(each["relative"] for each in data["derivatives"]) < 1e-9


def test_check_shows_a_table_and_the_verdict(aoti: Program, elasticity: CompiledCase) -> None:
    said = aoti("check", elasticity.stub, "--against", elasticity.model_file)

    assert (said.code, said.err) == (0, "")
    assert "stress:strain" in said.out
    assert said.out.rstrip().endswith("ok  the compiled model agrees with the native one")


def test_check_by_central_differences_agrees(aoti: Program, composed: CompiledCase) -> None:
    said = aoti(
        "check", composed.stub, "--against", composed.model_file, "--reference", "differences",
        "--derivative-steps", "1", "--json",
    )  # fmt: skip

    assert said.code == 0, said.out
    assert {each["reference"] for each in said.data["derivatives"]} == {"differences"}


def test_check_compares_derivatives_by_parameters(aoti: Program) -> None:
    case = compiled("chaboche", variant="promoted")
    said = aoti(
        "check", case.stub, "--against", case.model_file, "--derivative-steps", "1", "--json"
    )

    assert said.code == 0, said.out
    by_parameter = [
        each for each in said.data["derivatives"] if each["name"].partition(":")[2].endswith(".sy")
    ]
    assert len(by_parameter) == 4
    assert {each["reference"] for each in by_parameter} == {"differences"}
    assert all(each["scale"] > 0 for each in by_parameter)


def test_check_finds_a_wrong_derivative_by_a_parameter(aoti: Program, tmp_path: Path) -> None:
    """That of another Poisson's ratio."""
    case = compiled("elasticity", variant="promoted")
    other = tmp_path / "other.i"
    text = case.model_file.read_text()
    assert text.count("'2.0e5 0.3'") == 1
    other.write_text(text.replace("'2.0e5 0.3'", "'2.0e5 0.2'"))
    said = aoti("check", case.stub, "--against", other, "--json")

    assert said.code == 1
    within = {each["name"]: each["within"] for each in said.data["derivatives"]}
    assert within == {"stress:strain": False, "stress:model.E": False}


def test_check_of_sub_batched_unknowns_agrees(aoti: Program, crystal: CompiledCase) -> None:
    said = aoti("check", crystal.stub, "--against", crystal.model_file, "--json")

    assert said.code == 0, said.out
    assert said.data["derivatives"] == []


def test_check_follows_a_named_driver_as_it_is(aoti: Program, chaboche: CompiledCase) -> None:
    said = aoti(
        "check", chaboche.stub, "--against", chaboche.model_file, "--driver", "driver_two_axes",
        "--json",
    )  # fmt: skip

    assert said.code == 0, said.out
    assert said.data["history"] == "driver driver_two_axes as it is"
    assert said.data["rows"] == 4


def test_check_draws_states_for_a_file_without_drivers(
    aoti: Program, elasticity: CompiledCase, tmp_path: Path
) -> None:
    bare = tmp_path / "bare.i"
    bare.write_text(elasticity.model_file.read_text().partition("[Drivers]")[0])
    said = aoti("check", elasticity.stub, "--against", bare, "--json")

    assert said.code == 0, said.out
    assert said.data["history"] == "8 random ramps of 1e-3, seed 0"


def test_check_respects_the_batch_that_graphs_were_compiled_for(
    aoti: Program, compiled_case: Callable[..., CompiledCase]
) -> None:
    case = compiled_case("rate_independent", variant="static")
    said = aoti("check", case.stub, "--against", case.model_file, "--json")

    assert said.code == 0, said.out
    assert said.data["rows"] == 5


def test_check_against_another_model_differs(
    aoti: Program, elasticity: CompiledCase, tmp_path: Path
) -> None:
    other = tmp_path / "softer.i"
    text = elasticity.model_file.read_text()
    other.write_text(text.replace("coefficients = '2.0e5 0.3'", "coefficients = '1.9e5 0.3'"))
    said = aoti("check", elasticity.stub, "--against", other, "--json")
    shown = aoti("check", elasticity.stub, "--against", other)

    assert said.code == 1
    assert said.data["agrees"] is False
    (stress,) = said.data["values"]
    assert stress["relative"] == pytest.approx(0.1 / 1.9, rel=1e-6)
    assert "bad  the compiled model differs: stress, stress:strain" in shown.out


def test_check_of_a_compiled_model_that_fails_to_converge_is_negative(
    aoti: Program, copy_of: Callable[[CompiledCase], CompiledCase], chaboche: CompiledCase
) -> None:
    case = copy_of(chaboche)
    document = json.loads(case.metadata.read_text())
    document["solver_config"]["miters"] = 1
    case.metadata.write_text(json.dumps(document))
    said = aoti("check", case.stub, "--against", chaboche.model_file, "--json")

    assert said.code == 1
    assert said.data["failure"].startswith("step ")


def test_check_of_a_damaged_artifact_is_negative(
    aoti: Program, copy_of: Callable[[CompiledCase], CompiledCase], elasticity: CompiledCase
) -> None:
    case = copy_of(elasticity)
    (case.root / "cpu" / "float64" / "model.pt2").unlink()
    said = aoti("check", case.stub, "--against", elasticity.model_file)

    assert said.code == 1
    assert "model.pt2" in said.err


def test_check_against_a_file_without_that_model_is_refused(
    aoti: Program, elasticity: CompiledCase
) -> None:
    said = aoti("check", elasticity.stub, "--against", elasticity.stub)

    assert said.code == 2
    assert "no native model 'model' (it is compiled there, too)" in said.err


def test_check_against_a_file_that_neml2_refuses_is_refused(
    aoti: Program, elasticity: CompiledCase, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.i"
    text = (INPUTS / "elasticity" / "model.i").read_text()
    broken.write_text(text.replace("LinearIsotropicElasticity", "NoSuchElasticity"))
    said = aoti("check", elasticity.stub, "--against", broken)

    assert said.code == 2
    assert "NoSuchElasticity" in said.err
