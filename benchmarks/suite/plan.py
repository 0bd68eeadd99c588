"""Which cells of models x operations x loadings x rows are measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from suite.loadings import LOADINGS
from suite.models import MODELS, BenchModel
from suite.operations import OPERATIONS, can

FRESH_OPERATIONS = ("load", "driver", "memory")
"""Measured in processes of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One call to be timed."""

    model: BenchModel
    operation: str
    loading: str
    rows: int

    def __str__(self) -> str:
        return f"{self.model.case} {self.operation} {self.loading} {self.rows}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to measure, and how long."""

    models: tuple[str, ...] = tuple(MODELS)
    operations: tuple[str, ...] = (*OPERATIONS, *FRESH_OPERATIONS)
    loadings: tuple[str, ...] = tuple(LOADINGS)
    derivative_loadings: tuple[str, ...] = ("hom",)
    """Those of ``loadings`` under which derivatives are measured, too."""
    rows: tuple[int, ...] = (1, 16, 256, 4096)
    load_models: tuple[str, ...] = ("elasticity", "chaboche", "crystal")
    """Those of ``models`` whose opening is measured."""
    memory_rows: tuple[int, ...] = (16384,)
    driver_rows: tuple[int, ...] = (1000,)
    blocks: int = 7
    block_seconds: float = 0.05
    cell_seconds: float = 120.0
    """A cell that would take longer is left out."""

    def cells(self) -> Iterator[Cell]:
        """Model by model; without cells that would repeat another."""
        for name in self.models:
            model = MODELS[name]
            for operation in OPERATIONS:
                if operation not in self.operations or not can(model, operation):
                    continue
                for loading in self._loadings_of(model, operation):
                    for rows in self.rows:
                        if rows > 1 or loading == "hom" or "hom" not in self.loadings:
                            yield Cell(model=model, operation=operation, loading=loading, rows=rows)

    def _loadings_of(self, model: BenchModel, operation: str) -> tuple[str, ...]:
        if not model.responds_to_load:
            return ("hom",)
        if operation == "forward":
            return self.loadings
        return tuple(name for name in self.loadings if name in self.derivative_loadings)


QUICK = Selection(
    models=("elasticity", "isotropic_hardening", "chaboche"),
    operations=("forward", "jacobian", "load"),
    loadings=("hom", "hard10"),
    rows=(1, 256, 4096),
    load_models=("chaboche",),
    blocks=5,
)
DEFAULT = Selection()
FULL = Selection(
    derivative_loadings=tuple(LOADINGS),
    load_models=tuple(MODELS),
    rows=(1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576),
    memory_rows=(16384, 65536, 262144),
    blocks=9,
    cell_seconds=1200.0,
)
