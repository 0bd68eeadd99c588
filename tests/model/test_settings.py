"""``set_solver_config``: what it accepts, what it refuses, and that a refusal changes nothing."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy
import pytest
import torch
from twins import Tensors, Twin

from neml2_aoti_plugin import ConvergenceError, Model
from neml2_aoti_plugin.errors import InputError

GOOD = {
    "atol": 1e-10,
    "rtol": 1e-10,
    "miters": 50,
    "ls_type": "BACKTRACKING",
    "ls_max_iters": 1,
    "ls_cutback": 2.0,
    "ls_c": 1e-3,
}
TOO_FEW = GOOD | {"miters": 1}
"""Settings that no plastic step gets by with."""


@pytest.fixture
def twin(twin_of) -> Twin:
    return twin_of("chaboche")


@pytest.fixture
def model(twin: Twin) -> Model:
    return Model(twin.case.root)


@pytest.fixture
def inputs(twin: Twin) -> Tensors:
    return twin.inputs(2)


def test_the_seven_names_are_the_documented_ones(model: Model, inputs: Tensors) -> None:
    assert model.set_solver_config(**TOO_FEW) is None
    with pytest.raises(ConvergenceError):
        model.forward(inputs)
    assert model.set_solver_config(*GOOD.values()) is None
    model.forward(inputs)


def test_all_seven_are_required(model: Model) -> None:
    for name in GOOD:
        given = {key: value for key, value in GOOD.items() if key != name}
        with pytest.raises(TypeError, match=f"missing 1 required positional argument: '{name}'"):
            model.set_solver_config(**given)


def test_substep_del_tol_is_an_eighth(model: Model, inputs: Tensors) -> None:
    model.set_solver_config(*GOOD.values(), 1e-3)
    model.set_solver_config(**GOOD, substep_del_tol=1e-3)
    model.forward(inputs)


BAD_VALUES: list[tuple[str, Any, type[Exception], str]] = [
    ("atol", -1e-10, InputError, "atol is -1e-10; expected at least 0.0"),
    ("atol", float("nan"), InputError, "atol is nan; expected at least 0.0"),
    ("atol", "1e-10", TypeError, "atol must be a number, got '1e-10'"),
    ("atol", None, TypeError, "atol must be a number, got None"),
    ("atol", True, TypeError, "atol must be a number, got True"),
    ("rtol", -1.0, InputError, "rtol is -1.0; expected at least 0.0"),
    ("rtol", float("nan"), InputError, "rtol is nan; expected at least 0.0"),
    ("rtol", 1j, TypeError, "rtol must be a number, got 1j"),
    ("miters", -1, InputError, "miters is -1; expected 0 to 2147483647"),
    (
        "miters",
        2**70,
        InputError,
        "miters is 1180591620717411303424; expected 0 to 2147483647",
    ),
    ("miters", 25.0, TypeError, "miters must be an integer, got 25.0"),
    ("miters", "25", TypeError, "miters must be an integer, got '25'"),
    ("miters", False, TypeError, "miters must be an integer, got False"),
    (
        "ls_type",
        "WOLFE",
        InputError,
        "ls_type is 'WOLFE'; expected one of BACKTRACKING, STRONG_WOLFE",
    ),
    (
        "ls_type",
        "backtracking",
        InputError,
        "ls_type is 'backtracking'; expected one of BACKTRACKING, STRONG_WOLFE",
    ),
    (
        "ls_type",
        None,
        InputError,
        "ls_type is None; expected one of BACKTRACKING, STRONG_WOLFE",
    ),
    ("ls_max_iters", -1, InputError, "ls_max_iters is -1; expected 0 to 2147483647"),
    ("ls_max_iters", 1.5, TypeError, "ls_max_iters must be an integer, got 1.5"),
    ("ls_cutback", 1.0, InputError, "ls_cutback is 1.0; expected more than 1.0"),
    ("ls_cutback", 0.5, InputError, "ls_cutback is 0.5; expected more than 1.0"),
    ("ls_cutback", float("nan"), InputError, "ls_cutback is nan; expected more than 1.0"),
    ("ls_c", -1e-3, InputError, "ls_c is -0.001; expected at least 0.0"),
    ("ls_c", [], TypeError, "ls_c must be a number, got []"),
    ("substep_del_tol", -1.0, InputError, "substep_del_tol is -1.0; expected at least 0.0"),
    ("substep_del_tol", "a", TypeError, "substep_del_tol must be a number, got 'a'"),
]


@pytest.mark.parametrize(
    ("name", "value", "kind", "message"),
    BAD_VALUES,
    ids=[f"{name}={value!r}" for name, value, *_ in BAD_VALUES],
)
def test_a_bad_value_is_refused_and_nothing_changes(
    model: Model, inputs: Tensors, name: str, value: Any, kind: type[Exception], message: str
) -> None:
    # If any of the good values beside the bad one were taken over, the solve would now fail.
    with pytest.raises(kind) as caught:
        model.set_solver_config(**(TOO_FEW | {name: value}))
    assert type(caught.value) is kind
    assert str(caught.value) == f"set_solver_config: {message}"
    model.forward(inputs)


@pytest.mark.parametrize(
    "number",
    [numpy.float64(1e-10), numpy.float32(1e-10), torch.tensor(1e-10), Fraction(1, 10**10)],
    ids=lambda number: type(number).__name__,
)
def test_any_real_number_is_a_tolerance(model: Model, inputs: Tensors, number: Any) -> None:
    model.set_solver_config(**(GOOD | {"atol": number, "rtol": Decimal("1e-10")}))
    model.forward(inputs)


def test_any_integer_is_a_count(model: Model, inputs: Tensors) -> None:
    model.set_solver_config(**(GOOD | {"miters": numpy.int32(50), "ls_max_iters": torch.tensor(1)}))
    model.forward(inputs)


def test_settings_of_one_model_are_not_those_of_another(twin: Twin, inputs: Tensors) -> None:
    first, second = Model(twin.case.root), Model(twin.case.root)
    first.set_solver_config(**TOO_FEW)
    second.forward(inputs)


def test_settings_reach_jvp_and_jacobian(model: Model, inputs: Tensors) -> None:
    model.set_solver_config(**TOO_FEW)
    with pytest.raises(ConvergenceError):
        model.jacobian(inputs)
    with pytest.raises(ConvergenceError):
        model.jvp(inputs, {})
    with pytest.raises(ConvergenceError):
        model.forward_natural(inputs)


def test_a_model_without_solves_accepts_settings(elasticity) -> None:
    model = Model(elasticity.root)
    model.set_solver_config(**TOO_FEW)
    model.forward({"strain": torch.zeros(2, 6, dtype=torch.float64)})
