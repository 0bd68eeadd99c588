"""``neml2-aoti inspect`` on sound and damaged artifacts of every layout."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from artifact_cache import CompiledCase
from said import Program


def test_inspect_shows_an_implicit_model(aoti: Program, chaboche: CompiledCase) -> None:
    said = aoti("inspect", chaboche.stub)

    assert (said.code, said.err) == (0, "")
    assert "14, as written by neml2 3.1.0" in said.out
    assert "19 unknowns a row, dense" in said.out
    assert "Newton: atol 1e-10, rtol 1e-10, 50 iterations" in said.out
    assert "model_residual.pt2" in said.out
    assert "32 of 32 pairs: all" in said.out
    assert "ok  every graph is there and fits its metadata and this machine" in said.out


def test_inspect_as_json_says_the_same_of_folder_and_stub(
    aoti: Program, chaboche: CompiledCase
) -> None:
    folder = aoti("inspect", chaboche.root, "--json").data
    stub = aoti("inspect", chaboche.stub, "--json").data

    assert folder["sound"] is True
    assert [leaf["dtype"] for leaf in folder["leaves"]] == ["float64"]
    strain = {"name": "strain", "type": "SR2", "base_shape": [6], "sub_batch_shape": []}
    assert folder["inputs"][0] == strain | {"authored_name": "strain"}
    assert folder["segments"][0]["unknowns_per_row"] == 19
    assert len(folder["derivatives"]) == 32
    assert stub["drivers"]["driver"] == "TransientDriver"
    own = ("stub", "drivers", "missing")
    assert {k: v for k, v in folder.items() if k not in own} == {
        k: v for k, v in stub.items() if k not in own
    }


@pytest.mark.parametrize(
    ("variant", "schema"),
    [("schema2", 2), ("schema3", 3), ("schema7", 7), ("schema12", 12), ("promoted", 14)],
)
def test_inspect_reads_artifacts_of_every_release(
    aoti: Program, compiled_case: Callable[..., CompiledCase], variant: str, schema: int
) -> None:
    case = compiled_case("elasticity", variant=variant)
    said = aoti("inspect", case.stub, "--json")

    assert said.code == 0
    assert said.data["schema_version"] == schema
    assert said.data["parameters"][0]["values"] == [2e5]


def test_inspect_names_the_command_for_pairs_that_are_missing(
    aoti: Program, elasticity_values_only: CompiledCase
) -> None:
    data = aoti("inspect", elasticity_values_only.stub, "--json").data

    assert data["missing"][0] == {
        "what": "1 of 1 derivative pairs: stress:strain",
        "command": "neml2-compile model.i --driver driver --device cpu --dtype float64 -d :",
    }


def test_inspect_tells_sites_of_unknowns_and_that_they_have_no_derivatives(
    aoti: Program, crystal: CompiledCase
) -> None:
    data = aoti("inspect", crystal.root, "--json").data

    (orientation,) = [each for each in data["outputs"] if each["name"] == "orientation"]
    assert orientation["sub_batch_shape"] == [4]
    assert data["missing"][0]["command"] is None


def test_inspect_says_for_which_batch_graphs_were_compiled(
    aoti: Program, compiled_case: Callable[..., CompiledCase]
) -> None:
    said = aoti("inspect", compiled_case("elasticity", variant="static").root)

    assert "(5) only" in said.out


def test_inspect_of_a_lost_graph_is_negative_and_names_graph_and_remedy(
    aoti: Program, copy_of: Callable[[CompiledCase], CompiledCase], elasticity: CompiledCase
) -> None:
    case = copy_of(elasticity)
    (case.root / "cpu" / "float64" / "model_jvp.pt2").unlink()
    said = aoti("inspect", case.stub)
    data = aoti("inspect", case.stub, "--json").data

    assert said.code == 1
    assert "missing" in said.out
    assert "bad " in said.out
    assert data["sound"] is False
    assert "1 of 2 graphs are no files: model_jvp.pt2" in data["leaves"][0]["problem"]
    assert data["missing"][0]["what"] == "a sound leaf cpu/float64"
    assert data["missing"][0]["command"].startswith("neml2-compile model.i --driver driver")


def test_inspect_of_a_truncated_graph_is_negative(
    aoti: Program, copy_of: Callable[[CompiledCase], CompiledCase], elasticity: CompiledCase
) -> None:
    case = copy_of(elasticity)
    graph = case.root / "cpu" / "float64" / "model.pt2"
    graph.write_bytes(graph.read_bytes()[:1000])
    said = aoti("inspect", case.root)

    assert said.code == 1
    assert "model.pt2" in said.out


def test_inspect_of_damaged_metadata_is_negative_and_says_where(
    aoti: Program, copy_of: Callable[[CompiledCase], CompiledCase], elasticity: CompiledCase
) -> None:
    case = copy_of(elasticity)
    document = json.loads(case.metadata.read_text())
    document["inputs"][0]["var_size"] = 5
    case.metadata.write_text(json.dumps(document))
    said = aoti("inspect", case.root)

    assert (said.code, said.out) == (1, "")
    assert "inputs[0].var_size is 5" in said.err
