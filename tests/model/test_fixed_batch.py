"""Artifacts whose graphs were traced with one batch size, or with two batch axes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from artifact_cache import compiled
from twins import Twin, scaled_difference

from neml2_aoti_plugin import Model
from neml2_aoti_plugin.errors import InputError

pytestmark = pytest.mark.slow

ROWS = 5
"""What the static recipes ask for."""


@pytest.mark.parametrize("case", ["elasticity", "rate_independent"])
def test_batch_of_the_traced_size_is_as_of_a_free_one(
    case: str, twin_of: Callable[..., Twin]
) -> None:
    twin = twin_of(case)
    model = Model(compiled(case, variant="static").root)
    assert model.manifest.fixed_batch == (ROWS,)
    inputs = twin.inputs(ROWS)
    found, found_blocks = model.jacobian(inputs)
    expected, expected_blocks = twin.model.jacobian(inputs)
    for name, value in expected.items():
        assert scaled_difference(found[name], value) < 1e-12, name
        for input, block in expected_blocks[name].items():
            found_block = found_blocks[name][input]
            assert scaled_difference(found_block, block.expand(found_block.shape)) < 1e-9


@pytest.mark.parametrize("batch", [(4,), (6,), (10,), (5, 1), (), (0,)], ids=str)
@pytest.mark.parametrize("case", ["elasticity", "rate_independent"])
def test_batch_of_another_size_is_refused(
    case: str, batch: tuple[int, ...], twin_of: Callable[..., Twin]
) -> None:
    model = Model(compiled(case, variant="static").root)
    inputs = twin_of(case).inputs(*batch)
    with pytest.raises(InputError) as caught:
        model.forward(inputs)
    assert str(caught.value) == (
        f"the inputs have batch shape {batch}, but the artifact was compiled for the batch shape "
        "(5,) alone. Call it with that batch, or recompile it without --no-dynamic-batch and with "
        "an --example-batch-shape of one axis."
    )


def test_inputs_without_batch_join_those_of_the_traced_size(twin_of: Callable[..., Twin]) -> None:
    twin = twin_of("rate_independent")
    model = Model(compiled("rate_independent", variant="static").root)
    inputs = twin.inputs(1, ROWS)
    inputs |= {name: inputs[name][0, 0] for name in ("t", "t~1")}
    found, expected = model.forward(inputs), twin.model.forward(inputs)
    for name, value in expected.items():
        assert scaled_difference(found[name], value) < 1e-12, name


def test_rows_that_converge_early_keep_their_places(twin_of: Callable[..., Twin]) -> None:
    """Some rows take no iteration and others several, while graphs run on all rows at once."""
    twin = twin_of("rate_independent")
    model = Model(compiled("rate_independent", variant="static").root)
    inputs = twin.inputs(ROWS)
    for row in (0, 3):
        for name, value in inputs.items():
            if not name.startswith("t"):
                value[row] = 0.0
    found, expected = model.forward(inputs), twin.model.forward(inputs)
    for name, value in expected.items():
        assert scaled_difference(found[name], value) < 1e-12, name
    assert found["plastic_strain"][[0, 3]].abs().max() == 0.0
    assert found["plastic_strain"].abs().max() > 0.0


# --- two batch axes, of which the second is frozen


@pytest.fixture(scope="module")
def two_axes() -> Model:
    return Model(compiled("elasticity", variant="two_axes").root)


@pytest.mark.parametrize("batch", [(4, 3), (1, 3), (7, 3), (2, 2, 3), (3,)], ids=str)
def test_batch_that_ends_in_the_frozen_axis_runs(
    two_axes: Model, batch: tuple[int, ...], twin_of: Callable[..., Twin]
) -> None:
    assert two_axes.manifest.fixed_batch == (None, 3)
    twin = twin_of("elasticity")
    inputs = twin.inputs(*batch)
    found, found_blocks = two_axes.jacobian(inputs)
    expected, expected_blocks = twin.model.jacobian(inputs)
    assert scaled_difference(found["stress"], expected["stress"]) < 1e-14
    block = found_blocks["stress"]["strain"]
    assert scaled_difference(block, expected_blocks["stress"]["strain"]) < 1e-14


@pytest.mark.parametrize("batch", [(4,), (3, 4), (), (0, 3)], ids=str)
def test_batch_that_does_not_end_in_the_frozen_axis_is_refused(
    two_axes: Model, batch: tuple[int, ...]
) -> None:
    strain = torch.zeros((*batch, 6), dtype=torch.float64)
    with pytest.raises(InputError, match=r"compiled for the batch shape \(any, 3\) alone"):
        two_axes.forward({"strain": strain})
