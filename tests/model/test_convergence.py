"""Solves that fail for some rows: what is raised and carried, and that other rows are unharmed."""

from __future__ import annotations

import math
import re

import pytest
import torch
from twins import (
    Tensors,
    Twin,
    inputs_read,
    open_model,
    reads_no_guesses,
    scaled_difference,
)

from neml2_aoti_plugin import ConvergenceError, Model

DEFAULTS = (1e-10, 1e-10, 50, "BACKTRACKING", 1, 2.0, 1e-3)
"""Settings of the input files without a line search."""

IMPLICIT = ("chaboche", "composed", "crystal", "rate_independent")

DRIVING = {"composed": "displacement_gradient", "crystal": "deformation_rate"}
"""The input that loads a model, where it is not the strain."""


@pytest.fixture(params=IMPLICIT)
def twin(request, twin_of) -> Twin:
    return fresh(twin_of(request.param))


@pytest.fixture
def chaboche(twin_of) -> Twin:
    return fresh(twin_of("chaboche"))


@pytest.fixture
def rate_independent(twin_of) -> Twin:
    return fresh(twin_of("rate_independent"))


def fresh(twin: Twin) -> Twin:
    """With a model of its own, whose settings may be changed."""
    return Twin(twin.case, open_model(twin.case), twin.native)


def spoilt(twin: Twin, inputs: Tensors, row: tuple[int, ...], value: float) -> Tensors:
    """With a load of ``value`` in one row."""
    name = DRIVING.get(twin.case.name, "strain")
    load = inputs[name].clone()
    load[row] = value
    return inputs | {name: load}


def failure(model: Model, inputs: Tensors) -> ConvergenceError:
    with pytest.raises(ConvergenceError) as caught:
        model.forward(inputs)
    return caught.value


def iterations_of(twin: Twin, inputs: Tensors) -> torch.Tensor:
    """Updates that every row takes; told only by a failure, so a row of NaN is added."""
    longer = {name: torch.cat([value, value[:1]]) for name, value in inputs.items()}
    return failure(twin.model, spoilt(twin, longer, (-1,), math.nan)).iterations[:-1]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e200], ids=str)
def test_a_hopeless_row_leaves_the_others_as_they_are_alone(twin: Twin, value: float) -> None:
    inputs = twin.inputs(2, 2)
    error = failure(twin.model, spoilt(twin, inputs, (1, 0), value))
    assert error.converged_mask.tolist() == [[True, True], [False, True]]
    for row in ((0, 0), (0, 1), (1, 1)):
        alone = twin.model.forward({name: tensor[row] for name, tensor in inputs.items()})
        for name, unknown in error.unknowns.items():
            assert name in alone
            assert scaled_difference(unknown[row], alone[name]) < 1e-12, (name, row)


def test_a_failure_carries_data_in_the_batch_shape_of_the_call(chaboche: Twin) -> None:
    error = failure(chaboche.model, spoilt(chaboche, chaboche.inputs(2, 3), (0, 2), 1e3))
    shapes = {"stress": (6,), "equivalent_plastic_strain": (), "X1": (6,), "X2": (6,)}
    assert {name: value.shape for name, value in error.unknowns.items()} == {
        name: (2, 3, *base) for name, base in shapes.items()
    }
    for data, dtype in (
        (error.converged_mask, torch.bool),
        (error.iterations, torch.int64),
        (error.residual_norms, torch.float64),
        (error.initial_residual_norms, torch.float64),
    ):
        assert data.shape == (2, 3)
        assert data.dtype == dtype
    good = error.converged_mask
    assert good.tolist() == [[True, True, False], [True, True, True]]
    assert (error.iterations[good] > 0).all()
    target = (1e-10 * error.initial_residual_norms).clamp(min=1e-10)
    assert (error.residual_norms[good] < target[good]).all()
    assert error.initial_residual_norms.isfinite().all()
    assert error.residual_norms[0, 2].isnan()


@pytest.mark.parametrize("batch", [(), (1,), (1, 1)], ids=str)
def test_the_data_of_a_single_row_keep_the_batch_shape(
    chaboche: Twin, batch: tuple[int, ...]
) -> None:
    error = failure(chaboche.model, spoilt(chaboche, chaboche.inputs(*batch), (), math.nan))
    assert error.converged_mask.shape == error.iterations.shape == batch
    assert error.unknowns["stress"].shape == (*batch, 6)


def test_sub_batched_unknowns_are_handed_over_with_their_sites(twin_of) -> None:
    twin = twin_of("crystal")
    error = failure(twin.model, spoilt(twin, twin.inputs(3), (1,), math.nan))
    assert error.unknowns["elastic_strain"].shape == (3, 4, 6)
    assert error.unknowns["slip_hardening"].shape == (3, 4)


def test_the_error_is_the_class_that_neml2_raises(chaboche: Twin) -> None:
    aoti, solvers = pytest.importorskip("neml2.aoti"), pytest.importorskip("neml2.solvers")
    error = failure(chaboche.model, spoilt(chaboche, chaboche.inputs(2), (0,), math.nan))
    assert type(error) is aoti.ConvergenceError is ConvergenceError
    if hasattr(solvers, "ConvergenceError"):  # from neml2 3.0.7 on
        assert type(error) is solvers.ConvergenceError
    assert isinstance(error, RuntimeError)


def test_the_message_says_which_row_failed_how(chaboche: Twin) -> None:
    error = failure(chaboche.model, spoilt(chaboche, chaboche.inputs(4), (2,), math.nan))
    assert str(error) == (
        "segment 'model': 1 of 4 rows failed to solve: 1 with a residual that is not finite (worst "
        "row 2: |r| = nan after 0 iterations from |r0| = nan; targets abs 1e-10, rel 1e-10). "
        "Reduce the increment, or relax the solver settings."
    )


def test_the_message_counts_every_cause(chaboche: Twin) -> None:
    chaboche.model.set_solver_config(*DEFAULTS[:2], 3, *DEFAULTS[3:])
    inputs = spoilt(chaboche, chaboche.inputs(4), (1,), math.nan)
    error = failure(chaboche.model, inputs)
    assert "4 of 4 rows failed to solve: 3 not converged after 3 iterations; 1 with a residual" in (
        str(error)
    )
    assert "(worst row 1: |r| = nan after 0 iterations" in str(error)
    assert error.iterations.tolist() == [3, 0, 3, 3]


def test_miters_is_the_number_of_updates_allowed(twin: Twin) -> None:
    inputs = twin.inputs(3)
    twin.model.set_solver_config(*DEFAULTS)
    needed = iterations_of(twin, inputs)
    most = int(needed.max())
    twin.model.set_solver_config(*DEFAULTS[:2], most, *DEFAULTS[3:])
    twin.model.forward(inputs)
    twin.model.set_solver_config(*DEFAULTS[:2], most - 1, *DEFAULTS[3:])
    error = failure(twin.model, inputs)
    assert torch.equal(error.converged_mask, needed < most)
    assert torch.equal(error.iterations, needed.clamp(max=most - 1))
    assert f"not converged after {most - 1} iterations" in str(error)


def test_no_updates_allowed_is_enough_for_a_row_at_its_solution(rate_independent: Twin) -> None:
    model = rate_independent.model
    model.set_solver_config(*DEFAULTS[:2], 0, *DEFAULTS[3:])
    inputs = {name: torch.zeros_like(value) for name, value in rate_independent.inputs(2).items()}
    inputs["t"] += 1.0
    assert torch.equal(model.forward(inputs)["stress"], torch.zeros(2, 6, dtype=torch.float64))
    inputs["strain"][1, 0] = 1e-2
    error = failure(model, inputs)
    assert error.converged_mask.tolist() == [True, False]
    assert error.iterations.tolist() == [0, 0]


@pytest.mark.parametrize("tolerance", [1e-2, 1e-6, 1e-11])
def test_the_absolute_tolerance_is_respected(chaboche: Twin, tolerance: float) -> None:
    chaboche.model.set_solver_config(tolerance, 0.0, *DEFAULTS[2:])
    error = failure(chaboche.model, spoilt(chaboche, chaboche.inputs(4), (0,), math.nan))
    assert error.converged_mask.tolist() == [False, True, True, True]
    assert (error.residual_norms[1:] < tolerance).all()


@pytest.mark.parametrize("tolerance", [1e-2, 1e-6, 1e-11])
def test_the_relative_tolerance_is_respected(chaboche: Twin, tolerance: float) -> None:
    chaboche.model.set_solver_config(0.0, tolerance, *DEFAULTS[2:])
    error = failure(chaboche.model, spoilt(chaboche, chaboche.inputs(4), (0,), math.nan))
    assert error.converged_mask.tolist() == [False, True, True, True]
    ratio = error.residual_norms / error.initial_residual_norms
    assert (ratio[1:] < tolerance).all()


def test_a_looser_tolerance_takes_fewer_updates(chaboche: Twin) -> None:
    inputs = chaboche.inputs(4)
    chaboche.model.set_solver_config(*DEFAULTS)
    tight = iterations_of(chaboche, inputs)
    chaboche.model.set_solver_config(1e-2, 0.0, *DEFAULTS[2:])
    assert (iterations_of(chaboche, inputs) < tight).all()


def test_tolerances_of_zero_are_never_met(rate_independent: Twin) -> None:
    rate_independent.model.set_solver_config(0.0, 0.0, 20, *DEFAULTS[3:])
    error = failure(rate_independent.model, rate_independent.inputs(2))
    assert not error.converged_mask.any()
    assert "targets abs 0, rel 0" in str(error)


@pytest.mark.parametrize("search", ["BACKTRACKING", "STRONG_WOLFE"])
@pytest.mark.parametrize("trials", [2, 10])
def test_a_line_search_finds_the_same_solution(twin: Twin, search: str, trials: int) -> None:
    inputs = twin.inputs(4)
    twin.model.set_solver_config(1e-12, 1e-11, 60, "BACKTRACKING", 1, 2.0, 1e-3)
    expected = twin.model.forward(inputs)
    twin.model.set_solver_config(1e-12, 1e-11, 60, search, trials, 2.0, 1e-3)
    for name, value in twin.model.forward(inputs).items():
        assert scaled_difference(value, expected[name]) < 1e-8, name


def test_a_row_that_searches_does_not_change_the_others(chaboche: Twin) -> None:
    chaboche.model.set_solver_config(1e-10, 1e-10, 50, "STRONG_WOLFE", 10, 2.0, 1e-3)
    inputs = chaboche.inputs(3)
    inputs["strain"][1] *= 10
    together = chaboche.model.forward(inputs)
    for row in range(3):
        alone = chaboche.model.forward({name: value[row] for name, value in inputs.items()})
        for name, value in alone.items():
            assert scaled_difference(together[name][row], value) < 1e-12, (name, row)


def test_a_singular_row_leaves_the_others_as_they_are(rate_independent: Twin) -> None:
    inputs = rate_independent.inputs(4)
    expected = rate_independent.model.forward(inputs)
    # Without a time increment and at a flow rate this large, no residual depends on the flow rate.
    inputs["t"][1] = inputs["t~1"][1]
    inputs["flow_rate"][1] = 1e12
    for call in (rate_independent.model.forward, rate_independent.model.jacobian):
        with pytest.raises(ConvergenceError) as caught:
            call(inputs)
        error = caught.value
        assert error.converged_mask.tolist() == [True, False, True, True]
        for name in ("plastic_strain", "equivalent_plastic_strain", "flow_rate"):
            for row in (0, 2, 3):
                assert scaled_difference(error.unknowns[name][row], expected[name][row]) < 1e-12


def test_a_failed_call_leaves_the_model_usable(twin: Twin) -> None:
    inputs = twin.inputs(3)
    expected = twin.model.forward(inputs)
    failure(twin.model, spoilt(twin, inputs, (1,), math.nan))
    for name, value in twin.model.forward(inputs).items():
        assert torch.equal(value, expected[name])


def test_the_data_of_a_failure_share_no_memory_and_survive(chaboche: Twin) -> None:
    inputs = chaboche.inputs(2)
    error = failure(chaboche.model, spoilt(chaboche, inputs, (0,), math.nan))
    kept = {name: value.clone() for name, value in error.unknowns.items()}
    addresses = {value.untyped_storage().data_ptr() for value in error.unknowns.values()}
    assert len(addresses) == len(error.unknowns)
    chaboche.model.forward(inputs)
    for name, value in error.unknowns.items():
        assert torch.equal(value[1], kept[name][1])


def test_jvp_and_jacobian_raise_as_forward_does(chaboche: Twin) -> None:
    inputs = spoilt(chaboche, chaboche.inputs(2), (1,), math.nan)
    expected = str(failure(chaboche.model, inputs))
    for call in (
        chaboche.model.jacobian,
        chaboche.model.forward_natural,
        lambda given: chaboche.model.jvp(given, {}),
    ):
        with pytest.raises(ConvergenceError, match=re.escape(expected)) as caught:
            call(inputs)
        assert caught.value.converged_mask.tolist() == [True, False]


def test_without_a_predictor_the_caller_s_guess_is_used(rate_independent: Twin) -> None:
    """By releases that read it: those up to 3.0.6 start at zero."""
    rate_independent.model.set_solver_config(math.inf, 0.0, *DEFAULTS[2:])
    inputs = rate_independent.inputs(3)
    found = rate_independent.model.forward(inputs)
    for name in ("plastic_strain", "equivalent_plastic_strain", "flow_rate"):
        assert inputs[name].any()
        assert torch.equal(found[name], inputs_read(rate_independent.model, inputs)[name])


def test_a_guess_at_the_solution_needs_no_updates(rate_independent: Twin) -> None:
    if reads_no_guesses(rate_independent.model):
        pytest.skip("neml2 up to 3.0.6 starts at zero, whatever the caller's guess")
    inputs = rate_independent.inputs(3)
    solved = rate_independent.model.forward(inputs)
    guess = {name: solved[name] for name in inputs if name in solved}
    rate_independent.model.set_solver_config(1e-6, 0.0, 0, *DEFAULTS[3:])
    found = rate_independent.model.forward(inputs | guess)
    assert all(torch.equal(found[name], value) for name, value in guess.items())


def test_a_predictor_makes_the_guess(chaboche: Twin) -> None:
    chaboche.model.set_solver_config(math.inf, 0.0, *DEFAULTS[2:])
    inputs = chaboche.inputs(3)
    for name, value in chaboche.model.forward(inputs).items():
        assert torch.equal(value, inputs[f"{name}~1"])


def test_an_empty_batch_always_converges(twin: Twin) -> None:
    twin.model.set_solver_config(0.0, 0.0, 0, *DEFAULTS[3:])
    for value in twin.model.forward(twin.inputs(0)).values():
        assert value.shape[0] == 0
