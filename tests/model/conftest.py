"""The compiled models and their native twins, opened once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from artifact_cache import CATALOGUE, RECIPES, obstacle
from edited_artifacts import Edit, edited_copy
from twins import CASES, Twin, open_twin


@pytest.fixture(scope="session")
def twin_of() -> Callable[[str], Twin]:
    """``twin_of(case)``: compiled and native, shared by all tests: settings stay as they are."""
    twins: dict[str, Twin] = {}

    def find(name: str) -> Twin:
        if reason := obstacle(name):
            pytest.skip(reason)
        if name not in twins:
            twins[name] = open_twin(name)
        return twins[name]

    return find


@pytest.fixture(params=CASES)
def twin(request: pytest.FixtureRequest, twin_of: Callable[[str], Twin]) -> Twin:
    return twin_of(request.param)


@pytest.fixture(params=[pytest.param(case, marks=pytest.mark.catalogue) for case in CATALOGUE])
def driven(request: pytest.FixtureRequest, twin_of: Callable[[str], Twin]) -> Twin:
    """A twin at states that its driver passes through: drawn ones may have no solution."""
    return twin_of(request.param)


@pytest.fixture(params=[name for name in CASES if RECIPES[name, "default"].derivatives])
def differentiable(request: pytest.FixtureRequest, twin_of: Callable[[str], Twin]) -> Twin:
    """A twin whose artifact carries derivatives."""
    return twin_of(request.param)


@pytest.fixture
def edited(tmp_path: Path) -> Edit:
    """``edited(edit, case)``: a copy of the artifact with its metadata edited."""
    return lambda edit, case: edited_copy(edit, case, tmp_path / "edited")
