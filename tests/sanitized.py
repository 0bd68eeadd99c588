"""Calls models through an extension that was built with a sanitizer.

``sanitized.py SANITIZER FOLDER`` starts this program again with the library of the sanitizer
preloaded and the package of ``FOLDER`` in place of the installed one. torch, Python and compiled
graphs are not instrumented: what the sanitizers say of them is left out, as ``sanitizers/*.supp``
lists it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TESTS = Path(__file__).resolve().parent
LIBRARIES = {"address": "libasan.so", "undefined": "libubsan.so", "thread": "libtsan.so"}
CALLS = 300
THREADS = 4


def preloaded(sanitizer: str) -> str:
    """The sanitizer has to come first, and has to find the C++ library that it watches."""
    compiler = os.environ.get("CXX", "c++")
    names = (LIBRARIES[sanitizer], "libstdc++.so.6")
    files = [
        subprocess.run(
            [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in names
    ]
    return " ".join(files)


def environment(sanitizer: str, folder: Path) -> dict[str, str]:
    suppressions = f"suppressions={TESTS / 'sanitizers' / f'{sanitizer}.supp'}"
    return os.environ | {
        "LD_PRELOAD": preloaded(sanitizer),
        "PYTHONPATH": str(folder),
        # The interpreter keeps much until its end, by design.
        "ASAN_OPTIONS": f"detect_leaks=0:halt_on_error=1:{suppressions}",
        "UBSAN_OPTIONS": f"halt_on_error=1:print_stacktrace=1:{suppressions}",
        "TSAN_OPTIONS": f"halt_on_error=1:exitcode=66:{suppressions}",
        "OMP_NUM_THREADS": "1",
    }


def call_models(folder: Path) -> None:
    import neml2_aoti_plugin

    used = Path(neml2_aoti_plugin.__file__).resolve().parent.parent
    if used != folder:
        sys.exit(f"the package of {used} was imported; expected that of {folder}")
    sys.path.insert(0, str(TESTS.parent / "benchmarks"))
    import soak
    import torch

    torch.set_num_threads(2)
    soak.run(CALLS, 0)
    calls = [(soak.Model(soak.compiled(case).root), case) for case in soak.CASES]
    for model, case in calls:
        inputs = soak.inputs_of(model, 1000)
        expected = model.forward(inputs)["stress"]
        with ThreadPoolExecutor(THREADS) as pool:
            found = list(pool.map(lambda _: model.forward(inputs)["stress"], range(4 * THREADS)))  # noqa: B023
        if not all(torch.equal(stress, expected) for stress in found):
            sys.exit(f"{case}: threads got other results")
    print("no complaints")


def main() -> int:
    sanitizer, folder = sys.argv[1], Path(sys.argv[2]).resolve()
    if "PYTHONPATH" in os.environ and str(folder) == os.environ["PYTHONPATH"]:
        call_models(folder)
        return 0
    command = [sys.executable, str(Path(__file__).resolve()), sanitizer, str(folder)]
    return subprocess.run(command, env=environment(sanitizer, folder), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
