"""What a user reads when the extension cannot be built, or was built for another torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

PROJECT = Path(__file__).resolve().parent.parent

SETUP_WITHOUT = """
import runpy, sys
sys.modules[{module!r}] = None  # as in an environment that lacks it
sys.argv = ["setup.py", "--version"]
runpy.run_path("setup.py")
"""

BUILT_FOR = """
import sys, types
record = types.ModuleType("neml2_aoti_plugin._core._built_with")
record.TORCH = {version!r}
sys.modules[record.__name__] = record
import neml2_aoti_plugin._core
"""


WITH_LOCK = """
import sys
sys._is_gil_enabled = lambda: {is_enabled}
import neml2_aoti_plugin._core
"""


def run(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("module", ["torch", "pybind11"])
def test_build_without_a_requirement_says_what_to_install(module: str) -> None:
    result = run(SETUP_WITHOUT.format(module=module), PROJECT)
    assert result.returncode == 1
    assert f"missing\n{module}" not in result.stderr
    assert f"no usable\n{module} was found" in result.stderr
    assert "pip install torch setuptools wheel pybind11" in result.stderr
    assert "pip install --no-build-isolation ." in result.stderr
    assert "Traceback" not in result.stderr


def test_core_built_for_another_torch_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    result = run(BUILT_FOR.format(version="1.2.3"), tmp_path)
    assert result.returncode == 1
    message = result.stderr.strip().splitlines()[-1]
    assert message == (
        "ImportError: neml2_aoti_plugin's compiled runtime was built with torch 1.2.3, but torch "
        f"{torch.__version__} is installed, whose tensors it would misread. In the source folder "
        "of the plugin, rebuild it with: pip install --no-build-isolation --force-reinstall "
        "--no-deps ."
    )


def test_core_of_another_build_label_of_the_same_torch_is_accepted(tmp_path: Path) -> None:
    version = torch.__version__.partition("+")[0] + "+other"
    result = run(BUILT_FOR.format(version=version), tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


def test_core_that_was_never_built_says_how_to_build_it(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['neml2_aoti_plugin._core._built_with'] = None;"
        "import neml2_aoti_plugin._core"
    )
    result = run(code, tmp_path)
    assert result.returncode == 1
    assert "has not been built here" in result.stderr
    assert "pip install --no-build-isolation" in result.stderr


@pytest.mark.parametrize("is_enabled", [True, False])
def test_free_threaded_python_needs_the_lock(is_enabled: bool, tmp_path: Path) -> None:
    """The answer of such an interpreter is given here: neml2 is not published for one."""
    result = run(WITH_LOCK.format(is_enabled=is_enabled), tmp_path)
    if is_enabled:
        assert (result.returncode, result.stderr) == (0, "")
    else:
        assert result.returncode == 1
        message = result.stderr.strip().splitlines()[-1]
        assert message.startswith(
            "ImportError: neml2_aoti_plugin needs the global interpreter lock"
        )
        assert "without PYTHON_GIL=0 and -X gil=0" in message
