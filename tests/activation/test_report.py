"""``python -m neml2_aoti_plugin`` tells what is active and why."""

from __future__ import annotations

from fresh_interpreter import Interpreter

REPORT = ("-m", "neml2_aoti_plugin")


def findings(output: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in output.splitlines())
    return {subject: finding.strip() for subject, _, finding in pairs}


def test_report_of_an_active_plugin(interpreter: Interpreter) -> None:
    result = interpreter.run(*REPORT)
    report = findings(result.stdout)
    assert list(report) == [
        "neml2_aoti_plugin",
        "python",
        "torch",
        "neml2",
        "switches",
        "started by torch",
        "finder",
        "type AOTIModel",
        "neml2.aoti._aoti",
        "runtime built with",
        "runtime loads",
        "active",
    ]
    assert report["started by torch"] == "yes: entry point _neml2_aoti_plugin_autoload:autoload"
    assert report["finder"].startswith("installed, sys.meta_path[")
    assert report["type AOTIModel"].startswith("neml2_aoti_plugin.")
    assert report["neml2.aoti._aoti"] == "from neml2_aoti_plugin"
    is_usable = report["runtime loads"] == "yes"
    assert report["active"].startswith("yes" if is_usable else "in part")
    assert (result.returncode, result.stderr) == (0 if is_usable else 1, "")


def test_report_of_a_plugin_switched_off(lenient_interpreter: Interpreter) -> None:
    result = lenient_interpreter.run(*REPORT, NEML2_AOTI_PLUGIN="off")
    report = findings(result.stdout)
    assert result.returncode == 1
    assert report["finder"] == "not installed"
    assert report["active"] == "no: switched off by NEML2_AOTI_PLUGIN=off"
    assert report["type AOTIModel"] in (
        "neml2.aoti._shim.AOTIModel",
        "not registered with neml2",
    )


def test_report_without_neml2(interpreter: Interpreter) -> None:
    code = """
import runpy, sys
sys.modules["neml2"] = None
runpy.run_module("neml2_aoti_plugin", run_name="__main__")
"""
    result = interpreter.run("-c", code)
    report = findings(result.stdout)
    assert result.returncode == 1
    assert report["neml2"].startswith("cannot be imported (ModuleNotFoundError")
    assert report["active"].startswith("no: neml2 cannot be imported")
