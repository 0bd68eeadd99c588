"""What a call tells of its solves: as data on request, and as lines where somebody reads them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from features import compiled_perzyna, increments, perzyna
from programs import REMARK_OF_TORCH

from neml2_aoti_plugin import ConvergenceError, Model, solve_log
from neml2_aoti_plugin.solves import SolveAttempt, SolveRecord


@pytest.fixture(scope="module")
def model() -> Model:
    return perzyna("promoted")


def solves_of(model: Model, *batch: int) -> SolveRecord:
    solves: list[SolveRecord] = []
    model.forward(increments(*batch), solves=solves)
    (record,) = solves
    return record


@pytest.mark.parametrize("batch", [(3,), (2, 3), ()])
def test_a_record_has_one_entry_per_row(model: Model, batch: tuple[int, ...]) -> None:
    record = solves_of(model, *batch)
    assert record.segment == "model_seg0"
    for name in ("iterations", "substeps", "linear_iterations", "missed_linear_solves"):
        assert getattr(record, name).shape == batch
        assert getattr(record, name).dtype == torch.int64
    assert record.converged_mask.dtype == torch.bool
    assert record.converged_mask.all()
    assert (record.iterations > 0).all()
    assert (record.residual_norms < record.initial_residual_norms).all()


def test_a_record_traces_the_iterates(model: Model) -> None:
    (attempt,) = solves_of(model, 3).attempts
    assert (attempt.begin, attempt.end, attempt.level) == (0.0, 1.0, 0)
    assert (attempt.active, attempt.failed) == (3, 0)
    norms = [iterate.residual_norm for iterate in attempt.trace]
    assert norms[-1] < 1e-10 * norms[0] or norms[-1] < 1e-12


def test_a_list_is_extended_call_by_call(model: Model) -> None:
    solves: list[SolveRecord] = []
    for _ in range(3):
        model.forward(increments(2), solves=solves)
    model.jacobian(increments(2), solves=solves)
    model.param_jacobian(increments(2), solves=solves)
    assert len(solves) == 5


def test_a_failed_call_leaves_its_record(model: Model) -> None:
    inputs = increments(3)
    inputs["strain"][1] = torch.nan
    solves: list[SolveRecord] = []
    with pytest.raises(ConvergenceError):
        model.forward(inputs, solves=solves)
    assert solves[0].converged_mask.tolist() == [True, False, True]


def test_models_without_solves_record_nothing(elasticity) -> None:
    solves: list[SolveRecord] = []
    Model(elasticity.root).forward({"strain": increments(2)["strain"]}, solves=solves)
    assert solves == []


# --- lines


SCRIPT = """
import sys
import torch
sys.path[:0] = {path!r}
from features import increments
from neml2_aoti_plugin import ConvergenceError, Model
model = Model({root!r})
model.set_solver_config(1e-12, 1e-10, 9, "BACKTRACKING", 1, 2.0, 1e-3, 1e-4)
model.forward(increments(2, strain={strain}, seed=1))
"""
TESTS = Path(__file__).resolve().parent


def said_by(levels: str, *, strain: float = 2e-3) -> list[str]:
    """Lines of a fresh process, stdout then stderr, with ``NEML2_LOGS`` set to ``levels``."""
    script = SCRIPT.format(
        path=[str(TESTS), str(TESTS.parent)],
        root=str(compiled_perzyna("substepped").root),
        strain=strain,
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=TESTS,  # not where the package lies as source
        env=os.environ | {"NEML2_LOGS": levels},
        check=True,
    )
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
    return [line for line in lines if not line.startswith(REMARK_OF_TORCH)]


def test_nothing_is_said_unless_it_is_asked_for() -> None:
    assert said_by("") == []


def test_newton_channel_tells_iterates_and_results() -> None:
    text = "\n".join(said_by("newton=debug"))
    assert "---- begin newton solve ----" in text
    assert "ITERATION   0, |R| = " in text
    assert "converged (iters=" in text
    assert "---- end newton solve ----" in text
    assert "substep" not in text


def test_substep_channel_tells_spans_and_a_summary() -> None:
    text = "\n".join(said_by("substep=debug", strain=0.05))
    assert "  span [0, 1] L0: active=2 -> converged=0 failed=2" in text
    assert "    span [0, 0.5] L1: active=2 -> " in text
    assert "value: B=2 elements, 2 substepped, max depth=" in text
    assert "ITERATION" not in text


def record_of(attempts: tuple[SolveAttempt, ...], missed: list[int]) -> SolveRecord:
    counts = torch.tensor(missed)
    return SolveRecord(
        segment="plasticity",
        has_tangents=False,
        converged_mask=counts == counts,
        status=torch.zeros_like(counts, dtype=torch.int8),
        iterations=counts,
        corrections=torch.zeros_like(counts),
        substeps=torch.ones_like(counts),
        residual_norms=torch.zeros(len(missed)),
        initial_residual_norms=torch.ones(len(missed)),
        linear_iterations=counts,
        missed_linear_solves=counts,
        worst_linear_excess=10.0 * counts,
        absolute_tolerance=1e-10,
        relative_tolerance=1e-8,
        max_iterations=25,
        attempts=attempts,
    )


ATTEMPT = SolveAttempt(
    begin=0.0, end=1.0, level=0, active=3, failed=0, trace=[(1.0, 1.0, 0, 0), (1e-11, 1.0, 4, 2)]
)


@pytest.fixture
def without_host(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process that has not imported a neml2 with a log of its own."""
    monkeypatch.setattr(solve_log, "_host_log", lambda: None)
    solve_log._logger.cache_clear()
    yield
    solve_log._logger.cache_clear()
    for channel in ("newton", "linear", "substep"):
        logging.getLogger(f"neml2_aoti_plugin.{channel}").setLevel(logging.NOTSET)


@pytest.mark.usefixtures("without_host")
def test_lines_go_to_the_loggers_of_python_where_neml2_has_no_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEML2_LOGS", "newton=info, Linear = debug")
    assert solve_log.is_listening()
    solve_log.report([record_of((ATTEMPT,), [0, 0, 0])])
    assert [(record.name.rpartition(".")[2], record.message) for record in caplog.records] == [
        ("newton", "---- begin newton solve ----"),
        ("linear", "linear solve: iters=4, NOT converged in 2 rows"),
        ("newton", "converged (iters=1, reason=both)"),
        ("newton", "---- end newton solve ----"),
    ]


@pytest.mark.usefixtures("without_host")
def test_nobody_listens_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEML2_LOGS", raising=False)
    assert not solve_log.is_listening()


@pytest.mark.usefixtures("without_host")
def test_missed_linear_solves_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    solve_log.report([record_of((ATTEMPT,), [0, 2, 1])])
    (line,) = caplog.messages
    assert line == (
        "segment 'plasticity': iterative linear solves did not converge in 2 of 3 rows (worst row "
        "1: |b - A du| is 20 times its tolerance). Their updates were used as they were. Raise "
        "max_its or restart, use a preconditioner, or a direct solver."
    )
