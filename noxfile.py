"""The same as ``make``, for those who use nox: ``nox --list``.

Environments are made by ``make``, so that there is one place that says what is in them.
"""

from __future__ import annotations

import re
from pathlib import Path

import nox

MAKEFILE = (Path(__file__).parent / "Makefile").read_text()
PAIRS = [
    tuple(pair.split("/"))
    for pair in re.findall(r"^MATRIX \?= (.+)$", MAKEFILE, re.MULTILINE)[0].split()
]
"""Releases of torch and neml2 that are tested together."""

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "docs", "tests"]


@nox.session
def lint(session: nox.Session) -> None:
    """Formatting, style and types."""
    session.run("make", "lint", external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """The site, warnings being errors."""
    session.run("make", "docs", external=True)


@nox.session
def tests(session: nox.Session) -> None:
    """All tests; further words choose among them."""
    flags = [f"PYTEST_FLAGS={' '.join(session.posargs)}"] if session.posargs else []
    session.run("make", "test", *flags, external=True)


@nox.session
@nox.parametrize(("torch", "neml2"), PAIRS)
def core(session: nox.Session, torch: str, neml2: str) -> None:
    """What another torch or neml2 could break."""
    session.run("make", "core", f"TORCH={torch}", f"NEML2={neml2}", external=True)
