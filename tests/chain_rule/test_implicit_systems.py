"""A compiled model in the residual of native implicit systems: same answers, same convergence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from artifact_cache import CompiledCase
from composites import (
    assert_same_tangents,
    flow_rule,
    identities,
    material,
    push_forward,
    typed,
)

pytestmark = pytest.mark.usefixtures("float64_default")

Residuals = list[float]

# Both sides solve to 1e-10, along the same iterates.
TOLERANCE = 1e-10


@pytest.fixture(scope="module")
def flow() -> CompiledCase:
    return flow_rule()


@pytest.fixture
def both(flow: CompiledCase, tmp_path: Path) -> tuple[Any, Any]:
    """The material of the example around the compiled flow rule, and around neml2's own."""
    return material(tmp_path, flow), material(tmp_path, None)


@contextmanager
def observed_solves() -> Iterator[list[Residuals]]:
    """The residual norms over the iterations of every solve of a native implicit model."""
    from neml2.aoti import _aoti

    solve: Callable[..., Any] = _aoti.newton_solve_eager
    solves: list[Residuals] = []

    def observed(*, step_fn: Callable[..., Any], **others: Any) -> Any:
        norms: Residuals = []

        def observed_step(u: Any) -> Any:
            update, b = step_fn(u)
            norms.append(torch.cat(torch.broadcast_tensors(*b), -1).norm(dim=-1).max().item())
            return update, b

        result = solve(step_fn=observed_step, **others)
        assert result[2] == len(norms)
        solves.append(norms)
        return result

    _aoti.newton_solve_eager = observed
    try:
        yield solves
    finally:
        _aoti.newton_solve_eager = solve


def load_step(model: torch.nn.Module, batch: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """From a hardened state well into yield; time is not batched."""
    generator = torch.Generator().manual_seed(4)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(shape, dtype=torch.float64, generator=generator)

    values = {
        "strain": 8e-3 * (uniform(*batch, 6) - 0.4),
        "plastic_strain~1": 1e-3 * (uniform(*batch, 6) - 0.5),
        "equivalent_plastic_strain~1": 1e-2 * uniform(*batch),
        "temperature": 450.0 + 500.0 * uniform(*batch),
        "t": torch.tensor(11.0),
        "t~1": torch.tensor(10.0),
    }
    return {name: values[name] for name in model.input_spec}


def test_trajectory_equals_native_with_the_same_iterations_in_every_step(
    both: tuple[Any, Any],
) -> None:
    runs = []
    for factory in both:
        driver = factory.get_driver("fatigue")
        with observed_solves() as solves:
            driver.run()
        runs.append((driver.result(), solves))
    (found, our_solves), (expected, their_solves) = runs
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        scale = value.abs().max().item()
        assert found[name].shape == value.shape
        assert (found[name] - value).abs().max().item() <= TOLERANCE * scale, name
    assert len(our_solves) == 20
    assert [len(norms) for norms in our_solves] == [len(norms) for norms in their_solves]
    assert max(len(norms) for norms in our_solves) > 5


@pytest.mark.parametrize("batch", [(), (4,), (2, 3)])
def test_residuals_fall_at_the_rate_of_the_native_model(
    both: tuple[Any, Any], batch: tuple[int, ...]
) -> None:
    histories = []
    for factory in both:
        model = factory.get_model("update")
        values = load_step(model, batch)
        with observed_solves() as solves, torch.no_grad():
            model(*typed(model, values))
        histories.append(solves[0])
    ours, theirs = histories
    assert len(ours) == len(theirs) > 4
    # Rounding shows relative to the first residual, not to the last.
    assert ours == pytest.approx(theirs, rel=1e-8, abs=1e-12 * theirs[0])


@pytest.mark.parametrize("batch", [(4,), (2, 3)])
def test_sensitivities_of_the_update_equal_native(
    both: tuple[Any, Any], batch: tuple[int, ...]
) -> None:
    found = []
    for factory in both:
        model = factory.get_model("model")
        arguments = typed(model, load_step(model, batch))
        found.append(push_forward(model, arguments, identities(model, len(batch))))
    (_, ours), (outputs, theirs) = found
    assert assert_same_tangents(ours, theirs, outputs, 1e-9) == 18


def test_update_without_the_option_says_what_to_set(flow: CompiledCase, tmp_path: Path) -> None:
    factory = material(tmp_path, flow, chain_rule=False)
    model = factory.get_model("update")
    with pytest.raises(NotImplementedError, match="Set chain_rule = true in its block"):
        model(*typed(model, load_step(model, (4,))))


def test_pyzag_residual_and_jacobian_equal_native(both: tuple[Any, Any]) -> None:
    from neml2.pyzag import NEML2PyzagModel

    if not hasattr(NEML2PyzagModel, "evaluate_raw"):
        pytest.skip("the pyzag of this neml2 evaluates in another way")
    evaluated = []
    for factory in both:
        model = NEML2PyzagModel(factory.get_equation_system("system"))
        steps, points = 3, 4
        generator = torch.Generator().manual_seed(6)

        def uniform(*shape: int, generator: torch.Generator = generator) -> torch.Tensor:
            return torch.rand(shape, dtype=torch.float64, generator=generator)

        state = {
            "plastic_strain": 1e-3 * (uniform(steps, points, 6) - 0.5),
            "equivalent_plastic_strain": 1e-2 * uniform(steps, points),
        }
        forces = {
            "strain": 8e-3 * (uniform(steps, points, 6) - 0.4),
            "temperature": 450.0 + 500.0 * uniform(steps, points),
            "t": torch.arange(steps, dtype=torch.float64)[:, None].expand(steps, points),
        }
        with torch.no_grad():
            residual, jacobian = model.evaluate_raw(
                model.assemble_state(state, dynamic_dim=2), [model.assemble_forces(forces)]
            )
        evaluated.append((residual, jacobian, model.parameter_names))
    (residual, jacobian, names), (expected, expected_jacobian, native_names) = evaluated
    assert residual.shape == (2, 4, 7)
    torch.testing.assert_close(residual, expected, rtol=1e-10, atol=1e-12)
    for ours, theirs in (
        (jacobian.diag_am, expected_jacobian.diag_am),
        (jacobian.sub_am, expected_jacobian.sub_am),
    ):
        for row, native_row in zip(ours.tensors, theirs.tensors, strict=True):
            for block, native_block in zip(row, native_row, strict=True):
                assert native_block.data.abs().max() > 0
                torch.testing.assert_close(block.data, native_block.data, rtol=1e-9, atol=1e-10)
    # Of the parameters, those of native leaves can be trained.
    assert names == [name for name in native_names if name in names]
    assert "elasticity_E" in names
    assert "flow_rate_eta" in set(native_names) - set(names)
