"""The fenced blocks of a page, and a program that runs them in order, as a reader would.

Run as ``snippets.py PAGE`` in a folder that has what the page starts from. ``python`` blocks share
one namespace, ``sh`` blocks hold commands, ``console`` blocks hold commands after ``$`` and what
they say. A block that begins with ``# not run`` is left out, and so are those in other languages.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
MARK = "# not run"
RUN = ("python", "sh", "console")
SHOWN = ("text", "ini", "json")
DIRECTIVE = "{"
"""Such blocks are for Sphinx."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    page: Path
    line: int
    """Of its first line, counted from one."""
    language: str
    text: str

    @property
    def is_run(self) -> bool:
        return self.language in RUN and not self.text.startswith(MARK)

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a Markdown file, but for those of Sphinx."""
    found = []
    lines = page.read_text().splitlines()
    opening: int | None = None
    language = ""
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if opening is None:
            opening, language = number, line.removeprefix("```").strip()
            continue
        if not language.startswith(DIRECTIVE):
            text = "\n".join(lines[opening + 1 : number]) + "\n"
            found.append(Block(page=page, line=opening + 2, language=language, text=text))
        opening = None
    if opening is not None:
        raise ValueError(f"{page}:{opening + 1}: a block that never ends")
    return found


class SnippetError(AssertionError):
    """A page says what is not so."""


def run_page(page: Path) -> None:
    """Run the blocks of ``page`` here."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        if not block.is_run:
            continue
        print(f"--- {block.where}", flush=True)
        if block.language == "python":
            padded = "\n" * (block.line - 1) + block.text  # for the lines of tracebacks
            exec(compile(padded, str(page), "exec"), namespace)
        elif block.language == "sh":
            for command in _commands(block.text):
                _run_command(block, command)
        else:
            _replay(block)


def _commands(text: str) -> Iterator[str]:
    """One by one, those that are continued in one piece."""
    joined = re.sub(r"\\\n\s*", "", text)
    for line in joined.splitlines():
        command = re.sub(r"\s+# .*", "", line).strip()
        if command and not command.startswith("#"):
            yield command


def _run_command(block: Block, command: str) -> None:
    words = command.split()
    if words[0] == "make":
        _check(block, ["make", "--dry-run", "--directory", str(PROJECT), *words[1:]])
    elif words[:2] == ["pip", "install"]:
        _check_install(block, command)
    else:
        _check(block, ["bash", "-euo", "pipefail", "-c", command])


def _check(block: Block, command: list[str]) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        raise SnippetError(
            f"{block.where}: {command}\nexited with {done.returncode}:\n{done.stdout}"
        )


def _check_install(block: Block, command: str) -> None:
    """Environments are made by ``make venv``; here, that the extras exist."""
    configuration = (PROJECT / "setup.cfg").read_text()
    _, _, section = configuration.partition("[options.extras_require]")
    known = set(re.findall(r"^(\w+) =$", section.partition("\n[")[0], re.MULTILINE))
    for listed in re.findall(r"\[([\w,]+)\]", command):
        unknown = set(listed.split(",")) - known
        if unknown:
            raise SnippetError(f"{block.where}: no extras {sorted(unknown)}; there are {known}")


# --- transcripts


@dataclass(slots=True, kw_only=True)
class Exchange:
    command: str
    expected: list[str]
    """Lines that the page shows."""
    code: int = 0


def exchanges(text: str) -> list[Exchange]:
    """Commands with what they answer; ``$ echo $?`` tells the exit code of the one before."""
    found: list[Exchange] = []
    asks_for_code = False
    for line in text.splitlines():
        if line == "$ echo $?":
            asks_for_code = True
        elif line.startswith("$ "):
            found.append(Exchange(command=line.removeprefix("$ "), expected=[]))
        elif asks_for_code:
            found[-1].code = int(line)
            asks_for_code = False
        else:
            found[-1].expected.append(line)
    return found


# What machines, installations and measurements differ in.
_OF_MACHINES = re.compile(
    r"\b[0-9a-f]{64}\b|\S*/\S+|\bg\+\+.*|\bAVX\w*|\bAMX\w*|\bx86_64\b|\b\w+_NUM_THREADS\b|\bus\b|\bms\b|\bcu\d+\b"
)


def words(text: str) -> set[str]:
    """What does not differ between machines and runs: words, but no figures and no paths."""
    return set(re.findall(r"[A-Za-z_]{3,}", _OF_MACHINES.sub(" ", text)))


def _replay(block: Block) -> None:
    for exchange in exchanges(block.text):
        done = subprocess.run(
            ["bash", "-c", exchange.command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        said = f"{block.where}: $ {exchange.command}\nsaid\n{done.stdout}"
        if done.returncode != exchange.code:
            raise SnippetError(f"{said}\nand exited with {done.returncode}, not {exchange.code}")
        missing = words("\n".join(exchange.expected)) - words(done.stdout)
        if missing:
            raise SnippetError(f"{said}\nwithout the words {sorted(missing)} of the page")


if __name__ == "__main__":
    run_page(Path(sys.argv[1]))
