"""Which cells are measured, and how hard their rows are."""

from __future__ import annotations

import pytest
import torch
from suite.command import parse, selected
from suite.loadings import LOADINGS
from suite.models import MODELS
from suite.plan import DEFAULT, FULL, QUICK, Selection


def _cells(selection: Selection) -> list[str]:
    return [str(cell) for cell in selection.cells()]


def test_cells_are_models_by_operations_by_loadings_by_rows() -> None:
    selection = Selection(
        models=("chaboche",), operations=("forward",), loadings=("hom", "het"), rows=(16, 256)
    )

    assert _cells(selection) == [
        "chaboche forward hom 16",
        "chaboche forward hom 256",
        "chaboche forward het 16",
        "chaboche forward het 256",
    ]


def test_single_row_is_measured_under_one_loading() -> None:
    selection = Selection(models=("chaboche",), operations=("forward",), rows=(1,))

    assert _cells(selection) == ["chaboche forward hom 1"]


def test_model_that_ignores_the_loading_is_measured_under_one() -> None:
    selection = Selection(models=("elasticity",), operations=("forward",), rows=(16,))

    assert _cells(selection) == ["elasticity forward hom 16"]


def test_model_is_asked_for_what_it_was_compiled_for() -> None:
    asked = {cell.operation for cell in Selection(models=("crystal",)).cells()}

    assert asked == {"forward"}


@pytest.mark.parametrize("selection", [QUICK, DEFAULT, FULL], ids=["quick", "default", "full"])
def test_preset_repeats_no_cell(selection: Selection) -> None:
    cells = _cells(selection)

    assert len(cells) == len(set(cells)) > 0


def test_options_replace_parts_of_the_preset() -> None:
    words = "--quick --models chaboche --rows 8 --loadings het --blocks 3"
    selection = selected(parse(words.split()))

    assert (selection.models, selection.rows, selection.blocks) == (("chaboche",), (8,), 3)
    assert selection.derivative_loadings == ("het",)
    assert selection.operations == QUICK.operations


def test_full_run_goes_to_a_million_rows() -> None:
    assert max(selected(parse(["--full"])).rows) == 2**20


def test_unknown_model_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--models", "rubber"])

    assert "invalid choice: 'rubber'" in capsys.readouterr().err


@pytest.mark.parametrize("loading", LOADINGS)
@pytest.mark.parametrize("rows", [1, 2, 40])
def test_loads_reach_from_the_easiest_to_the_largest(loading: str, rows: int) -> None:
    fractions = LOADINGS[loading](rows, 0.01)

    assert fractions.shape == (rows,)
    assert fractions.dtype == torch.float64
    assert fractions.max().item() == 1.0
    assert fractions.min().item() >= 0.01 * (1 - 1e-12)


def test_homogeneous_loading_is_hard_everywhere() -> None:
    assert LOADINGS["hom"](5, 0.01).tolist() == [1.0] * 5


def test_heterogeneous_loading_is_spaced_logarithmically_and_shuffled() -> None:
    fractions = LOADINGS["het"](101, 0.01)
    steps = fractions.sort().values.log().diff()

    torch.testing.assert_close(steps, steps[:1].expand(100))
    assert not torch.equal(fractions, fractions.sort().values)


def test_tenth_of_the_rows_is_hard_and_scattered() -> None:
    fractions = LOADINGS["hard10"](200, 0.01)

    assert (fractions == 1.0).sum().item() == 20
    assert (fractions == 0.01).sum().item() == 180
    assert (fractions[:100] == 1.0).any()
    assert (fractions[100:] == 1.0).any()


def test_loading_is_the_same_in_every_run() -> None:
    assert torch.equal(LOADINGS["het"](50, 0.1), LOADINGS["het"](50, 0.1))


def test_models_go_by_their_folders() -> None:
    assert all(name == model.case for name, model in MODELS.items())
