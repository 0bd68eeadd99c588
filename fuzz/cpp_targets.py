"""Builds the fuzz targets of the compiled core, and lets libFuzzer work on them.

::

    python fuzz/cpp_targets.py --seconds 60        each target for that long (needs clang++)
    python fuzz/cpp_targets.py --replay            the kept inputs once (any compiler)

Inputs that reach new code are kept in ``fuzz/corpus/<target>``. An input that breaks something ends
the program and is kept as ``fuzz-<target>-crash-*`` where it was started.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORE = HERE.parent / "csrc"
SOURCES = HERE / "cpp"
CORPUS = HERE / "corpus"

TARGETS = {
    "layout": ("layout/shapes.cpp", "layout/shape_table.cpp"),
    "blocks": ("execution/blocks.cpp",),
    "lu": ("numerics/batched_lu.cpp",),
}
"""What of the core each target calls: files that need the standard library only."""

_FLAGS = ("-std=c++20", "-g", "-O1", "-fno-sanitize-recover=all", f"-I{CORE}", f"-I{SOURCES}")
_LONGEST_SECONDS = 20
_LARGEST_KEPT = 1024

_NO_CLANG = """no clang++ with libFuzzer was found; expected one on the PATH, or named by FUZZ_CXX.
Debian and Ubuntu: apt-get install clang libclang-rt-14-dev
Elsewhere:         the clang of LLVM with its compiler-rt
`python fuzz/cpp_targets.py --replay` needs no clang."""


def clang() -> str | None:
    """A compiler that links libFuzzer."""
    named = os.environ.get("FUZZ_CXX")
    found = [named] if named else [shutil.which("clang++")]
    for compiler in found:
        if compiler is not None and _has_fuzzer(compiler):
            return compiler
    return None


def _has_fuzzer(compiler: str) -> bool:
    program = 'extern "C" int LLVMFuzzerTestOneInput(const char *, unsigned long) { return 0; }'
    with tempfile.TemporaryDirectory() as folder:
        command = [*shlex.split(compiler), "-fsanitize=fuzzer", "-xc++", "-", "-o", f"{folder}/a"]
        return subprocess.run(command, input=program.encode(), capture_output=True).returncode == 0


def build(target: str, compiler: str, folder: Path, *, with_fuzzer: bool) -> Path:
    """The executable of a target; CalledProcessError where it does not compile."""
    executable = folder / target
    sources = [SOURCES / f"{target}.cpp", *(CORE / name for name in TARGETS[target])]
    sanitizers = "-fsanitize=address,undefined"
    if with_fuzzer:
        sanitizers += ",fuzzer"
    else:
        sources.append(SOURCES / "replay.cpp")
    command = [*shlex.split(compiler), *_FLAGS, sanitizers, *map(str, sources)]
    subprocess.run([*command, "-o", str(executable)], check=True)
    return executable


def kept_inputs(target: str) -> list[Path]:
    return sorted(path for path in (CORPUS / target).iterdir() if path.is_file())


def replay(target: str, executable: Path) -> int:
    """Run the target on every kept input; how many there are. CalledProcessError where one
    breaks."""
    inputs = kept_inputs(target)
    command = [str(executable), *map(str, inputs)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return len(inputs)


def fuzz(target: str, executable: Path, seconds: int) -> bool:
    """Whether nothing was found."""
    command = [
        str(executable),
        f"-max_total_time={seconds}",
        f"-timeout={_LONGEST_SECONDS}",
        f"-max_len={_LARGEST_KEPT}",
        f"-artifact_prefix=fuzz-{target}-",
        "-print_final_stats=1",
        "-verbosity=0",
        str(CORPUS / target),
    ]
    return subprocess.run(command, check=False).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--seconds", type=int, help="how long to work on each target")
    kind.add_argument("--replay", action="store_true", help="run the kept inputs once")
    arguments = parser.parse_args()
    compiler = os.environ.get("CXX") or shutil.which("c++") if arguments.replay else clang()
    if compiler is None:
        sys.exit(_NO_CLANG)
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for target in TARGETS:
            print(f"--- {target}", flush=True)
            (CORPUS / target).mkdir(parents=True, exist_ok=True)
            executable = build(target, compiler, Path(folder), with_fuzzer=not arguments.replay)
            if arguments.replay:
                print(replay(target, executable), "kept inputs")
            elif not fuzz(target, executable, arguments.seconds):
                failed.append(target)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
