"""The example inputs as such, and run as a user runs them: ``neml2-run``, no flags.

Their drivers are also tests of their own, all of them, native and compiled: ``pytest inputs``.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import artifact_cache
import pytest
from artifact_cache import (
    CACHE_VARIABLE,
    CASES,
    INPUTS,
    TORCH_VARIABLE,
    CompileError,
    compiled,
    obstacle,
)
from programs import assert_passes_in_silence, neml2_run

from neml2_aoti_plugin.testing.input_file import read

RUN_ALONE = (
    ("elasticity", "regression"),
    ("elasticity", "regression_unbatched"),
    ("chaboche", "regression"),
    ("composed", "regression"),
)


@pytest.mark.parametrize(("case", "regression"), RUN_ALONE)
def test_compiled_model_reproduces_native_gold_in_silence(case: str, regression: str) -> None:
    assert_passes_in_silence(neml2_run(compiled(case).stub, regression))


@pytest.mark.parametrize(("case", "regression"), RUN_ALONE)
def test_native_model_reproduces_its_gold_in_silence(case: str, regression: str) -> None:
    assert_passes_in_silence(neml2_run(INPUTS / case / "model.i", regression))


def test_compiled_bundle_runs_after_a_move(tmp_path: Path) -> None:
    bundle = tmp_path / "moved here"
    shutil.copytree(compiled("elasticity").folder, bundle)
    assert_passes_in_silence(neml2_run(bundle / "model_aoti.i", "regression"))


def test_every_input_has_a_recipe_and_a_gold_for_each_driver() -> None:
    files = [read(path) for path in sorted(INPUTS.glob("*/model.i"))]
    assert {file.path.parent.name for file in files} == set(CASES)
    for file in files:
        assert {case.compiled_by for case in file.cases} == {*file.driven}, file.path


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
