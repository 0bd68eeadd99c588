"""A wrong answer ends the benchmark."""

from __future__ import annotations

import pytest
import torch
from suite.agreement import DisagreementError, relative_difference, require_agreement

STRESS = torch.tensor([[100.0, -50.0], [1e-3, 0.0]], dtype=torch.float64)


def test_difference_of_the_order_of_the_newton_tolerance_is_agreement() -> None:
    answer = ({"stress": STRESS}, {"stress": {"strain": STRESS}})
    other = ({"stress": STRESS + 1e-8}, {"stress": {"strain": STRESS}})

    assert require_agreement("cell", other, answer, is_value=True) == pytest.approx(1e-10, rel=1e-4)


def test_wrong_value_is_named() -> None:
    with pytest.raises(DisagreementError, match=r"cell: /stress differs by 1\.0e-03 of its larg"):
        require_agreement("cell", {"stress": STRESS + 0.1}, {"stress": STRESS}, is_value=True)


def test_values_are_held_to_more_than_tangents() -> None:
    off = {"stress": STRESS * (1 + 1e-5)}

    require_agreement("cell", off, {"stress": STRESS}, is_value=False)
    with pytest.raises(DisagreementError):
        require_agreement("cell", off, {"stress": STRESS}, is_value=True)


def test_missing_output_is_a_disagreement() -> None:
    with pytest.raises(DisagreementError, match=r"we return \['/stress'\], neml2 \['/X', '/str"):
        require_agreement(
            "cell", {"stress": STRESS}, {"stress": STRESS, "X": STRESS}, is_value=True
        )


def test_what_is_not_a_number_agrees_with_nothing() -> None:
    nan = torch.full_like(STRESS, torch.nan)

    assert relative_difference(nan, nan) == float("inf")
    assert relative_difference(STRESS, nan) == float("inf")


def test_values_of_another_shape_agree_with_nothing() -> None:
    assert relative_difference(STRESS, torch.ones(3, 7)) == float("inf")


def test_constant_block_without_batch_axes_agrees_with_its_copies() -> None:
    assert relative_difference(STRESS[0], STRESS[0].expand(5, 2)) == 0.0
