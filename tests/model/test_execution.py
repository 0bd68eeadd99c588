"""How calls are carried out: in chunks, by several threads. Results depend on neither."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from artifact_cache import CompiledCase, compiled
from features import increments, perzyna
from twins import Tensors, Twin, open_model, require_same_bits, scaled_difference

from neml2_aoti_plugin import ConvergenceError, InputError, Model
from neml2_aoti_plugin.artifact.manifest import FusedDirection, ImplicitSegment
from neml2_aoti_plugin.solves import SolveRecord

ROWS = 37
MANNERS = [(chunk, threads) for chunk in (1, 7, 256) for threads in (1, 2, 5)]
"""Chunk rows and threads; the largest chunk is the whole batch."""

Blocks = dict[str, Tensors]


@pytest.fixture
def whole(twin: Twin) -> Iterator[Twin]:
    """A twin that is given back as it was, also where a test changes how it runs."""
    yield twin
    twin.model.set_execution()


def same(found: Tensors, expected: Tensors) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def same_blocks(found: Blocks, expected: Blocks) -> None:
    assert list(found) == list(expected)
    for name, row in expected.items():
        same(found[name], row)


def carried_out(model: Model, manner: tuple[int, int], call: Callable[[], object]) -> object:
    model.set_execution(chunk_rows=manner[0], threads=manner[1])
    try:
        return call()
    finally:
        model.set_execution()


@pytest.mark.parametrize("manner", MANNERS, ids=str)
def test_values_are_bitwise_the_same(whole: Twin, manner: tuple[int, int]) -> None:
    model, inputs = whole.model, whole.inputs(ROWS)
    require_same_bits(model)
    model.set_execution(chunk_rows=10 * ROWS, threads=1)
    expected = model.forward(inputs)
    same(carried_out(model, manner, lambda: model.forward(inputs)), expected)
    two_axes = {name: value[None] for name, value in inputs.items()}
    natural = carried_out(model, manner, lambda: model.forward_natural(two_axes))
    for name, value in natural.items():
        assert torch.equal(value.expand(1, *expected[name].shape)[0], expected[name]), name


@pytest.mark.parametrize("manner", MANNERS, ids=str)
def test_graphs_that_factorise_themselves_agree_to_rounding(
    twin_of: Callable[[str], Twin], manner: tuple[int, int]
) -> None:
    """LAPACK, which graphs of neml2 up to 3.0.6 call, rounds by where a matrix is in memory."""
    model = open_model(compiled("chaboche", variant="schema7"))
    inputs = twin_of("chaboche").inputs(ROWS)
    model.set_execution(chunk_rows=10 * ROWS, threads=1)
    expected = model.forward(inputs)
    found = carried_out(model, manner, lambda: model.forward(inputs))
    for name, value in expected.items():
        assert scaled_difference(found[name], value) < 1e-13, name


@pytest.mark.skipif(platform.machine() != "x86_64", reason="elsewhere torch's sums may be fused")
@pytest.mark.parametrize("name", ["chaboche", "crystal"])
def test_functions_in_place_of_those_of_libraries_are_bitwise_the_same(
    twin_of: Callable[[str], Twin], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Graphs outside the shared folder call ``pow`` of the C library and ``bmm`` of torch."""
    twin = twin_of(name)
    require_same_bits(twin.model)
    inputs = twin.inputs(ROWS)
    monkeypatch.setenv("NEML2_AOTI_PLUGIN_CACHE", "0")
    plain = open_model(twin.case)
    same(twin.model.forward(inputs), plain.forward(inputs))
    if name == "chaboche":
        same_blocks(twin.model.jacobian(inputs)[1], plain.jacobian(inputs)[1])


@pytest.mark.parametrize("manner", MANNERS, ids=str)
def test_derivatives_are_bitwise_the_same(differentiable: Twin, manner: tuple[int, int]) -> None:
    model, inputs = differentiable.model, differentiable.inputs(ROWS)
    require_same_bits(model)
    tangents = differentiable.inputs(ROWS, seed=1)
    model.set_execution(chunk_rows=10 * ROWS, threads=1)
    values, blocks = model.jacobian(inputs)
    _, directions = model.jvp(inputs, tangents)
    found = carried_out(model, manner, lambda: model.jacobian(inputs))
    same(found[0], values)
    same_blocks(found[1], blocks)
    same(carried_out(model, manner, lambda: model.jvp(inputs, tangents))[1], directions)


@pytest.mark.parametrize("manner", MANNERS, ids=str)
@pytest.mark.parametrize("variant", ["promoted", "substepped"])
@pytest.mark.parametrize("values", [(), (3,), (ROWS,)], ids=["one", "three", "each"])
def test_parameter_derivatives_are_bitwise_the_same(
    variant: str, manner: tuple[int, int], values: tuple[int, ...]
) -> None:
    model = perzyna(variant)
    inputs = increments(3, ROWS) if values == (3,) else increments(ROWS)
    name = next(iter(model.named_parameters()))
    scale = 1.0 + 0.01 * torch.arange(max(values, default=1), dtype=torch.float64)
    value = model.named_parameters()[name] * (
        scale[:, None] if values == (3,) else scale if values else 1.0
    )
    overrides = {name: value}
    cotangents = {output: torch.ones_like(v) for output, v in model.forward(inputs).items()}
    model.set_execution(chunk_rows=1000, threads=1)
    expected = model.param_jacobian(inputs, overrides)
    gradients = model.param_vjp(inputs, cotangents, overrides)
    found = carried_out(model, manner, lambda: model.param_jacobian(inputs, overrides))
    same(found[0], expected[0])
    same_blocks(found[1], expected[1])
    same(
        carried_out(model, manner, lambda: model.param_vjp(inputs, cotangents, overrides)),
        gradients,
    )


def failed(model: Model, inputs: Tensors, operation: str) -> tuple[ConvergenceError, SolveRecord]:
    records: list[SolveRecord] = []
    with pytest.raises(ConvergenceError) as caught:
        getattr(model, operation)(inputs, solves=records)
    return caught.value, records[-1]


@pytest.mark.parametrize("operation", ["forward", "jacobian"])
@pytest.mark.parametrize("manner", MANNERS, ids=str)
def test_errors_are_the_same(
    twin_of: Callable[[str], Twin], manner: tuple[int, int], operation: str
) -> None:
    twin = twin_of("chaboche")
    require_same_bits(twin.model)
    inputs = twin.inputs(ROWS)
    for row in (3, 20, 21, 36):
        inputs["strain"][row] *= 1e6 if row == 20 else torch.nan
    model = twin.model
    model.set_execution(chunk_rows=10 * ROWS, threads=1)
    error, record = failed(model, inputs, operation)
    found, found_record = carried_out(model, manner, lambda: failed(model, inputs, operation))
    assert str(found) == str(error)
    for field in ("converged_mask", "iterations"):
        assert torch.equal(getattr(found, field), getattr(error, field)), field
    assert torch.equal(found_record.residual_norms.nan_to_num(), record.residual_norms.nan_to_num())
    assert found_record.attempts[0].active == record.attempts[0].active
    for name, value in error.unknowns.items():
        assert torch.equal(found.unknowns[name].nan_to_num(), value.nan_to_num()), name


def test_records_are_the_same(twin_of: Callable[[str], Twin]) -> None:
    twin = twin_of("composed")
    inputs, model = twin.inputs(ROWS), twin.model
    records: list[SolveRecord] = []
    for manner in ((10 * ROWS, 1), (5, 3)):
        carried_out(model, manner, lambda: model.jacobian(inputs, solves=records))
    one, many = records
    assert one.converged_mask.shape == many.converged_mask.shape == (ROWS,)
    for field in ("iterations", "substeps", "residual_norms", "initial_residual_norms"):
        assert torch.equal(getattr(one, field), getattr(many, field)), field
    assert [a.trace for a in one.attempts] == [a.trace for a in many.attempts]


def test_many_rows_are_done_in_blocks(twin_of: Callable[[str], Twin]) -> None:
    twin = twin_of("chaboche")
    require_same_bits(twin.model)
    inputs = twin.inputs(700)
    expected = twin.model.forward(inputs)
    # 128 chunks make a block.
    same(carried_out(twin.model, (2, 2), lambda: twin.model.forward(inputs)), expected)


@pytest.mark.parametrize(
    ("setting", "kind", "text"),
    [
        ({"chunk_rows": 0}, InputError, "set_execution: chunk_rows is 0; expected 1 to "),
        ({"threads": -1}, InputError, "set_execution: threads is -1; expected 1 to "),
        (
            {"max_corrections": -1},
            InputError,
            "set_execution: max_corrections is -1; expected 0 to ",
        ),
        ({"threads": 1.5}, TypeError, "set_execution: threads must be an integer, got 1.5"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(
    twin_of: Callable[[str], Twin], setting: dict[str, object], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        twin_of("elasticity").model.set_execution(**setting)


# --- corrections


def test_corrections_save_matrices_and_change_results_within_tolerance(
    twin_of: Callable[[str], Twin],
) -> None:
    twin = twin_of("chaboche")
    model, inputs = twin.model, twin.inputs(50)
    (segment,) = model.manifest.segments
    assert isinstance(segment, ImplicitSegment)
    if isinstance(segment.direction, FusedDirection):
        pytest.skip("the solve graph of neml2 up to 3.0.6 hands out no matrix to go on with")
    records: list[SolveRecord] = []
    plain = model.forward(inputs, solves=records)
    try:
        model.set_execution(max_corrections=8)
        corrected = model.forward(inputs, solves=records)
    finally:
        model.set_execution()
    assert records[0].corrections.sum() == 0
    assert records[1].corrections.sum() > 0
    assert 2 * records[1].iterations.sum() < records[0].iterations.sum()
    for name, value in plain.items():
        assert scaled_difference(corrected[name], value) < 1e-9, name


# --- beside other things in the process


def test_ctrl_c_ends_a_long_call(twin_of: Callable[[str], Twin]) -> None:
    twin = twin_of("chaboche")
    inputs = {
        name: value.repeat(400, *[1] * (value.dim() - 1))
        for name, value in twin.inputs(500).items()
    }
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012  (whichever call it falls into)
            while time.monotonic() < start + 60:
                twin.model.forward(inputs)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() < start + 30
    some = twin.inputs(3)
    same(twin.model.forward(some), twin.model.forward(some))  # as good as new


def child(
    case: CompiledCase, inputs: Tensors, answers: multiprocessing.SimpleQueue[Tensors]
) -> None:
    model = open_model(case)
    model.set_execution(chunk_rows=8, threads=3)
    answers.put({name: value.tolist() for name, value in model.forward(inputs).items()})


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")
def test_a_forked_worker_gets_the_same_answers(twin_of: Callable[[str], Twin]) -> None:
    twin = twin_of("chaboche")
    inputs, model = twin.inputs(ROWS), twin.model
    require_same_bits(model)
    expected = carried_out(model, (8, 3), lambda: model.forward(inputs))  # with threads to lose
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    worker = context.Process(target=child, args=(twin.case, inputs, answers))
    worker.start()
    found = answers.get()
    worker.join(60)
    assert worker.exitcode == 0
    assert found == {name: value.tolist() for name, value in expected.items()}


@pytest.mark.slow
def test_many_threads_call_one_model_for_a_minute(twin_of: Callable[[str], Twin]) -> None:
    twin = twin_of("chaboche")
    model = twin.model
    require_same_bits(model)
    batches = [twin.inputs(1 + 9 * k, seed=k) for k in range(8)]
    expected = [model.forward(inputs) for inputs in batches]
    end = time.monotonic() + 60

    def call(number: int) -> int:
        calls = 0
        while time.monotonic() < end:
            which = (number + calls) % len(batches)
            same(model.forward(batches[which]), expected[which])
            calls += 1
        return calls

    model.set_execution(chunk_rows=16, threads=2)
    try:
        with ThreadPoolExecutor(32) as pool:
            counts = list(pool.map(call, range(32)))
    finally:
        model.set_execution()
    assert min(counts) > 0


def test_torch_s_own_threads_are_left_as_they_are(twin_of: Callable[[str], Twin]) -> None:
    twin = twin_of("chaboche")
    before = torch.get_num_threads()
    carried_out(twin.model, (4, 3), lambda: twin.model.forward(twin.inputs(20)))
    assert torch.get_num_threads() == before
    large = torch.rand(300, 300, dtype=torch.float64)
    torch.testing.assert_close(
        large @ torch.linalg.inv(large), torch.eye(300, dtype=torch.float64), rtol=0, atol=1e-6
    )
