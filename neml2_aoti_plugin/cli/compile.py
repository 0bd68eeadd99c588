"""Compile a model with neml2-compile, with what that leaves to the user, and check the result.

  neml2-aoti compile model.i --driver driver -d auto

One step of the driver, taken by the native model, tells the sub-batch axes of its inputs where
[Settings]/[example_batch_shape] does not. As many segments are compiled at a time as cores and
memory allow. The result is compared with the native model, as by `neml2-aoti check`, and where it
agrees locked, as by `neml2-aoti lock`.

-d auto asks for the derivatives of every output by every variable that the driver prescribes, but
the time. Without any -d, these pairs are suggested. Options not listed here, and replacements
Section/block/option:=value, are handed to neml2-compile.

The exit code is 1 where the compilation fails or the compiled model differs.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neml2_aoti_plugin.cli import check, host
from neml2_aoti_plugin.cli.lock import lock_artifact, metadata_files
from neml2_aoti_plugin.cli.outcome import ExitCode, Outcome, UsageError
from neml2_aoti_plugin.cli.target import (
    InputFile,
    choose_driver,
    complete_files,
    read_input_file,
)

if TYPE_CHECKING:
    from rich.console import Console

HELP = "compile a model, with shapes and jobs found out, and check it"

AUTO = "auto"
MEMORY_PER_JOB = 2 << 30
"""What compiling one segment may take."""
LOG_LINES_SHOWN = 15
_PROGRESS = re.compile(r"^\[(\d+)/(\d+)\] (.*)$")


def configure(parser: argparse.ArgumentParser) -> None:
    complete_files(
        parser.add_argument("input", metavar="MODEL.i", type=Path, help="native input file")
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--driver", metavar="NAME", help="compile the model of this driver, default: the first"
    )
    what.add_argument("--model", metavar="NAME", help="compile this block, without any driver")
    parser.add_argument(
        "--output-dir", metavar="DIR", type=Path, default=Path("aoti"), help="default: aoti"
    )
    parser.add_argument(
        "-d", "--derivative", metavar="OUT:IN", action="append", default=[], help="or 'auto'"
    )
    parser.add_argument("-j", "--jobs", metavar="N", type=int, help="default: by cores and memory")
    parser.add_argument(
        "--example-batch-shape", metavar="SPEC", action="append", default=[], help="to trace with"
    )
    parser.add_argument("--device", default="cpu", help="one family, default: cpu")
    parser.add_argument(
        "--dtype", choices=("float64", "float32"), default="float64", help="default: float64"
    )
    parser.add_argument("--no-check", action="store_true", help="do not run the result")
    parser.add_argument("--no-lock", action="store_true", help="write no artifact.lock")
    parser.add_argument(
        "--dry-run", action="store_true", help="find everything out, print the command, and stop"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to compile and how."""

    command: list[str]
    model: str
    driver: str | None
    shapes: dict[str, str]
    """Found by a native step, by variable."""
    suggested: list[str]
    """Derivative pairs of the driver's use."""
    stub: Path
    artifact: Path


def run(args: argparse.Namespace, messages: Console) -> Outcome:
    host.require_host()
    file = read_input_file(args.input)
    plan = _plan(args, file)
    if args.dry_run:
        return _outcome(args, plan, seconds=None, log="", comparison=None, code=ExitCode.OK)
    seconds, code, log = _compile(plan, messages)
    if code != 0:
        return _outcome(
            args, plan, seconds=seconds, log=log, comparison=None, code=ExitCode.NEGATIVE
        )
    comparison = None if args.no_check else _check(args, plan, messages)
    agrees = comparison is None or comparison.agrees
    if agrees and not args.no_lock:
        for metadata_file, device in metadata_files(plan.artifact):
            lock_artifact(metadata_file, device)
    return _outcome(
        args,
        plan,
        seconds=seconds,
        log=log,
        comparison=comparison,
        code=ExitCode.OK if agrees else ExitCode.NEGATIVE,
    )


# --- planning


def _plan(args: argparse.Namespace, file: InputFile) -> Plan:
    driver = _driver(args, file)
    model = file.driven[driver] if driver else str(args.model)
    if model not in file.native:
        listed = ", ".join(file.native) or "none"
        raise UsageError(f"{file.path}: no native model '{model}'; there are: {listed}.")
    seen = _one_step(args, driver or _any_driver(file, model))
    shapes = _shapes(args, seen)
    suggested = _suggested(seen)
    derivatives = _derivatives(args.derivative, suggested)
    command = [sys.executable, "-m", "neml2.cli.aoti_compile", str(args.input)]
    command += ["--driver", driver] if driver else ["--model", model]
    command += ["--output-dir", str(args.output_dir), "--device", args.device]
    command += ["--dtype", args.dtype, "--jobs", str(args.jobs or _jobs())]
    command += [word for pair in derivatives for word in ("-d", pair)]
    given = args.example_batch_shape or [f"{name}={shape}" for name, shape in shapes.items()]
    command += [word for shape in given for word in ("--example-batch-shape", shape)]
    command += args.foreign
    return Plan(
        command=command,
        model=model,
        driver=driver,
        shapes={} if args.example_batch_shape else shapes,
        suggested=[] if args.derivative else suggested,
        stub=args.output_dir / f"{model}_aoti.i",
        artifact=args.output_dir / model,
    )


def _driver(args: argparse.Namespace, file: InputFile) -> str | None:
    """The driver whose model is compiled; ``None`` where a model is named."""
    if args.model:
        return None
    name = choose_driver(file, args.driver, file.native)
    if name not in file.driven:
        found = ", ".join(file.driven) or "none"
        raise UsageError(f"{file.path}: driver '{name}' names no model; these do: {found}.")
    return name


def _any_driver(file: InputFile, model: str) -> str | None:
    return next((name for name, driven in file.driven.items() if driven == model), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What one native step shows."""

    sites: dict[str, tuple[int, ...]]
    """Sub-batch shapes of the inputs that have any."""
    inputs: list[str]
    outputs: list[str]
    forces: list[str]
    declared: dict[str, str]


def _one_step(args: argparse.Namespace, driver: str | None) -> _Seen | None:
    """``None`` without a driver to take it with."""
    if driver is None:
        return None
    overrides = [word for word in args.foreign if ":=" in word]
    with host.torch_defaults("cpu", args.dtype):
        deck = host.InputDeck(args.input, overrides=overrides, dtype=args.dtype)
        stepping = host.transient(deck.driver(driver), args.input)
        stepping.nsteps = min(stepping.nsteps, 2)
        try:
            calls = host.calls_of(stepping)
        except Exception as error:
            raise UsageError(
                f"{args.input}: the native model fails in its first step, so it is of no use "
                f"compiled: {error}"
            ) from error
    (call,) = calls or [host.Call(inputs={}, outputs={})]
    return _Seen(
        sites={
            name: tuple(value.sub_batch_shape)
            for name, value in call.inputs.items()
            if value.sub_batch_ndim
        },
        inputs=list(call.inputs),
        outputs=list(call.outputs),
        forces=host.force_names(stepping),
        declared=deck.declared_batch_shapes,
    )


def _shapes(args: argparse.Namespace, seen: _Seen | None) -> dict[str, str]:
    """Every example shape to give, where a declaration lacks one; nothing where all are declared.

    Shapes on the command line replace all that the file declares, so those are given again.
    """
    if seen is None:
        return {}
    bases = {name.partition("~")[0] for name, shape in seen.declared.items() if ";" in shape}
    lacking = {
        name: f"(2; {', '.join(str(extent) for extent in sites)})"
        for name, sites in seen.sites.items()
        if name.partition("~")[0] not in bases and ";" not in seen.declared.get("*", "")
    }
    if not lacking:
        return {}
    declared = {name: shape for name, shape in seen.declared.items() if name != "*"}
    return declared | lacking


def _suggested(seen: _Seen | None) -> list[str]:
    if seen is None or seen.sites:
        return []  # no derivatives can be compiled through unknowns with sub-batch axes
    return [f"{output}:{force}" for output in seen.outputs for force in seen.forces]


def _derivatives(asked: Sequence[str], suggested: Sequence[str]) -> list[str]:
    if AUTO not in asked:
        return list(asked)
    if not suggested:
        raise UsageError(
            "-d auto needs a driver that prescribes something, of a model without sub-batch axes; "
            "name the pairs: -d OUT:IN"
        )
    return list(dict.fromkeys([*suggested, *(pair for pair in asked if pair != AUTO)]))


def _jobs() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    available = _available_memory()
    by_memory = cores if available is None else available // MEMORY_PER_JOB
    return max(min(cores or 1, by_memory or 1), 1)


def _available_memory() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return None
    return None


# --- compiling


def _compile(plan: Plan, messages: Console) -> tuple[float, int, str]:
    """Seconds, exit code and everything that neml2-compile said but its progress."""
    from neml2_aoti_plugin.cli.console import progress

    start = time.perf_counter()
    said: list[str] = []
    with progress(messages) as bar:
        task = bar.add_task("compiling", total=None, remark="")
        with subprocess.Popen(
            plan.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                for line in process.stdout or ():
                    found = _PROGRESS.match(line.rstrip())
                    if found is None:
                        said.append(line.rstrip())
                        continue
                    done, total, name = found.groups()
                    bar.update(task, completed=int(done), total=int(total), remark=name)
            except BaseException:
                process.terminate()
                raise
    return time.perf_counter() - start, process.returncode, "\n".join(said)


def _check(args: argparse.Namespace, plan: Plan, messages: Console) -> check.Comparison | None:
    """``None`` without a stub, and where options make it another model than that of the file."""
    has_stub = "--no-stub" not in args.foreign
    if not has_stub or any(_changes_model(word) for word in args.foreign):
        return None
    single = args.dtype == "float32"
    return check.compare(
        check.Plan(
            stub=plan.stub,
            model=plan.model,
            native=args.input,
            native_model=plan.model,
            driver=None,
            value_tolerance=1e-3 if single else check.VALUE_TOLERANCE,
            derivative_tolerance=1e-2 if single else check.DERIVATIVE_TOLERANCE,
            device=args.device,
            dtype=args.dtype,
        ),
        messages,
    )


def _changes_model(word: str) -> bool:
    return ":=" in word or word.startswith("--rename")


# --- saying


def _outcome(
    args: argparse.Namespace,
    plan: Plan,
    *,
    seconds: float | None,
    log: str,
    comparison: check.Comparison | None,
    code: ExitCode,
) -> Outcome:
    has_failed = code is ExitCode.NEGATIVE and comparison is None
    data: dict[str, Any] = {
        "shell_command": _as_typed(plan.command),
        "model": plan.model,
        "driver": plan.driver,
        "example_batch_shapes": plan.shapes,
        "suggested_derivatives": plan.suggested,
        "stub": plan.stub,
        "compiled": seconds is not None and not has_failed,
        "seconds": None if seconds is None else round(seconds, 1),
        "log": log,
        "check": None if comparison is None else comparison.data(),
    }

    def show(console: Console) -> None:
        _show(console, plan, data, comparison)

    return Outcome(data=data, show=show, code=code)


def _as_typed(command: Sequence[str]) -> str:
    return shlex.join(["neml2-compile", *command[3:]])


def _show(
    console: Console, plan: Plan, data: dict[str, Any], comparison: check.Comparison | None
) -> None:
    from neml2_aoti_plugin.cli.console import command_line, escape, facts, verdict

    command_line(console, data["shell_command"])
    for name, shape in plan.shapes.items():
        console.print(f"[dim]example shape[/] {escape(name)} = {escape(shape)}, from a native step")
    if plan.suggested:
        console.print(
            "[yellow]no derivatives[/]: a tangent by what the driver prescribes would be "
            f"-d {escape(' -d '.join(plan.suggested))}, or -d auto"
        )
    if data["seconds"] is None:
        return
    if not data["compiled"]:
        console.print(escape("\n".join(data["log"].splitlines()[-LOG_LINES_SHOWN:])))
        verdict(console, False, "neml2-compile failed, see above")
        return
    console.print(facts([("stub", str(plan.stub)), ("time", f"{data['seconds']:.0f} s")]))
    if comparison is None:
        verdict(console, True, "compiled; not compared with the native model")
    else:
        check.show(console, comparison)
