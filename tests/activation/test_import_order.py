"""Whatever is imported first, neml2 ends up with one AOTIModel and one ConvergenceError: ours."""

from __future__ import annotations

import pytest
from fresh_interpreter import Interpreter

CHECK = """
from probe import assert_active, opened_neml2_libraries
assert_active()
assert opened_neml2_libraries() == []
"""


@pytest.mark.parametrize(
    "first",
    [
        "import neml2",
        "import torch, neml2",
        "import neml2_aoti_plugin, neml2",
        "from neml2_aoti_plugin import AOTIModel",
        "import neml2_aoti_plugin.hit as hit; from neml2_aoti_plugin import AOTIModel;"
        " assert hit.AOTIModel is AOTIModel",
        "import neml2_aoti_plugin.typed",
        "from neml2.aoti import Model, AOTIModel, ConvergenceError",
        "import neml2.solvers",
    ],
)
def test_first_import_does_not_matter(interpreter: Interpreter, first: str) -> None:
    assert interpreter.execute(first + CHECK) == ""


def test_plugin_before_neml2_works_without_autoload(interpreter: Interpreter) -> None:
    code = "import neml2_aoti_plugin" + CHECK
    assert interpreter.execute(code, TORCH_DEVICE_BACKEND_AUTOLOAD="0") == ""


def test_plugin_after_neml2_replaces_what_is_loaded(
    lenient_interpreter: Interpreter, binary_loads: bool
) -> None:
    code = """
import neml2
from probe import assert_active, assert_inactive, convergence_errors
assert_inactive()
before = convergence_errors()
import neml2_aoti_plugin
assert_active()
assert convergence_errors() == before or not before  # none: 3.0.6 with a binary that does not load
from neml2_aoti_plugin.takeover import upstream_names
print("newton_solve_eager" in upstream_names)
from neml2.aoti import _aoti
from neml2_aoti_plugin import native_krylov
assert _aoti.krylov_solve_eager is native_krylov.krylov_solve_eager
assert _aoti.krylov_solve_linear is native_krylov.krylov_solve_linear
"""
    output = lenient_interpreter.run("-c", code, TORCH_DEVICE_BACKEND_AUTOLOAD="0")
    assert output.returncode == 0, output.stderr
    assert output.stdout == f"{binary_loads}\n"


def test_importing_the_package_imports_neither_torch_nor_neml2(interpreter: Interpreter) -> None:
    code = """
import sys, neml2_aoti_plugin
neml2_aoti_plugin.InputError, neml2_aoti_plugin.__version__
assert not {"torch", "neml2"} & set(sys.modules)
assert set(neml2_aoti_plugin.__all__) <= set(dir(neml2_aoti_plugin))
"""
    assert interpreter.execute(code) == ""


def test_unknown_name_is_an_attribute_error(interpreter: Interpreter) -> None:
    code = """
import neml2_aoti_plugin
try:
    neml2_aoti_plugin.Modell
except AttributeError as error:
    print(error)
"""
    assert interpreter.execute(code) == "module 'neml2_aoti_plugin' has no attribute 'Modell'\n"


def test_reloads_keep_one_class(interpreter: Interpreter) -> None:
    code = """
import importlib, neml2, neml2_aoti_plugin
from probe import assert_active, opened_neml2_libraries
importlib.reload(neml2.aoti)
assert_active()
importlib.reload(neml2.aoti._shim)  # registers neml2's class again
neml2_aoti_plugin.activate()
neml2_aoti_plugin.activate()
assert_active()
assert opened_neml2_libraries() == []
"""
    assert interpreter.execute(code) == ""


def test_reload_after_late_activation_keeps_one_class(lenient_interpreter: Interpreter) -> None:
    code = """
import importlib, neml2, neml2_aoti_plugin
from probe import assert_active
importlib.reload(neml2.aoti)
assert_active()
"""
    result = lenient_interpreter.run("-c", code, TORCH_DEVICE_BACKEND_AUTOLOAD="0")
    assert result.returncode == 0, result.stderr


def test_spawned_worker_is_active(interpreter: Interpreter) -> None:
    code = """
import multiprocessing
from probe import assert_active
if __name__ == "__main__":
    import neml2
    process = multiprocessing.get_context("spawn").Process(target=assert_active)
    process.start()
    process.join()
    print(process.exitcode)
"""
    assert interpreter.execute(code) == "0\n"


def test_genuine_module_keeps_its_own_loader(interpreter: Interpreter) -> None:
    code = """
import importlib.util, inspect
spec = importlib.util.find_spec("neml2.aoti")
import neml2
print(type(neml2.aoti.__loader__).__name__, type(neml2.aoti.__spec__.loader).__name__)
assert "neml2-compile" in inspect.getsource(neml2.aoti)
"""
    assert interpreter.execute(code) == "SourceFileLoader SourceFileLoader\n"
