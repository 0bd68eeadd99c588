"""What may be passed as inputs: all else is refused by name, nothing is converted or changed."""

from __future__ import annotations

from collections import UserDict
from types import MappingProxyType
from typing import Any

import numpy
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from twins import Twin, open_model

from neml2_aoti_plugin import Model
from neml2_aoti_plugin.errors import InputError, InputTypeError

STRAIN = torch.linspace(-1e-3, 2e-3, 24, dtype=torch.float64).reshape(4, 6)

NO_DATA = (
    "input 'strain' holds no data of its own (a meta, fake, nested or wrapped tensor, or one "
    "inside a torch.func transform); pass a plain dense tensor"
)


@pytest.fixture(scope="module")
def model(elasticity) -> Model:
    return Model(elasticity.root)


@pytest.fixture(scope="module")
def stress(model: Model) -> torch.Tensor:
    return model.forward({"strain": STRAIN})["stress"]


def refusal(model: Model, inputs: Any, kind: type[Exception]) -> str:
    """The message of every operation, which must be one and the same."""
    messages = set()
    for call in (
        model.forward,
        model.forward_natural,
        model.jacobian,
        lambda given: model.jvp(given, {}),
    ):
        with pytest.raises(kind) as caught:
            call(inputs)
        assert type(caught.value) is kind
        messages.add(str(caught.value))
    (message,) = messages
    return message


def test_a_missing_input_is_named_with_those_the_model_takes(twin_of) -> None:
    twin = twin_of("rate_independent")
    inputs = twin.inputs(2)
    del inputs["flow_rate"]
    assert refusal(twin.model, inputs, InputError) == (
        "input 'flow_rate' is missing; the model takes strain, plastic_strain, "
        "equivalent_plastic_strain, equivalent_plastic_strain~1, t, t~1, flow_rate, "
        "plastic_strain~1"
    )


def test_no_inputs_at_all_is_a_missing_input(model: Model) -> None:
    assert refusal(model, {}, InputError) == "input 'strain' is missing; the model takes strain"


def test_inputs_of_other_names_are_ignored(model: Model, stress: torch.Tensor) -> None:
    extra = {"strain": STRAIN, "damage": torch.zeros(7), "strain~1": torch.zeros(4, 6)}
    found = model.forward(extra)
    assert list(found) == ["stress"]
    assert torch.equal(found["stress"], stress)


@pytest.mark.parametrize("mapping", [UserDict, MappingProxyType], ids=lambda kind: kind.__name__)
def test_any_mapping_will_do(model: Model, stress: torch.Tensor, mapping: Any) -> None:
    assert torch.equal(model.forward(mapping({"strain": STRAIN}))["stress"], stress)


@pytest.mark.parametrize(
    ("inputs", "kind"),
    [(None, "NoneType"), (STRAIN, "Tensor"), ([("strain", STRAIN)], "list"), ("strain", "str")],
    ids=["None", "tensor", "list of pairs", "str"],
)
def test_inputs_that_are_no_mapping_are_refused(model: Model, inputs: Any, kind: str) -> None:
    assert (
        refusal(model, inputs, InputTypeError)
        == f"inputs must be a mapping from name to tensor, got {kind}"
    )


@pytest.mark.parametrize("key", [1, None, b"strain", ("strain",)], ids=repr)
def test_entries_that_are_no_input_are_ignored_whatever_they_are(model: Model, key: Any) -> None:
    outputs = model.forward({"strain": STRAIN, key: STRAIN, "other": None})
    assert torch.equal(outputs["stress"], model.forward({"strain": STRAIN})["stress"])


@pytest.mark.parametrize("key", [1, None, b"strain", ("strain",)], ids=repr)
def test_names_of_tangents_that_are_no_str_are_refused(model: Model, key: Any) -> None:
    with pytest.raises(InputTypeError) as caught:
        model.jvp({"strain": STRAIN}, {key: STRAIN})
    assert str(caught.value) == f"the names of tangents must be str, got {key!r}"


@pytest.mark.parametrize(
    ("value", "kind"),
    [(STRAIN.numpy(), "ndarray"), (1.0, "float"), (None, "NoneType"), (STRAIN.tolist(), "list")],
    ids=["numpy", "float", "None", "list"],
)
def test_values_that_are_no_tensor_are_refused(model: Model, value: Any, kind: str) -> None:
    assert (
        refusal(model, {"strain": value}, InputTypeError)
        == f"input 'strain' is of type {kind}, expected torch.Tensor"
    )


def test_typed_values_of_the_host_are_refused(model: Model) -> None:
    types = pytest.importorskip("neml2.types")
    assert (
        refusal(model, {"strain": types.SR2(STRAIN)}, InputTypeError)
        == "input 'strain' is of type SR2, expected torch.Tensor"
    )


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (torch.float32, "float32"),
        (torch.int64, "int64"),
        (torch.bool, "bool"),
        (torch.float16, "Half"),
        (torch.complex128, "ComplexDouble"),
    ],
    ids=str,
)
def test_another_dtype_is_refused_and_not_converted(
    model: Model, dtype: torch.dtype, name: str
) -> None:
    assert refusal(model, {"strain": STRAIN.to(dtype)}, InputTypeError) == (
        f"input 'strain' has dtype {name}, but the artifact takes float64; convert it with "
        ".to(torch.float64)"
    )


@pytest.mark.parametrize("shape", [(), (5,), (4, 3), (6, 1), (4, 1), (4, 0), (4, 6, 5)], ids=str)
def test_a_wrong_rank_or_base_extent_is_refused(model: Model, shape: tuple[int, ...]) -> None:
    value = torch.zeros(shape, dtype=torch.float64)
    shown = f"({shape[0]},)" if len(shape) == 1 else str(shape)
    assert refusal(model, {"strain": value}, InputError) == (
        f"input 'strain' has shape {shown}, expected (*batch, *base) ending with (6,); base and "
        "sub-batch axes are never broadcast"
    )


@pytest.mark.parametrize("shape", [(6,), (2, 6), (2, 1, 6), (2, 5, 6), (2, 4, 1), (4,)], ids=str)
def test_a_wrong_sub_batch_extent_is_refused(twin_of, shape: tuple[int, ...]) -> None:
    twin = twin_of("crystal")
    inputs = twin.inputs(2) | {"elastic_strain~1": torch.zeros(shape, dtype=torch.float64)}
    with pytest.raises(InputError) as caught:
        twin.model.forward(inputs)
    shown = f"({shape[0]},)" if len(shape) == 1 else str(shape)
    assert str(caught.value) == (
        f"input 'elastic_strain~1' has shape {shown}, expected (*batch, *sub_batch, *base) ending "
        "with (4, 6) (sub-batch (4,), base (6,)); base and sub-batch axes are never broadcast"
    )


def test_a_meta_tensor_is_refused(model: Model) -> None:
    assert refusal(model, {"strain": STRAIN.to("meta")}, InputTypeError) == NO_DATA


@pytest.mark.parametrize(
    "kind", [torch.Tensor.to_sparse, torch.Tensor.to_sparse_csr, torch.Tensor.to_mkldnn]
)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_a_tensor_that_is_not_dense_is_refused(model: Model, kind: Any) -> None:
    value = kind(STRAIN.float() if kind is torch.Tensor.to_mkldnn else STRAIN)
    assert refusal(model, {"strain": value}, InputTypeError) == (
        "input 'strain' is not a dense tensor; pass one (for example with .to_dense())"
    )


def fake() -> torch.Tensor:
    with FakeTensorMode():
        return torch.rand(4, 6, dtype=torch.float64)


def freed() -> torch.Tensor:
    value = STRAIN.clone()
    value.untyped_storage().resize_(0)
    return value


class Wrapper(torch.Tensor):
    """A subclass that holds no data and answers with that of another tensor."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Wrapper:
        wrapper = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, dtype=inner.dtype, device=inner.device
        )
        wrapper.inner = inner
        return wrapper

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        args = [cls.unwrapped(arg) for arg in args]
        return cls(function(*args, **(kwargs or {})))

    @staticmethod
    def unwrapped(value: Any) -> Any:
        return value.inner if isinstance(value, Wrapper) else value


@pytest.mark.parametrize(
    "make",
    [
        fake,
        freed,
        lambda: Wrapper(STRAIN),
        lambda: torch._efficientzerotensor((4, 6), dtype=torch.float64),
    ],
    ids=["fake", "freed storage", "wrapper subclass", "zero tensor"],
)
def test_a_tensor_without_readable_memory_is_refused(model: Model, make: Any) -> None:
    assert refusal(model, {"strain": make()}, InputTypeError) == NO_DATA


def test_functionalisation_is_refused(model: Model) -> None:
    with pytest.raises(InputTypeError) as caught:
        torch.func.functionalize(lambda strain: model.forward({"strain": strain})["stress"])(STRAIN)
    assert str(caught.value) == NO_DATA


def test_transforms_of_other_operations_are_refused(model: Model) -> None:
    with pytest.raises(InputTypeError) as caught:
        torch.vmap(lambda strain: model.jacobian({"strain": strain})[0])(STRAIN)
    assert str(caught.value) == NO_DATA


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_a_nested_tensor_is_refused(model: Model) -> None:
    nested = torch.nested.nested_tensor([STRAIN, STRAIN])
    assert refusal(model, {"strain": nested}, InputTypeError) == NO_DATA


def test_a_plain_subclass_is_read_and_gives_plain_tensors(
    model: Model, stress: torch.Tensor
) -> None:
    class Labelled(torch.Tensor):
        pass

    found = model.forward({"strain": STRAIN.as_subclass(Labelled)})["stress"]
    assert type(found) is torch.Tensor
    assert torch.equal(found, stress)


def test_a_negated_view_is_read_as_its_values(model: Model, stress: torch.Tensor) -> None:
    lazily = torch.complex(STRAIN, -STRAIN).conj().imag
    assert lazily.is_neg()
    assert torch.equal(model.forward({"strain": lazily})["stress"], stress)


def test_results_of_derivative_operations_are_detached(differentiable: Twin) -> None:
    inputs = {name: value.requires_grad_() for name, value in differentiable.inputs(2).items()}
    plain = {name: value.detach() for name, value in inputs.items()}
    model = differentiable.model
    outputs, blocks = model.jacobian(inputs)
    _, derivatives = model.jvp(inputs, inputs)
    results = [*outputs.values(), *derivatives.values()]
    results += [block for row in blocks.values() for block in row.values()]
    assert not any(result.requires_grad for result in results)
    for name, value in model.forward(plain).items():
        assert torch.equal(model.forward(inputs)[name], value)


def test_inputs_and_tangents_are_never_modified(twin: Twin) -> None:
    inputs = twin.inputs(3)
    tangents = twin.inputs(3, seed=1)
    kept = {name: value.clone() for name, value in inputs.items()}
    kept_tangents = {name: value.clone() for name, value in tangents.items()}
    twin.model.forward(inputs)
    twin.model.forward_natural(inputs)
    if twin.case.derivatives:
        twin.model.jacobian(inputs)
        twin.model.jvp(inputs, tangents)
    assert all(torch.equal(inputs[name], value) for name, value in kept.items())
    assert all(torch.equal(tangents[name], value) for name, value in kept_tangents.items())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_grad_modes_change_nothing(twin: Twin, mode: Any) -> None:
    inputs = twin.inputs(2)
    expected = twin.model.forward(inputs)
    with mode():
        found = twin.model.forward(inputs)
    for name, value in expected.items():
        assert torch.equal(found[name], value)
        assert not found[name].requires_grad


def test_inference_tensors_are_read(model: Model, stress: torch.Tensor) -> None:
    with torch.inference_mode():
        strain = STRAIN.clone()
    assert torch.equal(model.forward({"strain": strain})["stress"], stress)


def test_the_default_device_changes_nothing(differentiable: Twin) -> None:
    inputs = differentiable.inputs(2)
    expected = differentiable.model.forward(inputs)
    _, expected_blocks = differentiable.model.jacobian(inputs)
    with torch.device("meta"):
        found = differentiable.model.forward(inputs)
        _, blocks = differentiable.model.jacobian(inputs)
    for name, value in expected.items():
        assert torch.equal(found[name], value)
    for output, row in expected_blocks.items():
        assert all(torch.equal(blocks[output][name], block) for name, block in row.items())


def test_the_default_dtype_changes_nothing(differentiable: Twin) -> None:
    inputs = differentiable.inputs(2)
    expected = differentiable.model.forward(inputs)
    previous = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        found = differentiable.model.forward(inputs)
        opened = open_model(differentiable.case).forward(inputs)
    finally:
        torch.set_default_dtype(previous)
    for name, value in expected.items():
        assert torch.equal(found[name], value)
        assert torch.equal(opened[name], value)


def test_numpy_memory_shared_with_a_tensor_is_read(model: Model, stress: torch.Tensor) -> None:
    shared = torch.from_numpy(numpy.array(STRAIN.numpy(), order="F"))
    assert torch.equal(model.forward({"strain": shared})["stress"], stress)


@pytest.mark.parametrize("device", ["cpu", "cpu:0", torch.device("cpu", 0)], ids=repr)
def test_a_cpu_device_may_carry_an_index(elasticity, stress: torch.Tensor, device: Any) -> None:
    model = Model(elasticity.root, device=device)
    assert torch.equal(model.forward({"strain": STRAIN})["stress"], stress)
