"""The table, the summary and the record."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from measured import pair, result
from suite.blocks import Timing
from suite.machine import Machine
from suite.report import COLUMNS, markdown, record, summary, table
from suite.results import timed

MACHINE = Machine(
    cpu="A processor",
    cores=2,
    threads=2,
    kernel_threads=2,
    tuned_kernels=False,
    memory_gib=24.0,
    system="Linux",
    python="3.11",
    torch="2.12.1",
    neml2="3.1.0",
    plugin="0.1.0",
    commit="abc+",
    load_average=(0.1, 0.2, 0.3),
)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_table_has_a_line_per_result_under_its_columns() -> None:
    head, rule, *lines = table([result(), result(model="elasticity", gain=1.25)]).splitlines()

    assert _cells(head) == list(COLUMNS)
    assert set(rule) == set("|-: ")
    assert _cells(lines[0]) == [
        *("chaboche", "forward", "hom", "256", "2", "10", "us per row", "5.00"),
        *("4.50 - 5.50", "0/7"),
    ]
    assert _cells(lines[1])[0] == "elasticity"
    assert len({len(line) for line in (head, rule, *lines)}) == 1


def test_table_marks_results_without_an_undisturbed_block() -> None:
    line = table([result(is_reliable=False, dropped=7)]).splitlines()[-1]

    assert "~5.00" in _cells(line)


def test_summary_names_the_worst_result_and_what_was_dropped() -> None:
    worst = result(model="elasticity", operation="jvp", gain=0.8, rows=1, dropped=2)
    text = summary([result(dropped=1), worst])

    assert "Least gain: 0.80 (elasticity, jvp, hom, 1 rows)." in text
    assert "3 of 14 pairs" in text
    assert "~" not in text


def test_summary_averages_gains_over_models_geometrically() -> None:
    text = summary([result(gain=2.0), result(model="elasticity", gain=8.0), result(rows=1)])

    assert "Forward, hom, 256 rows: geometric mean of the gains over 2 models 4.00." in text
    assert "Forward, hom, 1 rows" not in text


def test_summary_counts_what_says_little() -> None:
    assert "1 results, marked ~" in summary([result(), result(is_reliable=False)])


def test_summary_names_what_was_left_out_and_what_others_used() -> None:
    text = summary([result(others=0.5), result(others=1.0), result()], ["chaboche jvp, too long"])

    assert "- Left out: chaboche jvp, too long." in text
    assert "Other processes used 0.75 processors" in text


def test_summary_of_nothing_is_no_failure() -> None:
    assert "0 of 0 pairs" in summary([])


def test_report_names_machine_and_versions() -> None:
    text = markdown(MACHINE, [result()])

    assert "- cpu: A processor" in text
    assert "- commit: abc+" in text
    assert table([result()]) in text


def test_the_report_lists_what_was_left_out() -> None:
    text = markdown(MACHINE, [result()], ["crystal forward hom 1048576, which would take 900 s"])
    assert "- Left out: crystal forward hom 1048576, which would take 900 s." in text


def test_record_holds_every_block() -> None:
    timing = Timing(pairs=(pair(1e-3, 2e-3), pair(1e-3, 4e-3, foreign=1.0)))
    facts = {"model": "m", "unknowns": 7, "operation": "jvp", "loading": "hom", "rows": 10}
    measured = timed(timing, scale=1e5, unit="us per row", **facts)
    data = json.loads(record(MACHINE, [measured]))
    (saved,) = data["results"]

    assert data["machine"]["torch"] == "2.12.1"
    assert (saved["ours"], saved["gain"], saved["dropped"]) == (100.0, 2.0, 1)
    assert [entry["dropped"] for entry in saved["raw"]] == [False, True]
    assert saved["raw"][1]["neml2"]["wall"] == 4e-3
    assert saved["raw"][1]["ours"]["foreign"] == pytest.approx(1.0)


def test_record_of_a_reliable_result_says_so() -> None:
    data = json.loads(record(MACHINE, [replace(result(), is_reliable=True)]))

    assert data["results"][0]["is_reliable"] is True
