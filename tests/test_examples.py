"""The example inputs run as a user runs them: ``neml2-run``, no flags, native and compiled."""

from __future__ import annotations

import shutil
from pathlib import Path

import artifact_cache
import pytest
from artifact_cache import (
    CACHE_VARIABLE,
    CASES,
    INPUTS,
    REGRESSIONS,
    TORCH_VARIABLE,
    CompileError,
    compiled,
    obstacle,
)
from programs import assert_passes_in_silence, neml2_run
from regressions import COMPILED_REGRESSIONS


@pytest.mark.parametrize(("case", "regression"), COMPILED_REGRESSIONS)
def test_compiled_model_reproduces_native_gold(case: str, regression: str) -> None:
    assert_passes_in_silence(neml2_run(compiled(case).stub, regression))


@pytest.mark.parametrize(("case", "regression"), REGRESSIONS)
def test_native_model_reproduces_its_gold(case: str, regression: str) -> None:
    assert_passes_in_silence(neml2_run(INPUTS / case / "model.i", regression))


def test_compiled_bundle_runs_after_a_move(tmp_path: Path) -> None:
    bundle = tmp_path / "moved here"
    shutil.copytree(compiled("elasticity").folder, bundle)
    assert_passes_in_silence(neml2_run(bundle / "model_aoti.i", "regression"))


def test_every_regression_of_every_input_is_run() -> None:
    declared = {
        (case, line.split("[")[1].split("]")[0])
        for case in CASES
        for line in (INPUTS / case / "model.i").read_text().splitlines()
        if line.strip().startswith("[regression")
    }
    assert declared == set(REGRESSIONS)
    assert {path.parent.name for path in INPUTS.glob("*/model.i")} == set(CASES)


def test_every_input_opens_with_its_physics() -> None:
    for case in CASES:
        first = (INPUTS / case / "model.i").read_text().splitlines()[0]
        assert first.startswith("# "), case


def test_golds_are_small() -> None:
    for gold in INPUTS.glob("*/gold/*.pt"):
        assert gold.stat().st_size < 100_000, gold


def test_artifact_cache_compiles_once() -> None:
    record = compiled("elasticity").folder / "record.json"
    written = record.stat().st_mtime_ns
    assert compiled("elasticity").folder / "record.json" == record
    assert record.stat().st_mtime_ns == written


def test_artifact_cache_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="no recipe for elasticity/half; there are elasticity/"):
        compiled("elasticity", variant="half")
    with pytest.raises(RuntimeError, match=r"neml2 2\.0 is asked for and \S+ is installed"):
        compiled("elasticity", neml2="2.0")


def test_artifact_cache_does_not_compile_in_the_name_of_another_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv(TORCH_VARIABLE, "1.2.3")
    with pytest.raises(CompileError, match=r"holds no elasticity/default of torch 1\.2\.3, which"):
        compiled("elasticity")


@pytest.mark.parametrize(
    ("module", "beyond", "within"),
    [
        ("settings.py", "crystal", "perzyna"),
        ("settings.py", "radial_return", "kinematic_hardening"),
        ("solvers/gmres.py", "perzyna", "crystal"),
        ("models/common/MinMapComplementarity.py", "kinematic_hardening", "radial_return"),
    ],
)
def test_only_an_input_with_new_words_is_beyond_a_neml2_without_them(
    monkeypatch: pytest.MonkeyPatch, module: str, beyond: str, within: str
) -> None:
    monkeypatch.setattr(artifact_cache, "_has_module", lambda path: path != module)
    assert obstacle(beyond)
    assert obstacle(within) is None
    assert obstacle("chaboche") is None
    monkeypatch.setattr(artifact_cache, "_has_module", lambda path: True)
    assert not any(obstacle(case) for case in CASES)
