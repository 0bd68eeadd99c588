"""``neml2-aoti tune``: what became of every graph."""

from __future__ import annotations

from pathlib import Path

import pytest
from artifact_cache import CompiledCase
from said import Program

from neml2_aoti_plugin import tuning
from neml2_aoti_plugin.artifact.library_cache import FOLDER_VARIABLE


def test_tune_says_what_became_of_every_graph(
    aoti: Program, elasticity: CompiledCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(tuning, "LEAST_GAIN", 0.0)
    said = aoti("tune", elasticity.stub, "--json")
    assert said.code == 0
    graphs = {graph["name"]: graph for graph in said.data["graphs"]}
    assert set(graphs) == {"model.pt2", "model_jvp.pt2"}
    graph = graphs["model.pt2"]
    assert (graph["outcome"], graph["reason"]) == ("tuned", "")
    assert graph["gain"] == graph["seconds_per_row_before"] / graph["seconds_per_row_after"]
    again = aoti("tune", elasticity.root)
    assert "tuned before" in again.out
    assert "2 of 2 graphs run on tuned kernels" in again.out


def test_tune_needs_a_compiler(
    aoti: Program, elasticity: CompiledCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", "/there/is/none")
    said = aoti("tune", elasticity.root)
    assert said.code == 1
    assert "the compiler cannot be run" in said.err
