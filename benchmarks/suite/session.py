"""Runs the cells of a selection, one after the other."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from suite import fresh
from suite.agreement import require_agreement
from suite.blocks import Call, alternate, calls_for, in_this_process
from suite.loadings import LOADINGS
from suite.models import MODELS, BenchModel, increment, unknowns
from suite.operations import OPERATIONS
from suite.plan import Cell, Selection
from suite.results import Result, timed
from suite.runtimes import Runtime

DRIVER_MODEL = "chaboche"
LOAD_BLOCKS = 5
DRIVER_BLOCKS = 3
MOST_REPEATS_OF_PROCESSES = 2


LONG_CALL = 0.5
"""Seconds from which on a call is a block of its own, and few blocks do."""
BLOCKS_OF_LONG_CALLS = 5
ROWS_TO_SIZE_UP = 4096
"""What a call with this many rows takes tells whether a larger one fits."""
USABLE_MEMORY = 0.7


@dataclass(slots=True)
class Session:
    """Both runtimes on the artifacts that the selection needs, opened when first needed."""

    selection: Selection
    threads: int
    left_out: list[str] = field(default_factory=list)
    """Cells that would take too long or too much memory, and which it was."""
    _opened: dict[tuple[str, bool], tuple[Any, Any]] = field(default_factory=dict)
    _seconds_per_row: dict[tuple[str, str, str], float] = field(default_factory=dict)
    _bytes_per_row: dict[tuple[str, str], float] = field(default_factory=dict)

    def results(self) -> Iterator[Result]:
        """Every result as soon as it is there."""
        for cell in self.selection.cells():
            if (reason := self._obstacle(cell)) is None:
                yield self._measure(cell)
            else:
                self.left_out.append(f"{cell}, {reason}")
        for name in self.selection.models:
            if "load" in self.selection.operations and name in self.selection.load_models:
                yield from self._loading(MODELS[name])
            if "memory" in self.selection.operations:
                yield from self._memory(MODELS[name])
        if "driver" in self.selection.operations and DRIVER_MODEL in self.selection.models:
            yield from self._driver(MODELS[DRIVER_MODEL])

    def _obstacle(self, cell: Cell) -> str | None:
        """Why the cell cannot be measured, judged by smaller ones."""
        if cell.rows <= ROWS_TO_SIZE_UP:
            return None
        seconds = self._seconds_per_row.get((cell.model.case, cell.operation, cell.loading), 0.0)
        expected = seconds * cell.rows * (BLOCKS_OF_LONG_CALLS + 1)
        if expected > self.selection.cell_seconds:
            return f"which would take {expected:.0f} s"
        needed = self._memory_per_row(cell.model, cell.operation) * cell.rows
        if needed > USABLE_MEMORY * fresh.available_memory():
            return f"which would take {needed / 2**30:.1f} GiB"
        return None

    def _memory_per_row(self, model: BenchModel, operation: str) -> float:
        key = (model.case, operation)
        if key not in self._bytes_per_row:
            growth = fresh.peak_growth(
                Runtime.REFERENCE, model.case, operation, ROWS_TO_SIZE_UP, self.threads
            )
            self._bytes_per_row[key] = growth / ROWS_TO_SIZE_UP
        return self._bytes_per_row[key]

    def _measure(self, cell: Cell) -> Result:
        opened = self._open(cell.model, promoted=cell.operation == "param_vjp")
        manifest = opened[0].manifest
        fractions = LOADINGS[cell.loading](cell.rows, cell.model.easiest)
        inputs = increment(cell.model, manifest, fractions)
        calls = [OPERATIONS[cell.operation](runtime, cell.model, inputs) for runtime in opened]
        difference, slowest = self._check(cell, *calls)
        timing = alternate(
            *(in_this_process(call, self._length(call, slowest)) for call in calls),
            blocks=self._blocks(slowest),
        )
        seconds = (timing.ours + timing.reference) / cell.rows
        self._seconds_per_row[cell.model.case, cell.operation, cell.loading] = seconds
        return timed(
            timing,
            model=cell.model.case,
            unknowns=unknowns(manifest),
            operation=cell.operation,
            loading=cell.loading,
            rows=cell.rows,
            unit="us per row",
            scale=1e6 / cell.rows,
            difference=difference,
        )

    def _check(self, cell: Cell, ours: Call, reference: Call) -> tuple[float, float]:
        """The difference of the answers, and the seconds that the slower one took."""
        if cell.rows <= ROWS_TO_SIZE_UP:  # the first call opens graphs, and counts where all do
            ours(), reference()
        start = time.perf_counter()
        mine = ours()
        between = time.perf_counter()
        theirs = reference()
        slowest = max(between - start, time.perf_counter() - between)
        is_value = cell.operation == "forward"
        return require_agreement(str(cell), mine, theirs, is_value=is_value), slowest

    def _length(self, call: Call, slowest: float) -> int:
        return 1 if slowest > LONG_CALL else calls_for(self.selection.block_seconds, call)

    def _blocks(self, slowest: float) -> int:
        asked = self.selection.blocks
        return min(asked, BLOCKS_OF_LONG_CALLS) if slowest > LONG_CALL else asked

    def _open(self, model: BenchModel, *, promoted: bool = False) -> tuple[Any, Any]:
        key = (model.case, promoted)
        if key not in self._opened:
            root = model.compiled(promoted=promoted).root
            self._opened[key] = (Runtime.OURS.open(root), Runtime.REFERENCE.open(root))
        return self._opened[key]

    # --- in processes of their own

    def _facts(self, model: BenchModel, operation: str, rows: int, unit: str) -> dict[str, Any]:
        ours, _ = self._open(model)
        return {
            "model": model.case,
            "unknowns": unknowns(ours.manifest),
            "operation": operation,
            "loading": "hom",
            "rows": rows,
            "unit": unit,
        }

    def _loading(self, model: BenchModel) -> Iterator[Result]:
        facts = (model.case, self.threads)
        first = alternate(
            fresh.first_time(Runtime.OURS, *facts),
            fresh.first_time(Runtime.REFERENCE, *facts),
            blocks=LOAD_BLOCKS,
            most_repeats=MOST_REPEATS_OF_PROCESSES,
        )
        yield timed(first, scale=1e3, **self._facts(model, "load, first time", 1, "ms"))
        with tempfile.TemporaryDirectory() as caches:
            second = alternate(
                fresh.second_time(Runtime.OURS, *facts, Path(caches)),
                fresh.second_time(Runtime.REFERENCE, *facts, Path(caches)),
                blocks=LOAD_BLOCKS,
                most_repeats=MOST_REPEATS_OF_PROCESSES,
            )
        yield timed(second, scale=1e3, **self._facts(model, "load, second time", 1, "ms"))

    def _memory(self, model: BenchModel) -> Iterator[Result]:
        for rows in self.selection.memory_rows:
            ours, reference = (
                fresh.peak_growth(runtime, model.case, "forward", rows, self.threads) / 1024 / rows
                for runtime in (Runtime.OURS, Runtime.REFERENCE)
            )
            gain = reference / ours
            yield Result(
                **self._facts(model, "memory", rows, "KiB per row"),
                ours=ours,
                reference=reference,
                gain=gain,
                spread=(gain, gain),
                pairs=1,
                dropped=0,
            )

    def _driver(self, model: BenchModel) -> Iterator[Result]:
        for rows in self.selection.driver_rows:
            with tempfile.TemporaryDirectory() as folder:
                saved = {runtime: Path(folder) / f"{runtime.value}.pt" for runtime in Runtime}
                timing = alternate(
                    *(
                        fresh.driver_run(runtime, model.case, self.threads, rows, saved[runtime])
                        for runtime in (Runtime.OURS, Runtime.REFERENCE)
                    ),
                    blocks=DRIVER_BLOCKS,
                    most_repeats=MOST_REPEATS_OF_PROCESSES,
                )
                difference = require_agreement(
                    f"{model.case} driver {rows}",
                    torch.load(saved[Runtime.OURS], weights_only=True),
                    torch.load(saved[Runtime.REFERENCE], weights_only=True),
                    is_value=True,
                )
            facts = self._facts(model, "driver, 100 steps", rows, "s")
            yield timed(timing, scale=1.0, difference=difference, **facts | {"loading": "cyclic"})
