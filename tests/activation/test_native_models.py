"""Interpreted implicit models of neml2 run on our solvers as they did on its binary."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fresh_interpreter import HERE, Interpreter

TRAJECTORY = str(HERE / "trajectory.py")

HAS_CAPTURE = """
import neml2.solvers
print(hasattr(neml2.solvers.Newton, "solve_masked"))
"""


@pytest.fixture(scope="module")
def gold() -> dict[str, Any]:
    """What neml2 3.1.0 and its binary printed on torch 2.12.1, with failures captured."""
    recorded: dict[str, Any] = json.loads((HERE / "trajectory_gold.json").read_text())
    return recorded


def floats(history: list[list[str]]) -> list[list[float]]:
    return [[float.fromhex(number) for number in values] for values in history]


def test_histories_match_the_gold(interpreter: Interpreter, gold: dict[str, Any]) -> None:
    histories = json.loads(interpreter.output(TRAJECTORY))
    assert histories.keys() == gold.keys()
    for case, history in histories.items():
        if case.startswith("out_of_iterations") and case != "out_of_iterations 1":
            assert "neml2.aoti" in history["caught_as"]
            continue
        # Linear algebra libraries differ in rounding; the solve amplifies that to its tolerance.
        for values, expected in zip(floats(history), floats(gold[case]), strict=True):
            assert values == pytest.approx(expected, rel=1e-10, abs=1e-15), case


def test_histories_match_the_binary_bit_by_bit(
    interpreter: Interpreter, binary_works: bool
) -> None:
    if not binary_works:
        pytest.skip("neml2's binary does not work on this torch")
    switches = {"NEML2_CAPTURE_SOLVE_FAILURE": "1"}
    ours = json.loads(interpreter.output(TRAJECTORY, **switches))
    theirs = json.loads(interpreter.output(TRAJECTORY, **switches, NEML2_AOTI_PLUGIN="0"))
    for outcome in (*ours.values(), *theirs.values()):
        if isinstance(outcome, dict) and outcome["text"].startswith(("Newton", "AOTI Newton")):
            del outcome["text"]  # up to 3.0.6 the solver's own words reach the caller
    assert ours == theirs


def test_failed_solve_is_caught_as_the_error_of_the_host(interpreter: Interpreter) -> None:
    failure = json.loads(interpreter.output(TRAJECTORY))["out_of_iterations 3"]
    code = "import neml2.solvers; print(hasattr(neml2.solvers, 'ConvergenceError'))"
    has_solver_error = interpreter.execute(code) == "True\n"
    expected = ["neml2.aoti", "neml2.solvers"] if has_solver_error else ["neml2.aoti"]
    assert failure["caught_as"] == expected
    assert failure["mask"] is None
    assert failure["unknowns"] == {}


def test_failure_context_is_captured_on_request(
    interpreter: Interpreter, gold: dict[str, Any]
) -> None:
    if interpreter.execute(HAS_CAPTURE) == "False\n":
        pytest.skip("this neml2 does not capture failures")
    histories = json.loads(interpreter.output(TRAJECTORY, NEML2_CAPTURE_SOLVE_FAILURE="1"))
    for case in ("out_of_iterations 0", "out_of_iterations 3", "out_of_iterations 5"):
        assert histories[case]["mask"] == gold[case]["mask"]
        assert histories[case]["unknowns"].keys() == gold[case]["unknowns"].keys()
        for name, values in histories[case]["unknowns"].items():
            (expected,) = floats([gold[case]["unknowns"][name]])
            assert floats([values]) == [pytest.approx(expected, rel=1e-8, abs=1e-14)]


def test_newton_log_of_the_host_still_tells_the_iterations(interpreter: Interpreter) -> None:
    if interpreter.execute("import neml2; print(hasattr(neml2, 'log'))") == "False\n":
        pytest.skip("this neml2 has no log")
    result = interpreter.run(TRAJECTORY, NEML2_LOGS="newton=debug")
    assert result.returncode == 0, result.stderr
    assert "[neml2:newton ][info] converged at predictor (iters=0, reason=abs_tol)" in result.stdout
    assert "[neml2:newton ][dbg ] ITERATION   1, |R| = " in result.stderr
    assert "[neml2:newton ][dbg ]   LS ITERATION   2, min(alpha) = " in result.stderr
