"""Any batch shape, and inputs of different ones: the answers are those of the rows alone."""

from __future__ import annotations

import itertools
import re

import pytest
import torch
from twins import Tensors, Twin, scaled_difference

from neml2_aoti_plugin.errors import InputError

BATCHES = [(), (1,), (4,), (2, 3), (1, 1), (0,), (2, 0), (0, 3)]

ROW_TOLERANCE = 1e-12
"""Rows are independent; matrix products may round differently in batches of different size."""

TIMES = ("t~1", "t")
"""Always batched alike, so that every time increment stays the one drawn for its row."""


@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_forward_of_a_batch_is_forward_of_its_rows(twin: Twin, batch: tuple[int, ...]) -> None:
    inputs = twin.inputs(*batch)
    found = twin.model.forward(inputs)
    assert_rows(twin, found, inputs, batch)


def test_base_only_inputs_stand_beside_batched_ones(twin: Twin) -> None:
    inputs = twin.inputs(4)
    for name in [name for name in inputs if name not in TIMES][1::2]:
        inputs[name] = inputs[name][0]
    full = {name: expanded(twin, name, value, (4,)) for name, value in inputs.items()}
    assert_same(twin.model.forward(inputs), twin.model.forward(full))


def test_one_batched_input_makes_the_whole_call_batched(twin: Twin) -> None:
    single = twin.inputs()
    for name, value in single.items():
        inputs = single | {name: value.expand(3, *value.shape)}
        found = twin.model.forward(inputs)
        assert_rows(twin, found, inputs, (3,))


@pytest.mark.parametrize(
    ("first", "second", "common"),
    [
        ((1,), (4,), (4,)),
        ((3, 1), (1, 4), (3, 4)),
        ((3, 1), (4,), (3, 4)),
        ((2, 1, 1), (3, 1), (2, 3, 1)),
        ((1,), (0,), (0,)),
        ((2, 1), (0,), (2, 0)),
    ],
    ids=str,
)
def test_batch_axes_broadcast_right_aligned(
    twin: Twin, first: tuple[int, ...], second: tuple[int, ...], common: tuple[int, ...]
) -> None:
    inputs = twin.inputs(*first)
    others = twin.inputs(*second, seed=1)
    for name in [name for name in inputs if name not in TIMES][::2]:
        inputs[name] = others[name]
    if len(inputs) == 1:
        common = second
    full = {name: expanded(twin, name, value, common) for name, value in inputs.items()}
    found = twin.model.forward(inputs)
    assert_same(found, twin.model.forward(full))
    assert_rows(twin, found, full, common)


def test_forward_takes_non_contiguous_inputs(twin: Twin) -> None:
    inputs = twin.inputs(3, 2)
    reference = twin.model.forward(inputs)
    for restride in (transposed_in_memory, strided_in_memory, offset_in_memory):
        assert_same(twin.model.forward({k: restride(v) for k, v in inputs.items()}), reference)


def test_derivatives_take_non_contiguous_inputs(differentiable: Twin) -> None:
    model = differentiable.model
    inputs = differentiable.inputs(3, 2)
    tangents = differentiable.inputs(3, 2, seed=1)
    restrided = {name: transposed_in_memory(value) for name, value in inputs.items()}
    directions = {name: strided_in_memory(value) for name, value in tangents.items()}
    _, blocks = model.jacobian(inputs)
    _, found_blocks = model.jacobian(restrided)
    for output, row in blocks.items():
        assert_same(found_blocks[output], row)
    assert_same(model.jvp(restrided, directions)[1], model.jvp(inputs, tangents)[1])


@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_jvp_has_the_shapes_of_the_outputs(differentiable: Twin, batch: tuple[int, ...]) -> None:
    inputs = differentiable.inputs(*batch)
    outputs, derivatives = differentiable.model.jvp(inputs, differentiable.inputs(*batch, seed=1))
    assert list(derivatives) == differentiable.model.output_names
    for name, value in derivatives.items():
        assert value.shape == outputs[name].shape == (*batch, *output_base(differentiable, name))
        assert value.dtype == torch.float64
        assert value.is_contiguous()


@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_jacobian_blocks_are_batch_output_base_input_base(
    differentiable: Twin, batch: tuple[int, ...]
) -> None:
    model = differentiable.model
    _, blocks = model.jacobian(differentiable.inputs(*batch))
    expected_batch = () if constant_blocks(differentiable) else batch
    bases = dict(zip(model.input_names, model.input_base_shapes, strict=True))
    for output, row in blocks.items():
        for name, block in row.items():
            shape = (*expected_batch, *output_base(differentiable, output), *bases[name])
            assert block.shape == shape, (output, name)
            assert block.is_contiguous()


def test_jacobian_of_a_batch_is_jacobian_of_its_rows(differentiable: Twin) -> None:
    inputs = differentiable.inputs(2, 3)
    _, blocks = differentiable.model.jacobian(inputs)
    for index in itertools.product(range(2), range(3)):
        _, alone = differentiable.model.jacobian({k: v[index] for k, v in inputs.items()})
        for output, row in alone.items():
            for name, block in row.items():
                together = blocks[output][name]
                together = together if constant_blocks(differentiable) else together[index]
                assert scaled_difference(together, block) < 1e-10, (output, name, index)


def test_a_batch_that_does_not_broadcast_is_refused_by_name(twin_of) -> None:
    twin = twin_of("chaboche")
    inputs = twin.inputs(4)
    inputs["X1~1"] = inputs["X1~1"][:3]
    with pytest.raises(InputError) as caught:
        twin.model.forward(inputs)
    assert str(caught.value) == (
        "input 'X1~1' has batch shape (3,), which does not broadcast with the batch shape (4,) of "
        "the tensors before it"
    )


def test_an_empty_batch_does_not_broadcast_with_two_rows(twin_of) -> None:
    twin = twin_of("chaboche")
    inputs = twin.inputs(2)
    inputs["t"] = inputs["t"][:0]
    with pytest.raises(InputError, match=re.escape("input 't' has batch shape (0,)")):
        twin.model.forward(inputs)


def assert_rows(twin: Twin, found: Tensors, inputs: Tensors, batch: tuple[int, ...]) -> None:
    full = {name: expanded(twin, name, value, batch) for name, value in inputs.items()}
    assert list(found) == twin.model.output_names
    for name, value in found.items():
        assert value.shape[: len(batch)] == batch
        assert value.shape[value.dim() - len(output_base(twin, name)) :] == output_base(twin, name)
    for index in itertools.product(*map(range, batch)):
        alone = twin.model.forward({name: value[index] for name, value in full.items()})
        for name, value in alone.items():
            assert scaled_difference(found[name][index], value) < ROW_TOLERANCE, (name, index)


def assert_same(found: Tensors, expected: Tensors) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert scaled_difference(found[name], value) < ROW_TOLERANCE, name


def expanded(twin: Twin, name: str, value: torch.Tensor, batch: tuple[int, ...]) -> torch.Tensor:
    variable = next(v for v in twin.model.manifest.inputs if v.public_name == name)
    return value.expand((*batch, *(variable.sub_batch_shape or ()), *variable.base_shape))


def output_base(twin: Twin, name: str) -> tuple[int, ...]:
    model = twin.model
    return tuple(model.output_base_shapes[model.output_names.index(name)])


def constant_blocks(twin: Twin) -> bool:
    """Whether the artifact knows its only block to be the same for all rows."""
    return twin.case.name == "elasticity"


def transposed_in_memory(value: torch.Tensor) -> torch.Tensor:
    """The same numbers, the first axis running fastest."""
    axes = list(range(value.dim()))[::-1]
    return value.permute(axes).contiguous().permute(axes)


def strided_in_memory(value: torch.Tensor) -> torch.Tensor:
    return torch.stack([value, torch.full_like(value, torch.nan)], dim=-1)[..., 0]


def offset_in_memory(value: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.full_like(value[:1], torch.nan), value])[1:]
