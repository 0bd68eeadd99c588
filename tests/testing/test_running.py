"""What becomes of a driver that runs as a test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from artifact_cache import CompiledCase
from scratch import Project

pytestmark = pytest.mark.usefixtures("host_is_imported")

UNIT_TEST = """
[Tensors]
  [strain]
    type = Python
    expr = 'SR2(torch.tensor([[0.0, 0.0, 0.0, 1e-3, 0.0, 0.0]]))'
  []
  [stress]
    type = Python
    expr = 'SR2(2.0e5 / 1.3 * torch.tensor([[0.0, 0.0, 0.0, {amplitude}, 0.0, 0.0]]))'
  []
[]
[Models]
  [model]
    type = LinearIsotropicElasticity
    strain = 'strain'
    stress = 'stress'
    coefficients = '2.0e5 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
[]
[Drivers]
  [unit]
    type = ModelUnitTest
    model = 'model'
    input_SR2_names = 'strain'
    input_SR2_values = 'strain'
    output_SR2_names = 'stress'
    output_SR2_values = 'stress'
    value_rel_tol = 1e-12
    derivative_rel_tol = 1e-10
  []
[]
"""

VERIFICATION = """
[Tensors]
  [expected]
    type = Python
    expr = 'SR2({factor} * (2.0e5 / 1.3 * amplitudes + 2.0e5 * 0.3 / (1.3 * 0.4)
                * amplitudes[:, :3].sum(-1, keepdim=True)
                * torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])))'
  []
[]
[Drivers]
  [verification]
    type = Verification
    driver = 'driver'
    time_steps = '4'
    SR2_names = 'output.stress'
    SR2_values = 'expected'
  []
[]
"""


def load(gold: Path) -> dict[str, torch.Tensor]:
    loaded: dict[str, torch.Tensor] = torch.load(gold, weights_only=True)
    return loaded


def spoil(gold: Path, key: str, index: tuple[int, ...], by: float) -> None:
    values = load(gold)
    values[key] = values[key].clone()
    values[key][index] += by
    torch.save(values, gold)


@pytest.mark.usefixtures("compiled_elsewhere")
def test_both_variants_pass_on_the_golds(project: Project, pytester: pytest.Pytester) -> None:
    project()
    pytester.runpytest("-W", "error").assert_outcomes(passed=4)


def test_stub_passes_where_its_golds_are(
    pytester: pytest.Pytester, elasticity: CompiledCase
) -> None:
    shutil.copytree(elasticity.folder, pytester.path / "bundle")
    run = pytester.runpytest("--neml2", "-v")
    run.assert_outcomes(passed=2)
    run.stdout.fnmatch_lines(["bundle/model_aoti.i::regression?stub? PASSED*"])


def test_torch_defaults_are_as_before(project: Project, pytester: pytest.Pytester) -> None:
    project()
    before = torch.get_default_dtype(), torch.get_default_device()
    pytester.runpytest("-m", "native").assert_outcomes(passed=2)
    assert (torch.get_default_dtype(), torch.get_default_device()) == before


@pytest.mark.usefixtures("compiled_elsewhere")
def test_wrong_gold_fails_and_shows_where(project: Project, pytester: pytest.Pytester) -> None:
    model = project()
    gold = model.parent / "gold" / "result.pt"
    spoil(gold, "output.3.stress", (2, 5), by=2.0)
    spoil(gold, "output.4.stress", (0, 0), by=0.1)
    run = pytester.runpytest("-k", "not unbatched")
    run.assert_outcomes(failed=2)
    shown = run.stdout.str()
    line = next(
        number
        for number, text in enumerate(model.read_text().splitlines(), start=1)
        if text.strip() == "[regression]"
    )
    for variant in ("native", "compiled"):
        assert f"{model}:{line}: [Drivers/regression], {variant}: results differ" in shown
    assert f"gold {gold} by more than 1e-08 + 1e-05 |expected|" in shown
    rows = [text.split() for text in run.outlines if text.startswith("output.stress")]
    stress = load(gold)["output.3.stress"][2, 5].item()
    assert rows[0][:4] == ["output.stress", "3", "2", "xy"]
    assert [float(word) for word in rows[0][4:]] == pytest.approx(
        [stress - 2.0, stress, 2.0, 1e-8 + 1e-5 * abs(stress)], rel=5e-3
    )
    assert rows[1][:4] == ["output.stress", "4", "0", "xx"]
    assert "2 of 216 numbers differ: 2 of output.stress" in shown
    assert "Traceback" not in shown
    assert "driver.py" not in shown


def test_gold_of_another_shape_is_named(project: Project, pytester: pytest.Pytester) -> None:
    gold = project().parent / "gold" / "result.pt"
    values = load(gold)
    values["output.2.stress"] = values["output.2.stress"][:3]
    values["output.2.strain_energy"] = torch.zeros(4)
    torch.save(values, gold)
    run = pytester.runpytest("-k", "regression and not unbatched and native")
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(
        [
            "output.2.stress: shape (4, 6), expected (3, 6)",
            "output.2.strain_energy: not computed, but expected",
        ]
    )


def test_missing_gold_says_how_to_write_it(project: Project, pytester: pytest.Pytester) -> None:
    gold = project().parent / "gold" / "result.pt"
    gold.unlink()
    run = pytester.runpytest("-m", "native")
    run.assert_outcomes(passed=1, failed=1)
    run.stdout.fnmatch_lines([f"*there is no gold {gold}; write it with --update-gold"])


def test_update_gold_writes_what_differs_and_says_so(
    project: Project, pytester: pytest.Pytester
) -> None:
    folder = project().parent / "gold"
    wanted = load(folder / "result.pt")
    spoil(folder / "result.pt", "output.3.stress", (2, 5), by=2.0)
    (folder / "result_unbatched.pt").unlink()
    run = pytester.runpytest("-m", "native", "--update-gold")
    run.assert_outcomes(passed=2)
    run.stdout.fnmatch_lines(
        [
            "*golds written*",
            "elasticity/gold/result.pt (changed)",
            "elasticity/gold/result_unbatched.pt (new)",
        ]
    )
    written = load(folder / "result.pt")
    assert written.keys() == wanted.keys()
    for key, value in wanted.items():
        torch.testing.assert_close(written[key], value)
    assert sorted(path.name for path in folder.iterdir()) == ["result.pt", "result_unbatched.pt"]
    again = pytester.runpytest("-m", "native", "--update-gold")
    again.assert_outcomes(passed=2)
    again.stdout.no_fnmatch_line("*golds written*")


@pytest.mark.slow
def test_workers_of_xdist_say_which_golds_they_wrote(
    project: Project, pytester: pytest.Pytester
) -> None:
    pytest.importorskip("xdist")
    (project().parent / "gold" / "result.pt").unlink()
    run = pytester.runpytest_subprocess("-m", "native", "--update-gold", "-n", "1")
    run.assert_outcomes(passed=2)
    run.stdout.fnmatch_lines(["elasticity/gold/result.pt (new)"])


@pytest.mark.usefixtures("compiled_elsewhere")
def test_compiled_variant_writes_no_gold(project: Project, pytester: pytest.Pytester) -> None:
    gold = project().parent / "gold" / "result.pt"
    spoil(gold, "output.3.stress", (2, 5), by=2.0)
    before = gold.read_bytes()
    run = pytester.runpytest("-m", "compiled", "-k", "not unbatched", "--update-gold")
    run.assert_outcomes(failed=1)
    assert gold.read_bytes() == before


def test_driver_saves_nothing(project: Project, pytester: pytest.Pytester) -> None:
    model = project()
    model.write_text(
        model.read_text().replace("[driver]\n", "[driver]\n    save_as = 'saved.pt'\n")
    )
    pytester.runpytest("-k", "regression and not unbatched and native").assert_outcomes(passed=1)
    assert not list(pytester.path.rglob("saved.pt"))


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("prescribed_time = 'times'", "prescribed_time = 'tides'", "tides"),
        ("coefficient_types", "coefficient_tips", "coefficient_tips"),
    ],
)
def test_wrong_input_file_is_told_without_a_traceback(
    project: Project, pytester: pytest.Pytester, right: str, wrong: str, said: str
) -> None:
    model = project()
    model.write_text(model.read_text().replace(right, wrong))
    run = pytester.runpytest("-m", "native", "-k", "not unbatched")
    run.assert_outcomes(failed=1)
    shown = run.stdout.str()
    assert "[Drivers/regression], native: " in shown
    assert said in shown
    assert "site-packages" not in shown


@pytest.mark.parametrize(("factor", "outcome"), [("1.0", "passed"), ("1.01", "failed")])
@pytest.mark.usefixtures("compiled_elsewhere")
def test_verification_compares_with_its_references(
    project: Project, pytester: pytest.Pytester, factor: str, outcome: str
) -> None:
    model = project()
    model.write_text(model.read_text() + VERIFICATION.format(factor=factor))
    # The stub of the cache knows no such driver; the native model does.
    run = pytester.runpytest("-k", "verification and native")
    run.assert_outcomes(**{outcome: 1})
    if outcome == "failed":
        rows = [text.split() for text in run.outlines if text.startswith("output.stress")]
        assert [row[1] for row in rows] == ["4", "4", "4"]
        assert "results differ from the reference values" in run.stdout.str()


@pytest.mark.parametrize(("amplitude", "outcome"), [("1e-3", "passed"), ("1.1e-3", "failed")])
def test_unit_test_of_a_model_compares_values(
    pytester: pytest.Pytester, elasticity: CompiledCase, amplitude: str, outcome: str
) -> None:
    (pytester.path / "unit.i").write_text(UNIT_TEST.format(amplitude=amplitude))
    # A stub as neml2-compile writes it for this file.
    shutil.copytree(elasticity.root, pytester.path / "cache" / "model")
    text = UNIT_TEST.format(amplitude=amplitude)
    start, end = text.index("    type = LinearIsotropic"), text.index("  []\n[]\n[Drivers]")
    stub = pytester.path / "cache" / "model_aoti.i"
    stub.write_text(
        f"{text[:start]}    type = AOTIModel\n    artifact_path = 'model'\n{text[end:]}"
    )
    pytester.makeconftest(
        f"from pathlib import Path\ndef pytest_neml2_artifact(item): return Path({str(stub)!r})"
    )
    run = pytester.runpytest("--neml2", "unit.i")
    run.assert_outcomes(**{outcome: 2})
    if outcome == "failed":
        rows = [line.split() for line in run.outlines if line.startswith("stress")]
        assert [row[:3] for row in rows] == [["stress", "0", "yz"]] * 2


def test_an_unforeseen_error_keeps_its_traceback(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        from neml2.drivers.driver import Driver
        from neml2.factory import register_neml2_object

        @register_neml2_object("Clumsy")
        class Clumsy(Driver):
            @classmethod
            def from_hit(cls, node, factory):
                return cls()

            def run(self):
                return self.nothing_of_that_name

        @register_neml2_object("Negative")
        class Negative(Clumsy):
            def run(self):
                return False
        """
    )
    blocks = "".join(
        f"  [{name}]\n    type = {name.title()}\n  []\n" for name in ("clumsy", "negative")
    )
    (pytester.path / "own.i").write_text(f"[Drivers]\n{blocks}[]\n")
    pytester.makeini("[pytest]\nneml2_driver_types = Clumsy Negative\n")
    run = pytester.runpytest("--neml2")
    run.assert_outcomes(failed=2)
    shown = run.stdout.str()
    assert "own.i:2: [Drivers/clumsy], native: AttributeError: " in shown
    assert "return self.nothing_of_that_name" in shown
    assert "the driver, a Negative, says that it failed" in shown
