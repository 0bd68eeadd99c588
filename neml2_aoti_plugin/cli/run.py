"""Run a driver of an input file, watch its steps and Newton iterations, plot and save the results.

  neml2-aoti run model_aoti.i driver --plot strain[xx]:stress[xx] --csv result.csv

Components are named (stress[xx], for types that have such names) or numbered (stress[0]); a
sub-batched variable takes the site first (orientation[2,0]). --plot Y alone draws over time.
Options of the input file can be replaced, as in neml2-run, by further words
Section/block/option:=value.

The exit code is 1 where a step fails or a regression differs; what was computed until then is
saved.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neml2_aoti_plugin.cli import host
from neml2_aoti_plugin.cli.figures import Curves, check_drawable, draw_curves
from neml2_aoti_plugin.cli.history import History
from neml2_aoti_plugin.cli.outcome import ExitCode, Outcome, UsageError
from neml2_aoti_plugin.cli.saving import (
    check_npz,
    check_writable,
    write_csv,
    write_npz,
    write_vtk,
)
from neml2_aoti_plugin.cli.target import complete_files, read_input_file

if TYPE_CHECKING:
    from rich.console import Console

    from neml2_aoti_plugin.solves import SolveRecord

HELP = "run a driver: progress, iterations, plots, results"


def configure(parser: argparse.ArgumentParser) -> None:
    stub = parser.add_argument(
        "stub", metavar="STUB", type=Path, help="input file, compiled (model_aoti.i) or native"
    )
    complete_files(stub)
    parser.add_argument("driver", metavar="DRIVER", help="block of [Drivers]")
    host.add_leaf_arguments(parser)
    results = parser.add_argument_group("results")
    results.add_argument(
        "--plot", metavar="[X:]Y", action="append", default=[], help="repeat for more panels"
    )
    results.add_argument("--plot-file", metavar="FILE", type=Path, help="default: DRIVER.png")
    for option, text in (
        ("--out", "torch file of all steps, as of save_as"),
        ("--csv", "a line per step and row"),
        ("--npz", "numpy arrays over steps"),
        ("--vtk", "ParaView: FILE.pvd and a .vtp per step, rows as points"),
    ):
        complete_files(results.add_argument(option, metavar="FILE", type=Path, help=text))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSolves:
    """Newton iterations of one implicit segment in one step."""

    step: int
    segment: str
    rows: int
    failed: int
    most_iterations: int
    mean_iterations: float
    most_substeps: int
    linear_iterations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    history: History
    solves: Sequence[StepSolves]
    steps: int
    of: int
    rows: int
    seconds: float
    failure: str | None
    is_compiled: bool


def run(args: argparse.Namespace, messages: Console) -> Outcome:
    _check_options(args)
    done = _drive(args, messages)
    files = _save(args, done)
    data = {
        "stub": args.stub,
        "driver": args.driver,
        "steps": done.steps,
        "of_steps": done.of,
        "rows": done.rows,
        "seconds": round(done.seconds, 4),
        "failure": done.failure,
        "solves": [asdict(each) for each in done.solves],
        "files": files,
    }
    return Outcome(
        data=data,
        show=lambda console: _show(console, done, files),
        code=ExitCode.OK if done.failure is None else ExitCode.NEGATIVE,
    )


def _check_options(args: argparse.Namespace) -> None:
    file = read_input_file(args.stub)
    if args.driver not in file.drivers:
        listed = ", ".join(file.drivers) or "none (compile with --driver to keep them)"
        raise UsageError(f"{file.path}: no driver '{args.driver}'; there are: {listed}.")
    for word in args.foreign:
        if ":=" not in word:
            raise UsageError(
                f"'{word}' is neither an option nor a replacement; expected one of `neml2-aoti run "
                "--help`, or Section/block/option:=value."
            )
    if args.plot and args.plot_file is None:
        args.plot_file = Path(f"{args.driver}.png")
    if args.plot:
        check_drawable(args.plot_file)
    for each in (args.out, args.csv, args.vtk):
        check_writable(each)
    check_npz(args.npz)


# --- driving


def _drive(args: argparse.Namespace, messages: Console) -> _Run:
    from neml2_aoti_plugin.cli.console import progress
    from neml2_aoti_plugin.errors import AOTIError

    with host.torch_defaults(args.device, args.dtype):
        deck = host.InputDeck(
            args.stub, overrides=args.foreign, device=args.device, dtype=args.dtype
        )
        driver = deck.driver(args.driver)
        stepping = host.transient(driver, args.stub)
        watch = _Watch(stepping)
        failure = None
        with progress(messages) as bar:
            task = bar.add_task(args.driver, total=stepping.nsteps - 1, remark="")
            watch.on_step = lambda: bar.update(task, advance=1, remark=watch.remark())
            start = time.perf_counter()
            try:
                driver.run()
            except AOTIError as error:
                failure = f"step {watch.steps + 1}: {error}"
            except AssertionError as error:  # of a regression
                failure = str(error)
            except Exception as error:
                failure = f"step {watch.steps + 1}: {error}"
            seconds = time.perf_counter() - start
            watch.stop()
        history = History(stepping)
    return _Run(
        history=history,
        solves=watch.solves,
        steps=watch.steps,
        of=stepping.nsteps - 1,
        rows=max((each.rows().shape[1] for each in history.variables()), default=1),
        seconds=seconds,
        failure=failure,
        is_compiled=watch.is_compiled,
    )


class _Watch:
    """Counts the steps of a driver, and what its compiled solves took."""

    def __init__(self, driver: Any) -> None:
        self.steps = 0
        self.solves: list[StepSolves] = []
        self.on_step: Any = lambda: None
        models = [part._inner for part in host.compiled_parts(driver.model)]
        self.is_compiled = bool(models)
        self._evaluations = [(model, model.forward_natural) for model in models]
        for model in models:
            self._listen(model)
        self._handle = driver.model.register_forward_hook(self._after_step)

    def stop(self) -> None:
        self._handle.remove()
        for model, evaluate in self._evaluations:
            model.forward_natural = evaluate

    def remark(self) -> str:
        last = [each for each in self.solves if each.step == self.steps]
        return f"{max(each.most_iterations for each in last)} iterations" if last else ""

    def _listen(self, model: Any) -> None:
        evaluate = model.forward_natural

        def and_record(inputs: Any, param_overrides: Any = None, solves: Any = None) -> Any:
            records: list[SolveRecord] = []
            try:
                return evaluate(inputs, param_overrides, records)
            finally:
                self.solves += [_summary(self.steps + 1, record) for record in records]
                if solves is not None:
                    solves += records

        model.forward_natural = and_record

    def _after_step(self, *_: Any) -> None:
        self.steps += 1
        self.on_step()


def _summary(step: int, record: SolveRecord) -> StepSolves:
    iterations = record.iterations
    return StepSolves(
        step=step,
        segment=record.segment,
        rows=iterations.numel(),
        failed=int((~record.converged_mask).sum()),
        most_iterations=int(iterations.max()) if iterations.numel() else 0,
        mean_iterations=float(iterations.double().mean()) if iterations.numel() else 0.0,
        most_substeps=int(record.substeps.max()) if iterations.numel() else 0,
        linear_iterations=int(record.linear_iterations.sum()),
    )


# --- results


def _save(args: argparse.Namespace, done: _Run) -> list[Path]:
    history = done.history
    files: list[Path] = []
    if args.out:
        import torch

        torch.save(history.result, args.out)
        files.append(args.out)
    if args.csv:
        write_csv(history, args.csv)
        files.append(args.csv)
    if args.npz:
        write_npz(history, args.npz)
        files.append(args.npz)
    if args.vtk:
        files += write_vtk(history, args.vtk)
    panels = [_panel(history, text) for text in args.plot]
    if panels:
        title = f"{args.stub.stem}, {args.driver}"
        draw_curves(panels, title, args.plot_file)
        files.append(args.plot_file)
    return files


def _panel(history: History, text: str) -> Curves:
    x_text, colon, y_text = text.partition(":")
    if not colon:
        x_text, y_text = history.time_name, text
    x, y = history.series(x_text), history.series(y_text)
    return Curves(x_label=x.label, y_label=y.label, x=x.values, y=y.values)


# --- for people


def _show(console: Console, done: _Run, files: Sequence[Path]) -> None:
    from neml2_aoti_plugin.cli.console import facts, verdict

    pairs = [
        ("steps", f"{done.steps} of {done.of}"),
        ("rows", str(done.rows)),
        ("time", f"{done.seconds:.3g} s, {1e6 * done.seconds / max(done.steps * done.rows, 1):.3g}"
         " µs a row and step, all of it included"),
    ]  # fmt: skip
    console.print(facts(pairs))
    if done.solves:
        console.print(_solves_table(done.solves))
    elif done.is_compiled:
        console.print("[dim]the model solves nothing: it is explicit[/]")
    else:
        console.print("[dim]no model here is compiled, so no iterations are counted[/]")
    if files:
        console.print(facts(("saved", str(file)) for file in files[:6]))
        if len(files) > 6:
            console.print(f"[dim]       and {len(files) - 6} more beside[/]")
    if done.failure:
        verdict(console, False, done.failure)
    else:
        verdict(console, True, "every step converged" if done.solves else "done")


STEPS_SHOWN = 20


def _solves_table(solves: Sequence[StepSolves]) -> Any:
    from neml2_aoti_plugin.cli.console import escape, table

    columns = ["step", "solve", "iterations", "mean", "substeps"]
    has_linear = any(each.linear_iterations for each in solves)
    if has_linear:
        columns.append("linear iterations")
    made = table([*columns, ""], numbers=("step", "iterations", "mean", "substeps", *columns[5:]))
    most = max(each.most_iterations for each in solves) or 1
    shown = _some(solves)
    for each in shown:
        bar = "█" * max(round(24 * each.most_iterations / most), 1)
        cells = [str(each.step), escape(each.segment), str(each.most_iterations)]
        cells += [f"{each.mean_iterations:.1f}", str(each.most_substeps)]
        cells += [str(each.linear_iterations)] if has_linear else []
        failed = f" [red]{each.failed} of {each.rows} rows failed[/]" if each.failed else ""
        made.add_row(*cells, f"[blue]{bar}[/]{failed}")
    if len(shown) < len(solves):
        made.caption = f"the {len(shown)} steps with the most of {len(solves)}"
    return made


def _some(solves: Sequence[StepSolves]) -> Sequence[StepSolves]:
    if len(solves) <= STEPS_SHOWN:
        return solves
    most = sorted(solves, key=lambda each: (-each.failed, -each.most_iterations))[:STEPS_SHOWN]
    return sorted(most, key=lambda each: each.step)
