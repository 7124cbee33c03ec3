"""Who may ask what over HTTP: roles, keys, and the file that keys are listed in. Pure.

A key is 32 random bytes, so a plain SHA-256 of it is enough at rest: nobody can guess 256 bits, however fast the hash
is, and salts and slow hashes, which protect what people choose, would only cost every request tens of milliseconds.

A file of keys has one key per line, words apart by blanks; what follows `#` is a remark:

    name  role  sha256:<64 hexadecimal digits>  [expiry, ISO 8601]
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from .errors import WorkerError
from .times import iso, parse_time

KEYS_MAX: Final = 256
"""Every one is compared with every request's: 256 comparisons take 35 µs."""
FILE_BYTES_MAX: Final = 1 << 20
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_HASH: Final = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)
_SECRET_BYTES: Final = 32
_PREFIX: Final = "bwk_"
"""Lets secret scanners, and people, see what a leaked string is."""


class BrokenKeys(WorkerError):
    """A file of keys that cannot be used. The message names the line, never what stands in it."""

    code = "KEYS"


class Role(StrEnum):
    """Each may do what those before it may."""

    READ = "read"
    WRITE = "write"
    OPERATE = "operate"

    def covers(self, needed: Role) -> bool:
        return _RANK[self] >= _RANK[needed]


_RANK: Final = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key as it is known here: never the key itself."""

    name: str
    role: Role
    digest: bytes
    """SHA-256 of the key."""
    expires: datetime | None = None

    def expired(self, now: datetime) -> bool:
        return self.expires is not None and now >= self.expires

    def line(self) -> str:
        """Its line of the file."""
        words = [self.name, self.role.value, f"sha256:{self.digest.hex()}"]
        return " ".join([*words, iso(self.expires)] if self.expires is not None else words)


@dataclass(frozen=True, slots=True)
class KeySet:
    """All keys that are good now."""

    keys: tuple[AccessKey, ...]

    def find(self, secret: bytes) -> AccessKey | None:
        """The key that `secret` is. Takes as long whichever it is and whether there is one."""
        digest = hashlib.sha256(secret).digest()
        found: AccessKey | None = None
        for key in self.keys:
            if hmac.compare_digest(digest, key.digest):
                found = key
        return found


def new_secret() -> str:
    return _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def key_of(name: str, role: Role, secret: str, expires: datetime | None = None) -> AccessKey:
    return AccessKey(name, role, hashlib.sha256(secret.encode()).digest(), expires)


def read_keys(raw: bytes) -> tuple[AccessKey, ...]:
    """The keys of a file, in its order.

    Raises:
        BrokenKeys: any line cannot be used. One wrong line makes the whole file wrong: a typing mistake must neither
            open nor close a door unnoticed. A file without a key is wrong too: an editor that writes in place shows one
            for a moment.
    """
    if len(raw) > FILE_BYTES_MAX:
        raise BrokenKeys(f"has more than {FILE_BYTES_MAX:,} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise BrokenKeys("is not UTF-8 text") from None
    keys: dict[str, AccessKey] = {}
    digests: set[bytes] = set()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        key = _key(words, number)
        if key.name in keys:
            raise BrokenKeys(f"line {number}: the name {key.name} stands twice")
        if key.digest in digests:
            raise BrokenKeys(f"line {number}: the same key stands under another name")
        keys[key.name] = key
        digests.add(key.digest)
    if not keys:
        raise BrokenKeys("holds no key")
    if len(keys) > KEYS_MAX:
        raise BrokenKeys(f"has {len(keys):,} keys, at most {KEYS_MAX}")
    return tuple(keys.values())


def _key(words: list[str], number: int) -> AccessKey:
    def wrong(problem: str) -> BrokenKeys:
        return BrokenKeys(f"line {number}: {problem}")

    if not 3 <= len(words) <= 4:
        raise wrong("must be: name role sha256:<hash> [expiry]")
    name, role, hashed = words[:3]
    if not NAME.fullmatch(name):
        raise wrong("the name must be 1 to 64 letters, digits or . _ -, the first a letter or digit")
    if role not in list(Role):
        raise wrong(f"the role must be one of {', '.join(Role)}")
    found = _HASH.fullmatch(hashed)
    if found is None:
        raise wrong("the hash must be sha256: and 64 hexadecimal digits; `cli keys new` makes one")
    expires = expiry(words[3]) if len(words) == 4 else None
    if len(words) == 4 and expires is None:
        raise wrong("the expiry must be a time such as 2027-01-31T00:00:00Z")
    return AccessKey(name, Role(role), bytes.fromhex(found[1]), expires)


def expiry(text: str) -> datetime | None:
    """A time with its zone; a day is its beginning in UTC. None for anything else, epochs included."""
    if not re.match(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        return None
    when = parse_time(text)
    return None if when is None else when.astimezone(UTC)
