"""Lock an artifact: write down what its files are, so that a change of any byte is found.

artifact.lock beside the metadata has the sha256 of every file. A lock that is there is verified
whenever the artifact is opened. `lock = required` in an input file, or NEML2_AOTI_PLUGIN_LOCK =
required in the environment, refuses artifacts without one; NEML2_AOTI_PLUGIN_ALLOWED names a file
with the digests of those that may be opened at all. The digest printed here goes there.

A lock that fits is left as it is. One that does not is not replaced without --renew.

The exit code is 1 where files are not as they were locked.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neml2_aoti_plugin.artifact import read_metadata
from neml2_aoti_plugin.artifact.folder import find_metadata, offered_leaves
from neml2_aoti_plugin.artifact.lock import LOCK_NAME, Lock, make_lock, read_lock, write_lock
from neml2_aoti_plugin.artifact.version import RELEASES
from neml2_aoti_plugin.cli.outcome import Outcome, UsageError
from neml2_aoti_plugin.cli.target import complete_files, find_target

if TYPE_CHECKING:
    from rich.console import Console

HELP = "write down what the files of an artifact are, or verify it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """What became of one folder."""

    lock: Lock
    state: str
    """``locked``, ``renewed``, ``unchanged`` or ``verified``."""


def configure(parser: argparse.ArgumentParser) -> None:
    path = parser.add_argument(
        "artifact", metavar="ARTIFACT", type=Path, help="folder, metadata file, or stub"
    )
    complete_files(path)
    parser.add_argument("--model", metavar="NAME", help="block of the stub, where it has several")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="only verify the lock that is there")
    what.add_argument("--renew", action="store_true", help="replace a lock that no longer fits")


def run(args: argparse.Namespace, messages: Console) -> Outcome:
    artifact = find_target(args.artifact, args.model).artifact
    done = [_treat(file, args) for file in metadata_files(artifact)]
    data = {"locks": [_data(each) for each in done]}
    return Outcome(data=data, show=lambda console: _show(console, done))


def lock_artifact(metadata_file: Path, device: str) -> Lock:
    """Lock the folder of a metadata file as it is now, whatever lock there is."""
    manifest = read_metadata(metadata_file, device=device)
    lock = make_lock(
        metadata_file.parent,
        written_by=RELEASES[manifest.schema_version],
        torch=_installed("torch"),
    )
    write_lock(lock)
    return lock


def metadata_files(artifact: Path) -> list[tuple[Path, str]]:
    """Each with a device that it is for. Old layouts have a folder per device."""
    devices = sorted({device for device, _ in offered_leaves(artifact)}) or ["cpu"]
    found: dict[Path, str] = {}
    for device in devices:
        found.setdefault(find_metadata(artifact, device), device)
    return list(found.items())


def _treat(found: tuple[Path, str], args: argparse.Namespace) -> Locked:
    metadata_file, device = found
    present = None if args.renew else read_lock(metadata_file.parent)
    if present is None and args.check:
        raise UsageError(
            f"{metadata_file.parent}: no {LOCK_NAME}. Without --check this command writes one."
        )
    if present is not None:
        present.verify()
        return Locked(lock=present, state="verified" if args.check else "unchanged")
    return Locked(
        lock=lock_artifact(metadata_file, device), state="renewed" if args.renew else "locked"
    )


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _data(locked: Locked) -> dict[str, Any]:
    return {
        "state": locked.state,
        "file": locked.lock.root / LOCK_NAME,
        "digest": locked.lock.digest,
        "files": dict(locked.lock.files),
        "written_by": locked.lock.written_by,
        "torch": locked.lock.torch,
        "locked": locked.lock.locked,
    }


def _show(console: Console, done: list[Locked]) -> None:
    from neml2_aoti_plugin.cli.console import facts, shown_path, verdict

    for each in done:
        lock = each.lock
        console.print(
            facts(
                [
                    ("lock", shown_path(lock.root / LOCK_NAME)),
                    ("digest", lock.digest),
                    ("files", str(len(lock.files))),
                    ("locked", lock.locked),
                ]
            )
        )
        verdict(console, True, _SAID[each.state])


_SAID = {
    "locked": "locked",
    "renewed": "locked anew; the former lock is gone",
    "unchanged": "locked already, and every file is as it was",
    "verified": "every file is as it was locked",
}
