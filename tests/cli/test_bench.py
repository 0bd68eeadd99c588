"""``neml2-aoti bench``: what it measures and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from artifact_cache import CompiledCase
from said import Program


def test_bench_measures_every_size_and_operation(
    aoti: Program, chaboche: CompiledCase, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "bench.svg"
    said = aoti(
        "bench", chaboche.stub, "--rows", "1", "48", "--operation", "forward", "jacobian",
        "--seconds", "0.05", "--threads", "1", "--plot", picture, "--json",
    )  # fmt: skip

    assert said.code == 0, said.err
    measured = said.data["measured"]
    assert [(each["operation"], each["rows"]) for each in measured] == [
        ("forward", 1),
        ("forward", 48),
        ("jacobian", 1),
        ("jacobian", 48),
    ]
    for each in measured:
        assert 0 < each["best_seconds"] <= each["median_seconds"]
        assert each["seconds_per_row"] == pytest.approx(each["best_seconds"] / each["rows"])
    # 48 rows are all 24 states of the driver twice, so they solve as hard as the driver does.
    steps = aoti("run", chaboche.stub, "driver", "--json").data["solves"]
    mean = sum(each["mean_iterations"] for each in steps) / len(steps)
    assert measured[1]["mean_iterations"] == pytest.approx(mean)
    assert picture.exists()


def test_bench_shows_a_table(aoti: Program, elasticity: CompiledCase) -> None:
    said = aoti("bench", elasticity.stub, "--rows", "10", "--seconds", "0.01")

    assert (said.code, said.err) == (0, "")
    assert "rows/s" in said.out


def test_bench_of_a_jacobian_that_was_not_compiled_is_refused(
    aoti: Program, elasticity_values_only: CompiledCase
) -> None:
    said = aoti("bench", elasticity_values_only.stub, "--operation", "jacobian")

    assert said.code == 2
    assert "no derivatives were compiled" in said.err


def test_bench_refuses_no_rows(aoti: Program, elasticity: CompiledCase) -> None:
    assert aoti("bench", elasticity.stub, "--rows", "0").code == 2


def test_bench_of_a_stub_whose_artifact_is_gone_is_refused(
    aoti: Program, elasticity: CompiledCase, tmp_path: Path
) -> None:
    stub = tmp_path / "model_aoti.i"
    stub.write_text(elasticity.stub.read_text())
    said = aoti("bench", stub)

    assert said.code == 2
    assert "no metadata.json" in said.err
