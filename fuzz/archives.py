"""Mutations of a compiled graph's package: of its bytes, and of the archive that they are."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from choices import Choices, one_of

Members: TypeAlias = dict[str, bytes]
Mutation: TypeAlias = tuple[str, bytes]
"""What was done, and the package."""

HOSTILE_NUMBERS = (0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

_SYMBOLIC_LINK = 0o120777 << 16
_UTF8_NAME = 0x800
_END_BYTES = 22
_DIRECTORY_SIGNATURE = b"PK\x01\x02"
_LOCAL_SIGNATURE = b"PK\x03\x04"


def systematic(sound: bytes) -> Iterator[Mutation]:
    """Cuts and flipped bits at every percent of the length, and one of each structural kind."""
    for percent in range(100):
        at = len(sound) * percent // 100
        yield f"cut at {percent} %", sound[:at]
        yield f"bit flipped at {percent} %", _flipped(sound, at, 1 << percent % 8)
    for kind in _STRUCTURAL:
        yield kind.__name__.strip("_"), kind(sound, _First())


def at_random(sound: bytes, choices: Choices) -> Mutation:
    kind = one_of(choices, (*_BYTEWISE, *_BYTEWISE, *_STRUCTURAL))
    return kind.__name__.strip("_"), kind(sound, choices)


class _First:
    """The first of all options, always."""

    def below(self, count: int) -> int:
        return 0


# -- bytes ---------------------------------------------------------------------------------------


def _flipped(content: bytes, at: int, mask: int) -> bytes:
    return content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :]


def _bits_flipped(sound: bytes, choices: Choices) -> bytes:
    for _ in range(1 + choices.below(4)):
        sound = _flipped(sound, choices.below(len(sound)), 1 << choices.below(8))
    return sound


def _cut(sound: bytes, choices: Choices) -> bytes:
    return sound[: choices.below(len(sound))]


def _part_left_out(sound: bytes, choices: Choices) -> bytes:
    at = choices.below(len(sound))
    return sound[:at] + sound[at + 1 + choices.below(5000) :]


def _part_repeated(sound: bytes, choices: Choices) -> bytes:
    at, length = choices.below(len(sound)), 1 + choices.below(5000)
    return sound[: at + length] + sound[at:]


def _part_of_zeros(sound: bytes, choices: Choices) -> bytes:
    at, length = choices.below(len(sound)), 1 + choices.below(4096)
    return (sound[:at] + bytes(length) + sound[at + length :])[: len(sound)]


def _number_in_the_directory(sound: bytes, choices: Choices) -> bytes:
    """Sizes, offsets, counts, flags and lengths are two or four bytes, at even distances."""
    start = sound.index(_DIRECTORY_SIGNATURE)
    return _overwritten(sound, start + choices.below(len(sound) - start), choices)


def _number_in_a_header(sound: bytes, choices: Choices) -> bytes:
    starts = _positions(sound, _LOCAL_SIGNATURE)
    return _overwritten(sound, one_of(choices, starts) + choices.below(30), choices)


def _bit_in_the_directory(sound: bytes, choices: Choices) -> bytes:
    start = sound.index(_DIRECTORY_SIGNATURE)
    return _flipped(sound, start + choices.below(len(sound) - start), 1 << choices.below(8))


def _overwritten(sound: bytes, at: int, choices: Choices) -> bytes:
    number = one_of(choices, HOSTILE_NUMBERS)
    content = struct.pack("<L", number)[: one_of(choices, (2, 4))]
    return (sound[:at] + content + sound[at + len(content) :])[: len(sound)]


def _positions(content: bytes, wanted: bytes) -> list[int]:
    found = []
    at = content.find(wanted)
    while at >= 0:
        found.append(at)
        at = content.find(wanted, at + 1)
    return found


_BYTEWISE = (
    *(_bits_flipped, _cut, _part_left_out, _part_repeated, _part_of_zeros),
    *(_number_in_the_directory, _number_in_a_header, _bit_in_the_directory),
)


# -- structure -----------------------------------------------------------------------------------


def members_of(package: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _with_member(sound: bytes, name: str, content: bytes = b"", attributes: int = 0) -> bytes:
    buffer = io.BytesIO(sound)
    with zipfile.ZipFile(buffer, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name that stands twice is what is wanted
        member = zipfile.ZipInfo(name)
        member.external_attr = attributes
        archive.writestr(member, content)
    return buffer.getvalue()


def _library_name(sound: bytes) -> str:
    return next(name for name in members_of(sound) if name.endswith(".so"))


def _library_twice(sound: bytes, choices: Choices) -> bytes:
    return _with_member(sound, _library_name(sound), b"\x7fELF other")


def _library_twice_but_for_case(sound: bytes, choices: Choices) -> bytes:
    name = _library_name(sound)
    return _with_member(sound, name.removesuffix(".so") + ".SO", b"\x7fELF other")


def _two_libraries(sound: bytes, choices: Choices) -> bytes:
    return _with_member(sound, _library_name(sound).replace(".so", "2.so"), b"\x7fELF other")


def _name_that_leads_out(sound: bytes, choices: Choices) -> bytes:
    names = ("model/../../evil.so", "/etc/evil", "model/./x", "..", "model\\evil", "model//x", "x/")
    return _with_member(sound, one_of(choices, names), b"evil")


def _symbolic_link(sound: bytes, choices: Choices) -> bytes:
    folder = _library_name(sound).rpartition("/")[0]
    return _with_member(sound, f"{folder}/link.txt", b"/etc/passwd", _SYMBOLIC_LINK)


def _another_top_folder(sound: bytes, choices: Choices) -> bytes:
    return _with_member(sound, "other/data/aotinductor/model/x.so", b"\x7fELF")


def _compressed_bomb(sound: bytes, choices: Choices) -> bytes:
    folder = _library_name(sound).rpartition("/")[0]
    members = members_of(sound) | {f"{folder}/zeros.json": bytes(64 << 20)}
    return written(members, zipfile.ZIP_DEFLATED)


def _overlapping_members(sound: bytes, choices: Choices) -> bytes:
    """Entries of the directory that all stand for the largest member."""
    start = sound.index(_DIRECTORY_SIGNATURE)
    with zipfile.ZipFile(io.BytesIO(sound)) as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size)
    entries = []
    for number in range(500):
        name = largest.filename[:-4].encode() + f"{number:04}".encode()
        sizes = (largest.CRC, largest.file_size, largest.file_size, len(name))
        fields = (b"PK\x01\x02", 20, 20, 0, 0, 0, 0, *sizes, 0, 0, 0, 0, 0, largest.header_offset)
        entries.append(struct.pack("<4s6H3L5H2L", *fields) + name)
    return _directory(sound[:start], entries)


def _directory(front: bytes, entries: list[bytes]) -> bytes:
    listed = b"".join(entries)
    counts = (len(entries), len(entries), len(listed), len(front), 0)
    return front + listed + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, *counts)


def _sizes_of_64_bits(sound: bytes, choices: Choices) -> bytes:
    """Entries that leave their sizes to an extra field, which lies."""
    start = sound.index(_DIRECTORY_SIGNATURE)
    size = one_of(choices, (2**62, 2**63, 2**64 - 1, 0, 1))
    extra = struct.pack("<2H3Q", 1, 24, size, size, one_of(choices, (0, 2**63, 2**64 - 1)))
    with zipfile.ZipFile(io.BytesIO(sound)) as archive:
        entries = []
        for member in archive.infolist():
            name = member.filename.encode()
            sizes = (member.CRC, 0xFFFFFFFF, 0xFFFFFFFF, len(name), len(extra))
            fields = (b"PK\x01\x02", 45, 45, 0, 0, 0, 0, *sizes, 0, 0, 0, 0, 0xFFFFFFFF)
            entries.append(struct.pack("<4s6H3L5H2L", *fields) + name + extra)
    return _directory(sound[:start], entries)


def _directory_of_64_bits(sound: bytes, choices: Choices) -> bytes:
    """A 64-bit directory record that one reader finds by its place and another by its offset."""
    front, end = sound[:-_END_BYTES], sound[-_END_BYTES:]
    count, length, offset = struct.unpack("<H2L", end[10:20])
    wide = (44, 45, 45, 0, 0, count, count, length, offset)
    elsewhere = one_of(choices, (0, len(front) - 1, len(front) + 1, 2**63, len(sound)))
    return (
        front
        + struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", *wide)
        + struct.pack("<4sLQL", b"PK\x06\x07", 0, elsewhere, 1)
        + end
    )


def _bytes_before(sound: bytes, choices: Choices) -> bytes:
    return b"#!/bin/sh\n" * (1 + choices.below(4)) + sound


def _bytes_after(sound: bytes, choices: Choices) -> bytes:
    return sound + bytes(1 + choices.below(100))


def _comment(sound: bytes, choices: Choices) -> bytes:
    """A comment of text, or one that is the end of another archive."""
    inner = one_of(choices, (b"a comment", sound[-_END_BYTES:]))
    return sound[:-2] + struct.pack("<H", len(inner)) + inner


def _two_archives(sound: bytes, choices: Choices) -> bytes:
    """One after the other: some readers find the first, some the second."""
    return written({"model/byteorder": b"little"}) + sound


def _wrong_count(sound: bytes, choices: Choices) -> bytes:
    (count,) = struct.unpack("<H", sound[-12:-10])
    other = one_of(choices, (count - 1, 0, count + 1, 0xFFFF))
    return sound[:-14] + struct.pack("<2H", other, other) + sound[-10:]


def _further_disk(sound: bytes, choices: Choices) -> bytes:
    at = len(sound) - one_of(choices, (18, 16))
    return sound[:at] + struct.pack("<H", 1) + sound[at + 2 :]


def _name_that_is_no_text(sound: bytes, choices: Choices) -> bytes:
    start = sound.index(_DIRECTORY_SIGNATURE)
    flags = struct.pack("<H", _UTF8_NAME)
    entry = sound[:start] + sound[start : start + 8] + flags + sound[start + 10 :]
    return entry[: start + 46] + b"\xff" + entry[start + 47 :]


def _checksum(sound: bytes, choices: Choices) -> bytes:
    start = one_of(choices, _positions(sound, _DIRECTORY_SIGNATURE))
    return _flipped(sound, start + 16, 1)


def _member_left_out(sound: bytes, choices: Choices) -> bytes:
    members = members_of(sound)
    del members[one_of(choices, list(members))]
    return written(members)


def _content_replaced(sound: bytes, choices: Choices) -> bytes:
    """Valid as an archive, and the content is none of the compiler's."""
    members = members_of(sound)
    name = one_of(choices, list(members))
    members[name] = one_of(choices, _CONTENTS)
    return written(members)


_CONTENTS = (
    *(b"", b"\x7fELF", bytes(1000), b"\xff\xfe", b"[" * 10_000, b"{}", b"[1]", b'"text"'),
    *(b'{"nodes": 3}', b'{"nodes": [{"node": {"target": ["a"]}}]}', b'{"AOTI_DEVICE_KEY": 5}'),
    *(b'{"AOTI_DEVICE_KEY": "cuda"}', b"1" * 5000, b'{"a": ' + b"9" * 5000 + b"}"),
    b'inputs_info_[0].name = "a";\na_expected_dtype = aoti_torch_dtype_float64();\n'
    b'in_spec_ = R"([1, {"type": 5, "children_spec": [{"type": 5, "children_spec": []}]}])";',
    b"inputs_info_[" + b"9" * 5000 + b'].name = "a";',
    b'in_spec_ = R"(\n' * 50_000,
)


_STRUCTURAL: tuple[Callable[[bytes, Choices], bytes], ...] = (
    *(_library_twice, _library_twice_but_for_case, _two_libraries, _name_that_leads_out),
    *(_symbolic_link, _another_top_folder, _compressed_bomb, _overlapping_members),
    *(_sizes_of_64_bits, _directory_of_64_bits, _bytes_before, _bytes_after, _comment),
    *(
        _two_archives,
        _wrong_count,
        _further_disk,
        _name_that_is_no_text,
        _checksum,
        _member_left_out,
    ),
    _content_replaced,
)
