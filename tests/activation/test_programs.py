"""neml2's programs see our class, with and without ``--load``, and nothing else on their output."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from fresh_interpreter import Interpreter

SYNTAX = ("-m", "neml2.cli.syntax")


def aoti_model_entry(output: str) -> dict[str, object]:
    catalogue = json.loads(output)
    entries = catalogue if isinstance(catalogue, list) else list(_entries(catalogue))
    (entry,) = [entry for entry in entries if entry.get("type") == "AOTIModel"]
    return entry


def is_ours(entry: dict[str, object]) -> bool:
    return str(entry["source_path"]).startswith("neml2_aoti_plugin/")


def _entries(tree: object) -> list[dict[str, object]]:
    if isinstance(tree, dict):
        return [tree] if "source_path" in tree else [e for v in tree.values() for e in _entries(v)]
    if isinstance(tree, list):
        return [entry for value in tree for entry in _entries(value)]
    return []


def test_catalogue_shows_our_class(interpreter: Interpreter) -> None:
    entry = aoti_model_entry(interpreter.output(*SYNTAX, "--json", "-"))
    assert is_ours(entry)
    assert entry["section"] == "Models"
    assert str(entry["doc"]).isascii()


def test_single_type_shows_our_class(interpreter: Interpreter) -> None:
    output = interpreter.output(*SYNTAX, "--type", "AOTIModel", "--json", "-")
    assert is_ours(aoti_model_entry(output))


def test_switched_off_catalogue_is_that_of_the_host(
    interpreter: Interpreter, binary_loads: bool
) -> None:
    if not binary_loads:
        pytest.skip("neml2's binary does not load on this torch")
    output = interpreter.output(*SYNTAX, "--json", "-", NEML2_AOTI_PLUGIN="0")
    assert str(aoti_model_entry(output)["source_path"]).endswith("aoti/_shim.py")


def test_catalogue_differs_from_that_of_the_host_in_our_entry_only(
    interpreter: Interpreter, binary_loads: bool
) -> None:
    if not binary_loads:
        pytest.skip("neml2's binary does not load on this torch")
    ours = json.loads(interpreter.output(*SYNTAX, "--json", "-"))
    for switch in ("NEML2_AOTI_PLUGIN", "TORCH_DEVICE_BACKEND_AUTOLOAD"):
        theirs = json.loads(interpreter.output(*SYNTAX, "--json", "-", **{switch: "0"}))
        pairs = zip(ours, theirs, strict=True)
        assert [one["type"] for one, other in pairs if one != other] == ["AOTIModel"]


def test_server_of_the_editor_answers_in_json_only(interpreter: Interpreter) -> None:
    questions = [
        {"id": 1, "method": "list_sections"},
        {"id": 2, "method": "list_types", "section": "Models"},
        {"id": 3, "method": "get_options", "type": "AOTIModel"},
        {"id": 4, "method": "get_options", "type": "LinearIsotropicElasticity"},
        {"id": 5, "method": "sing"},
    ]
    typed = "".join(json.dumps(question) + "\n" for question in questions)
    lines = interpreter.output(*SYNTAX, "--server", typed=typed).splitlines()
    sections, types, ours, elasticity, error = (json.loads(line) for line in lines)
    assert [answer["id"] for answer in (sections, types, ours, elasticity, error)] == [
        1,
        2,
        3,
        4,
        5,
    ]
    assert "Models" in sections["result"]
    assert "AOTIModel" in [entry["type"] for entry in types["result"]]
    assert is_ours(ours["result"])
    assert [option["name"] for option in ours["result"]["options"]] == [
        "artifact_path",
        "meta",
        "solver",
        "chain_rule",
        "on_failure",
        "failure_folder",
        "lock",
    ]
    assert elasticity["result"]["type"] == "LinearIsotropicElasticity"
    assert "error" in error


def test_load_option_takes_over_without_autoload(lenient_interpreter: Interpreter) -> None:
    result = lenient_interpreter.run(
        *SYNTAX, "--load", "neml2_aoti_plugin", "--json", "-", TORCH_DEVICE_BACKEND_AUTOLOAD="0"
    )
    assert result.returncode == 0, result.stderr
    assert is_ours(aoti_model_entry(result.stdout))


def test_load_option_finds_a_folder_of_our_name(lenient_interpreter: Interpreter) -> None:
    copy_package_to(lenient_interpreter)
    for switches in ({}, {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}):
        result = lenient_interpreter.run(
            *SYNTAX, "--load", "neml2_aoti_plugin", "--json", "-", **switches
        )
        assert result.returncode == 0, result.stderr
        assert is_ours(aoti_model_entry(result.stdout))


def test_second_copy_of_the_package_shares_its_classes(interpreter: Interpreter) -> None:
    copy_package_to(interpreter)
    code = """
import importlib.util, sys
import neml2
file = "neml2_aoti_plugin/__init__.py"
spec = importlib.util.spec_from_file_location("_neml2_ext_neml2_aoti_plugin", file)
copy = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(copy)
import neml2_aoti_plugin
from probe import assert_active
for name in neml2_aoti_plugin.__all__:
    assert getattr(copy, name) is getattr(neml2_aoti_plugin, name), name
assert_active()
"""
    assert interpreter.execute(code) == ""


def copy_package_to(interpreter: Interpreter) -> None:
    package = next(
        path / "neml2_aoti_plugin"
        for path in interpreter.search_path
        if (path / "neml2_aoti_plugin").is_dir()
    )
    shutil.copytree(package, interpreter.folder / package.name)
    autoload = "_neml2_aoti_plugin_autoload.py"
    shutil.copy(Path(package.parent) / autoload, interpreter.folder / autoload)
