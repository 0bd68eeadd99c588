"""Makes sure that a zip archive is the same archive to everyone who reads it.

Readers differ in how they look for the directory of an archive, whether they trust its count of
members, and which of two names that differ in case they take. What one reader has verified another
must not replace, so whatever could be read in two ways is refused.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from typing import Any, BinaryIO

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_UTF8_NAME = 0x800


def ambiguity(stream: BinaryIO, members: Sequence[zipfile.ZipInfo]) -> str | None:
    """What of the archive is no single way of reading it; ``None`` where all is."""
    size = stream.seek(0, 2)
    return (
        _directory_ambiguity(stream, size, len(members))
        or _name_ambiguity(members)
        or _extent_ambiguity(members, size)
    )


def raw_name(member: zipfile.ZipInfo) -> bytes:
    """The name as it stands in the directory, whatever its bytes are taken for."""
    return member.orig_filename.encode("utf-8" if member.flag_bits & _UTF8_NAME else "cp437")


def _directory_ambiguity(stream: BinaryIO, size: int, found: int) -> str | None:
    """The directory ends where the records that close the file begin, and these are the last
    bytes."""
    at = size - _END.size
    end = _read(stream, at, _END)
    if end is None or end[0] != b"PK\x05\x06" or end[-1] != 0:
        return "bytes follow its directory"
    (_, disk, first_disk, count_here, count, length, offset, _) = end
    if disk or first_disk or count_here != count:
        return "it names further disks"
    locator = _read(stream, at - _END64_LOCATOR.size, _END64_LOCATOR)
    if locator is not None and locator[0] == b"PK\x06\x07":
        at -= _END64_LOCATOR.size + _END64.size
        wide = _read(stream, at, _END64)
        if wide is None or wide[0] != b"PK\x06\x06" or locator[2] != at:
            return "its 64-bit directory is not where it says"
        count, length, offset = wide[-3:]
    if offset + length != at:
        return "its directory is not where it says"
    if count != found:
        return f"its directory counts {count} members and lists {found}"
    return None


def _name_ambiguity(members: Sequence[zipfile.ZipInfo]) -> str | None:
    names: dict[bytes, str] = {}
    for member in members:
        if member.filename != member.orig_filename:
            return f"member {member.orig_filename!r} is {member.filename!r} to some readers"
        other = names.setdefault(raw_name(member).lower(), member.orig_filename)
        if other != member.orig_filename:
            return f"members {other!r} and {member.orig_filename!r} are one to some readers"
    return None


def _extent_ambiguity(members: Sequence[zipfile.ZipInfo], size: int) -> str | None:
    total = sum(member.file_size for member in members)
    if total > size:
        return f"its members are {total} bytes in {size}, so some share bytes"
    return None


def _read(stream: BinaryIO, at: int, layout: struct.Struct) -> tuple[Any, ...] | None:
    if at < 0:
        return None
    stream.seek(at)
    content = stream.read(layout.size)
    return layout.unpack(content) if len(content) == layout.size else None
