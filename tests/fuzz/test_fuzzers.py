"""What the fuzzers of metadata print is true."""

from __future__ import annotations

from pathlib import Path

from manifests import prepare_folder
from metadata import at_random


def test_a_table_counts_every_refusal(tmp_path: Path) -> None:
    refusals = at_random(prepare_folder(tmp_path / "artifact"), count=60, first=0)
    counts = [int(line.split("|")[1]) for line in refusals.table(limit=1000).splitlines()[2:]]
    assert sum(counts) == refusals.counts.total() <= 60
    assert len(counts) > 10
