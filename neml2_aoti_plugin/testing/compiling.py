"""Models compiled for tests, once per content.

An entry of the cache is a folder with artifact, stub and log. Its name carries a hash of all that
shapes the artifact: input file, what it includes and names, options, releases and the processor. An
entry counts once its record is written, which is the last thing done to it, so an interrupted
compilation is repeated. A lock keeps processes from compiling the same model side by side.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from neml2_aoti_plugin.artifact.whole_file import READABLE, write_whole
from neml2_aoti_plugin.testing.failures import CompileError

LOG_LINES_SHOWN = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to compile and how."""

    input_file: Path
    content: tuple[Path, ...]
    """Every file that shapes the artifact."""
    model: str
    driver: str | None
    """Compiled as the model of this driver, with a stub that keeps the drivers; ``None``: alone."""
    options: tuple[str, ...]
    """Further options of neml2-compile."""
    device: str
    """A torch device; artifacts are compiled for its family."""
    dtype: str

    @property
    def family(self) -> str:
        return self.device.partition(":")[0]

    def words(self) -> list[str]:
        """The command line of neml2-compile but for the folder."""
        target = ["--driver", self.driver] if self.driver else ["--model", self.model]
        leaf = ["--device", self.family, "--dtype", self.dtype]
        return [str(self.input_file), *target, *leaf, *self.options]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledArtifact:
    """A compiled model. All of it may be copied elsewhere."""

    folder: Path
    """Holds stub and artifact."""
    stub: Path
    """Input file with the compiled model in place of the native one."""
    root: Path
    """The artifact, as :class:`neml2_aoti_plugin.Model` opens it."""
    seconds: float
    """What it took to compile, now or earlier."""


class ArtifactCache:
    """Compiled models in one folder, which processes may share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._failures: dict[str, str] = {}

    def get(self, request: Request) -> CompiledArtifact:
        """The compiled model, compiled now if it is not there.

        Raises :class:`CompileError`; what failed once in this process is not tried again.
        """
        key = _key(request)
        if key in self._failures:
            raise CompileError(self._failures[key])
        self._folder.mkdir(parents=True, exist_ok=True)
        folder = self._folder / f"{request.input_file.stem}-{request.model}-{key[:16]}"
        with locked(_beside(folder, "lock")):
            record = folder / "record.json"
            if not record.exists():
                try:
                    _compile(request, folder, record)
                except CompileError as error:
                    self._failures[key] = str(error)
                    raise
        return _describe(folder, record)


def _beside(folder: Path, ending: str) -> Path:
    return folder.with_name(f"{folder.name}.{ending}")


def _key(request: Request) -> str:
    digest = hashlib.sha256()
    for path in request.content:
        digest.update(f"{path.name}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    # Which driver names the model makes no difference.
    environment = (*(metadata.version(name) for name in ("neml2", "torch")), processor())
    shaping = (request.model, bool(request.driver), request.options, request.family, request.dtype)
    digest.update(repr((shaping, environment)).encode())
    return digest.hexdigest()


def processor() -> str:
    """Machine and instruction sets: kernels are compiled for the processor at hand."""
    flags = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.system()} {platform.machine()} {' '.join(sorted(flags.split()))}"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Alone among the processes that lock ``path``, which is made if need be."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _compile(request: Request, folder: Path, record: Path) -> None:
    # Compiled in place, not moved there: stubs of neml2 3.0.6 and earlier hold absolute paths.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    words = [*request.words(), "--output-dir", str(folder)]
    log = folder / "compile.log"
    start = time.perf_counter()
    with log.open("w") as output:
        code = subprocess.run(
            [sys.executable, "-m", "neml2.cli.aoti_compile", *words],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            check=False,
        ).returncode
    if code != 0 or not list(folder.glob("*_aoti.i")):
        raise CompileError(_failure(words, code, log))
    seconds = round(time.perf_counter() - start, 1)
    text = json.dumps({"words": words, "seconds": seconds}, indent=2) + "\n"
    write_whole(record, text.encode(), mode=READABLE)


def _failure(words: list[str], code: int, log: Path) -> str:
    kept = _beside(log.parent, "failed.log")
    shutil.copy(log, kept)
    end = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])
    command = shlex.join(["neml2-compile", *words])
    return f"$ {command}\n{end}\nexited with {code}; the whole log is {kept}"


def _describe(folder: Path, record: Path) -> CompiledArtifact:
    (stub,) = folder.glob("*_aoti.i")
    return CompiledArtifact(
        folder=folder,
        stub=stub,
        root=folder / stub.name.removesuffix("_aoti.i"),
        seconds=json.loads(record.read_text())["seconds"],
    )


def resolved(options: Iterable[str], folder: Path) -> tuple[str, ...]:
    """Options with the files that they name, from ``folder``, as absolute paths."""
    return tuple(
        str(folder / word) if not word.startswith("-") and (folder / word).exists() else word
        for word in options
    )


def named_files(options: Iterable[str]) -> Iterator[Path]:
    """The files that resolved options name, such as extensions to load."""
    for word in options:
        path = Path(word)
        if path.is_absolute() and path.is_dir():
            yield from sorted(path.rglob("*.py"))
        elif path.is_absolute() and path.is_file():
            yield path
