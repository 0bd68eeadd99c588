"""Measure how long a compiled model takes per row, over sizes of the batch.

The rows are states that a driver of the stub takes the model through, repeated as often as needed,
so that solves are as hard as they are in use. Each size runs once to warm up and then for at least
--seconds; the best call counts, as disturbances only ever add.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neml2_aoti_plugin.cli import host
from neml2_aoti_plugin.cli.figures import check_drawable, draw_scaling
from neml2_aoti_plugin.cli.outcome import Outcome, UsageError
from neml2_aoti_plugin.cli.target import (
    add_stub_arguments,
    choose_driver,
    complete_files,
    read_input_file,
    target_of,
)

if TYPE_CHECKING:
    from rich.console import Console

    from neml2_aoti_plugin.model import Model
    from neml2_aoti_plugin.solves import SolveRecord

HELP = "measure the time per row over batch sizes"

SIZES = (1, 10, 100, 1000, 10000)
OPERATIONS = ("forward", "jacobian")


def configure(parser: argparse.ArgumentParser) -> None:
    add_stub_arguments(parser)
    parser.add_argument("--driver", metavar="NAME", help="whose states, default: the first")
    parser.add_argument(
        "--rows", type=int, nargs="+", default=list(SIZES), help=f"default: {_listed(SIZES)}"
    )
    parser.add_argument(
        "--operation", choices=OPERATIONS, nargs="+", default=["forward"], help="default: forward"
    )
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="for each size and operation, default: 1"
    )
    parser.add_argument("--threads", type=int, help="default: as many as torch uses")
    complete_files(
        parser.add_argument("--plot", metavar="FILE", type=Path, help="draw it, as .png or .svg")
    )
    host.add_leaf_arguments(parser)


def _listed(sizes: Sequence[int]) -> str:
    return " ".join(str(size) for size in sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    operation: str
    rows: int
    calls: int
    best_seconds: float
    """Of one call."""
    median_seconds: float
    seconds_per_row: float
    mean_iterations: float | None
    """Newton updates a row; ``None`` where nothing is solved."""


def run(args: argparse.Namespace, messages: Console) -> Outcome:
    if min(args.rows) < 1 or (args.threads is not None and args.threads < 1):
        raise UsageError("--rows and --threads take numbers from 1 on.")
    check_drawable(args.plot)
    threads, measured, driver = _measure_all(args, messages)
    if args.plot:
        series = {
            operation: [each.seconds_per_row for each in measured if each.operation == operation]
            for operation in args.operation
        }
        draw_scaling(
            args.rows,
            series,
            f"{args.stub.stem}, {threads} thread{'s' * (threads != 1)}",
            args.plot,
        )
    data = {
        "stub": args.stub,
        "driver": driver,
        "threads": threads,
        "measured": [asdict(each) for each in measured],
        "plot": args.plot,
    }
    return Outcome(data=data, show=lambda console: _show(console, args, threads, measured, driver))


def _measure_all(args: argparse.Namespace, messages: Console) -> tuple[int, list[Measured], str]:
    import torch

    from neml2_aoti_plugin.cli.console import progress

    file = read_input_file(args.stub)
    target = target_of(file, args.model)
    name = choose_driver(file, args.driver, (str(target.model),))
    with host.torch_defaults(args.device, args.dtype):
        deck = host.InputDeck(args.stub, device=args.device, dtype=args.dtype)
        model = host.compiled_model(deck, str(target.model))
        if "jacobian" in args.operation and not model.manifest.derivatives:
            raise UsageError(
                f"{args.stub}: no derivatives were compiled, so there is no jacobian to measure. "
                "Leave it out, or compile with -d."
            )
        driver = host.transient(deck.driver(name), args.stub)
        states = _states(driver, model)
        threads = args.threads or torch.get_num_threads()
        model.set_execution(threads=threads)
        measured = []
        with progress(messages) as bar:
            task = bar.add_task("measuring", total=len(args.rows) * len(args.operation), remark="")
            for operation in args.operation:
                for rows in args.rows:
                    bar.update(task, remark=f"{operation}, {rows} rows")
                    measured.append(_measure(model, operation, states, rows, args.seconds))
                    bar.advance(task)
    return threads, measured, name


def _states(driver: Any, model: Model) -> host.Tensors:
    """All states of the driver, ``(states, *sub_batch, *base)``."""
    import torch

    calls = host.calls_of(driver)
    if not calls:
        raise UsageError("the driver takes no step, so there are no states to measure with")
    shapes = {
        each.public_name: (*(each.sub_batch_shape or ()), *each.base_shape)
        for each in model.manifest.inputs
    }
    return {
        name: torch.cat([host.rows_of(call, name, shape) for call in calls])
        for name, shape in shapes.items()
    }


def _measure(
    model: Model, operation: str, states: host.Tensors, rows: int, seconds: float
) -> Measured:
    import statistics

    import torch

    known = len(next(iter(states.values())))
    # Neighbours of one history are alike; strides mix easy and hard rows at every size.
    chosen = (torch.arange(rows) * _stride(known)) % known
    inputs = {name: value[chosen.to(value.device)].contiguous() for name, value in states.items()}
    evaluate = getattr(model, operation)
    solves: list[SolveRecord] = []
    evaluate(inputs, solves=solves)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        evaluate(inputs)
        if model.device.type != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    iterations = [float(record.iterations.double().mean()) for record in solves]
    return Measured(
        operation=operation,
        rows=rows,
        calls=len(times),
        best_seconds=min(times),
        median_seconds=statistics.median(times),
        seconds_per_row=min(times) / rows,
        mean_iterations=sum(iterations) if iterations else None,
    )


def _stride(count: int) -> int:
    """A step through ``count`` states, near the golden section, that visits all of them."""
    import math

    step = max(round(0.618 * count), 1)
    while math.gcd(step, count) != 1:
        step += 1
    return step


def _show(
    console: Console,
    args: argparse.Namespace,
    threads: int,
    measured: Sequence[Measured],
    driver: str,
) -> None:
    from neml2_aoti_plugin.cli.console import facts, table

    pairs = [("states", f"of driver {driver}"), ("threads", str(threads))]
    console.print(facts(pairs))
    numbers = ("rows", "time of a call", "per row", "rows/s", "iterations")
    made = table(("operation", *numbers, ""), numbers=numbers)
    most = max(each.seconds_per_row for each in measured)
    for each in measured:
        bar = "█" * max(round(24 * each.seconds_per_row / most), 1)
        iterations = "" if each.mean_iterations is None else f"{each.mean_iterations:.1f}"
        made.add_row(
            each.operation,
            str(each.rows),
            _duration(each.best_seconds),
            _duration(each.seconds_per_row),
            f"{1 / each.seconds_per_row:,.0f}",
            iterations,
            f"[blue]{bar}[/]",
        )
    console.print(made)
    if args.plot:
        console.print(facts([("saved", str(args.plot))]))


def _duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
