"""Kernels compiled again: the same bits, used by whoever opens the graph, never half-kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from artifact_cache import CompiledCase
from twins import Twin, open_model, require_same_bits

import neml2_aoti_plugin.tuning as tuning
from neml2_aoti_plugin import ArtifactError, Model, UnsupportedFeatureError
from neml2_aoti_plugin.artifact import library_cache
from neml2_aoti_plugin.tuning import Outcome, TunedGraph, TuningError, tune
from neml2_aoti_plugin.tuning.build import BuildError

JACOBIAN = "model_jacobian.pt2"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that nothing has been put into."""
    monkeypatch.setenv(library_cache.FOLDER_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def keeps_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """How fast something is depends on the machine."""
    monkeypatch.setattr(tuning, "LEAST_GAIN", 0.0)


def kept(cache: Path) -> list[Path]:
    return sorted(cache.glob("libraries/*/kernels-*.so"))


def loaded() -> str:
    return Path("/proc/self/maps").read_text()


@pytest.mark.usefixtures("keeps_all")
def test_tuned_graphs_are_used_and_have_the_same_bits(
    twin_of: Callable[[str], Twin], cache: Path
) -> None:
    twin = twin_of("chaboche")
    require_same_bits(twin.model)
    graphs = {graph.name: graph for graph in tune(twin.case.root)}
    assert graphs[JACOBIAN].outcome is Outcome.TUNED
    trial = graphs[JACOBIAN].trial
    assert trial is not None
    assert trial.agrees
    assert min(trial.before, trial.after) > 0.0
    without = graphs["model_solve.pt2"]
    assert (without.outcome, without.gain) == (Outcome.LEFT, None)
    assert without.reason == "no kernel in its source"
    files = kept(cache)
    assert len(files) == sum(graph.outcome is Outcome.TUNED for graph in graphs.values())

    model = open_model(twin.case)
    inputs = twin.inputs(37)
    expected, expected_blocks = twin.model.jacobian(inputs)
    values, blocks = model.jacobian(inputs)
    for name, value in expected.items():
        assert torch.equal(values[name], value), name
        for given, block in expected_blocks[name].items():
            assert torch.equal(blocks[name][given], block), (name, given)
    assert any(str(file) in loaded() for file in files)

    assert {graph.outcome for graph in tune(twin.case.root)} == {Outcome.ALREADY, Outcome.LEFT}
    assert kept(cache) == files


def first(case: CompiledCase, **options: bool) -> TunedGraph:
    """Of the graphs; those after it are left alone."""
    return next(tune(case.root, **options))


def test_what_is_not_faster_is_not_kept(
    elasticity: CompiledCase, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "LEAST_GAIN", 0.0)
    assert first(elasticity).outcome is Outcome.TUNED
    assert len(kept(cache)) == 1
    monkeypatch.setattr(tuning, "LEAST_GAIN", float("inf"))
    assert first(elasticity, again=True).outcome is Outcome.NO_GAIN
    assert kept(cache) == []


def test_kernels_with_other_results_are_refused(
    elasticity: CompiledCase, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked = tuning.marked_kernels

    def wrong(kernels: str, caller: str) -> tuning.Kernels:
        found = marked(kernels, caller)
        text = found.text.replace("out_ptr0[", "out_ptr0[1 - 1 + ", 1)
        text = text.replace(".store(out_ptr", ".neg().store(out_ptr")
        text = text.replace("] = tmp", "] = -tmp")
        assert text != found.text
        return dataclasses.replace(found, text=text)

    monkeypatch.setattr(tuning, "marked_kernels", wrong)
    with pytest.raises(TuningError, match="compute something else"):
        first(elasticity)
    assert kept(cache) == []


@pytest.mark.usefixtures("keeps_all")
def test_kernels_that_cannot_be_loaded_are_an_error_that_says_what_to_do(
    elasticity: CompiledCase, cache: Path
) -> None:
    first(elasticity)
    (file,) = kept(cache)
    file.write_bytes(b"no library")
    strain = torch.zeros(6, dtype=torch.float64)
    with pytest.raises(ArtifactError, match="tuned kernels cannot be loaded") as caught:
        Model(elasticity.root).forward({"strain": strain})
    assert str(file) in str(caught.value)
    assert "neml2-aoti tune" in str(caught.value)
    assert first(elasticity, again=True).outcome is Outcome.TUNED
    Model(elasticity.root).forward({"strain": strain})


def test_a_compiler_that_is_missing_or_fails_is_an_error(
    elasticity: CompiledCase, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "/there/is/none")
    with pytest.raises(BuildError, match="/there/is/none"):
        first(elasticity)
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(BuildError, match="exited with 1"):
        first(elasticity)
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", "/there/is/none")
    with pytest.raises(BuildError, match="no C\\+\\+ compiler"):
        first(elasticity)
    assert kept(cache) == []


def test_without_a_cache_there_is_nothing_to_keep_kernels_in(
    elasticity: CompiledCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(library_cache.FOLDER_VARIABLE, "0")
    with pytest.raises(UnsupportedFeatureError, match=library_cache.FOLDER_VARIABLE):
        first(elasticity)


def test_kernels_are_for_one_kind_of_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "model.so"
    here = library_cache.tuned_kernels_file(library, "2.12.1")
    assert here == library_cache.tuned_kernels_file(library, "2.12.1")
    assert here != library_cache.tuned_kernels_file(library, "2.13.0")
    other = dataclasses.replace(library_cache.this_machine(), cpu_flags=frozenset({"sse2"}))
    monkeypatch.setattr(library_cache, "this_machine", lambda: other)
    library_cache._builder.cache_clear()
    try:
        assert library_cache.tuned_kernels_file(library, "2.12.1") != here
    finally:
        library_cache._builder.cache_clear()
