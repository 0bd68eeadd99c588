"""Rewrite an artifact of an older neml2 as the newest layout (schema 14), into a new folder.

Graphs are copied as they are, so this works where they are called the way the newest layout says:
explicit models of every release, and all models of 3.0.7 but those that take substeps of an
increment without a history. What cannot be said is refused, with every reason; this package runs it
all the same. The result is read again and compared before the command is done.

The exit code is 1 where the artifact is refused.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from neml2_aoti_plugin.artifact.folder import offered_leaves
from neml2_aoti_plugin.artifact.graphs import graph_names
from neml2_aoti_plugin.artifact.renewal import renew
from neml2_aoti_plugin.cli.outcome import Outcome, UsageError
from neml2_aoti_plugin.cli.target import complete_files, find_target

if TYPE_CHECKING:
    from rich.console import Console

    from neml2_aoti_plugin.artifact.manifest import Manifest

HELP = "rewrite an old artifact as the newest layout"


def configure(parser: argparse.ArgumentParser) -> None:
    path = parser.add_argument(
        "artifact", metavar="ARTIFACT", type=Path, help="folder, metadata file, or stub"
    )
    complete_files(path)
    parser.add_argument("--model", metavar="NAME", help="block of the stub, where it has several")
    parser.add_argument(
        "--output", "-o", metavar="DIR", type=Path, help="new folder, default: ARTIFACT_v14"
    )


def run(args: argparse.Namespace, messages: Console) -> Outcome:
    target = find_target(args.artifact, args.model)
    source = target.artifact.absolute()
    folder = source.parent if source.is_file() else source
    output: Path = args.output or folder.with_name(f"{folder.name}_v14")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"{output}: is there already. Name a new folder with --output.")
    leaves = offered_leaves(source)
    if len(leaves) > 1:
        listed = ", ".join(f"{device}/{dtype}" for device, dtype in leaves)
        raise UsageError(
            f"{source}: has several leaves: {listed}. Give the metadata file of one, or recompile."
        )
    device = leaves[0][0] if leaves else "cpu"
    written = renew(source, output, device=device, dtype=None)
    old = _schema_of(source, device)
    data = {
        "source": source,
        "output": output,
        "from_schema": old,
        "to_schema": written.schema_version,
        "graphs": list(graph_names(written)),
    }
    return Outcome(data=data, show=lambda console: _show(console, source, old, written, output))


def _schema_of(source: Path, device: str) -> int:
    from neml2_aoti_plugin.artifact import read_metadata

    return read_metadata(source, device=device).schema_version


def _show(console: Console, source: Path, old: int, written: Manifest, output: Path) -> None:
    from neml2_aoti_plugin.cli.console import facts, shown_path, verdict

    console.print(
        facts(
            [
                ("from", f"{shown_path(source)}, schema {old}"),
                ("to", f"{shown_path(output)}, schema {written.schema_version}"),
                ("graphs", f"{len(graph_names(written))}, copied as they are"),
                ("use it", f"artifact_path = '{output.name}' in a stub beside it"),
            ]
        )
    )
    verdict(console, True, "read again, it describes the same model")
