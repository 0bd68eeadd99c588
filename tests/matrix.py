"""Runs parts of the suite on several releases of torch and neml2, and tabulates the outcome.

    python tests/matrix.py 2.12.1/3.1.0 2.13.0/3.1.0 2.13.0/3.0.6

Each pair ``TORCH/NEML2`` has an environment of its own, which make creates or brings up to date. A
pair that fails does not keep the others from running. The table and the records that it is made
from are in ``build/matrix``. Needs the standard library only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

PROJECT = Path(__file__).resolve().parent.parent
RECORDS = PROJECT / "build" / "matrix"
OUTCOMES = ("passed", "failed", "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One column of the table."""

    torch: str
    neml2: str

    def __str__(self) -> str:
        return f"torch {self.torch}, neml2 {self.neml2}"

    @property
    def record(self) -> Path:
        """What pytest wrote of the last run."""
        return RECORDS / f"torch{self.torch}-neml2-{self.neml2}.xml"


@dataclass(slots=True, kw_only=True)
class Result:
    """What became of one pair."""

    pair: Pair
    exit_code: int
    seconds: float
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    """Outcomes of every test file."""
    failures: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    """Why tests were skipped."""

    @property
    def is_green(self) -> bool:
        total = sum(self.counts.values(), Counter())
        return self.exit_code == 0 and total["passed"] > 0 and total["failed"] == 0


def pair(text: str) -> Pair:
    """Parse ``TORCH/NEML2``."""
    torch, separator, neml2 = text.partition("/")
    if not (torch and separator and neml2) or "/" in neml2:
        raise argparse.ArgumentTypeError(f"{text!r} is not TORCH/NEML2, as in 2.13.0/3.1.0")
    return Pair(torch=torch, neml2=neml2)


def run(pair: Pair, target: str) -> Result:
    """Bring the environment of ``pair`` up to date and run its tests, those of a make target."""
    pair.record.parent.mkdir(parents=True, exist_ok=True)
    pair.record.unlink(missing_ok=True)  # of an earlier run
    command = [
        "make",
        target,
        f"TORCH={pair.torch}",
        f"NEML2={pair.neml2}",
        f"JUNIT={pair.record}",
    ]
    # What was said to the make that runs this is not meant for each pair.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VENV")
    }
    print(f"\n=== {pair}", flush=True)
    start = time.perf_counter()
    code = subprocess.run(command, cwd=PROJECT, env=environment, check=False).returncode
    result = Result(pair=pair, exit_code=code, seconds=time.perf_counter() - start)
    if pair.record.exists():
        count(ElementTree.parse(pair.record).iter("testcase"), result)
    return result


def count(cases: Iterable[ElementTree.Element], result: Result) -> None:
    """Sort ``cases`` into ``result``."""
    for case in cases:
        skipped = case.find("skipped")
        is_failed = case.find("failure") is not None or case.find("error") is not None
        outcome = "failed" if is_failed else "passed" if skipped is None else "skipped"
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        file = case.get("classname", "").removeprefix("tests.")
        if file.startswith("inputs."):  # one line for all input files
            file = "inputs"
        result.counts.setdefault(file, Counter())[outcome] += 1
        if is_failed:
            result.failures.append(name)
        elif skipped is not None:
            result.reasons[skipped.get("message", "")] += 1


def table(results: list[Result]) -> str:
    """A row per test file, a column per pair, in Markdown; cells read passed/failed/skipped."""
    files = sorted({file for result in results for file in result.counts})
    header = ["passed/failed/skipped", *(str(result.pair) for result in results)]
    rows = [[file, *(cell(result.counts.get(file)) for result in results)] for file in files]
    totals = [cell(sum(result.counts.values(), Counter())) for result in results]
    verdicts = ["green" if result.is_green else "NOT GREEN" for result in results]
    seconds = [f"{result.seconds:.0f} s" for result in results]
    rows += [["all", *totals], ["verdict", *verdicts], ["time", *seconds]]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        f"| {' | '.join(text.ljust(width) for text, width in zip(line, widths, strict=True))} |"
        for line in lines
    )


def cell(counts: Counter[str] | None) -> str:
    """``passed/failed/skipped``, or a dash where nothing ran."""
    return "-" if not counts else "/".join(str(counts[outcome]) for outcome in OUTCOMES)


def remarks(result: Result) -> list[str]:
    """What of a pair needs a word."""
    lines = [f"{result.pair}: failed {name}" for name in result.failures]
    lines += [f"{result.pair}: skipped {n}: {reason}" for reason, n in result.reasons.items()]
    if not result.counts:
        lines.append(f"{result.pair}: no test ran; make exited with {result.exit_code}")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line names; 1 unless every pair is green."""
    parser = argparse.ArgumentParser(description="Run the tests on several releases.")
    parser.add_argument("--target", default="core", help="make target that runs the tests")
    parser.add_argument("pairs", nargs="+", type=pair, metavar="TORCH/NEML2")
    options = parser.parse_args(arguments)
    results = [run(each, options.target) for each in options.pairs]
    lines = [table(results), "", *(line for result in results for line in remarks(result))]
    summary = RECORDS / "summary.md"
    summary.write_text("\n".join(lines) + "\n")
    print("\n" + summary.read_text(), end="")
    return 0 if all(result.is_green for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
