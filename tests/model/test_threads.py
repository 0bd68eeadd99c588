"""Several Python threads and one model."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from artifact_cache import CompiledCase
from torch.utils._python_dispatch import TorchDispatchMode
from twins import Tensors, Twin, open_model, scaled_difference

from neml2_aoti_plugin import ConvergenceError, Model

THREADS = 6


def together(calls: list[Callable[[], Any]]) -> list[Any]:
    """The results of calls that start at the same moment, a thread each."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def assert_same(found: Tensors, expected: Tensors) -> None:
    for name, value in expected.items():
        assert scaled_difference(found[name], value) < 1e-12, name


def test_threads_calling_one_model_get_their_own_answers(twin: Twin) -> None:
    batches = [twin.inputs(1 + k, seed=k) for k in range(THREADS)]
    expected = [twin.model.forward(inputs) for inputs in batches]
    for _ in range(3):
        found = together([lambda given=inputs: twin.model.forward(given) for inputs in batches])
        for result, reference in zip(found, expected, strict=True):
            assert_same(result, reference)


def test_different_operations_run_at_once(differentiable: Twin) -> None:
    model = differentiable.model
    inputs = differentiable.inputs(5)
    expected = model.forward(inputs)
    calls = [
        lambda: model.forward(inputs),
        lambda: model.jvp(inputs, inputs)[0],
        lambda: model.jacobian(inputs)[0],
        lambda: model.forward_natural(inputs),
    ]
    for found in together(calls):
        assert_same(found, expected)


@pytest.mark.parametrize("name", ["elasticity", "composed"])
def test_the_first_call_may_come_from_many_threads(twin_of, name: str) -> None:
    twin = twin_of(name)
    inputs = twin.inputs(3)
    expected = twin.model.forward(inputs)
    unopened = open_model(twin.case)
    for found in together([lambda: unopened.forward(inputs)] * THREADS):
        assert_same(found, expected)


def test_models_may_be_opened_from_many_threads(elasticity) -> None:
    strain = torch.full((2, 6), 1e-3, dtype=torch.float64)
    opened = together(
        [lambda: Model(elasticity.root).forward({"strain": strain})["stress"]] * THREADS
    )
    assert all(torch.equal(stress, opened[0]) for stress in opened)


def test_a_failing_call_does_not_disturb_the_others(twin_of) -> None:
    twin = twin_of("chaboche")
    inputs = twin.inputs(3)
    expected = twin.model.forward(inputs)
    broken = inputs | {"strain": torch.full_like(inputs["strain"], torch.nan)}

    def fail() -> Tensors:
        with pytest.raises(ConvergenceError):
            twin.model.forward(broken)
        return expected

    for found in together([fail, lambda: twin.model.forward(inputs)] * 3):
        assert_same(found, expected)


def test_the_interpreter_lock_is_released_during_a_call(twin_of) -> None:
    twin = twin_of("chaboche")
    inputs = twin.inputs(20_000)
    span: list[float] = []

    def call() -> None:
        span.append(time.perf_counter())
        twin.model.forward(inputs)
        span.append(time.perf_counter())

    thread = threading.Thread(target=call)
    ticks = []
    thread.start()
    while thread.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(1e-3)
    thread.join()
    begin, end = span
    # Under the lock the loop above would stand still from begin to end.
    during = [begin, *(tick for tick in ticks if begin < tick < end), end]
    longest_pause = max(b - a for a, b in itertools.pairwise(during))
    assert longest_pause < 0.5 * (end - begin)


def test_a_call_sees_one_value_of_a_parameter_that_others_replace(elasticity_promoted) -> None:
    model = Model(elasticity_promoted.root)
    strain = torch.zeros(64, 6, dtype=torch.float64)
    strain[:, 3] = 1e-3  # pure shear
    values = [torch.tensor(value, dtype=torch.float64) for value in (1e5, 2e5)]
    allowed = []
    for value in values:
        model.set_parameter("model.E", value)
        allowed.append(model.forward({"strain": strain})["stress"])

    def replace() -> None:
        for k in range(200):
            model.set_parameter("model.E", values[k % 2])

    def evaluate() -> None:
        for _ in range(100):
            stress = model.forward({"strain": strain})["stress"]
            assert any(torch.equal(stress, reference) for reference in allowed)

    together([replace, evaluate, evaluate])


def test_settings_may_be_replaced_while_others_solve(twin_of) -> None:
    twin = twin_of("chaboche")
    model = open_model(twin.case)
    inputs = twin.inputs(3)
    expected = model.forward(inputs)

    def configure() -> None:
        for k in range(200):
            model.set_solver_config(1e-10, 1e-10, 50 + k % 2, "BACKTRACKING", 1, 2.0, 1e-3)

    def evaluate() -> None:
        for _ in range(5):
            assert_same(model.forward(inputs), expected)

    together([configure, evaluate, evaluate])


def test_dispatch_mode_of_one_thread_does_not_lock_out_another(
    elasticity_promoted: CompiledCase,
) -> None:
    """Under a Python dispatch mode every tensor operation needs the interpreter lock."""
    model = Model(elasticity_promoted.root)
    strain = {"strain": torch.zeros(2, 6, dtype=torch.float64)}
    stiffness = model.named_parameters()["model.E"].clone()

    class PassThrough(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            return func(*args, **(kwargs or {}))

    def evaluate() -> None:
        with PassThrough():
            for _ in range(200):
                model.forward(strain)

    def write() -> None:
        for _ in range(20_000):
            model.set_parameter("model.E", stiffness)

    threads = [threading.Thread(target=work, daemon=True) for work in (evaluate, write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
