"""Compares a graph with tuned kernels with the graph as it was: the same bits, and how fast."""

from __future__ import annotations

import itertools
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch._C._aoti import AOTIModelContainerRunnerCpu

if TYPE_CHECKING:
    from neml2_aoti_plugin.artifact.signature import GraphArgument

ROWS = (1, 7, 64, 256)
"""Batches that results are compared for; the last one is timed."""
SCALES = (1e-3, 1.0, 50.0)
_ROUNDS = 7
_SECONDS = 0.02

Run = Callable[[Sequence[torch.Tensor]], list[torch.Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    agrees: bool
    """Whether all results have the same bits."""
    before: float
    """Seconds per row of the graph as it was, on one thread."""
    after: float

    @property
    def gain(self) -> float:
        return self.before / self.after


def try_kernels(
    library: Path, kernels: Path, arguments: Sequence[GraphArgument], aside: Path
) -> Trial:
    """Run the graph in ``library`` with and without ``kernels``.

    Neither is touched: both runs are of copies in the folder ``aside``, as a library that is loaded
    keeps the kernels that it has been given.
    """
    from neml2_aoti_plugin import _core

    plain, tuned = (_runner(_copied(library, aside / name)) for name in ("plain", "tuned"))
    inputs = [_inputs(arguments, rows, scale) for rows, scale in itertools.product(ROWS, SCALES)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        expected = [plain(each) for each in inputs]
        tuned(inputs[0])  # loaded
        for name in ("plain", "tuned"):
            _core.exchange_functions(str(aside / name / library.name))
        _core.exchange_kernels(str(aside / "tuned" / library.name), str(kernels))
        agrees = all(
            _same(tuned(each), before) for each, before in zip(inputs, expected, strict=True)
        )
        before, after = _times(plain, tuned, _inputs(arguments, ROWS[-1], 1.0))
    finally:
        torch.set_num_threads(threads)
    return Trial(agrees=agrees, before=before / ROWS[-1], after=after / ROWS[-1])


def _copied(library: Path, folder: Path) -> Path:
    """With what lies beside it: the list of operators that it calls by name."""
    shutil.copytree(library.parent, folder)
    return folder / library.name


def _runner(library: Path) -> Run:
    runner = AOTIModelContainerRunnerCpu(str(library), 1)
    return lambda inputs: runner.run(list(inputs))


def _inputs(arguments: Sequence[GraphArgument], rows: int, scale: float) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(rows)
    inputs = []
    for argument in arguments:
        shape = [rows if extent is None else extent for extent in argument.shape]
        dtype = getattr(torch, argument.dtype)
        values = torch.randn(shape, generator=generator, dtype=torch.float64) * scale
        inputs.append(values.to(dtype))
    return inputs


def _same(found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> bool:
    return len(found) == len(expected) and all(
        torch.equal(a.isnan(), b.isnan()) and torch.equal(_bits(a), _bits(b))
        for a, b in zip(found, expected, strict=True)
    )


def _bits(values: torch.Tensor) -> torch.Tensor:
    """Those of zeros and infinities, too; not of what is no number, which has many."""
    return values.masked_fill(values.isnan(), 0).reshape(-1).view(torch.uint8)


def _times(plain: Run, tuned: Run, inputs: Sequence[torch.Tensor]) -> tuple[float, float]:
    """Seconds of a run, medians of rounds in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    count = max(1, int(_SECONDS / _seconds(plain, inputs, 1)))
    for _ in range(_ROUNDS):
        for run, measured in zip((plain, tuned), times, strict=True):
            measured.append(_seconds(run, inputs, count))
    return statistics.median(times[0]), statistics.median(times[1])


def _seconds(run: Run, inputs: Sequence[torch.Tensor], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        run(inputs)
    return (time.perf_counter() - start) / count
