"""What neml2's syntax catalogue and ``neml2-inspect`` show of ``AOTIModel``."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from artifact_cache import CompiledCase
from neml2.cli import inspect, syntax

from neml2_aoti_plugin import AOTIModel

EDITOR_SECONDS = 5.0
"""Most of them are spent importing torch."""


def catalogue_entry(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    syntax.main([*options, "--json", "-"])
    (entry,) = (each for each in json.loads(capsys.readouterr().out) if each["type"] == "AOTIModel")
    assert isinstance(entry, dict)
    return entry


@pytest.mark.parametrize("options", [(), ("--type", "AOTIModel"), ("--section", "Models")])
def test_complete_catalogue_shows_all_options(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    entry = catalogue_entry(capsys, *options)
    assert entry["section"] == "Models"
    assert entry["source_path"] == "neml2_aoti_plugin/hit.py"
    shown = {option["name"]: (option["required"], option["type"]) for option in entry["options"]}
    assert shown == {
        "artifact_path": (False, "str"),
        "meta": (False, "str"),
        "solver": (False, "str"),
        "chain_rule": (False, "bool"),
        "on_failure": (False, "str"),
        "failure_folder": (False, "str"),
        "lock": (False, "str"),
    }


def test_all_text_in_the_catalogue_is_ascii_and_says_something(
    capsys: pytest.CaptureFixture[str],
) -> None:
    entry = catalogue_entry(capsys)
    for text in (entry["doc"], *(option["doc"] for option in entry["options"])):
        assert text.isascii()
        assert len(text.split()) > 10
    assert "neml2-compile" in entry["doc"]
    assert AOTIModel.hit is not None


def inspected(
    capsys: pytest.CaptureFixture[str], stub: Path, expected_code: int = 0
) -> dict[str, Any]:
    assert inspect.main(["--json", str(stub), "model"]) == expected_code
    summary = json.loads(capsys.readouterr().out)
    assert isinstance(summary, dict)
    return summary


def test_inspect_shows_variables(
    capsys: pytest.CaptureFixture[str], elasticity: CompiledCase
) -> None:
    summary = inspected(capsys, elasticity.stub)
    assert summary["name"] == "AOTIModel"
    assert summary["inputs"] == [{"name": "strain", "type": "SR2"}]
    assert summary["outputs"] == [{"name": "stress", "type": "SR2"}]
    assert summary["parameters"] == []
    assert summary["buffers"] == []


def test_inspect_shows_promoted_parameters(
    capsys: pytest.CaptureFixture[str], elasticity_promoted: CompiledCase
) -> None:
    (parameter,) = inspected(capsys, elasticity_promoted.stub)["parameters"]
    assert parameter["name"].endswith("E")
    assert parameter["dtype"] == "torch.float64"
    assert parameter["device"] == "cpu"
    assert parameter["shape"] == []


def test_inspect_shows_every_promoted_parameter(
    capsys: pytest.CaptureFixture[str], elasticity_two_promoted: CompiledCase
) -> None:
    parameters = inspected(capsys, elasticity_two_promoted.stub)["parameters"]
    assert [entry["name"] for entry in parameters] == ["model.E", "model.nu"]


def test_inspect_as_a_program_answers_an_editor_in_time(chaboche: CompiledCase) -> None:
    """An editor waits for it at every click. Processor time, as others may use this machine."""
    run_inspect(chaboche.stub)  # files into the page cache
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    summary = run_inspect(chaboche.stub)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert summary["name"] == "AOTIModel"
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < EDITOR_SECONDS


def run_inspect(stub: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "neml2.cli.inspect", "--json", str(stub), "model"]
    run = subprocess.run(command, cwd="/", capture_output=True, text=True, check=True)
    assert run.stderr == ""
    summary: dict[str, Any] = json.loads(run.stdout)
    return summary


def test_inspect_lists_sub_batched_variables(
    capsys: pytest.CaptureFixture[str], crystal: CompiledCase
) -> None:
    names = {entry["name"] for entry in inspected(capsys, crystal.stub)["inputs"]}
    assert {"orientation~1", "deformation_rate"} <= names


def test_inspect_of_an_artifact_for_another_device_says_so(
    capsys: pytest.CaptureFixture[str], elasticity: CompiledCase, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(elasticity.folder, folder)
    artifact = folder / elasticity.root.name
    if (artifact / "metadata.json").exists():
        (artifact / "cpu").rename(artifact / "cuda")
    else:
        pytest.skip("an artifact of neml2 3.0.4 to 3.0.6 has its metadata in the device folder")
    summary = inspected(capsys, folder / elasticity.stub.name, expected_code=1)
    assert "no compiled artifact for device" in summary["error"]
    assert "cuda/float64" in summary["error"]
