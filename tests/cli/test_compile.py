"""``neml2-aoti compile``: what it finds out, hands over, and checks."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from artifact_cache import INPUTS
from said import Program, Said
from undeclared_crystal import undeclared_crystal

ELASTICITY = INPUTS / "elasticity" / "model.i"
CRYSTAL = INPUTS / "crystal" / "model.i"


def words(said: Said) -> list[str]:
    return shlex.split(said.data["shell_command"])


@pytest.fixture
def undeclared(tmp_path: Path) -> Path:
    file = tmp_path / "undeclared.i"
    file.write_text(undeclared_crystal())
    return file


def test_compile_takes_example_shapes_from_a_native_step(aoti: Program, undeclared: Path) -> None:
    said = aoti("compile", undeclared, "--dry-run", "--json")

    assert said.code == 0, said.out
    assert said.data["example_batch_shapes"] == {
        "slip_hardening~1": "(2; 4)",
        "elastic_strain~1": "(2; 4)",
        "orientation~1": "(2; 4)",
    }
    assert "orientation~1=(2; 4)" in words(said)
    assert said.data["suggested_derivatives"] == []  # none can be compiled


def test_compile_leaves_shapes_alone_that_the_file_declares(aoti: Program) -> None:
    said = aoti("compile", CRYSTAL, "--dry-run", "--json")

    assert said.data["example_batch_shapes"] == {}
    assert "--example-batch-shape" not in words(said)


def test_compile_prefers_shapes_of_the_command_line(aoti: Program, undeclared: Path) -> None:
    said = aoti(
        "compile", undeclared, "--dry-run", "--json", "--example-batch-shape", "orientation=(3; 4)"
    )

    assert words(said).count("--example-batch-shape") == 1
    assert "orientation=(3; 4)" in words(said)


def test_compile_suggests_the_pairs_of_the_driver_or_takes_them(aoti: Program) -> None:
    suggested = aoti("compile", ELASTICITY, "--dry-run", "--json")
    taken = aoti("compile", ELASTICITY, "--dry-run", "--json", "-d", "auto")

    assert suggested.data["suggested_derivatives"] == ["stress:strain"]
    assert "-d" not in words(suggested)
    assert words(taken)[-2:] == ["-d", "stress:strain"]


def test_compile_hands_on_what_it_does_not_know(aoti: Program) -> None:
    said = aoti(
        "compile", ELASTICITY, "--dry-run", "--json", "-p", "model.E", "--no-dynamic-batch",
        "Models/model/coefficients:='1e5 0.3'",
    )  # fmt: skip

    assert words(said)[-4:] == [
        "-p",
        "model.E",
        "--no-dynamic-batch",
        "Models/model/coefficients:='1e5 0.3'",
    ]


@pytest.mark.slow
def test_compile_compiles_and_checks(aoti: Program, tmp_path: Path) -> None:
    said = aoti("compile", ELASTICITY, "-d", "auto", "--output-dir", tmp_path / "aoti", "--json")

    assert said.code == 0, said.out
    assert said.data["compiled"] is True
    assert said.data["check"]["agrees"] is True
    assert [each["name"] for each in said.data["check"]["derivatives"]] == ["stress:strain"]
    assert aoti("inspect", tmp_path / "aoti" / "model_aoti.i").code == 0
    assert aoti("lock", tmp_path / "aoti" / "model_aoti.i", "--check").code == 0


def test_compile_that_fails_is_negative_and_shows_why(aoti: Program, tmp_path: Path) -> None:
    earlier = tmp_path / "aoti" / "model_aoti.i"
    earlier.parent.mkdir()
    earlier.write_text("of an earlier compilation")
    said = aoti(
        "compile", ELASTICITY, "--output-dir", tmp_path / "aoti", "-d", "stress:no_such_input"
    )

    assert said.code == 1
    assert "no_such_input" in said.out
    assert "bad  neml2-compile failed, see above" in said.out
    assert earlier.read_text() == "of an earlier compilation"


def test_compile_of_a_model_whose_native_step_fails_is_refused(
    aoti: Program, tmp_path: Path
) -> None:
    text = CRYSTAL.read_text()
    file = tmp_path / "undeclared.i"
    file.write_text(text[: text.index("[Settings]")] + text[text.index("[Tensors]") :])
    said = aoti("compile", file, "--dry-run")

    assert said.code == 2
    assert "the native model fails in its first step" in said.err


def test_compile_of_an_unknown_driver_lists_those_there_are(aoti: Program) -> None:
    said = aoti("compile", ELASTICITY, "--driver", "drver")

    assert said.code == 2
    assert "no driver 'drver'; there are: driver, regression," in said.err
