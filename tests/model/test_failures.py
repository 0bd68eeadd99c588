"""What a model does with rows that fail, other than raising: ``set_on_failure``."""

from __future__ import annotations

import json
import logging
import math
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch
from artifact_cache import CompiledCase, compiled, compiled_feature
from twins import Tensors, Twin, open_model, reads_no_guesses, require_same_bits

from neml2_aoti_plugin import ConvergenceError, Model
from neml2_aoti_plugin.errors import AOTIError, InputError
from neml2_aoti_plugin.failure_report import MAX_REPORTS
from neml2_aoti_plugin.solves import RowStatus, SolveRecord, row_status

BAD = (1, 4)
"""Rows without a solution."""
GOOD = (0, 2, 3, 5)
SINGULAR, REGULAR = 2, [0, 1, 3]
"""A row whose matrix is singular at its solution, and those beside it."""
DRIVING = {"composed": "displacement_gradient", "crystal": "deformation_rate"}


@pytest.fixture(params=("chaboche", "composed", "crystal", "rate_independent"))
def twin(request: pytest.FixtureRequest, twin_of: Any) -> Twin:
    return going_on(twin_of(request.param))


@pytest.fixture
def chaboche(twin_of: Any) -> Twin:
    return going_on(twin_of("chaboche"))


@pytest.fixture
def promoted() -> Model:
    model = Model(compiled("chaboche", variant="promoted").root)
    model.set_on_failure("nan")
    return model


def going_on(twin: Twin) -> Twin:
    model = open_model(twin.case)
    model.set_on_failure("nan")
    return Twin(twin.case, model, twin.native)


def spoilt(twin: Twin, inputs: Tensors) -> Tensors:
    """One bad row is not a number, the other far beyond what can be solved."""
    name = DRIVING.get(twin.case.name, "strain")
    load = inputs[name].clone()
    load[BAD[0]] = math.nan
    load[BAD[1]] = 1e200
    return inputs | {name: load}


def assert_bad_rows_alone_are_nan(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    assert found[list(BAD)].isnan().all()
    assert torch.equal(found[list(GOOD)], expected[list(GOOD)])


@pytest.fixture(params=[(None, None), (1, 2), (300, 1)], ids=str)
def singular(request: pytest.FixtureRequest, twin_of: Any) -> tuple[Model, Tensors]:
    """One row is on the yield surface, where without a time increment any flow rate solves it."""
    twin = twin_of("rate_independent")
    model = open_model(twin.case)
    if reads_no_guesses(model):
        pytest.skip("starts from no flow rate, where the matrix is regular")
    model.set_execution(chunk_rows=request.param[0], threads=request.param[1])
    inputs = twin.inputs(4)
    for value in inputs.values():
        value[SINGULAR] = 0.0
    shear_modulus, yield_stress = 2e5 / 2.6, 200.0
    inputs["strain"][SINGULAR, 3] = yield_stress / (math.sqrt(1.5) * 2.0 * shear_modulus)
    inputs["flow_rate"][SINGULAR] = 1e12
    return model, inputs


# --- singular at the solution


def test_a_row_without_tangent_fails_alone_and_in_derivatives_only(
    singular: tuple[Model, Tensors],
) -> None:
    model, inputs = singular
    solves: list[SolveRecord] = []
    model.forward(inputs, solves=solves)
    assert row_status(solves).tolist() == [0, 0, 0, 0]
    tangents = {"strain": torch.ones(4, 6, dtype=torch.float64)}
    for operation, more in ((model.jacobian, ()), (model.jvp, (tangents,))):
        with pytest.raises(ConvergenceError, match="1 solved, but without a derivative") as caught:
            operation(inputs, *more)
        assert caught.value.status.tolist() == [0, 0, RowStatus.NO_TANGENT, 0]
        assert "worst row 2:" in str(caught.value)


def test_other_rows_have_the_derivatives_that_they_have_without_it(
    singular: tuple[Model, Tensors],
) -> None:
    model, inputs = singular
    model.set_on_failure("nan")
    regular = {name: value[REGULAR] for name, value in inputs.items()}
    expected_values, expected = model.jacobian(regular)
    solves: list[SolveRecord] = []
    values, blocks = model.jacobian(inputs, solves=solves)
    assert row_status(solves).tolist() == [0, 0, RowStatus.NO_TANGENT, 0]
    for name, value in values.items():
        assert torch.equal(value[REGULAR], expected_values[name])
        for by, block in blocks[name].items():
            assert torch.equal(block[REGULAR], expected[name][by]), (name, by)
            assert block[SINGULAR].isnan().all(), (name, by)


def test_a_gradient_that_does_not_exist_is_told_where_it_counts(
    singular: tuple[Model, Tensors],
) -> None:
    model, inputs = singular

    def gradient(rows: list[int]) -> torch.Tensor:
        strain = inputs["strain"].clone().requires_grad_()
        model.forward({**inputs, "strain": strain})["stress"][rows].sum().backward()
        assert strain.grad is not None
        return strain.grad

    expected = gradient(REGULAR)
    assert expected[SINGULAR].eq(0.0).all()
    with pytest.raises(AOTIError, match="singular at the solution of row 2 of the batch"):
        gradient([0, 1, 2, 3])
    model.set_on_failure("nan")
    found = gradient([0, 1, 2, 3])
    assert found[SINGULAR].isnan().all()
    assert torch.equal(found[REGULAR], expected[REGULAR])


def test_report_of_a_row_without_tangent_runs_again(
    singular: tuple[Model, Tensors], tmp_path: Path
) -> None:
    model, inputs = singular
    model.set_on_failure("dump", tmp_path)
    with pytest.raises(ConvergenceError) as caught:
        model.jacobian(inputs)
    again = rerun(Path(caught.value.report))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "as reported" in again.stdout


# --- nan


@pytest.mark.parametrize(("chunk_rows", "threads"), [(None, None), (1, 1), (2, 2), (300, 5)])
def test_good_rows_have_the_results_that_they_have_without_the_bad_ones(
    twin: Twin, chunk_rows: int | None, threads: int | None
) -> None:
    require_same_bits(twin.model)
    twin.model.set_execution(chunk_rows=chunk_rows, threads=threads)
    inputs = twin.inputs(6)
    expected = twin.model.forward(inputs)
    solves: list[SolveRecord] = []
    found = twin.model.forward(spoilt(twin, inputs), solves=solves)
    for name, value in found.items():
        assert_bad_rows_alone_are_nan(value, expected[name])
    status = row_status(solves)
    assert status.dtype == torch.int8
    assert [row for row in range(6) if status[row] != RowStatus.CONVERGED] == list(BAD)
    assert torch.equal(solves[-1].converged_mask, status == RowStatus.CONVERGED)


def test_derivatives_of_good_rows_are_those_without_the_bad_ones(promoted: Model) -> None:
    require_same_bits(promoted)
    twin = Twin(compiled("chaboche"), promoted, torch.nn.Module())
    inputs = twin.inputs(6)
    tangents = {"strain": torch.ones(6, 6, dtype=torch.float64)}
    cotangents = {"stress": torch.ones(6, 6, dtype=torch.float64)}
    for operation, more in (
        (promoted.jacobian, ()),
        (promoted.param_jacobian, ()),
        (promoted.jvp, (tangents,)),
    ):
        _, expected = operation(inputs, *more)
        _, found = operation(spoilt(twin, inputs), *more)
        for output, row in found.items():
            pairs = row.items() if isinstance(row, dict) else [("", row)]
            for name, block in pairs:
                reference = expected[output][name] if name else expected[output]
                assert_bad_rows_alone_are_nan(block, reference)
    good = {name: value[list(GOOD)] for name, value in inputs.items()}
    expected = promoted.param_vjp(good, {"stress": cotangents["stress"][list(GOOD)]})
    found = promoted.param_vjp(spoilt(twin, inputs), cotangents)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-12, atol=1e-12)


def test_bad_rows_add_nothing_to_gradients(promoted: Model) -> None:
    twin = Twin(compiled("chaboche"), promoted, torch.nn.Module())
    inputs = spoilt(twin, twin.inputs(6))
    parameters = promoted.trainable_parameters()

    def gradients(rows: list[int]) -> tuple[torch.Tensor, ...]:
        these = {name: value[rows] for name, value in inputs.items()}
        strain = these["strain"] = these["strain"].requires_grad_()
        stress = promoted.forward(these)["stress"]
        loss = stress.nan_to_num().square().sum()
        return torch.autograd.grad(loss, (strain, *parameters.values()))

    of_all, of_good = gradients(list(range(6))), gradients(list(GOOD))
    assert torch.equal(of_all[0][list(GOOD)], of_good[0])
    assert not of_all[0][list(BAD)].any()
    for found, expected in zip(of_all[1:], of_good[1:], strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_row_keeps_the_status_of_the_solve_that_it_failed_in() -> None:
    """root + root^2 = load, then next + next^2 = root; no roots below -1/4."""
    model = Model(compiled_feature("two_updates", "schema3").metadata)
    model.set_on_failure("nan")
    load = torch.tensor([2.0, -1.0, -0.22, 0.5], dtype=torch.float64)
    solves: list[SolveRecord] = []
    inputs = dict.fromkeys(model.input_names, torch.zeros(4, dtype=torch.float64)) | {"load": load}
    found = model.forward(inputs, solves=solves)
    assert [solve.converged_mask.tolist() for solve in solves] == [
        [True, False, True, True],
        [True, False, False, True],
    ]
    assert solves[1].status[1] == solves[0].status[1]
    assert solves[1].iterations[1] == 0
    assert solves[1].residual_norms[1].isnan()
    for value in found.values():
        assert value.isnan().tolist() == [False, True, True, False]
    assert torch.equal(row_status(solves), solves[1].status)


@pytest.mark.parametrize("batch", [(), (3,), (2, 2)], ids=str)
def test_a_call_without_a_good_row_returns(chaboche: Twin, batch: tuple[int, ...]) -> None:
    inputs = chaboche.inputs(*batch)
    inputs["strain"].fill_(math.nan)
    solves: list[SolveRecord] = []
    outputs, blocks = chaboche.model.jacobian(inputs, solves=solves)
    assert outputs["stress"].shape == (*batch, 6)
    assert outputs["stress"].isnan().all()
    assert blocks["stress"]["strain"].isnan().all()
    assert (row_status(solves) == RowStatus.NON_FINITE).all()


def test_natural_outputs_have_the_batch_of_the_call_where_rows_failed(chaboche: Twin) -> None:
    inputs = {name: value[0] for name, value in chaboche.inputs(6).items()}
    assert chaboche.model.forward_natural(inputs)["stress"].shape == (6,)
    found = chaboche.model.forward_natural(spoilt(chaboche, chaboche.inputs(6)))
    assert found["stress"].shape == (6, 6)


def test_a_warning_names_the_rows(chaboche: Twin, caplog: pytest.LogCaptureFixture) -> None:
    chaboche.model.forward(spoilt(chaboche, chaboche.inputs(6)))
    (record,) = (r for r in caplog.records if r.name == "neml2_aoti_plugin.solves")
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "2 of 6 rows failed to solve (2 non finite); their results are not a number: rows 1, 4"
    )
    assert record.__dict__["failed_rows"] == [1, 4]
    caplog.clear()
    chaboche.model.forward(chaboche.inputs(6))
    assert not caplog.records


def test_every_solve_is_a_record_with_figures(
    chaboche: Twin, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="neml2_aoti_plugin.solves"):
        chaboche.model.forward(chaboche.inputs(6))
    (record,) = (r for r in caplog.records if r.name == "neml2_aoti_plugin.solves")
    figures = record.__dict__["solve"]
    assert json.loads(json.dumps(figures)) == figures
    assert (figures["segment"], figures["rows"], figures["failed"]) == ("model", 6, 0)
    assert 0 < figures["iterations"] <= figures["all_iterations"]


def test_raise_is_what_models_do_and_can_be_gone_back_to(chaboche: Twin) -> None:
    inputs = spoilt(chaboche, chaboche.inputs(6))
    with pytest.raises(InputError, match="on_failure is 'ignore'; expected 'raise', 'nan' or"):
        chaboche.model.set_on_failure("ignore")
    assert chaboche.model.forward(inputs)["stress"].isnan().any()
    chaboche.model.set_on_failure("raise")
    with pytest.raises(ConvergenceError) as caught:
        chaboche.model.forward(inputs)
    assert caught.value.status.tolist() == [0, 1, 0, 0, 1, 0]


def test_no_solves_have_no_status() -> None:
    with pytest.raises(ValueError, match="no solves were recorded"):
        row_status([])


# --- dump


def rerun(report: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(report / "rerun.py"), *arguments]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)


def dumped(model: Model, folder: Path, call: Any) -> ConvergenceError:
    model.set_on_failure("dump", folder)
    with pytest.raises(ConvergenceError) as caught:
        call()
    return caught.value


def test_a_diverging_step_is_reported_and_run_again_from_its_folder(
    chaboche: Twin, tmp_path: Path
) -> None:
    """Real: too large a step for the iterations that are allowed."""
    model = chaboche.model
    model.set_solver_config(1e-10, 1e-10, 4, "BACKTRACKING", 1, 2.0, 1e-3)
    inputs = chaboche.inputs(2, 3)
    inputs["strain"] = inputs["strain"].index_fill(0, torch.tensor([0]), 0.0)
    inputs["stress~1"][0], inputs["X1~1"][0], inputs["X2~1"][0] = 0.0, 0.0, 0.0
    error = dumped(model, tmp_path, lambda: model.forward(inputs))
    report = Path(error.report)  # type: ignore[attr-defined]
    assert str(error).endswith(f" Report: {report}.")
    assert report.parent == tmp_path
    said = json.loads((report / "report.json").read_text())
    assert (
        said["rows"]
        == said["failed_rows"]
        == (~error.converged_mask).flatten().nonzero().flatten().tolist()
    )
    assert said["batch"] == [2, 3]
    assert set(said["status"]) == {RowStatus.ITERATION_LIMIT}
    assert said["settings"]["solver"]["miters"] == 4
    assert said["versions"]["torch"] == metadata.version("torch")
    again = rerun(report)
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-1] == "as reported"
    assert "not converged after 4 iterations" in again.stdout
    for row, norm in zip(said["rows"], said["residual_norms"], strict=True):
        (line,) = (x for x in again.stdout.splitlines() if x.startswith(f"{row} "))
        assert float(line.split()[-1]) == pytest.approx(float(norm), rel=1e-5)


def test_a_rerun_of_what_is_solved_says_so(chaboche: Twin, tmp_path: Path) -> None:
    model = chaboche.model
    model.set_solver_config(1e-10, 1e-10, 2, "BACKTRACKING", 1, 2.0, 1e-3)
    error = dumped(model, tmp_path, lambda: model.forward(chaboche.inputs(3)))
    report = Path(error.report)  # type: ignore[attr-defined]
    said = json.loads((report / "report.json").read_text())
    said["settings"]["solver"]["miters"] = 50
    (report / "report.json").write_text(json.dumps(said))
    again = rerun(report)
    assert again.returncode == 1
    assert "not as reported" in again.stdout


def test_a_report_holds_the_parameters_of_its_rows(promoted: Model, tmp_path: Path) -> None:
    twin = Twin(compiled("chaboche"), promoted, torch.nn.Module())
    inputs = spoilt(twin, twin.inputs(6))
    yields = torch.linspace(40.0, 60.0, 6, dtype=torch.float64)
    name, other = promoted.named_parameters()
    (name,) = (each for each in (name, other) if each.endswith("sy"))
    overrides = {name: yields}
    for operation in ("forward", "param_jacobian"):
        error = dumped(
            promoted,
            tmp_path,
            lambda run=operation: getattr(promoted, run)(inputs, param_overrides=overrides),
        )
        report = Path(error.report)  # type: ignore[attr-defined]
        held = torch.load(report / "call.pt", weights_only=True)
        assert torch.equal(held["parameters"][name], yields[list(BAD)])
        assert held["inputs"]["strain"].shape == (2, 6)
        assert held["unknowns"]["stress"].shape == (2, 6)
        assert rerun(report).returncode == 0


def test_an_artifact_that_has_moved_can_be_named(chaboche: Twin, tmp_path: Path) -> None:
    model = chaboche.model
    error = dumped(model, tmp_path, lambda: model.forward(spoilt(chaboche, chaboche.inputs(6))))
    report = Path(error.report)  # type: ignore[attr-defined]
    said = json.loads((report / "report.json").read_text())
    said["artifact"]["path"] = "/gone/metadata.json"
    (report / "report.json").write_text(json.dumps(said))
    assert "/gone/metadata.json" in rerun(report).stderr
    assert rerun(report, str(chaboche.case.root)).returncode == 0


def test_reports_are_bounded_in_number(chaboche: Twin, tmp_path: Path) -> None:
    model = chaboche.model
    model.set_on_failure("dump", tmp_path)
    inputs = spoilt(chaboche, chaboche.inputs(6))
    for _ in range(MAX_REPORTS + 2):
        with pytest.raises(ConvergenceError) as caught:
            model.forward(inputs)
    assert f"has written {MAX_REPORTS} reports" in str(caught.value)
    assert len(list(tmp_path.iterdir())) == MAX_REPORTS


def test_a_report_that_cannot_be_written_hides_no_failure(chaboche: Twin, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    inputs = spoilt(chaboche, chaboche.inputs(6))
    error = dumped(chaboche.model, tmp_path / "taken", lambda: chaboche.model.forward(inputs))
    assert "2 of 6 rows failed to solve" in str(error)
    assert "No report could be written" in str(error)


def test_half_a_report_is_none(
    chaboche: Twin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(held: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", full)
    inputs = spoilt(chaboche, chaboche.inputs(6))
    error = dumped(chaboche.model, tmp_path, lambda: chaboche.model.forward(inputs))
    assert "No report could be written: PytorchStreamWriter failed" in str(error)
    assert not list(tmp_path.iterdir())


def test_there_is_no_report_inside_a_transform(chaboche: Twin, tmp_path: Path) -> None:
    inputs = spoilt(chaboche, chaboche.inputs(6))
    error = dumped(chaboche.model, tmp_path, lambda: torch.vmap(chaboche.model.forward)(inputs))
    assert "inside a transform of torch.func" in str(error)
    assert not list(tmp_path.iterdir())


# --- in input files


def with_options(case: CompiledCase, folder: Path, *lines: str) -> Path:
    """A copy of the compiled example with these lines in the block of its model."""
    copy = folder / "copy"
    shutil.copytree(case.folder, copy)
    stub = copy / case.stub.relative_to(case.folder)
    block = "type = AOTIModel"
    text = stub.read_text()
    assert text.count(block) == 1
    stub.write_text(text.replace(block, "\n".join((block, *lines))))
    return stub


def test_an_input_file_can_ask_for_reports(tmp_path: Path, monkeypatch: Any) -> None:
    import neml2

    monkeypatch.chdir(tmp_path)
    stub = with_options(
        compiled("chaboche"), tmp_path, "on_failure = dump", "failure_folder = reports"
    )
    model = neml2.load_model(str(stub), "model")
    shapes = Model(compiled("chaboche").root).input_base_shapes
    arguments = [torch.full(shape, math.nan, dtype=torch.float64) for shape in shapes]
    with pytest.raises(ConvergenceError, match="Report: "):
        model(*arguments)
    assert len(list((tmp_path / "reports").iterdir())) == 1


def test_a_wrong_word_in_an_input_file_is_named_with_its_place(tmp_path: Path) -> None:
    import neml2

    stub = with_options(compiled("chaboche"), tmp_path, "on_failure = ignore")
    with pytest.raises(InputError) as caught:
        neml2.load_model(str(stub), "model")
    assert str(stub) in str(caught.value)
    assert "[Models/model]: on_failure is 'ignore'; expected 'raise', 'nan' or" in str(caught.value)
