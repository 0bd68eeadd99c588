"""Arrays of other libraries in and out of a compiled model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from artifact_cache import CompiledCase

from neml2_aoti_plugin import Model
from neml2_aoti_plugin.arrays import ArrayModel, as_tensor
from neml2_aoti_plugin.errors import InputError, InputTypeError


@pytest.fixture(scope="module")
def model(elasticity: CompiledCase) -> Model:
    return Model(elasticity.root)


STRAIN = 1e-3 * np.random.default_rng(0).random((4, 6))


class Dlpack:
    """An array that has nothing but ``__dlpack__``."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        device: tuple[int, int] = self.array.__dlpack_device__()
        return device


def read_only(array: Any) -> Any:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


@pytest.mark.parametrize(
    "given",
    [STRAIN, read_only(STRAIN), np.asfortranarray(STRAIN), STRAIN[::-1][::-1], Dlpack(STRAIN)],
    ids=["numpy", "read_only", "fortran", "view", "dlpack"],
)
def test_arrays_give_what_tensors_give(model: Model, given: Any) -> None:
    found = ArrayModel(model).forward({"strain": given})["stress"]
    assert isinstance(found, np.ndarray)
    expected = model.forward({"strain": torch.from_numpy(STRAIN.copy())})["stress"]
    np.testing.assert_array_equal(found, expected.numpy())


@pytest.mark.parametrize("given", [STRAIN, read_only(STRAIN), Dlpack(STRAIN)])
def test_memory_is_shared(given: Any) -> None:
    source = given.array if isinstance(given, Dlpack) else given
    assert as_tensor("strain", given).data_ptr() == source.__array_interface__["data"][0]


def test_negative_strides_are_copied(model: Model) -> None:
    backwards = STRAIN[::-1]
    found = ArrayModel(model).forward({"strain": backwards})["stress"]
    np.testing.assert_array_equal(
        found, ArrayModel(model).forward({"strain": STRAIN})["stress"][::-1]
    )


def test_fields_of_records_are_copied(model: Model) -> None:
    records = np.zeros(4, [("flag", "i1"), ("strain", "f8", (6,))])
    records["strain"] = STRAIN
    found = ArrayModel(model).forward({"strain": records["strain"]})["stress"]
    np.testing.assert_array_equal(found, ArrayModel(model).forward({"strain": STRAIN})["stress"])


def test_results_come_in_the_kind_that_is_asked_for(model: Model) -> None:
    arrays = {"strain": STRAIN}
    assert isinstance(ArrayModel(model, kind="torch").forward(arrays)["stress"], torch.Tensor)
    tensors = {"strain": torch.from_numpy(STRAIN)}
    assert isinstance(ArrayModel(model).forward(tensors)["stress"], torch.Tensor)
    assert isinstance(ArrayModel(model, kind="numpy").forward(tensors)["stress"], np.ndarray)
    outputs, blocks = ArrayModel(model).jacobian(arrays)
    assert isinstance(outputs["stress"], np.ndarray)
    assert isinstance(blocks["stress"]["strain"], np.ndarray)
    _, pushed = ArrayModel(model).jvp(arrays, arrays)
    np.testing.assert_allclose(pushed["stress"], outputs["stress"], rtol=1e-14)
    with pytest.raises(InputError, match="kind is 'list'; expected one of torch, numpy, jax, cupy"):
        ArrayModel(model, kind="list")


def test_jax_arrays_come_and_go_without_a_copy(model: Model) -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    try:
        strain = jax.numpy.asarray(STRAIN)
        assert as_tensor("strain", strain).data_ptr() == strain.unsafe_buffer_pointer()
        found = ArrayModel(model).forward({"strain": strain})["stress"]
        assert isinstance(found, jax.Array)
        expected = ArrayModel(model).forward({"strain": STRAIN})["stress"]
        np.testing.assert_array_equal(found, expected)
    finally:
        jax.config.update("jax_enable_x64", False)


def test_float64_is_not_cut_for_jax(model: Model) -> None:
    jax = pytest.importorskip("jax")
    assert not jax.config.jax_enable_x64
    with pytest.raises(InputTypeError, match="float64, which JAX has not switched on"):
        ArrayModel(model, kind="jax").forward({"strain": STRAIN})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros(6, np.longdouble), f"'strain' has the NumPy dtype {np.dtype('longdouble')!r}"),
        (np.ma.masked_invalid([[np.nan] * 6]), "'strain' is a masked array"),
        ([0.0] * 6, "'strain' is of type list, expected an array"),
        (np.array([None] * 6), "'strain' has the NumPy dtype dtype('O')"),
        (np.zeros(6, ">f8"), "'strain' has the NumPy dtype dtype('>f8')"),
        (np.zeros(6, complex), "'strain' has the NumPy dtype dtype('complex128')"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(model: Model, given: Any, message: str) -> None:
    with pytest.raises(InputTypeError) as caught:
        ArrayModel(model).forward({"strain": given})
    assert message in str(caught.value)


def test_a_wrong_dtype_is_refused_and_not_converted(model: Model) -> None:
    with pytest.raises(InputTypeError, match="float32"):
        ArrayModel(model).forward({"strain": STRAIN.astype(np.float32)})
