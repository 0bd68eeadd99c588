"""``neml2-aoti``: parses the command line, runs a sub-command, prints, and says how it went."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neml2_aoti_plugin.cli.outcome import ExitCode, Outcome, UsageError
from neml2_aoti_plugin.errors import AOTIError, ArtifactNotFoundError, LeafRequestError
from neml2_aoti_plugin.version import __version__

if TYPE_CHECKING:
    from rich.console import Console

PROGRAM = "neml2-aoti"

COMMANDS = (
    "inspect",
    "doctor",
    "check",
    "run",
    "bench",
    "compile",
    "tune",
    "lock",
    "upgrade",
    "completion",
)
"""Each is a module beside this one."""

TAKES_FOREIGN_WORDS = ("compile", "run")
"""Commands that hand on what they do not know: options, replacements of the input file."""

INTERRUPTED = 130

DESCRIPTION = "See, check, run and make compiled NEML2 models."

EPILOG = """\
exit codes:
  0  done, and the verdict is good
  1  done, and the verdict is negative: damaged, different, not converged, failed to compile
  2  not done: wrong usage, no such file, a package that is missing

`neml2-aoti COMMAND --help` has the options of each command, docs/command-line.md examples.
"""

NEEDS_RICH = (
    "neml2-aoti: the command line needs the package 'rich', which is not installed; everything "
    "else of neml2-aoti-plugin works without.\n"
    "Install it with: pip install 'neml2-aoti-plugin[cli]' (or: pip install rich shtab matplotlib)"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv``, by default that of the process; returns the exit code."""
    if importlib.util.find_spec("rich") is None:
        print(NEEDS_RICH, file=sys.stderr)
        return ExitCode.USAGE
    parser = build_parser()
    args, foreign = parser.parse_known_args(argv)
    if foreign and args.command not in TAKES_FOREIGN_WORDS:
        parser.error(f"unrecognized arguments: {' '.join(foreign)}")
    args.foreign = foreign
    try:
        return _run(args)
    except KeyboardInterrupt:
        return INTERRUPTED


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; imports no sub-command's libraries."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", required=True
    )
    for name in COMMANDS:
        module = _module(name)
        sub = commands.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=name not in TAKES_FOREIGN_WORDS,
        )
        module.configure(sub)
        output = sub.add_argument_group("output")
        output.add_argument("--json", action="store_true", help="print one JSON document instead")
        output.add_argument(
            "--color", choices=("auto", "always", "never"), default="auto", help="default: auto"
        )
    return parser


def _module(name: str) -> Any:
    return importlib.import_module(f"neml2_aoti_plugin.cli.{name}")


def _run(args: argparse.Namespace) -> int:
    from neml2_aoti_plugin.cli.console import message_console, output_console

    output, messages = output_console(args.color), message_console(args.color)
    try:
        outcome: Outcome = _module(args.command).run(args, messages)
    except (UsageError, ArtifactNotFoundError, LeafRequestError) as error:
        return _fail(args, messages, error, ExitCode.USAGE)
    except AOTIError as error:
        return _fail(args, messages, error, ExitCode.NEGATIVE)
    if args.json:
        print(json.dumps(_plain({"command": args.command} | dict(outcome.data)), indent=2))
    else:
        outcome.show(output)
    return outcome.code


def _fail(args: argparse.Namespace, messages: Console, error: Exception, code: ExitCode) -> int:
    if args.json:
        kind = type(error).__name__
        document = {"command": args.command, "error": {"kind": kind, "message": str(error)}}
        print(json.dumps(document, indent=2))
    else:
        from neml2_aoti_plugin.cli.console import escape

        messages.print(f"[bold red]error[/]: {escape(str(error))}", soft_wrap=True)
    return code


def _plain(value: Any) -> Any:
    """In JSON's own terms: no infinities, which it has none of, and paths as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return str(value) if isinstance(value, Path) else value
