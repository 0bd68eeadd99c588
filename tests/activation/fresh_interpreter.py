"""Code run in an interpreter of its own, with nothing set and nothing imported."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

# Whatever the caller's shell has set, a test starts from the defaults.
SWITCHES = (
    "NEML2_AOTI_PLUGIN",
    "NEML2_AOTI_PLUGIN_DEBUG",
    "NEML2_CAPTURE_SOLVE_FAILURE",
    "NEML2_LOGS",
    "TORCH_DEVICE_BACKEND_AUTOLOAD",
)


@dataclass(frozen=True)
class Interpreter:
    """Runs code with warnings as errors and this folder's modules importable."""

    search_path: list[Path]
    folder: Path
    warnings: str = "error"

    def run(
        self, *arguments: str, typed: str = "", **switches: str
    ) -> subprocess.CompletedProcess[str]:
        """Run with ``typed`` on standard input."""
        environment = {name: value for name, value in os.environ.items() if name not in SWITCHES}
        inherited = environment.get("PYTHONPATH", "")
        entries = [inherited, *map(str, self.search_path)] if inherited else self.search_path
        environment["PYTHONPATH"] = os.pathsep.join(map(str, entries))
        return subprocess.run(
            [sys.executable, "-W", self.warnings, *arguments],
            env=environment | switches,
            cwd=self.folder,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def output(self, *arguments: str, typed: str = "", **switches: str) -> str:
        """Standard output of a run that must succeed and leave standard error empty."""
        result = self.run(*arguments, typed=typed, **switches)
        assert (result.returncode, result.stderr) == (0, ""), result.stderr
        return result.stdout

    def execute(self, code: str, **switches: str) -> str:
        return self.output("-c", code, **switches)
