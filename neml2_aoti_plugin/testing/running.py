"""Runs a driver that compares, as neml2-run does, and says what differs.

In this process: neml2's drivers keep no state but in themselves, torch's defaults are restored, and
what was computed is at hand when it has to be compared. Whether a test passes is for neml2 to say;
what is said here about a failure is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neml2_aoti_plugin.cli import host
from neml2_aoti_plugin.testing import differences, golds
from neml2_aoti_plugin.testing.failures import DifferenceError
from neml2_aoti_plugin.testing.input_file import UNIT_TEST

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A driver of an input file, and how it is to be run."""

    path: Path
    driver: str
    type: str
    replacements: tuple[str, ...]
    """Options of the file to replace, as ``Section/block/option:=value``."""
    device: str
    dtype: str


def run(what: Run) -> None:
    """Raises DifferenceError where the driver finds a difference, and whatever it raises."""
    with host.torch_defaults(what.device, what.dtype):
        if what.type == UNIT_TEST:
            _run_unit_test(what)
            return
        driver = _driver(what)
        if what.type == "TransientRegression":
            result = _finish(driver)
            if driver.reference.exists():
                _judge(driver, result, lambda: golds.read(driver.reference), driver.reference)
            else:
                raise DifferenceError(
                    f"there is no gold {driver.reference}; write it with --update-gold"
                )
        elif what.type == "Verification":
            result = _finish(driver)
            _judge(driver, result, lambda: _references(driver, result), None)
        elif driver.run() is False:
            raise DifferenceError(f"the driver, a {what.type}, says that it failed")


def update_gold(what: Run) -> tuple[Path, str] | None:
    """Run a ``TransientRegression`` and write what it computes as its gold.

    Returns the gold and what became of it, ``None`` if it needed no change.
    """
    with host.torch_defaults(what.device, what.dtype):
        regression = _driver(what)
        done = golds.update(regression.reference, _finish(regression))
    return (regression.reference, done) if done else None


def _driver(what: Run) -> Any:
    deck = host.InputDeck(
        what.path, overrides=what.replacements, device=what.device, dtype=what.dtype
    )
    return deck.driver(what.driver)


# --- drivers that compare the result of another one


def _finish(driver: Any) -> dict[str, torch.Tensor]:
    """Run what the driver compares, saving nothing; results on the CPU, as golds are."""
    stepping = driver.driver
    stepping.save_as = ""
    stepping.run()
    return {name: value.detach().cpu() for name, value in stepping.result().items()}


class _Finished:
    """A driver that has run."""

    def __init__(self, result: Mapping[str, torch.Tensor]) -> None:
        self._result = result

    def run(self) -> bool:
        return True

    def result(self) -> Mapping[str, torch.Tensor]:
        return self._result


def _judge(
    driver: Any, result: Mapping[str, torch.Tensor], expectation: Any, reference: Path | None
) -> None:
    """Let the driver compare; if it finds a difference, say which."""
    model = driver.driver.model
    driver.driver = _Finished(result)
    try:
        driver.run()
    except Exception as error:
        comparison = differences.compare(
            result,
            expectation(),
            rtol=driver.rtol,
            atol=driver.atol,
            types={**model.input_spec, **model.output_spec},
        )
        if not comparison:
            raise
        against = f"gold {reference}" if reference else "reference values"
        raise DifferenceError(
            f"results differ from the {against} by more than {driver.atol:g} + {driver.rtol:g} "
            f"|expected|\n\n{differences.report(comparison)}"
        ) from error


def _references(verification: Any, result: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What a ``Verification`` expects, by the keys of results, in the shapes of these."""
    expected = {}
    for name, reference in verification.refs.items():
        side, _, variable = name.partition(".")
        values = reference.data.detach().cpu()
        steps = [
            step
            for step in range(_step_count(result, side, variable))
            if not verification.time_steps or step in verification.time_steps
        ]
        for position, step in enumerate(steps):
            # A single step is compared with the whole of the reference.
            value = values if len(verification.time_steps) == 1 else values[position]
            key = f"{side}.{step}.{variable}"
            found = result.get(key)
            if found is None and not value.any():
                continue  # zero may be left out
            is_reshaped = found is not None and found.squeeze().shape == value.squeeze().shape
            expected[key] = (
                value.reshape(found.shape) if is_reshaped and found is not None else value
            )
    return expected


def _step_count(result: Mapping[str, torch.Tensor], side: str, variable: str) -> int:
    steps = [
        int(step)
        for step, _, name in (key.partition(".")[2].partition(".") for key in result)
        if name == variable and step.isdigit() and f"{side}.{step}.{name}" in result
    ]
    return max(steps, default=-1) + 1


# --- unit tests of models


def _run_unit_test(what: Run) -> None:
    from neml2.drivers.ModelUnitTest import ModelUnitTest

    if what.replacements:
        text = "\n".join([what.path.read_text(), *what.replacements, ""])
        test = ModelUnitTest.from_string(text, name=what.driver)
    else:
        test = ModelUnitTest.from_file(what.path, name=what.driver)
    try:
        test.check_values()
    except AssertionError as error:
        raise DifferenceError(_value_report(test)) from error
    try:
        test.check_dvalue()
    except AssertionError as error:
        raise DifferenceError(f"{error}, relative to {test.drtol:g} and {test.datol:g}") from error


def _value_report(test: Any) -> str:
    outputs = test.model(*(test.inputs[name] for name in test.model.input_spec))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    found = {name: value.data for name, value in zip(test.model.output_spec, outputs, strict=True)}
    expected = {
        name: getattr(value, "data", value) for name, value in test.expected_outputs.items()
    }
    comparison = differences.compare(
        found, expected, rtol=test.rtol, atol=test.atol, types=test.model.output_spec
    )
    return (
        f"values differ from the expected ones by more than {test.atol:g} + {test.rtol:g} "
        f"|expected|\n\n{differences.report(comparison)}"
    )
