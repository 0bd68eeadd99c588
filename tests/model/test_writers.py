"""The table of docs/compatibility.md has the cells that are measured."""

from __future__ import annotations

from artifact_cache import PROJECT
from writers import CELLS, DERIVATIVE_TOLERANCE, TABLE, VALUE_TOLERANCE, WRITERS, Figures, table


def cells(markdown: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in markdown.splitlines()
        if line.startswith("| ")
    ]


def document_rows() -> dict[str, dict[str, str]]:
    rows = cells((PROJECT / "docs" / "compatibility.md").read_text())
    start = rows.index(["model", *WRITERS])
    return {
        model: dict(zip(WRITERS, found, strict=True))
        for model, *found in rows[start + 2 : start + 2 + len(TABLE)]
    }


def test_document_has_figures_for_every_artifact_and_no_other() -> None:
    documented = {
        (model, writer)
        for model, row in document_rows().items()
        for writer, cell in row.items()
        if cell != "-"
    }
    assert documented == set(CELLS)


def test_figures_of_the_document_are_within_what_the_tests_hold() -> None:
    for row in document_rows().values():
        for cell in row.values():
            if cell == "-":
                continue
            values, derivatives = cell.split(" / ")
            assert float(values) < VALUE_TOLERANCE
            assert float(derivatives) < DERIVATIVE_TOLERANCE


def test_table_shows_values_derivatives_and_what_was_not_compiled() -> None:
    figures = {
        ("elasticity, modulus promoted", "3.0.0"): Figures(values=2e-16, derivatives=3e-9),
        ("viscoplasticity, substeps", "3.1.0"): Figures(values=4e-14, derivatives=5e-12),
    }
    rows = {model: found for model, *found in cells(table(figures))}
    assert rows["model"] == list(WRITERS)
    assert rows["elasticity, modulus promoted"] == ["2e-16 / 3e-09", "-", "-", "-", "-"]
    assert rows["viscoplasticity, substeps"] == ["-", "-", "-", "-", "4e-14 / 5e-12"]
