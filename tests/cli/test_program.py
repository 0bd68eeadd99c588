"""Usage, exit codes and errors of the command line as a whole."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from artifact_cache import PROJECT, CompiledCase
from said import Program

from neml2_aoti_plugin.cli.program import COMMANDS, TAKES_FOREIGN_WORDS, build_parser


def test_help_lists_every_command_and_the_exit_codes(aoti: Program) -> None:
    said = aoti("--help")

    assert said.code == 0
    for name in COMMANDS:
        assert f"    {name}" in said.out
    assert "1  done, and the verdict is negative" in said.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(aoti: Program, command: str) -> None:
    said = aoti(command, "--help")

    assert said.code == 0
    assert "--json" in said.out


def test_wrong_usage_exits_with_two(aoti: Program) -> None:
    said = aoti("inspect")

    assert said.code == 2
    assert "the following arguments are required: PATH" in said.err


def test_option_that_no_command_knows_is_refused(aoti: Program) -> None:
    said = aoti("inspect", "/nowhere", "--loudly")

    assert said.code == 2
    assert "unrecognized arguments: --loudly" in said.err


def test_path_that_is_not_there_exits_with_two(aoti: Program) -> None:
    said = aoti("inspect", "/nowhere")

    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: /nowhere: no metadata.json")


def test_error_as_json_is_a_document_on_standard_output(aoti: Program) -> None:
    said = aoti("inspect", "/nowhere", "--json")

    assert (said.code, said.err) == (2, "")
    assert said.data["command"] == "inspect"
    assert said.data["error"]["kind"] == "ArtifactNotFoundError"


def test_native_input_file_is_refused_with_the_command_that_compiles_it(
    aoti: Program, elasticity: CompiledCase
) -> None:
    said = aoti("inspect", elasticity.model_file)

    assert said.code == 2
    assert f"Compile it: neml2-aoti compile {elasticity.model_file}" in said.err


def test_installed_program_inspects_without_torch_or_neml2(
    installed: Program, elasticity: CompiledCase
) -> None:
    program = (
        "import sys; sys.modules['torch'] = sys.modules['neml2'] = None;"
        "from neml2_aoti_plugin.cli.program import main;"
        f"sys.exit(main(['inspect', {str(elasticity.root)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd="/", capture_output=True, text=True, check=False
    )
    said = installed("inspect", elasticity.root)

    assert (done.returncode, done.stderr) == (0, "")
    assert (said.code, said.err, said.out) == (0, "", done.stdout)


def test_without_rich_the_program_says_what_to_install() -> None:
    program = (
        "import importlib.util as u; real = u.find_spec;"
        "u.find_spec = lambda name, *rest: None if name == 'rich' else real(name, *rest);"
        "from neml2_aoti_plugin.cli.program import main; raise SystemExit(main(['doctor']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd="/", capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'neml2-aoti-plugin[cli]'" in done.stderr


def test_output_to_a_pipe_has_no_control_characters(
    installed: Program, elasticity: CompiledCase
) -> None:
    assert "\x1b" not in installed("inspect", elasticity.root).out
    assert "\x1b" in installed("inspect", elasticity.root, "--color", "always").out


def test_bash_completes_commands_and_options(aoti: Program, tmp_path: Path) -> None:
    pytest.importorskip("shtab")
    script = tmp_path / "complete.bash"
    script.write_text(aoti("completion", "bash").out)
    line = (
        f"source {script}; COMP_WORDS=(neml2-aoti ins); COMP_CWORD=1;"
        " _shtab_neml2_aoti; echo ${COMPREPLY[@]};"
        " COMP_WORDS=(neml2-aoti inspect --js); COMP_CWORD=2;"
        " _shtab_neml2_aoti; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)

    assert done.stdout.split() == ["inspect", "--json"], done.stderr


def shown_commands(document: str) -> list[str]:
    """Command lines that a document shows, and what its tables promise with names in capitals."""
    text = (PROJECT / document).read_text()
    lines = re.findall(r"^(?:\$ )?(?:\w+=\S+ )*neml2-aoti ([^#|\n>]*)", text, re.MULTILINE)
    return [*lines, *re.findall(r"`neml2-aoti ([^`]*)`", text)]


@pytest.mark.parametrize("document", ["README.md", "docs/command-line.md"])
def test_documented_commands_are_understood(document: str) -> None:
    commands = shown_commands(document)

    assert {shlex.split(line)[0] for line in commands} >= {*COMMANDS} - {"completion"}
    for line in commands:
        args, foreign = build_parser().parse_known_args(shlex.split(line))
        assert not foreign or args.command in TAKES_FOREIGN_WORDS, line
