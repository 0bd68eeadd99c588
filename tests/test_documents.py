"""What documents say of the tests is true."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
TESTS = PROJECT / "tests"


def test_every_difference_is_shown_by_a_test_that_exists() -> None:
    rows = [
        line
        for line in (PROJECT / "docs" / "differences.md").read_text().splitlines()
        if line.startswith("| ") and "shown by" not in line
    ]
    named = [re.findall(r"`(\w+)`", line.split("|")[-2]) for line in rows]
    assert all(named), "a row names no test"
    sources = [*TESTS.rglob("test_*.py"), *TESTS.rglob("test_*.cpp")]
    known = {
        name
        for source in sources
        for name in re.findall(r'^(?:def |\{")(\w+)', source.read_text(), re.MULTILINE)
    }
    assert [name for names in named for name in names if name not in known] == []
