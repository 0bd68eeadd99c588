"""pytest run on scratch folders with input files.

Most runs are in this process. pytester forgets what a run was the first to import, and neither the
parser nor torch can be imported twice, so both are imported here beforehand.
"""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import nmhit  # noqa: F401
import pytest
from artifact_cache import INPUTS, CompiledCase
from scratch import Project


@pytest.fixture(autouse=True)
def outside_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest repeats whole messages in its summary where these are set: tables appear twice."""
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    """``project(neml2_exclude="a*")``: a folder whose pytest collects a copy of the elastic input;
    further arguments are ini options."""

    def make(**options: str) -> Path:
        settings = {"neml2_inputs": "true"} | options
        lines = [f"{name} = {value}" for name, value in settings.items()]
        pytester.makeini("\n".join(["[pytest]", *lines]))
        shutil.copytree(INPUTS / "elasticity", pytester.path / "elasticity")
        return pytester.path / "elasticity" / "model.i"

    return make


@pytest.fixture
def compiled_elsewhere(pytester: pytest.Pytester, elasticity: CompiledCase) -> None:
    """The project's conftest.py hands over an artifact, so that nothing is compiled."""
    pytester.makeconftest(
        f"""
        from pathlib import Path

        def pytest_neml2_artifact(item):
            assert (item.variant, item.model) == ("compiled", "model")
            return Path({str(elasticity.stub)!r})
        """
    )


@pytest.fixture(scope="session")
def host_is_imported(elasticity: CompiledCase) -> None:
    """All that running drivers imports."""
    for name in ("collection", "fixtures", "running"):
        importlib.import_module(f"neml2_aoti_plugin.testing.{name}")
    from neml2_aoti_plugin.testing import running

    for path in (INPUTS / "elasticity" / "model.i", elasticity.stub):
        running.run(
            running.Run(
                path=path,
                driver="regression",
                type="TransientRegression",
                replacements=(),
                device="cpu",
                dtype="float64",
            )
        )
