"""Plots are drawn from whatever results there are."""

from __future__ import annotations

from pathlib import Path

from measured import result
from suite.plots import draw
from suite.results import Result


def _forward(model: str, unknowns: int) -> list[Result]:
    return [
        result(model=model, unknowns=unknowns, rows=rows, loading=loading)
        for rows in (1, 256)
        for loading in ("hom", "het")
    ]


def test_every_plot_is_drawn_where_all_was_measured(tmp_path: Path) -> None:
    results = [
        *_forward("chaboche", 19),
        *_forward("elasticity", 0),
        *(result(operation="memory", rows=rows) for rows in (256, 1024)),
    ]
    paths = draw(results, tmp_path)

    assert [path.stem for path in paths] == ["time_per_row", "gain", "memory", "unknowns"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_plot_without_results_is_left_out(tmp_path: Path) -> None:
    assert [path.stem for path in draw([result(operation="memory")], tmp_path)] == ["memory"]
    assert draw([], tmp_path / "empty") == []


def test_unknowns_are_compared_at_a_batch_that_all_models_have(tmp_path: Path) -> None:
    results = [result(rows=1), result(model="crystal", unknowns=40, rows=256)]

    assert "unknowns" not in [path.stem for path in draw(results, tmp_path)]
