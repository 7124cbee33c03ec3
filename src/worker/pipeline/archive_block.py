"""The form in which mentions lie in the archive: one block per part of a day, complete in itself. Pure.

```
8 bytes   b"BWARCHV" and the version of the form
4 bytes   length of the header, little endian
header    strict JSON: brand, day, count, raw_bytes, sha256 of what is in the body
body      one zstandard frame: BSON documents one after the other, each led by its own length
```
Documents are the bytes the database sent, so that what comes back is the same to the last bit (doubles, order of
fields, types JSON does not have). The same documents make the same block, and a block is named after its content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from ..errors import WorkerError

VERSION: Final = 1
MAX_RAW: Final = 64 << 20
"""Most a block may hold unpacked: four documents of MongoDB's largest size. What says it holds more is damaged."""
_MAGIC: Final = b"BWARCHV"
_LEVEL: Final = 9
"""On 6,242 stored mentions (1,247 bytes each) in one block: level 3 makes 7.0 times less, 9 8.2, 19 9.0; level 9 packs
100 MB/s, 19 one. A janitor that shares its machine with workers takes 9."""
_MIN_DOCUMENT: Final = 5
_HEAD: Final = len(_MAGIC) + 1 + 4


class ArchiveDamaged(WorkerError):
    """A block is not what was written. Nothing that depends on it is deleted."""

    code = "ARCHIVE_DAMAGED"


@dataclass(frozen=True, slots=True)
class Block:
    """What a block holds."""

    brand: str
    day: str
    """UTC, YYYY-MM-DD."""
    documents: tuple[bytes, ...]


def pack(block: Block) -> bytes:
    """The bytes of a block; the same for the same block."""
    import zstandard  # loaded by whoever archives, not by every process

    raw = b"".join(block.documents)
    if not 0 < len(raw) <= MAX_RAW:
        raise ValueError(f"a block holds 1 to {MAX_RAW} bytes, not {len(raw)}")
    header = orjson.dumps(
        {
            "brand": block.brand,
            "day": block.day,
            "count": len(block.documents),
            "raw_bytes": len(raw),
            "sha256": hashlib.sha256(raw).hexdigest(),
        },
        option=orjson.OPT_SORT_KEYS,
    )
    body = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True).compress(raw)
    return b"".join((_MAGIC, bytes((VERSION,)), len(header).to_bytes(4, "little"), header, body))


def digest_of(data: bytes) -> str:
    """The name of a block's content: SHA-256 of all of it, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def unpack(data: bytes, *, sha256: str | None = None) -> Block:
    """Read a block; every length and sum in it is checked, and its own when `sha256` is given.

    Raises:
        ArchiveDamaged: it is not what was written; the message says in what.
    """
    if sha256 is not None and digest_of(data) != sha256:
        raise ArchiveDamaged(f"its SHA-256 is {digest_of(data)[:16]}…, not {sha256[:16]}… ({len(data)} bytes)")
    header, body = _split(data)
    raw = _unpacked(body, header)
    documents = _documents(raw)
    if len(documents) != header["count"]:
        raise ArchiveDamaged(f"it holds {len(documents)} documents, not {header['count']}")
    return Block(header["brand"], header["day"], documents)


def _split(data: bytes) -> tuple[dict[str, Any], bytes]:
    if len(data) < _HEAD or not data.startswith(_MAGIC):
        raise ArchiveDamaged("it does not begin as an archive does")
    if data[len(_MAGIC)] != VERSION:
        raise ArchiveDamaged(f"it is of version {data[len(_MAGIC)]}, this worker reads version {VERSION}")
    end = _HEAD + int.from_bytes(data[_HEAD - 4 : _HEAD], "little")
    try:
        header = orjson.loads(data[_HEAD:end])
        read = {name: kind(header[name]) for name, kind in _HEADER.items()}
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise ArchiveDamaged("its header cannot be read") from None
    return read, data[end:]


_HEADER: Final[dict[str, type]] = {"brand": str, "day": str, "count": int, "raw_bytes": int, "sha256": str}


def _unpacked(body: bytes, header: dict[str, Any]) -> bytes:
    import zstandard

    if not 0 < header["raw_bytes"] <= MAX_RAW:
        raise ArchiveDamaged(f"it says that it holds {header['raw_bytes']} bytes")
    try:
        # The frame's own size is checked first: one that says more than the header could fill the memory.
        if zstandard.frame_content_size(body) != header["raw_bytes"]:
            raise ArchiveDamaged("its frame is of another length than its header says")
        raw: bytes = zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ArchiveDamaged(f"it cannot be unpacked: {error}") from None
    if hashlib.sha256(raw).hexdigest() != header["sha256"]:
        raise ArchiveDamaged("its documents are not those that were packed")
    return raw


def _documents(raw: bytes) -> tuple[bytes, ...]:
    found: list[bytes] = []
    at = 0
    while at < len(raw):
        length = int.from_bytes(raw[at : at + 4], "little")
        if length < _MIN_DOCUMENT or at + length > len(raw):
            raise ArchiveDamaged(f"a document at byte {at} has no end")
        found.append(raw[at : at + length])
        at += length
    return tuple(found)


def matches(block: Block, documents: Sequence[bytes]) -> bool:
    """Whether a block that was read back holds exactly these documents, in this order."""
    return len(block.documents) == len(documents) and all(
        ours == theirs for ours, theirs in zip(documents, block.documents, strict=True)
    )
