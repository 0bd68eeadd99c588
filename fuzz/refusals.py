"""Counts refusals by kind, with one example of each."""

from __future__ import annotations

import re
from collections import Counter

_LONGEST = 110


class Refusals:
    """Kinds of messages: what is left of them without names, numbers and the file."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def add(self, message: str) -> None:
        kind = kind_of(message)
        self.counts[kind] += 1
        self.examples.setdefault(kind, message)

    def table(self, limit: int = 40) -> str:
        """Markdown: count, and an example that is cut where it is long."""
        rows = [
            f"| {count} | {_cell(self.examples[kind])} |"
            for kind, count in self.counts.most_common(limit)
        ]
        left_out = len(self.counts) - limit
        if left_out > 0:
            rows.append(f"| | {left_out} kinds more |")
        return "\n".join(["| count | example |", "|---|---|", *rows])


def kind_of(message: str) -> str:
    """The message without its file, its place in it, and whatever stands in quotes."""
    _, _, said = message.partition(": ")
    said = re.sub(r"^[\w.\[\]]+ is .*?; expected", "expected", said, flags=re.DOTALL)
    said = re.sub(r"one of .*", "one of", said, flags=re.DOTALL)
    return re.sub(r"'[^']*'|\"[^\"]*\"|\([^)]*\)|\[[^\]]*\]|\d+", "_", said)[:60]


def _cell(message: str) -> str:
    _, _, said = message.partition(": ")
    said = said.replace("|", "\\|").replace("\n", " ")
    return said if len(said) <= _LONGEST else said[: _LONGEST - 3] + "..."
