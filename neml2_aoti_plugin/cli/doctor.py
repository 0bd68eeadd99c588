"""Look at everything that a compiled model needs here, and say what to do about what is wrong.

torch, neml2, the compiler, this package's build and whether it is active, neml2's own binary, the
cache, and the packages that single commands want. What may crash is tried in a process of its own.

The exit code is 1 where anything is bad. Warnings do not count.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from _neml2_aoti_plugin_autoload import SWITCH
from neml2_aoti_plugin.artifact.library_cache import (
    FOLDER_VARIABLE,
    LIMIT_VARIABLE,
    LibraryCache,
    cache_root,
    limit_mb,
)
from neml2_aoti_plugin.artifact.machine import this_machine
from neml2_aoti_plugin.cli.outcome import ExitCode, Outcome

if TYPE_CHECKING:
    from rich.console import Console

HELP = "look for what is wrong in this environment, and say what to do"

PROBE_SECONDS = 120
_REBUILD = "pip install --no-build-isolation --force-reinstall --no-deps ."


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    subject: str
    state: str
    """``ok``, ``warning``, ``bad`` or ``info``."""
    finding: str
    remedy: str | None = None


def configure(parser: argparse.ArgumentParser) -> None:
    """There is nothing to choose."""


def run(args: argparse.Namespace, messages: Console) -> Outcome:
    found = [*_environment(), *_own_binary(), _compiler(), _processor(), _cache(), *_packages()]
    is_healthy = not any(each.state == "bad" for each in found)

    def show(console: Console) -> None:
        _show(console, found)

    return Outcome(
        data={"healthy": is_healthy, "findings": [asdict(each) for each in found]},
        show=show,
        code=ExitCode.OK if is_healthy else ExitCode.NEGATIVE,
    )


# --- processes


def _probe(module: str, *arguments: str, **environment: str) -> tuple[dict[str, str], str | None]:
    """The JSON pairs that a module prints, and why it ended if not by itself."""
    command = [sys.executable, "-W", "ignore", "-m", module, *arguments]
    with tempfile.TemporaryDirectory() as folder:  # not among sources, which would be imported
        try:
            done = subprocess.run(
                command,
                env=os.environ | environment,
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
                timeout=PROBE_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return {}, f"it took more than {PROBE_SECONDS} s"
    said = {}
    for line in done.stdout.splitlines():
        if line.startswith("["):
            subject, finding = json.loads(line)
            said[subject] = finding
    return said, _how_it_ended(done)


def _how_it_ended(done: subprocess.CompletedProcess[str]) -> str | None:
    if done.returncode < 0:
        return f"killed by {signal.Signals(-done.returncode).name}"
    lines = done.stderr.strip().splitlines()
    return lines[-1] if done.returncode and lines else None


# --- checks


def _environment() -> Iterator[Finding]:
    found, ended = _probe("neml2_aoti_plugin", "--json-lines")
    yield Finding(subject="python", state="info", finding=found.get("python", sys.executable))
    yield _imported("torch", found, "pip install torch, then this package again")
    yield _imported("neml2", found, "pip install neml2; Model runs without it, input files do not")
    loads = found.get("runtime loads", f"no ({ended})")
    built = found.get("runtime built with", "nothing")
    yield Finding(
        subject="runtime",
        state="ok" if loads == "yes" else "bad",
        finding=f"built with {built}" + ("" if loads == "yes" else f"; loads: {loads}"),
        remedy=None if loads == "yes" else f"in the source folder of the plugin: {_REBUILD}",
    )
    active = found.get("active", "no: the report ended early")
    yield Finding(
        subject="active",
        state="ok" if active.startswith("yes") else "bad",
        finding=active,
        remedy=None if active.startswith("yes") else _activation_remedy(found),
    )


def _imported(name: str, found: Mapping[str, str], remedy: str) -> Finding:
    finding = found.get(name, "not reached")
    is_there = "cannot be imported" not in finding and finding != "not reached"
    return Finding(
        subject=name,
        state="ok" if is_there else "bad",
        finding=finding,
        remedy=None if is_there else remedy,
    )


def _activation_remedy(found: Mapping[str, str]) -> str:
    if found.get("active", "").startswith("no: switched off"):
        return f"unset {SWITCH}"
    if found.get("started by torch", "").startswith("no"):
        return (
            "import neml2_aoti_plugin first, or neml2-run --load neml2_aoti_plugin; see above why"
        )
    return "mend what is bad above first"


def _own_binary() -> Iterator[Finding]:
    """Nothing here is bad for this package, which does without that binary."""
    if importlib.util.find_spec("neml2") is None:
        return
    found, ended = _probe("neml2_aoti_plugin.cli.binary_probe", **{SWITCH: "0"})
    remedy = f"do not set {SWITCH}=0: native and compiled models run on this package"
    if "loads" not in found:
        why = f"does not load on this torch: {ended}"
    elif "reads" in found and float(found["reads"]) < 1e-6:
        yield Finding(
            subject="neml2's binary", state="ok", finding="loads here, and reads tensors right"
        )
        return
    elif "reads" in found:
        why = f"loads, but misreads tensors: a cubic is solved to {found['reads']} only"
    elif ended is None:
        yield Finding(subject="neml2's binary", state="ok", finding="loads here")
        return
    else:
        why = f"loads, but fails when given tensors: {ended}"
    yield Finding(subject="neml2's binary", state="warning", finding=why, remedy=remedy)


_PROGRAM = """\
#include <omp.h>
#include <concepts>
template <std::integral T> T twice(T value) { return 2 * value; }
int main() {
  int sum = 0;
#pragma omp parallel for reduction(+ : sum)
  for (int i = 0; i < 3; ++i) sum += twice(i);
  return sum == 6 ? 0 : 1;
}
"""


def _compiler() -> Finding:
    """What torch calls to compile graphs, tried with what they need: C++20 and OpenMP."""
    name = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    program = shutil.which(name)
    if program is None:
        return Finding(
            subject="compiler",
            state="warning",
            finding=f"{name} is not on the path: artifacts run, but none can be compiled",
            remedy="install g++ 11 or newer, or set CXX to another C++20 compiler",
        )
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "probe.cpp"), Path(folder, "probe")
        source.write_text(_PROGRAM)
        flags = ["-std=c++20", *([] if sys.platform == "darwin" else ["-fopenmp"])]
        why = _failure([program, *flags, str(source), "-o", str(target)]) or _failure([str(target)])
    version = _first_line([program, "--version"])
    if why:
        return Finding(
            subject="compiler",
            state="warning",
            finding=f"{version} cannot make a C++20 program with OpenMP that runs: {why}",
            remedy="install a complete g++ 11 or newer, or set CXX to one",
        )
    return Finding(subject="compiler", state="ok", finding=f"{version}, {program}")


def _failure(command: Sequence[str]) -> str | None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if "error" in line] or [
        f"exit code {done.returncode}"
    ]
    return lines[0].strip()


def _first_line(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or [command[0]])[0]


def _processor() -> Finding:
    machine = this_machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS")
    limit = f", of which OMP_NUM_THREADS={threads} limits threads" if threads else ""
    return Finding(
        subject="processor",
        state="info",
        finding=f"{machine.architecture}, {machine.offered_isa()}; {cores} cores{limit}",
    )


def _cache() -> Finding:
    root = cache_root()
    if root is None:
        return Finding(
            subject="cache",
            state="warning",
            finding=f"switched off by {FOLDER_VARIABLE}: every process unpacks its graphs",
            remedy=f"unset {FOLDER_VARIABLE}",
        )
    try:
        limit = limit_mb()
        LibraryCache(root, limit_bytes=limit << 20)
        writable = os.access(root, os.W_OK)
    except (OSError, ValueError) as error:
        return Finding(
            subject="cache",
            state="warning",
            finding=f"{root} cannot be used: {error}",
            remedy=f"set {FOLDER_VARIABLE} to a folder of your own, or mend this one",
        )
    if not writable:
        return Finding(
            subject="cache",
            state="warning",
            finding=f"{root} cannot be written to",
            remedy=f"set {FOLDER_VARIABLE} to a folder of your own",
        )
    libraries = [path for path in (root / "libraries").iterdir() if path.is_dir()]
    size = sum(file.stat().st_size for folder in libraries for file in folder.iterdir())
    return Finding(
        subject="cache",
        state="ok",
        finding=f"{root}, {len(libraries)} graphs, {size / 2**20:.0f} of {limit} MB "
        f"({LIMIT_VARIABLE})",
    )


_WANTED_BY = {
    "shtab": "completion",
    "matplotlib": "run --plot and bench --plot",
    "numpy": "run --npz",
}


def _packages() -> Iterator[Finding]:
    missing = [name for name in _WANTED_BY if importlib.util.find_spec(name) is None]
    if not missing:
        yield Finding(subject="extras", state="ok", finding=", ".join(("rich", *_WANTED_BY)))
    for name in missing:
        yield Finding(
            subject="extras",
            state="warning",
            finding=f"{name} is not installed, which {_WANTED_BY[name]} needs",
            remedy="pip install 'neml2-aoti-plugin[cli]'",
        )


# --- for people


def _show(console: Console, found: Sequence[Finding]) -> None:
    from neml2_aoti_plugin.cli.console import MARKS, escape, table, verdict

    made = table(("", "subject", "finding"))
    for each in found:
        made.add_row(MARKS[each.state], each.subject, escape(each.finding))
        if each.remedy:
            made.add_row("", "", f"[yellow]do:[/] {escape(each.remedy)}")
    console.print(made)
    bad = [each.subject for each in found if each.state == "bad"]
    if bad:
        verdict(console, False, f"to be mended: {', '.join(bad)}")
    else:
        verdict(console, True, "compiled models run here")
