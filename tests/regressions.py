"""The regression drivers of the example inputs, as parameters of tests."""

from __future__ import annotations

import pytest
from artifact_cache import CATALOGUE, REGRESSIONS

COMPILED_REGRESSIONS = [
    pytest.param(*key, marks=pytest.mark.catalogue) if key[0] in CATALOGUE else key
    for key in REGRESSIONS
]
"""Case and driver for tests that compile the case."""
