"""The drivers of these inputs as tests: ``pytest inputs -k chaboche``.

Compiled models are those that the other tests use, with all their derivatives.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from artifact_cache import CATALOGUE, INPUTS, compiled, obstacle

if TYPE_CHECKING:
    from neml2_aoti_plugin.testing.collection import DriverItem


def pytest_neml2_artifact(item: DriverItem) -> Path:
    return compiled(item.input_file.parent.name).stub


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the catalogue, and skip what the installed neml2 cannot load."""
    for item in items:
        if item.get_closest_marker("neml2") is None or INPUTS not in item.path.parents:
            continue
        case = item.path.parent.name
        if case in CATALOGUE and item.get_closest_marker("compiled"):
            item.add_marker("catalogue")
        if reason := obstacle(case):
            item.add_marker(pytest.mark.skip(reason=reason))
