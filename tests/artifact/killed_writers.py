"""A program: kills processes while they fill a cache of libraries, and looks at what they leave.

``killed_writers.py FOLDER calls`` kills one process before each call that it makes to the file
system; ``killed_writers.py FOLDER times COUNT`` kills processes after random times. Prints how many
were killed.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from made_up_artifacts import package_members, write_package

from neml2_aoti_plugin.artifact import library_cache
from neml2_aoti_plugin.artifact.library_cache import LibraryCache

LIBRARY_BYTES = 50_000
LIMIT_BYTES = 2 * LIBRARY_BYTES
"""So that the third library makes another one go."""

WATCHED = frozenset(
    f"{call}" for call in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.utime")
)


def make_packages(folder: Path) -> dict[Path, bytes]:
    """Packages, and the content of the library of each."""
    packages = {}
    for number in range(3):
        members = package_members(f"graph{number}")
        library = next(member for member in members if member.endswith(".so"))
        content = bytes([number]) * LIBRARY_BYTES
        file = write_package(folder / f"graph{number}.pt2", members | {library: content})
        packages[file] = content
    return packages


def fill(root: Path, packages: dict[Path, bytes]) -> None:
    cache = LibraryCache(root, limit_bytes=LIMIT_BYTES)
    for package in packages:
        cache.library(package)


def in_child(work: Callable[[], None]) -> int:
    """Process id of a child that does the work."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
    return child


def was_killed(child: int) -> bool:
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or status == 0, f"the writer ended with status {status}"
    return killed


def die_before_call(number: int, root: Path) -> None:
    """Kill this process before its ``number``-th call about files below ``root``."""
    calls = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal calls
        if event in WATCHED and any(str(root) in str(argument) for argument in arguments):
            calls += 1
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def check(root: Path, packages: dict[Path, bytes]) -> None:
    """Every library is to be had, and in the end nothing is left over."""
    for package, content in packages.items():
        assert LibraryCache(root, limit_bytes=LIMIT_BYTES).library(package).read_bytes() == content
    library_cache._LEFT_OVER_SECONDS = 0.0  # as if an hour had passed
    for folder in (root / "libraries", root / "packages"):
        library_cache._remove_left_overs(folder)
        assert not list(folder.glob(".*"))
    library_cache._LEFT_OVER_SECONDS = 3600.0
    assert len(list((root / "libraries").iterdir())) <= 3


def kill_before_calls(folder: Path, packages: dict[Path, bytes]) -> int:
    number = 0
    while True:
        number += 1
        root = folder / f"cache{number}"

        def work(number: int = number, root: Path = root) -> None:
            die_before_call(number, root)
            fill(root, packages)

        if not was_killed(in_child(work)):
            return number - 1
        check(root, packages)


def kill_after_times(folder: Path, packages: dict[Path, bytes], count: int) -> int:
    """One cache, and writers that never stop."""
    root = folder / "cache"
    source = random.Random(0)
    killed = 0
    for _ in range(count):

        def work() -> None:
            while True:
                fill(root, packages)

        child = in_child(work)
        time.sleep(source.uniform(0.0, 0.03))
        os.kill(child, signal.SIGKILL)
        killed += was_killed(child)
        check(root, packages)
    return killed


def main() -> None:
    folder = Path(sys.argv[1])
    packages = make_packages(folder)
    if sys.argv[2] == "calls":
        print(kill_before_calls(folder, packages))
    else:
        print(kill_after_times(folder, packages, int(sys.argv[3])))


if __name__ == "__main__":
    main()
