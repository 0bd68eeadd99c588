"""``AOTIModel`` as an ``nn.Module``: parameters, moving, copying, tracing, description."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from artifact_cache import CompiledCase
from neml2.types import SR2
from programs import run_python

from neml2_aoti_plugin import AOTIModel, Model, errors
from neml2_aoti_plugin.hit import AOTIModel as AOTIModelOfModule

pytestmark = pytest.mark.usefixtures("float64_default")


@pytest.fixture
def model(elasticity_promoted: CompiledCase) -> AOTIModel:
    """A fresh one for each test: Young's modulus is promoted."""
    return AOTIModel(elasticity_promoted.root)


@pytest.fixture
def name(elasticity_promoted: CompiledCase, model: AOTIModel) -> str:
    (only,) = model.named_parameters()
    return only


def stress(model: AOTIModel) -> torch.Tensor:
    (output,) = model(SR2(torch.tensor([[1e-3, 0.0, 0.0, 0.0, 0.0, 2e-3]])))
    tensor: torch.Tensor = output.data
    return tensor


# --- construction


def test_package_exports_the_class() -> None:
    assert AOTIModel is AOTIModelOfModule


@pytest.mark.parametrize("spelling", [str, Path])
def test_root_and_metadata_file_open_the_same_model(
    elasticity: CompiledCase, spelling: Callable[[Path], str | Path]
) -> None:
    by_root = AOTIModel(spelling(elasticity.root))
    by_file = AOTIModel(spelling(elasticity.metadata))
    torch.testing.assert_close(stress(by_root), stress(by_file), rtol=0, atol=0)


def test_path_is_also_known_as_meta_path(elasticity: CompiledCase) -> None:
    model = AOTIModel(meta_path=elasticity.root, device="cpu", dtype=torch.float64)
    assert model.device == torch.device("cpu")
    assert model.dtype == torch.float64


def test_device_and_dtype_are_those_of_the_leaf(elasticity_float32: CompiledCase) -> None:
    model = AOTIModel(elasticity_float32.root)
    assert model.device.type == "cpu"
    assert model.dtype == torch.float32
    with pytest.raises(AttributeError):
        model.dtype = torch.float64


# --- what composition and tools read


def test_specs_and_items(model: AOTIModel) -> None:
    assert isinstance(model, torch.nn.Module)
    assert isinstance(model._inner, Model)
    assert model.input_spec == {"strain": SR2}
    assert model.output_spec == {"stress": SR2}
    assert model.consumed_items == frozenset({"strain"})
    assert model.provided_items == frozenset({"stress"})
    assert model.SECTION == "Models"
    assert model.SUPPORTS_SECOND_ORDER is False
    assert model.output_priorities == model._promoted_params == model._nl_params == {}


def test_attributes_can_be_set_as_the_factory_does(model: AOTIModel) -> None:
    model._hit_name = "elasticity"
    assert model._hit_name == "elasticity"


def test_repr_says_what_and_where(elasticity: CompiledCase) -> None:
    assert repr(AOTIModel(elasticity.root)) == (
        f"AOTIModel('{elasticity.metadata}', device=cpu, dtype=torch.float64, "
        "inputs=['strain'], outputs=['stress'])"
    )


# --- parameters


def test_named_parameters_without_arguments_is_a_dictionary_of_live_tensors(
    model: AOTIModel, name: str
) -> None:
    before = stress(model)
    parameters = model.named_parameters()
    assert type(parameters) is dict
    parameters[name].mul_(2.0)
    torch.testing.assert_close(stress(model), 2.0 * before)


def test_named_parameters_with_arguments_iterates_as_a_module_does(
    model: AOTIModel, name: str
) -> None:
    value = model.named_parameters()[name]
    for arguments in ({"recurse": True}, {"prefix": ""}, {"remove_duplicate": False}):
        ((found, tensor),) = model.named_parameters(**arguments)
        assert found == name
        assert torch.equal(tensor, value)
    ((found, _),) = model.named_parameters("outer", recurse=True)
    assert found == f"outer.{name}"
    assert torch.equal(*(torch.stack(list(each)) for each in (model.parameters(), [value])))


def test_named_parameters_of_the_module_alone_are_none(model: AOTIModel) -> None:
    assert list(model.named_parameters(recurse=False)) == []
    assert list(model.parameters(recurse=False)) == []


def test_nothing_is_registered_with_the_module(model: AOTIModel) -> None:
    outer = torch.nn.Module()
    outer.add_module("inner", model)
    assert list(outer.named_parameters()) == []
    assert list(model.named_buffers()) == []
    assert model.state_dict() == {}


def test_set_parameter_counts_from_the_next_call_on(model: AOTIModel, name: str) -> None:
    before = stress(model)
    model.set_parameter(name, 3.0 * model.named_parameters()[name])
    torch.testing.assert_close(stress(model), 3.0 * before)


def test_set_parameter_refuses_an_unknown_name(model: AOTIModel) -> None:
    with pytest.raises(RuntimeError, match="viscosity"):
        model.set_parameter("viscosity", torch.tensor(1.0))


def test_batched_parameter_gives_a_batched_output(model: AOTIModel, name: str) -> None:
    value = model.named_parameters()[name].clone()
    strain = torch.tensor([[1e-3, 0.0, 0.0, 0.0, 0.0, 2e-3]]).expand(3, 6)
    (once,) = model(SR2(strain))
    model.set_parameter(name, value * torch.tensor([1.0, 2.0, 3.0]))
    (scaled,) = model(SR2(strain))
    torch.testing.assert_close(scaled.data, once.data * torch.tensor([[1.0], [2.0], [3.0]]))
    assert scaled.sub_batch_ndim == 0


# --- derivatives


def test_jvp_and_jacobian_are_those_of_the_bare_model(model: AOTIModel) -> None:
    inputs = {"strain": torch.randn(3, 6)}
    tangents = {"strain": torch.randn(3, 6)}
    outputs, blocks = model.jacobian(inputs)
    bare_outputs, bare_blocks = model._inner.jacobian(inputs)
    assert torch.equal(outputs["stress"], bare_outputs["stress"])
    assert torch.equal(blocks["stress"]["strain"], bare_blocks["stress"]["strain"])
    _, change = model.jvp(inputs, tangents)
    assert torch.equal(change["stress"], model._inner.jvp(inputs, tangents)[1]["stress"])


# --- moving


def test_moving_to_where_the_model_is_does_nothing(model: AOTIModel) -> None:
    outer = torch.nn.Sequential(model)
    assert model.to("cpu") is model
    assert model.to(torch.float64) is model
    assert model.double().cpu() is model
    assert outer.to(device="cpu", dtype=torch.float64) is outer


@pytest.mark.parametrize(
    ("move", "target"),
    [
        (lambda model: model.float(), "cpu/float32"),
        (lambda model: model.to("meta"), "meta/float64"),
        (lambda model: torch.nn.Sequential(model).half(), "cpu/float16"),
    ],
    ids=["dtype", "device", "as a child"],
)
def test_moving_elsewhere_says_to_recompile(
    model: AOTIModel, move: Callable[[AOTIModel], object], target: str
) -> None:
    with pytest.raises(errors.AOTIError) as caught:
        move(model)
    assert str(caught.value) == (
        "compiled model 'model' is compiled for cpu/float64 and cannot be moved to "
        f"{target}. Recompile it for that device and dtype (neml2-compile --device, --dtype) and "
        "load the result."
    )


# --- copying


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, copy.copy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["deepcopy", "copy", "pickle"],
)
def test_copy_is_the_same_model_with_its_own_parameters(
    model: AOTIModel, name: str, duplicate: Callable[[AOTIModel], AOTIModel]
) -> None:
    model._hit_name = "elasticity"
    model.eval()
    model.set_parameter(name, torch.tensor(1.5e5))
    twin = duplicate(model)
    assert twin._hit_name == "elasticity"
    assert twin.training is False
    assert twin.input_spec == model.input_spec
    assert (twin.device, twin.dtype) == (model.device, model.dtype)
    before = stress(model)
    torch.testing.assert_close(stress(twin), before, rtol=0, atol=0)
    twin.named_parameters()[name].mul_(2.0)
    torch.testing.assert_close(stress(model), before, rtol=0, atol=0)
    torch.testing.assert_close(stress(twin), 2.0 * before)


def test_copy_finds_the_artifact_from_another_folder(
    elasticity: CompiledCase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(elasticity.folder)
    model = AOTIModel("model")
    expected = stress(model)
    monkeypatch.chdir(tmp_path)
    torch.testing.assert_close(stress(copy.deepcopy(model)), expected, rtol=0, atol=0)


def test_copy_keeps_the_solver_settings(chaboche: CompiledCase) -> None:
    model = AOTIModel(chaboche.root)
    model.set_solver_config(1e-10, 1e-10, 2, "BACKTRACKING", 1, 2.0, 1e-3)
    values = {name: torch.zeros(kind.BASE_SHAPE) for name, kind in model.input_spec.items()}
    values["strain"] = torch.tensor([4e-3, -2e-3, -2e-3, 0.0, 0.0, 0.0])
    values["t"] = torch.tensor(10.0)
    for each in (model, copy.deepcopy(model)):
        with pytest.raises(errors.convergence_error_class()):
            each(*values.values())


def test_fresh_process_unpickles_a_working_model_and_activates(
    model: AOTIModel, name: str, tmp_path: Path
) -> None:
    """Unpickling imports the class before neml2: the hardest order of imports."""
    model.set_parameter(name, torch.tensor(1.5e5))
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    program = f"""
import pathlib, pickle
model = pickle.loads(pathlib.Path({str(tmp_path / "model.pickle")!r}).read_bytes())
import neml2.aoti, neml2.factory, torch
assert type(model) is neml2.aoti.AOTIModel is neml2.factory._registry["AOTIModel"], type(model)
print(model(torch.full((6,), 1e-3, dtype=torch.float64))[0].data.tolist())
"""
    done = run_python(program, warnings="error")
    assert done.returncode == 0, done.stderr
    (expected,) = model(torch.full((6,), 1e-3))
    assert json.loads(done.stdout) == expected.data.tolist()


@pytest.mark.parametrize("first", ["neml2_aoti_plugin.hit", "neml2_aoti_plugin", "neml2", "torch"])
def test_class_can_be_imported_in_any_order(first: str) -> None:
    program = f"""
import {first}
from neml2_aoti_plugin import AOTIModel
import neml2_aoti_plugin.hit, neml2.aoti, neml2.factory
assert AOTIModel is neml2_aoti_plugin.hit.AOTIModel is neml2.aoti.AOTIModel
assert AOTIModel is neml2.factory._registry["AOTIModel"]
"""
    done = run_python(program, warnings="error")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- tracing


def test_torch_compile_takes_a_call_as_one_operator(elasticity: CompiledCase) -> None:
    model = AOTIModel(elasticity.root)

    def work(strain: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = (2.0 * model(SR2(strain))[0].data).square().sum()
        return result

    strain = torch.rand(4, 6, dtype=torch.float64, requires_grad=True)
    traced = torch.compile(work, backend="eager", fullgraph=True)
    (found,) = torch.autograd.grad(traced(strain), strain)
    (expected,) = torch.autograd.grad(work(strain), strain)
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0.0)
    torch._dynamo.reset()


def test_export_is_refused(elasticity: CompiledCase) -> None:
    class Outer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = AOTIModel(elasticity.root)

        def forward(self, strain: torch.Tensor) -> torch.Tensor:
            output: torch.Tensor = self.inner(strain)[0].data
            return output

    with pytest.raises(NotImplementedError) as caught:
        torch.export.export(Outer(), (torch.zeros(4, 6),), strict=False)
    assert str(caught.value) == (
        "compiled model 'model' cannot be traced by torch.export: it is compiled already. Trace "
        "the native model instead."
    )
