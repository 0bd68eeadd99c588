"""Compiled models in the cache of the plugin."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from artifact_cache import INPUTS, cache_folder
from scratch import Calls, Project

from neml2_aoti_plugin.testing.compiling import ArtifactCache, Request
from neml2_aoti_plugin.testing.failures import CompileError
from neml2_aoti_plugin.testing.input_file import read

COMPILER = """#!/bin/sh
# In place of Python with neml2-compile: counts, takes its time, and fails when it is told to.
echo "$@" >> {calls}
sleep 0.2
while [ $# -gt 0 ]; do
  case "$1" in
    --fail) echo "no such pair"; exit 3 ;;
    --output-dir) out="$2" ;;
  esac
  shift
done
mkdir -p "$out/model"
touch "$out/model_aoti.i"
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Command lines of a compiler that takes the place of neml2's."""
    log = tmp_path / "calls"
    program = tmp_path / "python"
    program.write_text(COMPILER.format(calls=log))
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    return lambda: log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def wanted(tmp_path: Path) -> Request:
    shutil.copytree(INPUTS / "elasticity", tmp_path / "elasticity")
    path = tmp_path / "elasticity" / "model.i"
    return Request(
        input_file=path,
        content=(path,),
        model="model",
        driver="driver",
        options=(),
        device="cpu",
        dtype="float64",
    )


def test_a_model_is_compiled_once(tmp_path: Path, calls: Calls, wanted: Request) -> None:
    one, other = ArtifactCache(tmp_path / "cache"), ArtifactCache(tmp_path / "cache")
    artifact = one.get(wanted)
    assert artifact == other.get(wanted)
    assert artifact == one.get(replace(wanted, driver="driver_unbatched"))
    assert artifact.stub.is_file()
    assert artifact.root.is_dir()
    (call,) = calls()
    assert call == (
        f"-m neml2.cli.aoti_compile {wanted.input_file} --driver driver --device cpu "
        f"--dtype float64 --output-dir {artifact.folder}"
    )


def test_processes_that_want_the_same_model_wait_for_one_of_them(
    tmp_path: Path, calls: Calls, wanted: Request
) -> None:
    with ThreadPoolExecutor(4) as pool:
        caches = [ArtifactCache(tmp_path / "cache") for _ in range(4)]
        found = list(pool.map(lambda cache: cache.get(wanted), caches))
    assert len(calls()) == 1
    assert len({artifact.folder for artifact in found}) == 1


def test_whatever_shapes_the_artifact_is_compiled_for(
    tmp_path: Path, calls: Calls, wanted: Request
) -> None:
    cache = ArtifactCache(tmp_path / "cache")
    table = tmp_path / "table.csv"
    table.write_text("1\n")
    others = [
        wanted,
        replace(wanted, model="other"),
        replace(wanted, driver=None),
        replace(wanted, options=("-d", ":")),
        replace(wanted, device="cuda:1"),
        replace(wanted, dtype="float32"),
        replace(wanted, content=(wanted.input_file, table)),
    ]
    for each in others:
        cache.get(each)
    table.write_text("2\n")
    cache.get(others[-1])
    wanted.input_file.write_text(wanted.input_file.read_text() + "# more\n")
    cache.get(wanted)
    assert len(calls()) == len(others) + 2
    assert "--device cuda --dtype" in calls()[4]


def test_failure_shows_command_and_log_and_is_not_repeated(
    tmp_path: Path, calls: Calls, wanted: Request
) -> None:
    cache = ArtifactCache(tmp_path / "cache")
    failing = replace(wanted, options=("--fail",))
    for _ in range(2):
        with pytest.raises(CompileError) as caught:
            cache.get(failing)
    assert len(calls()) == 1
    shown = str(caught.value).splitlines()
    assert shown[0].startswith(f"$ neml2-compile {wanted.input_file} --driver driver")
    assert shown[1] == "no such pair"
    assert shown[2].startswith("exited with 3; the whole log is ")
    assert Path(shown[2].split()[-1]).read_text() == "no such pair\n"


def test_interrupted_compilation_is_repeated(tmp_path: Path, calls: Calls, wanted: Request) -> None:
    artifact = ArtifactCache(tmp_path / "cache").get(wanted)
    (artifact.folder / "record.json").unlink()
    assert ArtifactCache(tmp_path / "cache").get(wanted).folder == artifact.folder
    assert len(calls()) == 2


def test_included_files_and_data_are_content_and_golds_are_not(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("1\n")
    (tmp_path / "gold.pt").write_text("")
    (tmp_path / "models.i").write_text("[Models]\n  [model]\n    table = 'table.csv'\n  []\n[]\n")
    outer = tmp_path / "outer.i"
    outer.write_text(
        "!include models.i\n[Drivers]\n  [check]\n    type = TransientRegression\n"
        "    reference = 'gold.pt'\n  []\n[]\n"
    )
    file = read(outer)
    assert {path.name for path in file.content} == {"outer.i", "models.i", "table.csv"}
    assert file.replacements == (f"Drivers/check/reference:='{tmp_path}/gold.pt'",)


def test_compiler_that_refuses_is_quoted(project: Project, pytester: pytest.Pytester) -> None:
    model = project(neml2_compile_args="-d stress:strian")
    run = pytester.runpytest_subprocess("-m", "compiled")
    run.assert_outcomes(failed=2)
    shown = run.stdout.str()
    assert f"$ neml2-compile {model} --driver driver " in shown
    assert "unknown input 'strian'" in shown
    assert "Traceback" not in shown
    assert len(list((pytester.path / ".pytest_cache" / "d" / "neml2").glob("*.failed.log"))) == 1


@pytest.mark.slow
def test_project_and_fixture_share_one_compiled_model(
    project: Project, pytester: pytest.Pytester
) -> None:
    """The whole way, with neml2's compiler; kept with the artifacts of the other tests."""
    project(neml2_cache=str(cache_folder() / "pytest"), neml2_compile_args="-d stress:strain")
    pytester.makepyfile(
        """
        from neml2_aoti_plugin import Model

        def test_jacobian(compiled_artifact, neml2_device, neml2_dtype):
            artifact = compiled_artifact("elasticity/model.i", driver="driver")
            model = Model(artifact.root, device=neml2_device, dtype=neml2_dtype)
            assert model.output_names == ["stress"]
            assert artifact.stub.name == "model_aoti.i"
        """
    )
    run = pytester.runpytest_subprocess()
    run.assert_outcomes(passed=5)
    before = sorted((cache_folder() / "pytest").glob("*/record.json"))
    pytester.runpytest_subprocess("-m", "compiled").assert_outcomes(passed=2)
    assert sorted((cache_folder() / "pytest").glob("*/record.json")) == before


def test_fixture_refuses_a_driver_without_model(
    project: Project, pytester: pytest.Pytester
) -> None:
    project()
    pytester.makepyfile(
        """
        import pytest

        def test_names(compiled_artifact):
            for names in ({"driver": "regression"}, {}, {"driver": "driver", "model": "model"}):
                with pytest.raises(ValueError, match="model"):
                    compiled_artifact("elasticity/model.i", **names)
        """
    )
    pytester.runpytest("test_fixture_refuses_a_driver_without_model.py").assert_outcomes(passed=1)
