"""Types and sub-batch axes at the typed boundary, without any artifact."""

from __future__ import annotations

from types import SimpleNamespace

import neml2.types
import pytest
import torch

from neml2_aoti_plugin.artifact.manifest import Variable
from neml2_aoti_plugin.typed import natural_batch_ndim, typed_variable, wrapper_class


def variable(type_name: str) -> Variable:
    return Variable(
        name="inner",
        public_name="orientation",
        type_name=type_name,
        base_shape=(3,),
        sub_batch_shape=None,
    )


def test_wrapper_class_is_the_hosts() -> None:
    assert wrapper_class(variable("SR2")) is neml2.types.SR2


@pytest.mark.parametrize("type_name", ["Rot", "MRP"])
def test_both_names_of_the_orientation_type_are_known(type_name: str) -> None:
    host = getattr(neml2.types, "MRP", None) or neml2.types.Rot
    assert wrapper_class(variable(type_name)) is host


@pytest.mark.parametrize("type_name", ["Spinor", "TensorWrapper_", "linspace", "__doc__"])
def test_unknown_type_names_variable_and_type(type_name: str) -> None:
    with pytest.raises(TypeError) as caught:
        wrapper_class(variable(type_name))
    assert str(caught.value) == (
        f"variable 'orientation' has the type '{type_name}', which the installed neml2 does not "
        "define in neml2.types. Recompile the model with the installed neml2."
    )


def test_type_of_another_base_shape_is_refused() -> None:
    with pytest.raises(TypeError) as caught:
        typed_variable(variable("SR2"), None)
    assert str(caught.value) == (
        "variable 'orientation' has the type 'SR2' and the base shape (3,), but SR2 of the "
        "installed neml2 has (6,). Recompile the model with the installed neml2."
    )


@pytest.mark.parametrize("installed", ["Rot", "MRP"])
def test_alias_is_used_where_the_host_has_only_the_other_name(
    monkeypatch: pytest.MonkeyPatch, installed: str
) -> None:
    class Orientation(neml2.types.TensorWrapper):
        pass

    host = SimpleNamespace(**{installed: Orientation}, TensorWrapper=neml2.types.TensorWrapper)
    monkeypatch.setattr("neml2_aoti_plugin.typed.host_types", host)
    assert wrapper_class(variable("Rot")) is Orientation
    assert wrapper_class(variable("MRP")) is Orientation


@pytest.mark.parametrize(
    ("own_batch", "sub_batch", "batch"),
    [
        ((), (), ()),
        ((), (5,), ()),
        ((4,), (), (4,)),
        ((4,), (5,), (4,)),
        ((), (5,), (4,)),
        ((), (), (4,)),
        ((2, 3), (5, 7), (2, 3)),
        ((3,), (5,), (2, 3)),
        ((2, 1), (), (2, 3)),
        ((0,), (), (0,)),
    ],
)
def test_natural_batch_ndim_splits_batch_from_sub_batch(
    own_batch: tuple[int, ...], sub_batch: tuple[int, ...], batch: tuple[int, ...]
) -> None:
    assert torch.broadcast_shapes(own_batch, batch) == torch.Size(batch)
    assert natural_batch_ndim((*own_batch, *sub_batch), batch) == len(own_batch)
