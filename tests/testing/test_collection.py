"""Which input files are tests, and as what they show up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from scratch import Project

DRIVER = "[Drivers]\n  [check]\n    type = {type}\n  []\n[]\n"


def collected(pytester: pytest.Pytester, *words: str) -> list[str]:
    run = pytester.runpytest("--collect-only", "-q", *words)
    return [line for line in run.outlines if "::" in line]


def test_nothing_happens_unless_asked_for(project: Project, pytester: pytest.Pytester) -> None:
    project(neml2_inputs="false")
    assert collected(pytester) == []
    assert collected(pytester, "--neml2") != []


def test_a_run_that_asks_for_nothing_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_light.py").write_text(
        "import sys\n"
        "def test_light(pytestconfig):\n"
        "    assert pytestconfig.pluginmanager.has_plugin('neml2_aoti')\n"
        "    heavy = {'torch', 'neml2', 'nmhit', 'neml2_aoti_plugin'}\n"
        "    assert not heavy & set(sys.modules)\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout


def test_every_driver_that_compares_is_a_test_of_each_variant(
    project: Project, pytester: pytest.Pytester
) -> None:
    project()
    assert collected(pytester) == [
        "elasticity/model.i::regression[native]",
        "elasticity/model.i::regression[compiled]",
        "elasticity/model.i::regression_unbatched[native]",
        "elasticity/model.i::regression_unbatched[compiled]",
    ]


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("-m", "compiled"), 2),
        (("-m", "neml2 and not compiled"), 2),
        (("-k", "elasticity"), 4),
        (("-k", "unbatched and native"), 1),
        (("-k", "chaboche"), 0),
        (("--neml2-variants", "native"), 2),
        (("--neml2-variants", "native,compiled"), 4),
        (("elasticity/model.i::regression[native]",), 1),
    ],
)
def test_tests_are_chosen_by_marker_name_and_variant(
    project: Project, pytester: pytest.Pytester, words: tuple[str, ...], count: int
) -> None:
    project()
    assert len(collected(pytester, "--strict-markers", *words)) == count


def test_ini_chooses_variants(project: Project, pytester: pytest.Pytester) -> None:
    project(neml2_variants="native")
    assert len(collected(pytester)) == 2
    run = pytester.runpytest("--neml2-variants", "fast")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(
        ["*--neml2-variants is 'fast'; expected one or both of native compiled."]
    )


def test_files_are_left_out_by_glob_and_by_comment(
    project: Project, pytester: pytest.Pytester
) -> None:
    model = project(neml2_exclude="other/* *_aoti.i")
    (pytester.path / "other").mkdir()
    for name in ("other/model.i", "elasticity/model_aoti.i"):
        (pytester.path / name).write_text(model.read_text())
    assert len(collected(pytester)) == 4
    model.write_text("# neml2-pytest: exclude\n" + model.read_text())
    assert collected(pytester) == []


def test_comments_choose_variants(project: Project, pytester: pytest.Pytester) -> None:
    model = project()
    text = model.read_text()
    model.write_text("# neml2-pytest: variants native\n" + text)
    assert len(collected(pytester, "-m", "native")) == len(collected(pytester)) == 2


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("# neml2-pytest: skip", "elasticity/model.i:1: '# neml2-pytest: skip' is no instruction"),
        ("# neml2-pytest: variants fast", "one of: exclude, variants native or compiled, compile"),
    ],
)
def test_comment_that_says_nothing_known_is_an_error(
    project: Project, pytester: pytest.Pytester, comment: str, said: str
) -> None:
    model = project()
    model.write_text(f"{comment}\n{model.read_text()}")
    run = pytester.runpytest()
    run.assert_outcomes(errors=1)
    assert said in run.stdout.str()


def test_files_of_others_without_such_drivers_are_no_tests(pytester: pytest.Pytester) -> None:
    (pytester.path / "mesh.i").write_text("[Mesh]\n  [box]\n    dim = 2\n  []\n[]\n")
    (pytester.path / "empty.i").write_text("")
    (pytester.path / "transient.i").write_text(DRIVER.format(type="TransientDriver"))
    (pytester.path / "untyped.i").write_text("[Drivers]\n  [check]\n  []\n[]\n")
    run = pytester.runpytest("--neml2")
    assert run.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    run.assert_outcomes()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[Drivers]\n  [check\n", "broken.i:2:"),
        ("[Drivers]\n  [check]\n    type = 'never closed\n", "broken.i:"),
        ("!include nowhere.i\n", "nowhere.i"),
    ],
)
def test_broken_file_is_an_error_that_names_file_and_line(
    pytester: pytest.Pytester, text: str, said: str
) -> None:
    (pytester.path / "broken.i").write_text(text)
    run = pytester.runpytest("--neml2")
    run.assert_outcomes(errors=1)
    shown = run.stdout.str()
    assert f"{pytester.path}/broken.i" in shown
    assert said in shown
    assert "Traceback" not in shown


def test_further_driver_types_are_named_in_the_ini_file(pytester: pytest.Pytester) -> None:
    (pytester.path / "own.i").write_text(DRIVER.format(type="MyComparison"))
    pytester.makeini("[pytest]\nneml2_driver_types = MyComparison\n")
    # It names no model, so there is nothing to compile.
    assert collected(pytester, "--neml2") == ["own.i::check[native]"]


def test_driver_of_an_included_file_is_a_test(project: Project, pytester: pytest.Pytester) -> None:
    project(neml2_exclude="elasticity/*")
    (pytester.path / "outer.i").write_text("!include elasticity/model.i\n")
    assert len(collected(pytester)) == 4


def test_stub_is_run_as_it_stands(pytester: pytest.Pytester) -> None:
    stub = "[Models]\n  [model]\n    type = AOTIModel\n  []\n[]\n"
    (pytester.path / "model_aoti.i").write_text(
        stub + DRIVER.format(type="TransientRegression\n    driver = driver")
    )
    assert collected(pytester, "--neml2") == ["model_aoti.i::check[stub]"]
    assert len(collected(pytester, "--neml2", "-m", "stub")) == 1


def test_cache_of_compiled_models_holds_no_tests(
    project: Project, pytester: pytest.Pytester
) -> None:
    model = project(neml2_cache="cache")
    (pytester.path / "cache").mkdir()
    (pytester.path / "cache" / "model_aoti.i").write_text(model.read_text())
    assert len(collected(pytester)) == 4


def test_plugin_module_tolerates_torch_before_pytest(tmp_path: Path) -> None:
    """pytest warns of plugins that it cannot rewrite, as they are imported already."""
    (tmp_path / "test_one.py").write_text("def test_one(): pass\n")
    program = (
        "import _neml2_aoti_plugin_autoload, neml2_aoti_plugin, pytest, sys;"
        "sys.exit(pytest.main(['-q', '-W', 'error', '-p', 'no:cacheprovider']))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, ""), run.stdout
