"""Print a script that completes neml2-aoti in a shell.

bash:  eval "$(neml2-aoti completion bash)"     in ~/.bashrc
zsh:   neml2-aoti completion zsh > ~/.zfunc/_neml2-aoti
tcsh:  neml2-aoti completion tcsh | source /dev/stdin
"""

from __future__ import annotations

import argparse
import importlib.util
from typing import TYPE_CHECKING

from neml2_aoti_plugin.cli.outcome import Outcome, UsageError

if TYPE_CHECKING:
    from rich.console import Console

HELP = "print a completion script for a shell"

SHELLS = ("bash", "zsh", "tcsh")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="whose script")


def run(args: argparse.Namespace, messages: Console) -> Outcome:
    if importlib.util.find_spec("shtab") is None:
        raise UsageError(
            "completion needs the package 'shtab': pip install 'neml2-aoti-plugin[cli]'"
        )
    import shtab

    from neml2_aoti_plugin.cli.program import build_parser

    script = shtab.complete(build_parser(), shell=args.shell)

    def show(console: Console) -> None:
        print(script)

    return Outcome(data={"shell": args.shell, "script": script}, show=show)
