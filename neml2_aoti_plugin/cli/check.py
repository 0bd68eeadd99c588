"""Run a compiled model and the native one side by side, and say whether they agree.

Both see the same states: those that a driver of MODEL.i takes the native model through. Without
--driver, its first driver is followed along random fractions of its load (--rows, --seed); where
there is none, random strains are. Values of every output and all compiled derivatives are
compared, those by promoted parameters too, relative to the largest entry that the native model
gives.

The exit code is 1 where any of them exceeds its tolerance, and where the compiled model fails on
a state that the native one solves.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neml2_aoti_plugin.cli import host
from neml2_aoti_plugin.cli.outcome import ExitCode, Outcome, UsageError
from neml2_aoti_plugin.cli.target import (
    InputFile,
    add_stub_arguments,
    complete_files,
    read_input_file,
    target_of,
)

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from neml2_aoti_plugin.model import Model

HELP = "compare a compiled model with the native one"

VALUE_TOLERANCE = 1e-6
DERIVATIVE_TOLERANCE = 1e-5


def configure(parser: argparse.ArgumentParser) -> None:
    add_stub_arguments(parser)
    against = parser.add_argument(
        "--against", metavar="MODEL.i", type=Path, required=True, help="input file it came from"
    )
    complete_files(against)
    parser.add_argument(
        "--native-model", metavar="NAME", help="block there, if not of the same name"
    )
    parser.add_argument("--driver", metavar="NAME", help="driver of MODEL.i to follow as it is")
    parser.add_argument("--rows", type=int, default=8, help="random histories, default: 8")
    parser.add_argument("--seed", type=int, default=0, help="of these, default: 0")
    parser.add_argument(
        "--rtol", type=float, default=VALUE_TOLERANCE, help=f"values, default: {VALUE_TOLERANCE:g}"
    )
    parser.add_argument(
        "--derivative-rtol",
        type=float,
        default=DERIVATIVE_TOLERANCE,
        help=f"derivatives, default: {DERIVATIVE_TOLERANCE:g}",
    )
    parser.add_argument(
        "--reference",
        choices=("native", "differences"),
        default="native",
        help="for derivatives: the native model's own, or its central differences where it has "
        "none (default), or central differences for all",
    )
    parser.add_argument(
        "--derivative-steps", type=int, default=3, metavar="N", help="steps with derivatives: 3"
    )
    host.add_leaf_arguments(parser)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The worst of all steps and rows."""

    name: str
    """An output, or ``output:input`` for a derivative."""
    reference: str
    """``native`` or ``differences``."""
    scale: float
    """The largest entry that the reference gives; for values over all steps, for derivatives in
    this step, or what the ranges of output and input suggest, if that is more."""
    difference: float
    relative: float
    """Difference over scale."""
    tolerance: float
    step: int
    row: int

    @property
    def is_within(self) -> bool:
        return self.relative <= self.tolerance  # false for NaN


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    history: str
    """Where the states come from."""
    steps: int
    rows: int
    values: Sequence[Difference]
    derivatives: Sequence[Difference]
    failure: str | None
    """Where the compiled model failed."""

    @property
    def agrees(self) -> bool:
        return self.failure is None and all(
            each.is_within for each in (*self.values, *self.derivatives)
        )

    def data(self) -> dict[str, Any]:
        return asdict(self) | {
            "agrees": self.agrees,
            "values": [asdict(each) | {"within": each.is_within} for each in self.values],
            "derivatives": [asdict(each) | {"within": each.is_within} for each in self.derivatives],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to compare."""

    stub: Path
    model: str
    native: Path
    native_model: str
    driver: str | None
    """Followed as it is."""
    rows: int = 8
    seed: int = 0
    value_tolerance: float = VALUE_TOLERANCE
    derivative_tolerance: float = DERIVATIVE_TOLERANCE
    reference: str = "native"
    derivative_steps: int = 3
    device: str = "cpu"
    dtype: str = "float64"


def run(args: argparse.Namespace, messages: Console) -> Outcome:
    target = target_of(read_input_file(args.stub), args.model)
    against = read_input_file(args.against)
    plan = Plan(
        stub=args.stub,
        model=str(target.model),
        native=args.against,
        native_model=_native_name(against, args.native_model or str(target.model)),
        driver=args.driver,
        rows=_positive(args.rows, "--rows"),
        seed=args.seed,
        value_tolerance=args.rtol,
        derivative_tolerance=args.derivative_rtol,
        reference=args.reference,
        derivative_steps=max(args.derivative_steps, 0),
        device=args.device,
        dtype=args.dtype,
    )
    comparison = compare(plan, messages)
    return Outcome(
        data={"stub": args.stub, "against": args.against} | comparison.data(),
        show=lambda console: show(console, comparison),
        code=ExitCode.OK if comparison.agrees else ExitCode.NEGATIVE,
    )


def _positive(value: int, option: str) -> int:
    if value < 1:
        raise UsageError(f"{option} is {value}; expected 1 or more.")
    return value


def _native_name(file: InputFile, name: str) -> str:
    if name in file.native:
        return name
    listed = ", ".join(file.native) or "none"
    remark = " (it is compiled there, too)" if name in file.compiled else ""
    raise UsageError(
        f"{file.path}: no native model '{name}'{remark}; there are: {listed}. "
        "Give the file that was compiled, and --native-model if the block has another name."
    )


# --- comparing


def compare(plan: Plan, messages: Console) -> Comparison:
    """Raises UsageError where the native side cannot be run."""
    from neml2_aoti_plugin.cli.console import progress

    with host.torch_defaults(plan.device, plan.dtype):
        model = host.compiled_model(
            host.InputDeck(plan.stub, device=plan.device, dtype=plan.dtype), plan.model
        )
        rows = plan.rows if model.manifest.fixed_batch is None else _fixed_rows(model)
        driver, history = _driver(plan, rows)
        with progress(messages) as bar:
            task = bar.add_task("native", total=driver.nsteps - 1, remark="")
            calls = _native_calls(driver, plan, lambda: bar.advance(task))
            task = bar.add_task("compiled", total=len(calls), remark="")
            return _Comparer(plan, model, driver.model, calls).compare(
                history, lambda: bar.advance(task)
            )


def _fixed_rows(model: Model) -> int:
    import math

    return math.prod(extent or 2 for extent in model.manifest.fixed_batch or ())


def _driver(plan: Plan, rows: int) -> tuple[Any, str]:
    file = read_input_file(plan.native)
    deck = host.InputDeck(plan.native, device=plan.device, dtype=plan.dtype)
    if plan.driver is not None:
        if plan.driver not in file.drivers:
            listed = ", ".join(file.drivers) or "none"
            raise UsageError(f"{file.path}: no driver '{plan.driver}'; there are: {listed}.")
        driver = host.transient(deck.driver(plan.driver), plan.native)
        return driver, f"driver {plan.driver} as it is"
    found = [name for name, model in file.driven.items() if model == plan.native_model]
    if found:
        driver = host.transient(deck.driver(found[0]), plan.native)
        host.scatter(driver, rows, plan.seed)
        return driver, f"{rows} random fractions of driver {found[0]}, seed {plan.seed}"
    driver = host.drawn_driver(deck.model(plan.native_model), rows, plan.seed)
    return driver, f"{rows} random ramps of 1e-3, seed {plan.seed}"


def _native_calls(driver: Any, plan: Plan, on_step: Any) -> list[host.Call]:
    try:
        calls = host.calls_of(driver, on_step)
    except Exception as error:
        raise UsageError(
            f"{plan.native}: the native model fails on these states: {error} "
            "Choose others with --driver, --rows or --seed."
        ) from error
    if not calls:
        raise UsageError(f"{plan.native}: the driver takes no step, so there is nothing to compare")
    return calls


class _Worst:
    """Keeps the worst difference by name."""

    def __init__(self) -> None:
        self._found: dict[str, Difference] = {}

    def add(
        self,
        name: str,
        found: torch.Tensor,
        expected: torch.Tensor,
        *,
        scale: float,
        tolerance: float,
        reference: str,
        step: int,
    ) -> None:
        errors = (found - expected).abs().reshape(found.shape[0], -1).amax(dim=1)
        row = int(errors.nan_to_num(nan=float("inf")).argmax())
        difference = float(errors[row])
        relative = difference / scale if scale > 0 else difference
        worst = self._found.get(name)
        if worst is not None and not relative > worst.relative and relative == relative:
            return
        self._found[name] = Difference(
            name=name,
            reference=reference,
            scale=scale,
            difference=difference,
            relative=relative,
            tolerance=tolerance,
            step=step,
            row=row,
        )

    def all(self) -> list[Difference]:
        return list(self._found.values())


class _Comparer:
    def __init__(self, plan: Plan, model: Model, native: Any, calls: list[host.Call]) -> None:
        self._plan = plan
        self._model = model
        self._native = native
        self._calls = calls
        self._shapes = {
            each.public_name: (*(each.sub_batch_shape or ()), *each.base_shape)
            for each in model.manifest.inputs
        }
        self._check_names()
        self._largest = self._largest_outputs()
        self._spans = self._largest_inputs()

    def compare(self, history: str, on_step: Any) -> Comparison:
        from neml2_aoti_plugin.errors import ConvergenceError

        values, derivatives = _Worst(), _Worst()
        failure = None
        with_derivatives = self._steps_with_derivatives()
        for step, call in enumerate(self._calls, start=1):
            inputs = self._inputs(call)
            try:
                self._compare_values(step, call, self._model.forward(inputs), values)
                if step in with_derivatives:
                    self._compare_derivatives(step, call, inputs, derivatives)
                    self._compare_parameter_derivatives(step, call, inputs, derivatives)
            except ConvergenceError as error:
                failure = f"step {step}: {error}"
                break
            on_step()
        return Comparison(
            history=history,
            steps=len(self._calls),
            rows=self._rows(self._calls[0]),
            values=values.all(),
            derivatives=derivatives.all(),
            failure=failure,
        )

    def _check_names(self) -> None:
        lacking = [
            name for name in self._model.output_names if name not in self._native.output_spec
        ]
        if lacking:
            raise UsageError(
                f"{self._plan.native}: [Models/{self._plan.native_model}] has no output "
                f"{', '.join(lacking)}, which the compiled model has; they are of different models."
            )

    def _rows(self, call: host.Call) -> int:
        import math

        return math.prod(call.batch)

    def _inputs(self, call: host.Call) -> host.Tensors:
        """Zero for what the native model does not take: guesses that some releases list."""
        import torch

        device, dtype = self._model.device, self._model.dtype
        return {
            name: host.rows_of(call, name, shape).to(device, dtype)
            if name in call.inputs
            else torch.zeros(self._rows(call), *shape, device=device, dtype=dtype)
            for name, shape in self._shapes.items()
        }

    def _largest_outputs(self) -> dict[str, float]:
        """Over all steps: a value that is zero by symmetry in one has a scale all the same."""
        return {
            name: max(float(call.outputs[name].data.detach().abs().max()) for call in self._calls)
            for name in self._model.output_names
        }

    def _largest_inputs(self) -> dict[str, float]:
        return {
            name: max(float(call.inputs[name].data.detach().abs().max()) for call in self._calls)
            for name in self._shapes
            if name in self._calls[0].inputs
        }

    def _compare_values(
        self, step: int, call: host.Call, outputs: host.Tensors, worst: _Worst
    ) -> None:
        for name, found in outputs.items():
            expected = call.outputs[name]
            shape = found.shape[1:]
            batch = call.batch
            data = expected.data.detach().expand(*batch, *shape).reshape(-1, *shape)
            worst.add(
                name,
                found,
                data.to(found),
                scale=self._largest[name],
                tolerance=self._plan.value_tolerance,
                reference="native",
                step=step,
            )

    # --- derivatives

    def _steps_with_derivatives(self) -> set[int]:
        manifest = self._model.manifest
        if not manifest.derivatives and not manifest.parameter_derivatives:
            return set()
        total, wanted = len(self._calls), self._plan.derivative_steps
        return {total - (index * total) // wanted for index in range(min(wanted, total))}

    def _compare_derivatives(
        self, step: int, call: host.Call, inputs: host.Tensors, worst: _Worst
    ) -> None:
        if not self._model.manifest.derivatives:
            return
        _, blocks = self._model.jacobian(inputs)
        native = self._native_jacobian(call) if self._plan.reference == "native" else None
        columns = {name for row in blocks.values() for name in row}
        differences = {
            name: self._central_differences(call, name) for name in columns if native is None
        }
        for output, row in blocks.items():
            for name, block in row.items():
                expected = (native or {}).get(output, {}).get(name)
                reference = "native" if expected is not None else "differences"
                if expected is None:
                    if name not in differences:
                        differences[name] = self._central_differences(call, name)
                    expected = differences[name][output]
                block = block.expand(self._rows(call), *block.shape[-(expected.ndim - 1) :])
                worst.add(
                    f"{output}:{name}",
                    block,
                    expected.to(block).expand_as(block),
                    scale=self._scale(output, name, expected),
                    tolerance=self._plan.derivative_tolerance,
                    reference=reference,
                    step=step,
                )

    def _scale(self, output: str, given: str, block: torch.Tensor) -> float:
        """The larger of the block and of what the ranges of output and input suggest."""
        span = self._spans[given]
        ranges = self._largest[output] / span if span > 0 else 0.0
        return max(float(block.abs().max()), ranges)

    def _native_jacobian(self, call: host.Call) -> dict[str, host.Tensors] | None:
        """``None`` where this neml2 or this model has no derivatives of its own."""
        if not hasattr(self._native, "jacobian") or any(
            value.sub_batch_ndim for value in call.inputs.values()
        ):
            return None
        try:
            _, blocks = self._native.jacobian(self._flat(call))
        except Exception:
            return None
        rows = self._rows(call)
        return {
            output: {
                name: block.data.detach().expand(rows, *block.data.shape[1:])
                for name, block in row.items()
            }
            for output, row in blocks.items()
        }

    def _flat(self, call: host.Call, shift: tuple[str, Any] | None = None) -> dict[str, Any]:
        """Inputs of the native model with one batch axis, one of them shifted."""
        typed = {}
        for name, value in call.inputs.items():
            shape = tuple(value.data.shape[len(value.dynamic_batch_shape) :])
            data = host.rows_of(call, name, shape)
            if shift is not None and shift[0] == name:
                data = data + shift[1]
            typed[name] = type(value)(data, sub_batch_ndim=value.sub_batch_ndim)
        return typed

    def _central_differences(self, call: host.Call, name: str) -> host.Tensors:
        """``(rows, *sub_batch, *output_base, *input_base)`` by output; all sites move together."""
        import torch

        wrapper = call.inputs[name]
        base = torch.Size(type(wrapper).BASE_SHAPE)
        step = 1e-6 * max(float(wrapper.data.detach().abs().max()), 1e-2)
        return self._differences(
            base, step, lambda shift: self._native_outputs(call, (name, shift))
        )

    def _differences(
        self, base: torch.Size, step: float, outputs_at: Callable[[torch.Tensor], host.Tensors]
    ) -> host.Tensors:
        """Central, ``(rows, ..., *base)`` by output, of what the native model gives at a shift."""
        import torch

        columns: dict[str, list[torch.Tensor]] = {}
        with host.tight_solvers(self._native, 1e-13, 1e-12, 60):
            for component in range(base.numel()):
                shift = torch.zeros(base.numel(), dtype=torch.float64)
                shift[component] = step
                plus, minus = outputs_at(shift.reshape(base)), outputs_at(-shift.reshape(base))
                for output, value in plus.items():
                    columns.setdefault(output, []).append((value - minus[output]) / (2 * step))
        stacked = {output: torch.stack(column, dim=-1) for output, column in columns.items()}
        return {
            output: value.reshape(*value.shape[:-1], *base) for output, value in stacked.items()
        }

    def _compare_parameter_derivatives(
        self, step: int, call: host.Call, inputs: host.Tensors, worst: _Worst
    ) -> None:
        if not self._model.manifest.parameter_derivatives:
            return
        _, blocks = self._model.param_jacobian(inputs)
        for name in {name for row in blocks.values() for name in row}:
            parameter = self._native_parameter(name)
            size = float(parameter.detach().abs().max()) or 1.0
            differences = self._differences_by_parameter(call, parameter, 1e-5 * size)
            for output, row in blocks.items():
                if name not in row:
                    continue
                expected = differences[output].to(row[name])
                worst.add(
                    f"{output}:{name}",
                    row[name],
                    expected,
                    scale=max(float(expected.abs().max()), self._largest[output] / size),
                    tolerance=self._plan.derivative_tolerance,
                    reference="differences",
                    step=step,
                )

    def _native_parameter(self, name: str) -> torch.Tensor:
        """By the qualified name that was promoted, which begins with the block of a lone model."""
        known: dict[str, torch.Tensor] = dict(self._native.named_parameters())
        for candidate in (name, name.removeprefix(f"{self._plan.native_model}.")):
            if candidate in known:
                return known[candidate]
        raise UsageError(
            f"{self._plan.native}: [Models/{self._plan.native_model}] has no parameter '{name}', "
            "which the compiled model has; they are of different models."
        )

    def _differences_by_parameter(
        self, call: host.Call, parameter: torch.Tensor, step: float
    ) -> host.Tensors:
        """Central, ``(rows, *output_base, *parameter_base)`` by output."""
        import torch

        kept = parameter.detach().clone()

        def outputs_at(shift: torch.Tensor) -> host.Tensors:
            parameter.copy_(kept + shift)
            return self._native_outputs(call)

        with torch.no_grad():
            try:
                return self._differences(kept.shape, step, outputs_at)
            finally:
                parameter.copy_(kept)

    def _native_outputs(
        self, call: host.Call, shift: tuple[str, torch.Tensor] | None = None
    ) -> host.Tensors:
        results = self._native(*self._flat(call, shift).values())
        results = results if isinstance(results, tuple) else (results,)
        rows = self._rows(call)
        found = {}
        for output, value in zip(self._native.output_spec, results, strict=True):
            shape = value.data.shape[len(value.dynamic_batch_shape) :]
            found[output] = value.data.detach().expand(rows, *shape)
        return found


# --- for people


def show(console: Console, comparison: Comparison) -> None:
    from neml2_aoti_plugin.cli.console import facts, verdict

    console.print(
        facts(
            [
                ("states", comparison.history),
                ("compared", f"{comparison.steps} steps of {comparison.rows} rows"),
            ]
        )
    )
    if comparison.values:
        console.print(_differences_table("output", comparison.values))
    if comparison.derivatives:
        console.print(_differences_table("derivative", comparison.derivatives))
    else:
        console.print("[dim]no derivatives compared: none compiled, or none asked for[/]")
    if comparison.failure:
        verdict(console, False, f"the compiled model fails where the native one does not: "
                f"{comparison.failure}")  # fmt: skip
        return
    worst = [each for each in (*comparison.values, *comparison.derivatives) if not each.is_within]
    if worst:
        names = ", ".join(each.name for each in worst[:5])
        more = f" and {len(worst) - 5} more" if len(worst) > 5 else ""
        verdict(console, False, f"the compiled model differs: {names}{more}")
    else:
        verdict(console, True, "the compiled model agrees with the native one")


def _differences_table(what: str, differences: Sequence[Difference]) -> Any:
    from neml2_aoti_plugin.cli.console import MARKS, escape, table

    columns = (what, "against", "scale", "difference", "relative", "allowed", "step", "row", "")
    made = table(columns, numbers=columns[2:-1])
    for each in differences:
        made.add_row(
            escape(each.name),
            "central differences" if each.reference == "differences" else each.reference,
            f"{each.scale:.4g}",
            f"{each.difference:.1e}",
            f"{each.relative:.1e}",
            f"{each.tolerance:.0e}",
            str(each.step),
            str(each.row),
            MARKS["ok" if each.is_within else "bad"],
        )
    return made
