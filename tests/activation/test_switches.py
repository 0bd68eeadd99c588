"""NEML2_AOTI_PLUGIN and TORCH_DEVICE_BACKEND_AUTOLOAD give neml2 back as it was."""

from __future__ import annotations

import json
import sys

import pytest
from artifact_cache import CompiledCase
from fresh_interpreter import Interpreter

import _neml2_aoti_plugin_autoload as autoload


@pytest.mark.parametrize("word", ["0", "off", "FALSE", " no "])
def test_off_words_switch_off(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("NEML2_AOTI_PLUGIN", word)
    assert autoload.is_switched_off()


@pytest.mark.parametrize("word", ["", "1", "on", "yes"])
def test_other_words_leave_on(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("NEML2_AOTI_PLUGIN", word)
    assert not autoload.is_switched_off()


def test_autoload_installs_one_finder_in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEML2_AOTI_PLUGIN", raising=False)
    others = [finder for finder in sys.meta_path if not isinstance(finder, autoload.Finder)]
    monkeypatch.setattr(sys, "meta_path", others.copy())
    autoload.autoload()
    autoload.autoload()
    assert isinstance(sys.meta_path[0], autoload.Finder)
    assert sys.meta_path[1:] == others


def test_autoload_swallows_every_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", None)
    autoload.autoload()


def test_finder_answers_for_one_name_only() -> None:
    assert autoload.Finder().find_spec("neml2.aoti._aoti", []) is None
    assert autoload.Finder().find_spec("json") is None


def test_switched_off_package_changes_nothing(
    lenient_interpreter: Interpreter, binary_loads: bool
) -> None:
    code = """
import sys, neml2_aoti_plugin
import neml2
from probe import assert_inactive, convergence_errors, opened_neml2_libraries
neml2_aoti_plugin.activate()
assert_inactive()
neml2_aoti_plugin.Model
assert not convergence_errors() or convergence_errors() == {neml2_aoti_plugin.ConvergenceError}
from neml2_aoti_plugin import AOTIModel
assert_inactive()
print(bool(opened_neml2_libraries()))
"""
    result = lenient_interpreter.run("-c", code, NEML2_AOTI_PLUGIN="off")
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{binary_loads}\n"


def test_switched_off_convergence_error_is_that_of_the_host(
    lenient_interpreter: Interpreter,
) -> None:
    code = """
import sys
from neml2_aoti_plugin import InputError
assert "neml2" not in sys.modules
from neml2_aoti_plugin import ConvergenceError
from neml2_aoti_plugin.errors import convergence_error_class
from probe import convergence_errors
assert convergence_errors() in ({ConvergenceError}, set())
assert convergence_error_class() is ConvergenceError
"""
    result = lenient_interpreter.run("-c", code, NEML2_AOTI_PLUGIN="0")
    assert result.returncode == 0, result.stderr


def test_without_autoload_neml2_is_untouched(lenient_interpreter: Interpreter) -> None:
    code = "import neml2, probe; probe.assert_inactive()"
    result = lenient_interpreter.run("-c", code, TORCH_DEVICE_BACKEND_AUTOLOAD="0")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("switch", ["NEML2_AOTI_PLUGIN", "TORCH_DEVICE_BACKEND_AUTOLOAD"])
def test_compiled_model_runs_on_the_binary_of_the_host(
    interpreter: Interpreter, binary_works: bool, elasticity: CompiledCase, switch: str
) -> None:
    if not binary_works:
        pytest.skip("neml2's binary does not work on this torch")
    code = f"""
import json, neml2, torch
from probe import opened_neml2_libraries
torch.set_default_dtype(torch.float64)
model = neml2.load_model({str(elasticity.stub)!r}, "model")
(stress,) = model(model.input_spec["strain"](torch.tensor([[1e-3, 0.0, 0.0, 0.0, 0.0, 0.0]])))
print(json.dumps([type(model).__module__, bool(opened_neml2_libraries()), stress.data.tolist()]))
"""
    module, is_binary_open, stress = json.loads(interpreter.execute(code))
    assert (module, is_binary_open) == ("neml2_aoti_plugin.hit", False)
    switched_off = json.loads(interpreter.execute(code, **{switch: "0"}))
    assert switched_off == ["neml2.aoti._shim", True, [pytest.approx(stress[0], rel=1e-12)]]


def test_convergence_error_without_neml2_is_ours(interpreter: Interpreter) -> None:
    code = """
import sys
sys.modules["neml2"] = None
from neml2_aoti_plugin import ConvergenceError
from neml2_aoti_plugin.errors import ConvergenceError as ours
assert ConvergenceError is ours
"""
    assert interpreter.execute(code, NEML2_AOTI_PLUGIN="0") == ""
    assert interpreter.execute(code) == ""
