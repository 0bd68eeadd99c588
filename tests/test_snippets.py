"""Every command and program that a page shows runs as shown."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from artifact_cache import INPUTS, compiled
from snippets import MARK, RUN, SHOWN, SnippetError, blocks, exchanges, run_page, words
from undeclared_crystal import undeclared_crystal

PROJECT = Path(__file__).resolve().parent.parent
DOCS = PROJECT / "docs"
PAGES = [PROJECT / "README.md", *sorted(DOCS.glob("*.md"))]
SLOW = {"command-line.md"}
"""Pages that take longer than the others together."""
NOT_RUN = {"running.md": 2}
"""Blocks by page that are marked as not run, each with its reason; others are an error."""


def _name(page: Path) -> str:
    return page.name


def _command_line(scratch: Path) -> None:
    """The files that the page says it has, before its first command."""
    chaboche = compiled("chaboche")
    shutil.copytree(chaboche.folder, scratch / "aoti")
    shutil.copytree(chaboche.root, scratch / "broken" / "model")
    (scratch / "broken" / "model" / "cpu" / "float64" / "model_solve.pt2").unlink()

    for name, case, variant in (
        ("hard", "chaboche", "hard"),
        ("old", "elasticity", "schema7"),
        ("old_chaboche", "chaboche", "schema7"),
    ):
        shutil.copytree(compiled(case, variant=variant).folder, scratch / name)

    native = (INPUTS / "chaboche" / "model.i").read_text()
    changed = native.replace("saturated_hardening = 60", "saturated_hardening = 61")
    assert changed != native
    (scratch / "harder.i").write_text(changed)

    (scratch / "polycrystal.i").write_text(undeclared_crystal())


SCENES: dict[str, Callable[[Path], None]] = {"command-line.md": _command_line}
"""What a page starts from, beside ``inputs/``."""


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_block_says_what_it_is(page: Path) -> None:
    strangers = [block.where for block in blocks(page) if block.language not in (*RUN, *SHOWN)]

    assert strangers == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_blocks_that_are_not_run_are_counted_and_say_why(page: Path) -> None:
    left_out = [b for b in blocks(page) if b.language in RUN and not b.is_run]

    assert len(left_out) == NOT_RUN.get(page.name, 0)
    assert [b.where for b in left_out if not b.text.startswith(f"{MARK}: ")] == []


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow if page.name in SLOW else ())
        for page in PAGES
        if any(block.is_run for block in blocks(page))
    ],
    ids=_name,
)
def test_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    scratch = _scratch(tmp_path)
    if page.name in SCENES:
        SCENES[page.name](scratch)
    run = subprocess.run(
        [sys.executable, "-W", "error", str(PROJECT / "tests" / "snippets.py"), str(page)],
        cwd=scratch,
        env=_environment(scratch),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout


def _scratch(tmp_path: Path) -> Path:
    """What pages start from: ``inputs/``, and ``neml2-compile`` as the tests have it."""
    scratch = tmp_path / "work"
    (scratch / "bin").mkdir(parents=True)
    shutil.copytree(PROJECT / "inputs", scratch / "inputs")
    program = scratch / "bin" / "neml2-compile"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {PROJECT}/tests/cached_compile.py "$@"\n')
    program.chmod(0o755)
    return scratch


def _environment(scratch: Path) -> dict[str, str]:
    path = os.pathsep.join(
        (str(scratch / "bin"), str(Path(sys.executable).parent), os.environ["PATH"])
    )
    # What make hands to the programs that it starts would also count for those of the page.
    inherited = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    return inherited | {
        "PATH": path,
        "PYTHONPATH": str(PROJECT / "tests"),  # for inputs/conftest.py
        "MPLBACKEND": "agg",
        "NO_COLOR": "1",
    }


# --- the runner itself


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        file = tmp_path / "page.md"
        file.write_text(text)
        return file

    return write


def test_blocks_of_python_share_their_names(page: Callable[[str], Path]) -> None:
    run_page(page("```python\na = 2\n```\ntext\n```python\nassert a == 2\n```\n"))


def test_a_program_that_fails_names_its_line(page: Callable[[str], Path]) -> None:
    file = page("text\n\n```python\na = 2\nraise ValueError(a)\n```\n")

    with pytest.raises(ValueError, match="2") as caught:
        run_page(file)
    last = caught.traceback[-1]
    assert (str(last.path), last.lineno + 1) == (str(file), 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```sh\nfalse\n```\n", "exited with 1"),
        ("```sh\nmake no-such-target\n```\n", "no-such-target"),
        ("```sh\npip install 'neml2-aoti-plugin[cli,typo]'\n```\n", "no extras \\['typo'\\]"),
        ("```console\n$ echo found\nlost\n```\n", "without the words \\['lost'\\]"),
        ("```console\n$ false\n$ echo $?\n2\n```\n", "exited with 1, not 2"),
    ],
)
def test_commands_that_do_not_do_what_is_shown_fail(
    page: Callable[[str], Path], text: str, message: str
) -> None:
    with pytest.raises(SnippetError, match=message):
        run_page(page(text))


def test_blocks_that_are_marked_or_only_shown_are_not_run(page: Callable[[str], Path]) -> None:
    run_page(page("```sh\n# not run: needs a GPU\nfalse\n```\n```text\nfalse\n```\n"))


def test_transcript_is_commands_with_lines_and_codes() -> None:
    found = exchanges("$ one\nline\n\n$ two\n$ echo $?\n1\n")

    assert [(e.command, e.expected, e.code) for e in found] == [
        ("one", ["line", ""], 0),
        ("two", [], 1),
    ]


def test_words_are_what_does_not_differ_between_machines() -> None:
    assert words("time  0.209 s of /home/me, 5.2e-13 on x86_64") == {"time"}
