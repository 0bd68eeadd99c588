"""The door to neml2: input files, models, drivers, and what a driver hands to its model."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from neml2_aoti_plugin.cli.outcome import UsageError
from neml2_aoti_plugin.errors import AOTIError, ArtifactNotFoundError

if TYPE_CHECKING:
    import argparse

    import torch

Tensors: TypeAlias = "dict[str, torch.Tensor]"


def add_leaf_arguments(parser: argparse.ArgumentParser) -> None:
    """``--device`` and ``--dtype``, as of neml2-run."""
    parser.add_argument("--device", default="cpu", help="torch device, default: cpu")
    parser.add_argument(
        "--dtype", choices=("float64", "float32"), default="float64", help="default: float64"
    )


class InputDeck:
    """A loaded input file. Whatever neml2 raises about it is a UsageError that names the file."""

    def __init__(
        self,
        path: Path,
        *,
        overrides: Sequence[str] = (),
        device: str = "cpu",
        dtype: str = "float64",
    ) -> None:
        require_host()
        if not path.is_file():
            raise UsageError(f"{path}: no such file. Correct the path.")
        self.path = path
        neml2 = importlib.import_module("neml2")
        leaf = {"device": device, "dtype": dtype}
        known = inspect.signature(neml2.load_input).parameters
        options = {key: value for key, value in leaf.items() if key in known}
        self._factory = self._asking(
            lambda: neml2.load_input(str(path), additional_args=tuple(overrides), **options)
        )

    def model(self, name: str) -> Any:
        return self._asking(lambda: self._factory.get_model(name))

    def driver(self, name: str) -> Any:
        return self._asking(lambda: self._factory.get_driver(name))

    @property
    def declared_batch_shapes(self) -> dict[str, str]:
        """``[Settings]/[example_batch_shape]``, as written."""
        settings = getattr(self._factory, "settings", None)
        return dict(getattr(settings, "example_batch_shape", None) or {})

    def _asking(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except ArtifactNotFoundError as error:
            raise UsageError(str(error)) from error
        except AOTIError:
            raise
        except Exception as error:
            text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
            raise UsageError(f"{self.path}: {text} ({type(error).__name__})") from error


def require_host() -> None:
    """Raise UsageError where neml2 is not installed."""
    if importlib.util.find_spec("neml2") is None:
        raise UsageError("this command needs neml2, which is not installed: pip install neml2")


@contextmanager
def torch_defaults(device: str, dtype: str) -> Iterator[None]:
    """torch's defaults as under neml2-run, for tensors that input files make by expressions."""
    import torch

    before = torch.get_default_dtype(), torch.get_default_device()
    torch.set_default_dtype(getattr(torch, dtype))
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_dtype(before[0])
        torch.set_default_device(before[1])


# --- drivers


def transient(driver: Any, path: Path) -> Any:
    """The driver that steps a model through time: itself, or the one that a regression runs."""
    stepping = getattr(driver, "driver", driver)
    if not hasattr(stepping, "result_out") or not hasattr(stepping, "prescribed"):
        raise UsageError(
            f"{path}: [Drivers] block of type {type(driver).__name__}; expected a TransientDriver, "
            "or a regression of one. Name another driver."
        )
    return stepping


def force_names(driver: Any) -> list[str]:
    """What the driver prescribes beside the time."""
    return list(driver.prescribed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One step of a driver: the model's arguments and results, neml2's typed values by name."""

    inputs: dict[str, Any]
    outputs: dict[str, Any]

    @property
    def batch(self) -> tuple[int, ...]:
        """The batch of all inputs together."""
        import torch

        shapes = [tuple(value.dynamic_batch_shape) for value in self.inputs.values()]
        broadcast: Callable[..., tuple[int, ...]] = torch.broadcast_shapes
        return tuple(broadcast(*shapes))


def calls_of(driver: Any, on_step: Callable[[], None] = lambda: None) -> list[Call]:
    """Run the driver, saving nothing, and keep every call of its model."""
    calls: list[Call] = []
    names = list(driver.model.input_spec), list(driver.model.output_spec)

    def keep(model: Any, arguments: Any, results: Any) -> None:
        results = results if isinstance(results, tuple) else (results,)
        calls.append(
            Call(
                inputs=dict(zip(names[0], arguments, strict=True)),
                outputs=dict(zip(names[1], results, strict=True)),
            )
        )
        on_step()

    driver.save_as = ""
    handle = driver.model.register_forward_hook(keep)
    try:
        driver.run()
    finally:
        handle.remove()
    return calls


def rows_of(call: Call, name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """One input as ``(rows, *shape)``, with the batch of the call flattened."""
    value: torch.Tensor = call.inputs[name].data.detach()
    return value.expand(*call.batch, *shape).reshape(-1, *shape)


def scatter(driver: Any, rows: int, seed: int) -> None:
    """Replace what the driver prescribes by ``rows`` random points on the way to it.

    Each row follows one point of the driver's batch, drawn at random, and goes the drawn fraction,
    0.3 to 1, of the way from that point's first value to each later one. All prescribed variables
    of a row share point and fraction, so the loads stay those that the input file was written for.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    forces = {name: _with_rows(value, lead=1) for name, value in driver.prescribed.items()}
    initial = {name: _with_rows(value, lead=0) for name, value in driver.ics.items()}
    times, _ = _with_rows(driver.prescribed_time, lead=1)
    points = max(
        times.shape[1],
        *(values.shape[1] for values, _ in forces.values()),
        *(values.shape[0] for values, _ in initial.values()),
    )
    chosen = torch.randint(points, (rows,), generator=generator)
    fractions = 0.3 + 0.7 * torch.rand(rows, generator=generator, dtype=torch.float64)
    for name, (values, sites) in forces.items():
        picked = _pick(values, chosen, axis=1)
        factor = fractions.to(picked).reshape(1, rows, *[1] * (picked.ndim - 2))
        scaled = picked[:1] + factor * (picked - picked[:1])
        driver.prescribed[name] = type(driver.prescribed[name])(scaled, sub_batch_ndim=sites)
    for name, (values, sites) in initial.items():
        picked = _pick(values, chosen, axis=0)
        driver.ics[name] = type(driver.ics[name])(picked, sub_batch_ndim=sites)
    if times.shape[1] > 1:
        driver.prescribed_time = type(driver.prescribed_time)(_pick(times, chosen, axis=1))


def _with_rows(value: Any, lead: int) -> tuple[torch.Tensor, int]:
    """A value with the batch axes behind the first ``lead`` flattened:
    ``(*lead, rows, *sub_batch, *base)`` and the number of sub-batch axes."""
    data = value.data.detach()
    batch = tuple(value.dynamic_batch_shape)
    count = 1
    for extent in batch[lead:]:
        count *= extent
    return data.reshape(*batch[:lead], count, *data.shape[len(batch) :]), value.sub_batch_ndim


def _pick(values: torch.Tensor, chosen: torch.Tensor, axis: int) -> torch.Tensor:
    if values.shape[axis] == 1:
        chosen = chosen.new_zeros(chosen.shape)
    return values.index_select(axis, chosen.to(values.device))


def drawn_driver(model: Any, rows: int, seed: int, steps: int = 6) -> Any:
    """A driver for a model that comes without: seeded random forces, ramped up over one second.

    Tensors reach entries of 1e-3 in size, scalars values up to 1e-3.
    """
    import torch
    from neml2.drivers.TransientDriver import TransientDriver
    from neml2.types import Scalar

    generator = torch.Generator().manual_seed(seed)
    ramp = torch.linspace(0.0, 1.0, steps, dtype=torch.float64)
    prescribed = {}
    for name, wrapper in model.input_spec.items():
        if "~" in name or name == "t" or name in model.output_spec:
            continue
        base = tuple(wrapper.BASE_SHAPE)
        size = 1e-3 * torch.rand(rows, *base, generator=generator, dtype=torch.float64)
        size = 2 * size - 1e-3 if base else size
        prescribed[name] = wrapper(ramp.reshape(-1, 1, *[1] * len(base)) * size)
    return TransientDriver(
        model=model, prescribed_time=Scalar(ramp), time_name="t", prescribed=prescribed, ics={}
    )


# --- compiled models


def compiled_parts(model: Any) -> list[Any]:
    """Every compiled model in a module tree that this package runs."""
    from neml2_aoti_plugin.hit import AOTIModel

    return [part for part in model.modules() if isinstance(part, AOTIModel)]


def compiled_model(deck: InputDeck, name: str) -> Any:
    """The plain-tensor model behind a block of type ``AOTIModel``, with its stub's settings."""
    parts = compiled_parts(deck.model(name))
    if not parts:
        raise UsageError(
            f"{deck.path}: [Models/{name}] is not run by this package; `neml2-aoti doctor` says "
            "why."
        )
    return parts[0]._inner


@contextmanager
def tight_solvers(model: Any, absolute: float, relative: float, updates: int) -> Iterator[None]:
    """A native model whose Newton solves go as far as rounding lets them."""
    solvers = [part.solver for part in model.modules() if hasattr(part, "solver")]
    solvers = [solver for solver in solvers if hasattr(solver, "miters")]
    before = [(solver.atol, solver.rtol, solver.miters) for solver in solvers]
    try:
        for solver in solvers:
            solver.atol, solver.rtol, solver.miters = absolute, relative, updates
        yield
    finally:
        for solver, settings in zip(solvers, before, strict=True):
            solver.atol, solver.rtol, solver.miters = settings
