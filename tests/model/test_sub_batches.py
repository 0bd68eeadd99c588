"""Derivatives of sub-batched variables: one block per site."""

from __future__ import annotations

import pytest
import torch
from artifact_cache import compiled_feature
from twins import scaled_difference

from neml2_aoti_plugin import Model
from neml2_aoti_plugin.errors import InputError


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(compiled_feature("sites", "default").root)


def strains(*batch: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(*batch, 5, 6, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("batch", [(), (1,), (3,), (5,), (2, 3)])
def test_blocks_have_batch_site_and_base_axes(model: Model, batch: tuple[int, ...]) -> None:
    _, blocks = model.jacobian({"strain": strains(*batch)})
    assert blocks["stress"]["strain"].shape == (*batch, 5, 6, 6)


def test_blocks_are_the_derivative_at_the_same_site(model: Model) -> None:
    strain = strains(3)
    _, blocks = model.jacobian({"strain": strain})
    step = 1e-3  # the model is linear
    columns = []
    for k in range(6):
        direction = torch.zeros(6, dtype=torch.float64)
        direction[k] = step
        above = model.forward({"strain": strain + direction})["stress"]
        below = model.forward({"strain": strain - direction})["stress"]
        columns.append((above - below) / (2 * step))
    assert scaled_difference(blocks["stress"]["strain"], torch.stack(columns, -1)) < 1e-10


def test_jvp_contracts_the_blocks_site_by_site(model: Model) -> None:
    strain, tangent = strains(3), strains(3).flip(0)
    _, blocks = model.jacobian({"strain": strain})
    _, found = model.jvp({"strain": strain}, {"strain": tangent})
    expected = (blocks["stress"]["strain"] @ tangent.unsqueeze(-1)).squeeze(-1)
    assert scaled_difference(found["stress"], expected) < 1e-12


def test_a_wrong_number_of_sites_is_refused(model: Model) -> None:
    with pytest.raises(InputError, match=r"input 'strain' has shape \(4, 1, 6\)"):
        model.forward({"strain": torch.zeros(4, 1, 6, dtype=torch.float64)})
