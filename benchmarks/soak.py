"""Calls models for hours and watches what the process holds: ``make soak SOAK_CALLS=100000``.

One process opens two models and calls them with batches and operations that change all the time;
now and then it opens them anew, and now and then it asks for what is an error. The first result of
every batch and operation is kept, and each later one must be equal to it, bit by bit. Memory, file
descriptors and threads are tabulated along the way; after the first fifth they must stay where they
are. The exit code says whether they did.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import torch

from neml2_aoti_plugin import ConvergenceError, Model
from neml2_aoti_plugin.errors import AOTIError, ArtifactError, InputError

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from artifact_cache import CompiledCase, compiled
from strained_rows import strained_rows

Tensors = dict[str, torch.Tensor]

CASES = ("elasticity", "chaboche")
ROWS = (0, 1, 2, 7, 64, 255, 256, 257, 1000)
ROWS_WITH_DERIVATIVES = 64
"""Matrices of more rows would make this a benchmark of large batches."""

SAMPLES = 20
SETTLED = 0.2
"""Share of the calls after which every kind of call has been made and nothing should grow."""

ALLOWED_BYTES = 24 << 20
"""How much the memory of the process may differ: the allocator gives back what it likes to."""

CALLS_PER_OPENING = 500
CALLS_PER_ERROR = 37


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the process holds at a moment."""

    calls: int
    seconds: float
    resident: int
    descriptors: int
    threads: int


def held(calls: int, start: float) -> Held:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Held(
        calls=calls,
        seconds=time.perf_counter() - start,
        resident=pages * os.sysconf("SC_PAGE_SIZE"),
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        threads=len(list(Path("/proc/self/task").iterdir())),
    )


def inputs_of(model: Model, rows: int) -> Tensors:
    """The same for every call of as many rows."""
    return strained_rows(model, rows, seed=rows)


def gradient(model: Model, inputs: Tensors) -> Tensors:
    strain = inputs["strain"].clone().requires_grad_()
    stress = model.forward(inputs | {"strain": strain})["stress"]
    (slope,) = torch.autograd.grad(stress.square().sum(), strain)
    return {"stress": stress.detach(), "slope": slope}


def flattened_jacobian(model: Model, inputs: Tensors) -> Tensors:
    outputs, blocks = model.jacobian(inputs)
    flat = {f"{out}/{name}": block for out, row in blocks.items() for name, block in row.items()}
    return outputs | flat


def with_record(model: Model, inputs: Tensors) -> Tensors:
    records: list[object] = []
    return model.forward(inputs, solves=records)  # type: ignore[arg-type]


OPERATIONS: dict[str, Callable[[Model, Tensors], Tensors]] = {
    "forward": lambda model, inputs: model.forward(inputs),
    "forward with solves": with_record,
    "forward_natural": lambda model, inputs: model.forward_natural(inputs),
    "jvp": lambda model, inputs: model.jvp(inputs, {"strain": inputs["strain"]})[1],
    "jacobian": flattened_jacobian,
    "gradient": gradient,
}
VALUES_ONLY = ("forward", "forward with solves", "forward_natural")


def provoke(model: Model, inputs: Tensors, kind: int) -> str:
    """Ask for what is an error; the name of the error."""
    try:
        if kind == 0:
            model.forward({})
        elif kind == 1:
            model.forward(inputs | {"strain": inputs["strain"].to(torch.float32)})
        elif kind == 2:
            model.forward(inputs | {"strain": torch.zeros(3, 5, dtype=model.dtype)})
        elif kind == 3:
            model.set_solver_config(-1.0, 1e-8, 25, "BACKTRACKING", 1, 2.0, 1e-3)
        elif kind == 4:
            Model("/no/such/artifact")
        else:
            model.forward(inputs | {"strain": torch.full_like(inputs["strain"], torch.nan)})
    except (InputError, ArtifactError, ConvergenceError, AOTIError) as error:
        return type(error).__name__
    return "none"


class Soak:
    """Models, their first results, and what came of all calls."""

    def __init__(self, cases: list[CompiledCase], seed: int) -> None:
        self._cases = cases
        self._models = [Model(case.root) for case in cases]
        self._random = random.Random(seed)
        self._first: dict[tuple[int, str, int], Tensors] = {}
        self.errors = Counter[str]()
        self.opened = len(cases)

    def start_threads(self) -> None:
        """Those that share a call are started by the first one that is shared, and stay; how many
        share depends on the operation."""
        for model in self._models:
            for name, operation in OPERATIONS.items():
                rows = max(ROWS) if name in VALUES_ONLY else ROWS_WITH_DERIVATIVES
                operation(model, inputs_of(model, rows))

    def call(self, number: int) -> None:
        """One call; AssertionError where its result is not the first one of its kind."""
        chosen = self._random.randrange(len(self._models))
        if number % CALLS_PER_OPENING == 0:
            self._models[chosen] = Model(self._cases[chosen].root)
            self.opened += 1
        model = self._models[chosen]
        rows = self._random.choice(ROWS)
        names = list(OPERATIONS) if rows <= ROWS_WITH_DERIVATIVES else VALUES_ONLY
        name = self._random.choice(names)
        inputs = inputs_of(model, rows)
        if number % CALLS_PER_ERROR == 0:
            kind = number // CALLS_PER_ERROR % 6
            self.errors[provoke(model, inputs, kind)] += 1
        results = OPERATIONS[name](model, inputs)
        first = self._first.setdefault((chosen, name, rows), results)
        for key, value in first.items():
            if not torch.equal(value, results[key]):
                case = self._cases[chosen].name
                raise AssertionError(f"{case}: {key} of {name} of {rows} rows is another one")


def run(calls: int, seed: int) -> tuple[Soak, list[Held]]:
    soak = Soak([compiled(case) for case in CASES], seed)
    soak.start_threads()
    start = time.perf_counter()
    samples = []
    for number in range(1, calls + 1):
        soak.call(number)
        if number % max(1, calls // SAMPLES) == 0:
            samples.append(held(number, start))
            print(row_of(samples[-1]), flush=True)
    return soak, samples


def row_of(sample: Held) -> str:
    return (
        f"| {sample.calls} | {sample.seconds:.0f} | {sample.resident / 2**20:.1f} | "
        f"{sample.descriptors} | {sample.threads} |"
    )


def growth(samples: list[Held]) -> list[str]:
    """What is not where it was when all had settled."""
    settled = samples[int(len(samples) * SETTLED) :]
    grown = []
    if settled[-1].resident - settled[0].resident > ALLOWED_BYTES:
        grown.append(f"memory: {settled[0].resident} to {settled[-1].resident} bytes")
    for name in ("descriptors", "threads"):
        first, last = getattr(settled[0], name), getattr(settled[-1], name)
        if last > first:
            grown.append(f"{name}: {first} to {last}")
    return grown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="that share a call")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print("| " + " | ".join(field.name for field in fields(Held)) + " |")
    print("|---" * len(fields(Held)) + "|", flush=True)
    soak, samples = run(arguments.calls, arguments.seed)
    print(f"models opened: {soak.opened}; errors provoked: {dict(soak.errors)}")
    grown = growth(samples)
    for line in grown:
        print("GROWN", line)
    if not grown:
        print("results equal bit by bit; memory, descriptors and threads stayed where they were")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
