"""``[Models]`` blocks of type AOTIModel: where the artifact is found, and what a bad block says."""

from __future__ import annotations

import gc
import inspect
import json
import shutil
import weakref
from pathlib import Path
from typing import Any

import neml2
import neml2.factory
import pytest
import torch
from artifact_cache import CompiledCase
from neml2.types import SR2

from neml2_aoti_plugin import AOTIModel, Model, errors

pytestmark = pytest.mark.usefixtures("float64_default")

LOADS_TAKE_A_TARGET = "device" in inspect.signature(neml2.load_model).parameters
needs_load_target = pytest.mark.skipif(
    not LOADS_TAKE_A_TARGET, reason="this neml2 loads input files without device and dtype"
)


def block(artifact_path: object, *options: str, solvers: str = "") -> str:
    lines = [f"    {option}" for option in options]
    if artifact_path is not None:
        lines.append(f"    artifact_path = '{artifact_path}'")
    return "\n".join(
        ["[Models]", "  [model]", "    type = AOTIModel", *lines, "  []", "[]", solvers]
    )


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.i"
    path.write_text(text)
    return path


def load(path: Path, **target: Any) -> AOTIModel:
    model = neml2.load_model(path, "model", **target)
    assert isinstance(model, AOTIModel)
    return model


def assert_elastic(model: AOTIModel) -> None:
    """Hooke's law at uniaxial strain, E = 2e5, nu = 0.3."""
    strain = torch.tensor([1e-3, 0.0, 0.0, 0.0, 0.0, 0.0])
    (stress,) = model(SR2(strain))
    lame, shear = 2.0e5 * 0.3 / (1.3 * 0.4), 2.0e5 / 2.6
    expected = 1e-3 * torch.tensor([lame + 2 * shear, lame, lame, 0.0, 0.0, 0.0])
    torch.testing.assert_close(stress.data, expected)


# --- where the artifact is found


def test_stub_of_the_compiler_loads(elasticity: CompiledCase) -> None:
    model = load(elasticity.stub)
    assert model._hit_name == "model"
    assert_elastic(model)


def test_relative_path_starts_at_the_input_file(
    elasticity: CompiledCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(elasticity.root, tmp_path / "compiled" / "steel")
    write(tmp_path / "runs", block("../compiled/steel"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert_elastic(load(Path("../runs/run.i")))


def test_relative_path_in_a_string_starts_at_the_current_folder(
    elasticity: CompiledCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(elasticity.folder)
    assert_elastic(neml2.factory.load_string(block("model")).get_model("model"))


def test_absolute_path_and_metadata_file_load(elasticity: CompiledCase, tmp_path: Path) -> None:
    assert_elastic(load(write(tmp_path / "root", block(elasticity.root))))
    assert_elastic(load(write(tmp_path / "file", block(elasticity.metadata))))


def test_metadata_file_of_the_first_releases_loads(
    elasticity: CompiledCase, tmp_path: Path
) -> None:
    shutil.copytree(elasticity.root, tmp_path / "steel")
    copy = Path("steel", elasticity.metadata.relative_to(elasticity.root))
    assert_elastic(load(write(tmp_path, block(None, f"meta = './{copy}'"))))
    assert_elastic(load(write(tmp_path, block(None, f"meta = '{elasticity.metadata}'"))))


def test_artifact_path_beside_meta_is_refused(elasticity: CompiledCase, tmp_path: Path) -> None:
    stub = write(tmp_path, block(elasticity.root, f"meta = '{elasticity.metadata}'"))
    with pytest.raises(RuntimeError) as caught:
        load(stub)
    assert str(caught.value) == (
        f"{stub}:4: [Models/model] has both 'artifact_path' and 'meta'; expected one of them. "
        "Remove 'meta', which neml2 3.0.3 and earlier write in place of 'artifact_path'."
    )


def test_absolute_meta_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    stub = write(tmp_path, block(None, f"meta = '{tmp_path}/gone/steel_meta.json'"))
    with pytest.raises(FileNotFoundError) as caught:
        load(stub)
    assert str(caught.value) == (
        f"{stub}:4: [Models/model]: no metadata.json: meta is '{tmp_path}/gone/steel_meta.json', "
        f"and neither that nor '{tmp_path}/steel_meta.json' exists. Correct meta, or put the "
        "compiled artifact beside the input file."
    )


def test_absolute_path_of_a_moved_stub_is_looked_up_beside_it(
    elasticity: CompiledCase, tmp_path: Path
) -> None:
    shutil.copytree(elasticity.root, tmp_path / "moved" / "model")
    assert_elastic(load(write(tmp_path / "moved", block(tmp_path / "original" / "model"))))


def test_absolute_path_that_leads_nowhere_names_both_places(tmp_path: Path) -> None:
    stub = write(tmp_path, block(tmp_path / "gone" / "steel"))
    with pytest.raises(FileNotFoundError) as caught:
        load(stub)
    assert str(caught.value) == (
        f"{stub}:4: [Models/model]: no metadata.json: artifact_path is '{tmp_path}/gone/steel', "
        f"and neither that nor '{tmp_path}/steel' exists. Correct artifact_path, or "
        "put the compiled artifact beside the input file."
    )


def test_folder_without_metadata(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    stub = write(tmp_path, block("empty"))
    with pytest.raises(FileNotFoundError, match=r"no metadata\.json") as caught:
        load(stub)
    assert str(caught.value).startswith(f"{stub}:4: [Models/model]: {tmp_path}/empty")


def test_path_of_an_included_block_is_in_the_file_that_holds_it(tmp_path: Path) -> None:
    (tmp_path / "block.i").write_text(block("gone"))
    stub = write(tmp_path, "# The model is elsewhere.\n!include block.i\n")
    with pytest.raises(FileNotFoundError) as caught:
        load(stub)
    assert str(caught.value).startswith(f"{tmp_path}/block.i:4: [Models/model]: ")


def test_replaced_path_is_in_no_line_of_the_file(tmp_path: Path) -> None:
    stub = write(tmp_path, block("gone"))
    replaced = neml2.load_input(stub, additional_args=["Models/model/artifact_path:='away'"])
    with pytest.raises(FileNotFoundError) as caught:
        replaced.get_model("model")
    assert str(caught.value).startswith(f"{stub}: [Models/model]: {tmp_path}/away")


def test_missing_artifact_path(tmp_path: Path) -> None:
    stub = write(tmp_path, block(None))
    with pytest.raises(RuntimeError) as caught:
        load(stub)
    assert str(caught.value) == (
        f"{stub}:2: [Models/model] has no 'artifact_path'; expected the folder that neml2-compile "
        "wrote, absolute or relative to the input file. Add the option."
    )


def test_unknown_option(elasticity: CompiledCase, tmp_path: Path) -> None:
    stub = write(tmp_path, block(elasticity.root, "chain_rule = true", "devise = 'cpu'"))
    with pytest.raises(ValueError, match="devise") as caught:
        load(stub)
    assert str(caught.value).startswith(f"{stub}:5: [model] (type='AOTIModel'): unknown option")


def test_unsupported_schema_names_found_and_supported(
    elasticity: CompiledCase, tmp_path: Path
) -> None:
    shutil.copytree(elasticity.root, tmp_path / "model")
    (metadata_file,) = (tmp_path / "model").rglob(elasticity.metadata.name)
    metadata = json.loads(metadata_file.read_text())
    metadata["schema_version"] = 99
    metadata_file.write_text(json.dumps(metadata))
    with pytest.raises(errors.UnsupportedSchemaError) as caught:
        load(write(tmp_path, block("model")))
    for version in ("99", "7", "14"):
        assert version in str(caught.value)


# --- device and dtype


def test_default_device_of_torch_chooses_the_leaf(elasticity: CompiledCase) -> None:
    assert load(elasticity.stub).device.type == "cpu"
    with torch.device("meta"), pytest.raises(ValueError, match="meta"):
        load(elasticity.stub)


@pytest.mark.cuda
def test_missing_leaf_of_the_default_device_lists_what_there_is(elasticity: CompiledCase) -> None:
    with torch.device("cuda"), pytest.raises(RuntimeError) as caught:
        load(elasticity.stub)
    assert "no compiled artifact for device" in str(caught.value)
    assert "cpu" in str(caught.value)


@needs_load_target
def test_device_of_the_loading_call_wins(elasticity: CompiledCase) -> None:
    with torch.device("meta"):
        assert load(elasticity.stub, device="cpu").device.type == "cpu"
    with pytest.raises(RuntimeError, match="no compiled artifact for device"):
        load(elasticity.stub, device="cuda:0")


@needs_load_target
def test_unknown_device_family(elasticity: CompiledCase) -> None:
    with pytest.raises(ValueError, match="abacus"):
        load(elasticity.stub, device="abacus")


@needs_load_target
def test_dtype_of_the_loading_call_chooses_the_leaf(
    elasticity: CompiledCase, elasticity_float32: CompiledCase, tmp_path: Path
) -> None:
    both = tmp_path / "model"
    shutil.copytree(elasticity.root, both)
    shutil.copytree(elasticity_float32.root / "cpu" / "float32", both / "cpu" / "float32")
    stub = write(tmp_path, block("model"))
    assert load(stub).dtype == torch.float64
    assert load(stub, dtype=torch.float32).dtype == torch.float32
    assert load(stub, dtype="float64").dtype == torch.float64


def test_only_dtype_there_is_needs_no_choice(elasticity_float32: CompiledCase) -> None:
    assert load(elasticity_float32.stub).dtype == torch.float32


@needs_load_target
def test_missing_dtype_lists_what_there_is(elasticity: CompiledCase) -> None:
    with pytest.raises(RuntimeError) as caught:
        load(elasticity.stub, dtype="float32")
    assert "no compiled artifact for device" in str(caught.value)
    assert "cpu/float64" in str(caught.value)


# --- solvers


NEWTON = """
[Solvers]
  [newton]
    type = NewtonWithLineSearch
    abs_tol = 1e-11
    rel_tol = 1e-9
    max_its = {max_its}
    linesearch_type = STRONG_WOLFE
    {more}
  []
  [lu]
    type = DenseLU
  []
[]
"""


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The settings that models are given."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(Model, "set_solver_config", lambda self, **config: calls.append(config))
    return calls


EXPECTED_CONFIG = {
    "atol": 1e-11,
    "rtol": 1e-9,
    "miters": 33,
    "ls_type": "STRONG_WOLFE",
    "ls_max_iters": 10,
    "ls_cutback": 2.0,
    "ls_c": 1e-3,
    "substep_del_tol": 1e-6,
}


def test_solver_sets_the_newton_settings(
    elasticity: CompiledCase, tmp_path: Path, configured: list[dict[str, Any]]
) -> None:
    solvers = NEWTON.format(max_its=33, more="")
    load(write(tmp_path, block(elasticity.root, "solver = 'newton'", solvers=solvers)))
    assert configured == [EXPECTED_CONFIG]


def test_verbose_solver_of_an_old_stub_is_understood(
    elasticity: CompiledCase, tmp_path: Path, configured: list[dict[str, Any]]
) -> None:
    solvers = NEWTON.format(max_its=33, more="verbose = true")
    load(write(tmp_path, block(elasticity.root, "solver = newton", solvers=solvers)))
    assert configured == [EXPECTED_CONFIG]


@pytest.mark.parametrize(
    ("solver_type", "line_search_iterations"), [("Newton", 1), ("NewtonWithLineSearch", 10)]
)
def test_verbose_solver_has_the_defaults_of_its_type(
    elasticity: CompiledCase,
    tmp_path: Path,
    configured: list[dict[str, Any]],
    solver_type: str,
    line_search_iterations: int,
) -> None:
    solvers = f"[Solvers]\n[newton]\ntype = {solver_type}\nverbose = true\n[]\n[]"
    load(write(tmp_path, block(elasticity.root, "solver = newton", solvers=solvers)))
    assert configured == [
        {
            "atol": 1e-10,
            "rtol": 1e-8,
            "miters": 25,
            "ls_type": "BACKTRACKING",
            "ls_max_iters": line_search_iterations,
            "ls_cutback": 2.0,
            "ls_c": 1e-3,
            "substep_del_tol": 1e-6,
        }
    ]


def test_misspelt_option_beside_verbose_is_refused(
    elasticity: CompiledCase, tmp_path: Path
) -> None:
    solvers = NEWTON.format(max_its=33, more="verbose = true\n    abs_toll = 1e-3")
    with pytest.raises(ValueError, match="abs_toll"):
        load(write(tmp_path, block(elasticity.root, "solver = newton", solvers=solvers)))


def test_solver_reaches_the_compiled_solve(chaboche: CompiledCase, tmp_path: Path) -> None:
    values = {
        name: torch.zeros(kind.BASE_SHAPE) for name, kind in load(chaboche.stub).input_spec.items()
    }
    values["strain"] = torch.tensor([4e-3, -2e-3, -2e-3, 0.0, 0.0, 0.0])
    values["t"] = torch.tensor(10.0)
    solvers = NEWTON.format(max_its=2, more="")
    model = load(write(tmp_path, block(chaboche.root, "solver = newton", solvers=solvers)))
    with pytest.raises(errors.convergence_error_class()):
        model(*values.values())
    solvers = NEWTON.format(max_its=50, more="")
    model = load(write(tmp_path, block(chaboche.root, "solver = newton", solvers=solvers)))
    model(*values.values())


def test_linear_solver_as_solver_is_refused(elasticity: CompiledCase, tmp_path: Path) -> None:
    solvers = NEWTON.format(max_its=33, more="")
    stub = write(tmp_path, block(elasticity.root, "solver = lu", solvers=solvers))
    with pytest.raises(errors.InputError) as caught:
        load(stub)
    assert str(caught.value) == (
        f"{stub}:4: [Models/model]: [Solvers/lu] is a DenseLU, which solves no nonlinear system; "
        "expected one of Newton, NewtonWithLineSearch. Name such a block as the solver of the "
        "model."
    )


def test_unknown_solver(elasticity: CompiledCase, tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="Solvers/newton"):
        load(write(tmp_path, block(elasticity.root, "solver = newton")))


# --- chain rule


@pytest.mark.parametrize("options", [("chain_rule = true",), ("chain_rule = false",), ()])
def test_chain_rule_option_decides_whether_tangents_are_taken(
    elasticity: CompiledCase, tmp_path: Path, options: tuple[str, ...]
) -> None:
    model = load(write(tmp_path, block(elasticity.root, *options)))
    strain = SR2(torch.rand(4, 6))
    if options == ("chain_rule = true",):
        stress, v_out = model(strain, v={"strain": {"seed": strain}})
        torch.testing.assert_close(v_out["stress"]["seed"].data, stress.data)
    else:
        with pytest.raises(NotImplementedError, match="Set chain_rule = true in its block"):
            model(strain, v={"strain": {"seed": strain}})


def test_chain_rule_option_that_is_no_truth_value(elasticity: CompiledCase, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="chain_rule"):
        load(write(tmp_path, block(elasticity.root, "chain_rule = maybe")))


# --- the rest of the file


@pytest.mark.skipif(
    not hasattr(neml2.factory._NativeInputFile, "settings"),
    reason="this neml2 has no [Settings] block",
)
def test_declared_batch_shape_of_an_internal_variable_leaves_drivers_working(
    chaboche: CompiledCase,
) -> None:
    declared = "[Settings]\n[example_batch_shape]\noverstress = '(2)'\nstress = '(2)'\n[]\n[]"
    factory = neml2.load_input(chaboche.stub, post=[declared])
    assert factory.get_driver("driver").run()
    (child,) = factory.get_model("model").children()
    assert list(child.input_spec) == ["overstress"]


def test_file_without_settings_adds_no_module(elasticity: CompiledCase) -> None:
    assert list(load(elasticity.stub).children()) == []


def test_model_keeps_no_hold_of_the_parsed_file(elasticity: CompiledCase) -> None:
    factory = neml2.load_input(elasticity.stub)
    model = factory.get_model("model")
    parsed = weakref.ref(factory)
    del factory
    gc.collect()
    assert parsed() is None
    assert_elastic(model)


def test_two_loads_give_two_models(elasticity_promoted: CompiledCase) -> None:
    one, other = load(elasticity_promoted.stub), load(elasticity_promoted.stub)
    ((name, modulus),) = one.named_parameters().items()
    modulus.mul_(2.0)
    assert not torch.equal(modulus, other.named_parameters()[name])
