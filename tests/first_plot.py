"""Times what README shows first, as a newcomer does it: a fresh clone, an empty environment, no
cache of packages. Prints the seconds of every command; fails where one does, or none draws a plot.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from snippets import PROJECT, blocks

PLOT = "driver.png"


def main() -> int:
    """Clone, make an environment, run the commands of the first block."""
    with tempfile.TemporaryDirectory() as folder:
        clone, environment = Path(folder, "clone"), Path(folder, "environment")
        subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(clone)], check=True)
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        variables = os.environ | {
            "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PIP_NO_CACHE_DIR": "1",
            "XDG_CACHE_HOME": str(Path(folder, "cache")),
            "TORCHINDUCTOR_CACHE_DIR": str(Path(folder, "inductor")),
        }
        commands = blocks(clone / "README.md")[0].text.strip().splitlines()
        taken = [_seconds(command, clone, variables) for command in commands]
        print(f"{sum(taken):7.0f} s in all, {len(commands)} commands")
        return 0 if (clone / PLOT).is_file() else 1


def _seconds(command: str, clone: Path, variables: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(
        command, shell=True, cwd=clone, env=variables, stdout=subprocess.DEVNULL, check=True
    )
    seconds = time.perf_counter() - start
    print(f"{seconds:7.0f} s  {command}", flush=True)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
