"""Tables, marks and progress, all through ``rich``: plain and quiet where no terminal is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

MARKS = {
    "ok": "[bold green]ok[/]",
    "warning": "[bold yellow]warning[/]",
    "bad": "[bold red]bad[/]",
    "info": "[dim]-[/]",
}

PLAIN_WIDTH = 120
"""Columns where output goes to a file or a pipe, which have no width."""


def output_console(color: str) -> Console:
    """Standard output; ``color`` is ``auto``, ``always`` or ``never``."""
    return _console(color, stderr=False)


def message_console(color: str) -> Console:
    """Standard error: progress and complaints."""
    return _console(color, stderr=True)


def _console(color: str, *, stderr: bool) -> Console:
    console = Console(
        stderr=stderr,
        highlight=False,
        soft_wrap=False,
        force_terminal=True if color == "always" else None,
        no_color=True if color == "never" else None,
    )
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


def table(columns: Iterable[str], *, numbers: Iterable[str] = (), title: str = "") -> Table:
    """A table without frame; columns in ``numbers`` are aligned to the right."""
    made = Table(
        box=box.SIMPLE_HEAD,
        title=f"[bold]{escape(title)}[/]" if title else None,
        title_justify="left",
        header_style="bold cyan",
        pad_edge=False,
    )
    right = set(numbers)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def facts(pairs: Iterable[tuple[str, str]]) -> Table:
    """Two columns: what, and the finding."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    for subject, finding in pairs:
        grid.add_row(subject, escape(finding))
    return grid


def command_line(console: Console, text: str) -> None:
    """A command to copy: in one piece, however narrow the terminal is."""
    console.print(f"  [green]$[/] {escape(text)}", soft_wrap=True)


def verdict(console: Console, is_good: bool, text: str) -> None:
    console.print(f"{MARKS['ok' if is_good else 'bad']}  {escape(text)}")


def progress(console: Console, *, counted: bool = True) -> Progress:
    """A bar on ``console``, which shows nothing unless it is a terminal."""
    columns: list[Any] = [TextColumn("[bold]{task.description}"), BarColumn()]
    columns += [MofNCompleteColumn() if counted else TaskProgressColumn()]
    columns += [TimeElapsedColumn(), TextColumn("[dim]{task.fields[remark]}")]
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


def shown_path(path: Path) -> str:
    """As short as it can be said from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def human_bytes(count: int) -> str:
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


__all__ = [
    "MARKS",
    "Console",
    "command_line",
    "escape",
    "facts",
    "human_bytes",
    "message_console",
    "output_console",
    "progress",
    "shown_path",
    "table",
    "verdict",
]
