"""Markers, the device policy, and the example inputs: native, and compiled once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from artifact_cache import CASES, INPUTS, CompiledCase, compiled, compiled_feature, obstacle

if TYPE_CHECKING:
    import torch

pytest_plugins = ["pytester"]

REQUIRE_CUDA_VARIABLE = "NEML2_AOTI_REQUIRE_CUDA"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs an example input that the installed neml2 cannot load."""
    reasons = {case: reason for case in CASES if (reason := obstacle(case)) is not None}
    if not reasons:
        return
    for item in items:
        named = {*getattr(item, "fixturenames", ())}
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            named.update(value for value in item.callspec.params.values() if isinstance(value, str))
        for case in named & reasons.keys():
            item.add_marker(pytest.mark.skip(reason=reasons[case]))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip ``cuda`` tests where there is no GPU; fail them on a machine that promises one."""
    if item.get_closest_marker("cuda") is None:
        return
    import torch

    if torch.cuda.is_available():
        return
    if os.environ.get(REQUIRE_CUDA_VARIABLE) == "1":
        pytest.fail(f"no CUDA device is usable, and {REQUIRE_CUDA_VARIABLE}=1 promises one")
    pytest.skip("needs a CUDA device")


@pytest.fixture(scope="session")
def compiled_case() -> Callable[..., CompiledCase]:
    """``compiled_case(case, variant=..., device=...)``: any entry of the artifact cache."""
    return compiled


@pytest.fixture(scope="session")
def elasticity() -> CompiledCase:
    """One forward segment, one input, one output, all derivatives."""
    return compiled("elasticity")


@pytest.fixture(scope="session")
def elasticity_float32() -> CompiledCase:
    """The same in single precision."""
    return compiled("elasticity", variant="float32")


@pytest.fixture(scope="session")
def elasticity_promoted() -> CompiledCase:
    """The same with Young's modulus promoted, as ``model.E``."""
    return compiled("elasticity", variant="promoted")


@pytest.fixture(scope="session")
def elasticity_two_promoted() -> CompiledCase:
    """Values only, with Young's modulus and Poisson's ratio promoted."""
    return compiled("elasticity", variant="two_promoted")


@pytest.fixture(scope="session")
def elasticity_values_only() -> CompiledCase:
    """The same without derivatives."""
    return compiled("elasticity", variant="values_only")


@pytest.fixture(scope="session")
def chaboche() -> CompiledCase:
    """One implicit segment of 19 unknowns with a predictor, all derivatives."""
    return compiled("chaboche")


@pytest.fixture(scope="session")
def chaboche_float32() -> CompiledCase:
    """The same in single precision, with tolerances it can reach."""
    return compiled("chaboche", variant="float32")


@pytest.fixture(scope="session")
def composed() -> CompiledCase:
    """Forward segments around an implicit one, which converges at its guess in the first step."""
    return compiled("composed")


@pytest.fixture(scope="session")
def crystal() -> CompiledCase:
    """Sub-batched unknowns of three types (four grains in a block group), values only."""
    return compiled("crystal")


@pytest.fixture(scope="session")
def rate_independent() -> CompiledCase:
    """An implicit segment without predictor that converges at its guess on elastic steps."""
    return compiled("rate_independent")


@pytest.fixture(scope="session")
def perzyna_promoted() -> CompiledCase:
    """One implicit segment of 6 unknowns, modulus and yield stress promoted, all derivatives."""
    if reason := obstacle("perzyna"):
        pytest.skip(reason)
    return compiled_feature("perzyna", "promoted")


@pytest.fixture
def float64_default() -> Iterator[None]:
    """Double precision as torch's default, as under ``neml2-run``."""
    import torch

    previous = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(previous)


@pytest.fixture
def native_model(float64_default: None) -> Callable[[str], torch.nn.Module]:
    """``native_model(case)``: neml2's own model of an example input, in double precision."""
    import neml2

    return lambda case: neml2.load_model(str(INPUTS / case / "model.i"), "model")
