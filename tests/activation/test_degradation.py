"""Where the take-over cannot succeed, neml2 is never worse off than without the package."""

from __future__ import annotations

import json

from artifact_cache import CompiledCase
from fresh_interpreter import HERE, Interpreter

# Runs PRELUDE before torch, so that our finder is put in front of what it sets up.
RECORD = """
import sys, warnings
import probe
{prelude}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import neml2
    import neml2.factory
    try:
        import neml2.aoti
    except ImportError as error:
        print("ImportError:", error)
registered = neml2.factory._registry.get("AOTIModel")
owner = registered.__module__ if registered else ""
print("class:", "ours" if owner.startswith("neml2_aoti_plugin.") else owner)
print("from binary:", bool(probe.opened_neml2_libraries()))
for warning in caught:
    if "neml2_aoti_plugin" in str(warning.message):
        print(warning.category.__name__ + ":", warning.message)
"""


def record(interpreter: Interpreter, prelude: str, **switches: str) -> list[str]:
    result = interpreter.run("-c", RECORD.format(prelude=prelude), **switches)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def theirs(binary_loads: bool) -> list[str]:
    """The first lines of a record with neml2 left as it is."""
    return [
        f"class: {'neml2.aoti._shim' if binary_loads else ''}",
        f"from binary: {binary_loads}",
    ]


def without_import_error(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith("ImportError:")]


def test_removed_package_leaves_neml2_alone_and_says_nothing(
    lenient_interpreter: Interpreter, binary_loads: bool
) -> None:
    lines = record(lenient_interpreter, "sys.modules['neml2_aoti_plugin'] = None")
    assert without_import_error(lines) == theirs(binary_loads)


def test_half_removed_package_leaves_neml2_alone_and_says_nothing(
    lenient_interpreter: Interpreter, binary_loads: bool
) -> None:
    lines = record(lenient_interpreter, "sys.modules['neml2_aoti_plugin.takeover'] = None")
    assert without_import_error(lines) == theirs(binary_loads)


def test_broken_package_leaves_neml2_alone_and_warns_once(
    lenient_interpreter: Interpreter, binary_loads: bool
) -> None:
    lines = record(lenient_interpreter, "sys.modules['neml2_aoti_plugin.hit'] = None")
    *beginning, warning = without_import_error(lines)
    assert beginning == theirs(binary_loads)
    assert warning == (
        "RuntimeWarning: neml2_aoti_plugin cannot be used and leaves neml2 as it is"
        " (ModuleNotFoundError: import of neml2_aoti_plugin.hit halted; None in sys.modules)."
        " Reinstall or uninstall the plugin; NEML2_AOTI_PLUGIN=0 switches it off,"
        " NEML2_AOTI_PLUGIN_DEBUG=1 shows the whole error."
    )


def test_broken_package_is_an_error_when_debugging(lenient_interpreter: Interpreter) -> None:
    lines = record(
        lenient_interpreter,
        "sys.modules['neml2_aoti_plugin.hit'] = None",
        NEML2_AOTI_PLUGIN_DEBUG="1",
    )
    expected = (
        "ImportError: import of neml2_aoti_plugin.hit halted; None in sys.modules",
        "class: ",
        "from binary: False",
    )
    assert tuple(lines[:3]) == expected


def test_name_we_lack_brings_the_binary_in_beside_our_class(
    lenient_interpreter: Interpreter, binary_loads: bool
) -> None:
    # Only a module from a file has __file__: this stands for a name that the binary alone offers.
    lines = record(lenient_interpreter, "sys.meta_path.insert(0, probe.FutureRelease('__file__'))")
    assert lines[:2] == ["class: ours", f"from binary: {binary_loads}"]
    assert len(lines) == 3
    assert lines[2].startswith("RuntimeWarning: neml2.aoti asks for something that this version")
    assert ("runtime is loaded beside the plugin" in lines[2]) == binary_loads


def test_name_nobody_has_leaves_our_names(lenient_interpreter: Interpreter) -> None:
    prelude = "sys.meta_path.insert(0, probe.FutureRelease('no_such_name'))"
    code = RECORD.format(prelude=prelude) + (
        "import neml2_aoti_plugin\n"
        "assert neml2.aoti.Model is neml2_aoti_plugin.Model\n"
        "assert neml2.aoti.AOTIModel is neml2_aoti_plugin.AOTIModel\n"
        "assert neml2.aoti.ConvergenceError is neml2_aoti_plugin.ConvergenceError\n"
    )
    result = lenient_interpreter.run("-c", code)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "class: ours"
    assert len(lines) == 3
    assert "compiled models run on the plugin, other uses of neml2.aoti may fail" in lines[2]


def test_package_that_cannot_be_activated_late_leaves_neml2_alone(
    lenient_interpreter: Interpreter, binary_loads: bool
) -> None:
    code = """
import sys, warnings
sys.modules["neml2_aoti_plugin.hit"] = None
import neml2, neml2.factory
import neml2_aoti_plugin
registered = neml2.factory._registry.get("AOTIModel")
print(registered.__module__ if registered else None)
"""
    result = lenient_interpreter.run("-c", code, TORCH_DEVICE_BACKEND_AUTOLOAD="0")
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{'neml2.aoti._shim' if binary_loads else None}\n"
    assert result.stderr.count("neml2_aoti_plugin cannot be used") == 1


BUILT_FOR_ANOTHER_TORCH = """
import sys, types
record = types.ModuleType("neml2_aoti_plugin._core._built_with")
record.TORCH = "1.2.3"
sys.modules[record.__name__] = record
"""


def test_core_built_for_another_torch_leaves_interpreted_models_working(
    interpreter: Interpreter,
) -> None:
    code = (
        BUILT_FOR_ANOTHER_TORCH
        + """
import json, runpy, neml2
from probe import assert_active
assert_active()
sys.argv = ["neml2-syntax", "--type", "AOTIModel", "--json", "-"]
try:
    runpy.run_module("neml2.cli.syntax", run_name="__main__")
except SystemExit as finished:
    assert not finished.code
import torch
from trajectory import history
torch.set_default_dtype(torch.float64)
model = neml2.load_model(HERE / "viscoplastic.i", "full_step")
assert len(history(model, 3)) == 8
""".replace("HERE", f"__import__('pathlib').Path({str(HERE)!r})")
    )
    (entry,) = json.loads(interpreter.execute(code))
    assert entry["type"] == "AOTIModel"


def test_core_built_for_another_torch_says_so_where_a_model_is_opened(
    interpreter: Interpreter, elasticity: CompiledCase
) -> None:
    code = (
        BUILT_FOR_ANOTHER_TORCH
        + f"""
import neml2
for attempt in range(2):
    try:
        neml2.load_model({str(elasticity.stub)!r}, "model")
    except ImportError as error:
        print(error)
"""
    )
    first, second = interpreter.execute(code).splitlines()
    assert first == second
    assert "was built with torch 1.2.3, but torch" in first
    assert "rebuild it with: pip install --no-build-isolation" in first
