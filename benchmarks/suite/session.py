"""Runs the cells of a selection, one after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from suite import fresh
from suite.agreement import require_agreement
from suite.blocks import alternate, in_this_process
from suite.loadings import LOADINGS
from suite.models import MODELS, BenchModel, increment, unknowns
from suite.operations import OPERATIONS
from suite.plan import Cell, Selection
from suite.results import Result, timed
from suite.runtimes import Runtime

DRIVER_MODEL = "chaboche"
LOAD_BLOCKS = 5
DRIVER_BLOCKS = 3


@dataclass(slots=True)
class Session:
    """Both runtimes on the artifacts that the selection needs, opened when first needed."""

    selection: Selection
    threads: int
    _opened: dict[tuple[str, bool], tuple[Any, Any]] = field(default_factory=dict)

    def results(self) -> Iterator[Result]:
        """Every result as soon as it is there."""
        for cell in self.selection.cells():
            yield self._measure(cell)
        for name in self.selection.models:
            if "load" in self.selection.operations:
                yield from self._loading(MODELS[name])
            if "memory" in self.selection.operations:
                yield from self._memory(MODELS[name])
        if "driver" in self.selection.operations and DRIVER_MODEL in self.selection.models:
            yield from self._driver(MODELS[DRIVER_MODEL])

    def _measure(self, cell: Cell) -> Result:
        ours, reference = self._open(cell.model, promoted=cell.operation == "param_vjp")
        fractions = LOADINGS[cell.loading](cell.rows, cell.model.easiest)
        inputs = increment(cell.model, ours.manifest, fractions)
        prepare = OPERATIONS[cell.operation]
        run_ours = prepare(ours, cell.model, inputs)
        run_reference = prepare(reference, cell.model, inputs)
        difference = require_agreement(
            str(cell), run_ours(), run_reference(), is_value=cell.operation == "forward"
        )
        seconds = self.selection.block_seconds
        timing = alternate(
            in_this_process(run_ours, seconds),
            in_this_process(run_reference, seconds),
            blocks=self.selection.blocks,
        )
        return timed(
            timing,
            model=cell.model.case,
            unknowns=unknowns(ours.manifest),
            operation=cell.operation,
            loading=cell.loading,
            rows=cell.rows,
            unit="us per row",
            scale=1e6 / cell.rows,
            difference=difference,
        )

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
        )
        yield timed(first, scale=1e3, **self._facts(model, "load, first time", 1, "ms"))
        with tempfile.TemporaryDirectory() as caches:
            second = alternate(
                fresh.second_time(Runtime.OURS, *facts, Path(caches)),
                fresh.second_time(Runtime.REFERENCE, *facts, Path(caches)),
                blocks=LOAD_BLOCKS,
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
                )
                difference = require_agreement(
                    f"{model.case} driver {rows}",
                    torch.load(saved[Runtime.OURS], weights_only=True),
                    torch.load(saved[Runtime.REFERENCE], weights_only=True),
                    is_value=True,
                )
            facts = self._facts(model, "driver, 100 steps", rows, "s")
            yield timed(timing, scale=1.0, difference=difference, **facts | {"loading": "cyclic"})
