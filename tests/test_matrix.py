"""The table of the test matrix, from records that pytest would write."""

from __future__ import annotations

import argparse
from xml.etree import ElementTree

import pytest
from matrix import Pair, Result, count, pair, remarks, table

RECORD = """
<testsuites><testsuite name="pytest">
  <testcase classname="tests.test_examples" name="test_runs[elasticity]"/>
  <testcase classname="tests.test_examples" name="test_runs[crystal]">
    <failure message="no"/>
  </testcase>
  <testcase classname="inputs.crystal.model.i" name="regression[native]"/>
  <testcase classname="inputs.elasticity.model.i" name="regression[native]"/>
  <testcase classname="tests.model.test_parity" name="test_agrees"/>
  <testcase classname="tests.model.test_parity" name="test_on_gpu">
    <skipped message="no GPU"/>
  </testcase>
  <testcase classname="tests.model.test_parity" name="test_setup">
    <error message="broken"/>
  </testcase>
</testsuite></testsuites>
"""


def result(record: str, exit_code: int) -> Result:
    found = Result(pair=Pair(torch="2.13.0", neml2="3.0.6"), exit_code=exit_code, seconds=61.4)
    count(ElementTree.fromstring(record).iter("testcase"), found)
    return found


def test_pair_is_two_versions() -> None:
    assert pair("2.13.0/3.1.0") == Pair(torch="2.13.0", neml2="3.1.0")


@pytest.mark.parametrize("text", ["2.13.0", "/3.1.0", "2.13.0/", "2.13.0/3.1.0/cpu"])
def test_anything_else_is_no_pair(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not TORCH/NEML2"):
        pair(text)


def test_table_has_a_row_per_file_and_a_column_per_pair() -> None:
    green = result('<s><testcase classname="tests.test_examples" name="test_runs"/></s>', 0)
    lines = [
        [text.strip() for text in line.strip("|").split("|")]
        for line in table([result(RECORD, 2), green]).splitlines()
    ]
    assert lines[0][1] == "torch 2.13.0, neml2 3.0.6"
    assert lines[2:] == [
        ["inputs", "2/0/0", "-"],
        ["model.test_parity", "1/1/1", "-"],
        ["test_examples", "1/1/0", "1/0/0"],
        ["all", "4/2/1", "1/0/0"],
        ["verdict", "NOT GREEN", "green"],
        ["time", "61 s", "61 s"],
    ]


def test_failures_and_reasons_for_skipping_are_told() -> None:
    assert remarks(result(RECORD, 2)) == [
        "torch 2.13.0, neml2 3.0.6: failed tests.test_examples::test_runs[crystal]",
        "torch 2.13.0, neml2 3.0.6: failed tests.model.test_parity::test_setup",
        "torch 2.13.0, neml2 3.0.6: skipped 1: no GPU",
    ]


@pytest.mark.parametrize("exit_code", [0, 2])
def test_a_pair_without_any_test_is_not_green(exit_code: int) -> None:
    empty = result("<testsuites/>", exit_code)
    assert not empty.is_green
    assert remarks(empty) == [
        f"torch 2.13.0, neml2 3.0.6: no test ran; make exited with {exit_code}"
    ]


def test_a_pair_whose_make_failed_is_not_green() -> None:
    assert not result('<s><testcase classname="tests.test_examples" name="t"/></s>', 2).is_green
