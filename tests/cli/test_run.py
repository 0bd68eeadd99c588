"""``neml2-aoti run``: results as neml2-run saves them, iterations as the model counts them."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from artifact_cache import CompiledCase
from programs import neml2_run
from said import Program

torch = pytest.importorskip("torch")


def test_run_saves_what_neml2_run_saves(
    aoti: Program, chaboche: CompiledCase, tmp_path: Path
) -> None:
    theirs, ours = tmp_path / "theirs.pt", tmp_path / "ours.pt"
    program = str(Path(sys.executable).with_name("neml2-run"))
    command = [program, str(chaboche.stub), "driver", f"Drivers/driver/save_as:={theirs}"]
    subprocess.run(command, check=True, cwd="/")
    said = aoti("run", chaboche.stub, "driver", "--out", ours)

    assert said.code == 0, said.err
    expected = torch.load(theirs, weights_only=True)
    found = torch.load(ours, weights_only=True)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_run_tells_the_iterations_of_every_step(aoti: Program, chaboche: CompiledCase) -> None:
    said = aoti("run", chaboche.stub, "driver", "--json")

    assert said.code == 0
    data = said.data
    assert (data["steps"], data["of_steps"], data["rows"]) == (6, 6, 4)
    assert [each["step"] for each in data["solves"]] == [1, 2, 3, 4, 5, 6]
    assert all(each["rows"] == 4 and each["failed"] == 0 for each in data["solves"])
    assert all(0 < each["mean_iterations"] <= each["most_iterations"] for each in data["solves"])


def test_run_shows_iterations_as_bars(aoti: Program, chaboche: CompiledCase) -> None:
    said = aoti("run", chaboche.stub, "driver")

    assert (said.code, said.err) == (0, "")
    assert "█" in said.out
    assert said.out.rstrip().endswith("ok  every step converged")


def test_run_saves_one_csv_line_per_step_and_row(
    aoti: Program, chaboche: CompiledCase, tmp_path: Path
) -> None:
    table, saved = tmp_path / "result.csv", tmp_path / "result.pt"
    aoti("run", chaboche.stub, "driver", "--csv", table, "--out", saved)
    with table.open() as stream:
        lines = list(csv.DictReader(stream))
    result = torch.load(saved, weights_only=True)

    assert len(lines) == 7 * 4
    assert lines[0]["stress[xx]"] == ""  # no output before the first step
    line = lines[3 * 4 + 2]
    assert (line["step"], line["row"]) == ("3", "2")
    assert float(line["stress[xx]"]) == result["output.3.stress"][2, 0].item()
    assert float(line["strain[yy]"]) == result["input.3.strain"][2, 1].item()


def test_run_saves_arrays_over_steps(aoti: Program, crystal: CompiledCase, tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    saved, reference = tmp_path / "result.npz", tmp_path / "result.pt"
    aoti("run", crystal.stub, "driver", "--npz", saved, "--out", reference)
    result = torch.load(reference, weights_only=True)
    with numpy.load(saved) as arrays:
        orientation = arrays["output.orientation"]
        initial = arrays["input.orientation~1"]

    assert orientation.shape == (5, 2, 4, 3)
    assert numpy.array_equal(orientation[4], result["output.4.orientation"].numpy())
    # Step 0 has the initial condition as an output, without the batch.
    assert numpy.array_equal(orientation[0], initial[1])


def test_run_saves_a_paraview_collection(
    aoti: Program, chaboche: CompiledCase, tmp_path: Path
) -> None:
    saved = tmp_path / "result.pt"
    said = aoti(
        "run", chaboche.stub, "driver", "--vtk", tmp_path / "result.vtk", "--out", saved, "--json"
    )
    result = torch.load(saved, weights_only=True)

    assert said.code == 0
    collection = ET.parse(tmp_path / "result.pvd").getroot()
    parts = [(float(e.attrib["timestep"]), e.attrib["file"]) for e in collection.iter("DataSet")]
    assert parts[6] == (100.0, "result_0006.vtp")
    piece = next(ET.parse(tmp_path / "result_0006.vtp").getroot().iter("Piece"))
    assert piece.attrib["NumberOfPoints"] == "4"
    (stress,) = [e for e in piece.iter("DataArray") if e.attrib.get("Name") == "stress"]
    assert stress.attrib["ComponentName3"] == "yz"
    values = [float(word) for word in (stress.text or "").split()]
    assert values == result["output.6.stress"].reshape(-1).tolist()


def test_run_draws_any_component_against_any_other(
    aoti: Program, chaboche: CompiledCase, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "loops.svg"
    said = aoti(
        "run", chaboche.stub, "driver", "--plot", "strain[0]:stress[xx]", "--plot",
        "equivalent_plastic_strain", "--plot-file", picture,
    )  # fmt: skip

    assert said.code == 0, said.err
    assert picture.read_text().count('<g id="axes_') == 2


def test_run_lists_the_components_where_none_is_chosen(
    aoti: Program, chaboche: CompiledCase, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    said = aoti(
        "run", chaboche.stub, "driver", "--plot", "stress", "--plot-file", tmp_path / "a.png"
    )

    assert said.code == 2
    assert "'stress' has 6 components: [xx], [yy], [zz], [yz], [xz], [xy]" in said.err


def test_run_lists_variables_where_one_is_unknown(
    aoti: Program, chaboche: CompiledCase, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    said = aoti(
        "run", chaboche.stub, "driver", "--plot", "t:strss[0]", "--plot-file", tmp_path / "a.png"
    )

    assert said.code == 2
    assert "'strss[0]' names no variable of this run; there are: stress," in said.err


def test_run_of_a_regression_passes_and_fails_with_its_gold(
    aoti: Program, copy_of: Callable[[CompiledCase], CompiledCase], elasticity: CompiledCase
) -> None:
    case = copy_of(elasticity)
    gold = case.folder / "gold" / "result.pt"
    good = aoti("run", case.stub, "regression")
    result = {key: value.detach() for key, value in torch.load(gold, weights_only=True).items()}
    result["output.2.stress"] = result["output.2.stress"] + 1.0
    torch.save(result, gold)
    bad = aoti("run", case.stub, "regression", "--json")

    assert good.code == 0, good.err
    assert bad.code == 1
    assert "output.2.stress" in bad.data["failure"]
    assert neml2_run(case.stub, "regression").returncode == 1


def test_run_that_does_not_converge_is_negative_and_keeps_what_was_computed(
    aoti: Program,
    copy_of: Callable[[CompiledCase], CompiledCase],
    chaboche: CompiledCase,
    tmp_path: Path,
) -> None:
    case = copy_of(chaboche)
    document = json.loads(case.metadata.read_text())
    document["solver_config"]["miters"] = 16  # enough for the first two steps
    case.metadata.write_text(json.dumps(document))
    said = aoti("run", case.stub, "driver", "--csv", tmp_path / "a.csv", "--json")

    assert said.code == 1
    assert said.data["failure"].startswith("step 3: ")
    assert said.data["steps"] == 2
    assert said.data["solves"][-1]["failed"] == 2
    with (tmp_path / "a.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert lines[2 * 4]["stress[xx]"] != ""
    assert lines[3 * 4]["stress[xx]"] == ""


def test_run_replaces_options_of_the_input_file(aoti: Program, elasticity: CompiledCase) -> None:
    said = aoti(
        "run", elasticity.stub, "driver", "--json",
        "Drivers/driver/prescribed_SR2_values:=strains_of_one_point",
    )  # fmt: skip

    assert said.code == 0, said.err
    assert said.data["rows"] == 1


def test_run_refuses_words_that_replace_nothing(aoti: Program, elasticity: CompiledCase) -> None:
    said = aoti("run", elasticity.stub, "driver", "--plto", "stress[0]")

    assert said.code == 2
    assert "'--plto' is neither an option nor a replacement" in said.err


def test_run_of_an_unknown_driver_lists_those_there_are(
    aoti: Program, elasticity: CompiledCase
) -> None:
    said = aoti("run", elasticity.stub, "drver")

    assert said.code == 2
    assert "no driver 'drver'; there are: driver, regression," in said.err


def test_run_refuses_a_folder_that_is_not_there_before_it_runs(
    aoti: Program, elasticity: CompiledCase
) -> None:
    said = aoti("run", elasticity.stub, "driver", "--csv", "/nowhere/a.csv")

    assert said.code == 2
    assert "there is no folder /nowhere" in said.err


def test_run_of_a_native_model_counts_no_iterations(
    aoti: Program, elasticity: CompiledCase
) -> None:
    said = aoti("run", elasticity.model_file, "driver")

    assert said.code == 0
    assert "no model here is compiled" in said.out
