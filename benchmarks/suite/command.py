"""The command line: what to measure, and where the results go."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from neml2_aoti_plugin.artifact.library_cache import FOLDER_VARIABLE
from neml2_aoti_plugin.tuning import Outcome, tune
from suite import report
from suite.loadings import LOADINGS
from suite.machine import describe
from suite.models import KERNEL_THREADS, MODELS
from suite.operations import OPERATIONS
from suite.plan import DEFAULT, FRESH_OPERATIONS, FULL, QUICK, Selection
from suite.plots import draw
from suite.results import Result
from suite.session import Session

RESULTS = Path(__file__).resolve().parent.parent / "results"
CACHES = RESULTS.parent / ".cache"
"""Of the benchmarks alone: a cache of the user's may hold tuned kernels, or none."""


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print each result as it comes, and write report, record and plots."""
    arguments = parse(words)
    torch.set_num_threads(arguments.threads)
    use_own_cache(is_tuned=arguments.tuned)
    machine = describe(arguments.threads, KERNEL_THREADS, is_tuned=arguments.tuned)
    print(f"{machine.cpu}, {machine.cores} cores, load {machine.load_average[0]:.2f}")
    print(f"torch {machine.torch}, neml2 {machine.neml2}, {arguments.threads} threads\n")
    print(*report.header(), sep="\n", flush=True)
    results: list[Result] = []
    selection = selected(arguments)
    if arguments.tuned:
        tune_all(selection)
    session = Session(selection, arguments.threads)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    try:
        for result in session.results():
            results.append(result)
            print(report.line(result), flush=True)
    finally:  # what has been measured is worth keeping also where the rest fails
        folder = arguments.output / time.strftime("%Y-%m-%d_%H-%M-%S")
        folder.mkdir(parents=True)
        (folder / "report.md").write_text(report.markdown(machine, results, session.left_out))
        (folder / "record.json").write_text(report.record(machine, results))
        draw(results, folder)
        print(f"\n{report.summary(results, session.left_out)}\n\n{folder}")


def use_own_cache(*, is_tuned: bool) -> None:
    """Keep unpacked libraries apart from those of the user, and tuned ones from others."""
    os.environ.pop(FOLDER_VARIABLE, None)
    os.environ["XDG_CACHE_HOME"] = str(CACHES / ("tuned" if is_tuned else "plain"))


def tune_all(selection: Selection) -> None:
    """Compile the kernels of all chosen models again."""
    for name in selection.models:
        model = MODELS[name]
        artifacts = [model.compiled()]
        if "param_vjp" in selection.operations and model.parameter is not None:
            artifacts.append(model.compiled(promoted=True))
        for graph in (graph for artifact in artifacts for graph in tune(artifact.root)):
            if graph.outcome is Outcome.TUNED:
                print(f"tuned: {name}, {graph.name}, {graph.gain:.2f} times as fast", flush=True)


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, each of which replaces a part of the chosen preset."""
    parser = argparse.ArgumentParser(
        prog="make bench",
        description="Measure the plugin against neml2's own runtime, interleaved, in one process.",
    )
    preset = parser.add_mutually_exclusive_group()
    preset.add_argument("--quick", action="store_true", help="three models, a few minutes")
    preset.add_argument("--full", action="store_true", help="up to a million rows; hours")
    parser.add_argument("--models", nargs="+", choices=MODELS, metavar="MODEL")
    parser.add_argument(
        "--operations", nargs="+", choices=(*OPERATIONS, *FRESH_OPERATIONS), metavar="OPERATION"
    )
    parser.add_argument("--loadings", nargs="+", choices=LOADINGS, metavar="LOADING")
    parser.add_argument("--rows", nargs="+", type=int)
    parser.add_argument("--tuned", action="store_true", help="the plugin's side with tuned kernels")
    parser.add_argument("--blocks", type=int, help="undisturbed pairs of blocks per result")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=RESULTS, help=f"default: {RESULTS}")
    return parser.parse_args(words)


def selected(arguments: argparse.Namespace) -> Selection:
    """The preset, with what the command line replaces."""
    preset = QUICK if arguments.quick else FULL if arguments.full else DEFAULT
    changes = {
        name: tuple(given) if isinstance(given, list) else given
        for name in ("models", "operations", "loadings", "rows", "blocks")
        if (given := getattr(arguments, name)) is not None
    }
    if "models" in changes:
        changes["load_models"] = changes["models"]
    if "loadings" in changes:  # asked for by name, so wanted for derivatives, too
        changes["derivative_loadings"] = changes["loadings"]
    if "rows" in changes:
        changes["memory_rows"] = changes["rows"]
        changes["driver_rows"] = changes["rows"]
    return replace(preset, **changes)
