"""Where mutations get their choices from: a seed, a fuzzer or a property test."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol, TypeVar

_T = TypeVar("_T")


class Choices(Protocol):
    """A source of small decisions; the same decisions make the same mutation."""

    def below(self, count: int) -> int:
        """A number from 0 to ``count - 1``; ``count`` is positive."""
        ...


class SeededChoices:
    """Choices that a seed determines."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def below(self, count: int) -> int:
        return self._random.randrange(count)


def one_of(choices: Choices, options: Sequence[_T]) -> _T:
    return options[choices.below(len(options))]
