"""Compile the kernels of an artifact again, for this machine: the same results, sooner.

A graph carries the source of its kernels, which does not say that their arguments are different
memory; some models spend a third of their time for that. Here they are compiled with it said. What
has other bits than before is refused, what is not faster is not kept. Kernels are kept in the cache
of libraries (see NEML2_AOTI_PLUGIN_CACHE), for this kind of processor and this torch; every model
that is opened from then on uses them. The artifact stays as it is. It takes some seconds per graph
and a C++ compiler, as neml2-compile does.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neml2_aoti_plugin.artifact import read_metadata
from neml2_aoti_plugin.artifact.graphs import graph_names
from neml2_aoti_plugin.cli.outcome import Outcome
from neml2_aoti_plugin.cli.target import complete_files, find_target

if TYPE_CHECKING:
    from rich.console import Console

    from neml2_aoti_plugin.tuning import TunedGraph

HELP = "compile the kernels of an artifact again, faster"


def configure(parser: argparse.ArgumentParser) -> None:
    path = parser.add_argument(
        "artifact", metavar="ARTIFACT", type=Path, help="folder, metadata file, or stub"
    )
    complete_files(path)
    parser.add_argument("--model", metavar="NAME", help="block of the stub, where it has several")
    parser.add_argument("--dtype", choices=("float64", "float32"), help="leaf, default: float64")
    parser.add_argument("--again", action="store_true", help="also what was tuned before")


def run(args: argparse.Namespace, messages: Console) -> Outcome:
    from neml2_aoti_plugin.cli.console import progress
    from neml2_aoti_plugin.tuning import tune

    artifact = find_target(args.artifact, args.model).artifact
    names = graph_names(read_metadata(artifact, device="cpu", dtype=args.dtype))
    done: list[TunedGraph] = []
    with progress(messages) as bar:
        task = bar.add_task("tuning", total=len(names), remark="")
        for graph in tune(artifact, dtype=args.dtype, again=args.again):
            done.append(graph)
            bar.update(task, advance=1, remark=graph.name)
    return Outcome(
        data={"graphs": [_data(graph) for graph in done]},
        show=lambda console: _show(console, done),
    )


def _data(graph: TunedGraph) -> dict[str, Any]:
    trial = dataclasses.asdict(graph.trial) if graph.trial else {}
    return {
        "name": graph.name,
        "outcome": graph.outcome.value,
        "reason": graph.reason,
        "gain": graph.gain,
        "seconds_per_row_before": trial.get("before"),
        "seconds_per_row_after": trial.get("after"),
    }


def _show(console: Console, done: list[TunedGraph]) -> None:
    from neml2_aoti_plugin.cli.console import table, verdict
    from neml2_aoti_plugin.tuning import Outcome as Tuned

    shown = table(
        ("graph", "outcome", "us per row before", "after", "gain"),
        numbers=("us per row before", "after", "gain"),
    )
    for graph in done:
        outcome = f"{graph.outcome.value}: {graph.reason}" if graph.reason else graph.outcome.value
        trial = graph.trial
        figures = (
            (f"{trial.before * 1e6:.3g}", f"{trial.after * 1e6:.3g}", f"{trial.gain:.2f}")
            if trial
            else ("", "", "")
        )
        shown.add_row(graph.name, outcome, *figures)
    console.print(shown)
    tuned = sum(graph.outcome in (Tuned.TUNED, Tuned.ALREADY) for graph in done)
    verdict(console, True, f"{tuned} of {len(done)} graphs run on tuned kernels")
