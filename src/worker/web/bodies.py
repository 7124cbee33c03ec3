"""Bodies within bounds: bytes over the wire, bytes after decompression, pieces. What is too much is not read."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Final, Protocol

ACCEPT_ENCODING: Final = "gzip, deflate"
"""What the standard library unpacks with a bound on its output. Brotli is not offered, so nobody may send it."""
_STEP: Final = 256 * 1024
"""Bytes unpacked at a time: about a millisecond."""
_PIECES_MAX: Final = 100_000
"""Each chunk of HTTP costs 15 µs however small it is: 5 MB in pieces of 50 bytes, a second and a half, and no more."""
_TURN_SEC: Final = 0.005
"""Longest time without a turn of the event loop. Thousands of pieces can come in one packet, none of which waits."""


class TooLarge(Exception):
    """More bytes than allowed; the rest was not read."""


class Broken(Exception):
    """The bytes are not what their encoding says."""


async def collect(
    pieces: AsyncGenerator[bytes, None], encoding: str, *, limit: int, cut: bool = False, pieces_max: int = _PIECES_MAX
) -> bytes:
    """The whole body, decompressed.

    Args:
        encoding: the value of Content-Encoding; empty for none.
        limit: most bytes, both as sent and as unpacked.
        cut: return the first `limit` bytes of what is larger.

    Raises:
        TooLarge
        Broken
    """
    unpacker = _unpacker(encoding)
    body = bytearray()
    raw = count = 0
    turn = time.monotonic()
    async with aclosing(pieces) as stream:
        async for piece in stream:
            raw, count = raw + len(piece), count + 1
            if count > pieces_max:
                raise Broken(f"comes in more than {pieces_max:,} pieces")
            for part in unpacker.unpack(piece):
                body += part[: limit + 1 - len(body)]
                if len(body) > limit or raw > limit:
                    break
                if time.monotonic() - turn > _TURN_SEC:
                    await asyncio.sleep(0)
                    turn = time.monotonic()
            if len(body) > limit or raw > limit:
                if cut:
                    return bytes(body[:limit])
                raise TooLarge
            if time.monotonic() - turn > _TURN_SEC:
                await asyncio.sleep(0)
                turn = time.monotonic()
    unpacker.finish()
    return bytes(body)


class _Unpacker(Protocol):
    def unpack(self, data: bytes) -> Iterator[bytes]: ...

    def finish(self) -> None:
        """Raises `Broken` when the end is missing."""


def _unpacker(encoding: str) -> _Unpacker:
    names = [name for part in encoding.lower().split(",") if (name := part.strip()) not in ("", "identity")]
    if not names:
        return _Plain()
    if len(names) > 1 or names[0] not in ("gzip", "x-gzip", "deflate"):
        raise Broken(f"is compressed as {', '.join(names)[:50]}, which was not offered")
    return _Deflated(zlib.MAX_WBITS if names[0] == "deflate" else zlib.MAX_WBITS | 16)


class _Plain:
    def unpack(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> None:
        return None


class _Deflated:
    """gzip (RFC 1952, also several members), or deflate with the zlib header (RFC 1950) or, as some do, without."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._engine = zlib.decompressobj(bits)
        self._begun = False

    def unpack(self, data: bytes) -> Iterator[bytes]:
        while data:
            part = self._inflate(data)
            if part:
                yield part
            if self._engine.eof:
                data = self._engine.unused_data
                if self._bits == zlib.MAX_WBITS | 16 and data.startswith(b"\x1f\x8b"):
                    self._engine = zlib.decompressobj(self._bits)
                    continue
                return  # padding after the end, which every browser ignores
            data = self._engine.unconsumed_tail

    def _inflate(self, data: bytes) -> bytes:
        try:
            part = self._engine.decompress(data, _STEP)
        except zlib.error as error:
            if self._begun or self._bits != zlib.MAX_WBITS:
                raise Broken("is not compressed as it says") from error
            self._begun, self._engine = True, zlib.decompressobj(-zlib.MAX_WBITS)
            return self._inflate(data)
        self._begun = True
        return part

    def finish(self) -> None:
        if not self._engine.eof:
            raise Broken("ends in the middle of its compressed data")
