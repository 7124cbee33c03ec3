"""The keys that open the service: WORKER_API_KEY and the file WORKER_API_KEYS_FILE, which is followed as it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ..access import FILE_BYTES_MAX, AccessKey, BrokenKeys, KeySet, Role, key_of, read_keys
from ..errors import ConfigError
from ..logging import get_logger

log = get_logger(__name__)

SETTING: Final = "WORKER_API_KEY"
LOOK_EVERY_SEC: Final = 3.0
"""How long a key that was taken out of the file stays good. A look is one stat() in a thread."""
_SAID_EVERY_SEC: Final = 600.0
"""A file that stays broken is told of again."""

Told = Callable[[str, dict[str, object]], None]
"""Is told what happened to the keys: an action and its details."""


class KeyRing:
    """Keys that are good now. Without a key and without a file nobody needs one, and the service stays on loopback."""

    def __init__(self, api_key: str | None = None, file: Path | None = None) -> None:
        """Reads the file.

        Raises:
            ConfigError: it cannot be used.
        """
        self._own = (key_of(SETTING, Role.OPERATE, api_key),) if api_key else ()
        self._file = file
        self._seen: object = None
        self._problem: str | None = None
        self._said = float("-inf")
        self.current = KeySet(self._own)
        if file is not None:
            try:
                self._seen = _signature(file)
                self.current = self._set(_read(file))
            except (OSError, BrokenKeys) as error:
                raise ConfigError(f"WORKER_API_KEYS_FILE: {file} {_why(error)}") from None

    @property
    def required(self) -> bool:
        return bool(self._own) or self._file is not None

    @property
    def problem(self) -> str | None:
        """Why the file as it is now is not used, where that is so."""
        return self._problem

    def find(self, secret: bytes, now: datetime) -> tuple[AccessKey | None, bool]:
        """The key that `secret` is, and whether its time is over."""
        key = self.current.find(secret)
        return key, key is not None and key.expired(now)

    async def follow(self, told: Told) -> None:
        """Take over every change of the file, until cancelled. A file that cannot be used changes nothing: the keys
        that were good stay good, and an error is logged at once and every ten minutes."""
        clock = asyncio.get_running_loop().time
        while self._file is not None:
            await asyncio.sleep(LOOK_EVERY_SEC)
            await self.look(told, clock())

    async def look(self, told: Told, now: float) -> None:
        """One look at the file. `now`: seconds of any clock that only goes forward."""
        file = self._file
        if file is None:
            return
        try:
            signature = await asyncio.to_thread(_signature, file)
            if signature == self._seen and self._problem is None:
                return
            keys = self._set(await asyncio.to_thread(_read, file))
        except (OSError, BrokenKeys) as error:
            self._broken(file, _why(error), told, now)
            return
        unchanged = keys == self.current
        self._seen, self._problem = signature, None
        if unchanged:
            return
        before, self.current = self.current, keys
        changes = _changes(before, keys)
        log.info("API keys were read anew", file=str(file), **changes)
        told("keys.reload", changes)

    def _set(self, keys: tuple[AccessKey, ...]) -> KeySet:
        if any(key.name == SETTING for key in keys):
            raise BrokenKeys(f"names a key {SETTING}, which is the setting's")
        return KeySet(self._own + keys)

    def _broken(self, file: Path, problem: str, told: Told, now: float) -> None:
        fresh = problem != self._problem
        self._problem = problem
        if fresh:
            told("keys.reload_refused", {"problem": problem, "keysKept": len(self.current.keys)})
        if fresh or now - self._said >= _SAID_EVERY_SEC:
            self._said = now
            log.error(
                "API keys were NOT read anew: the keys from before stay good, removed ones too",
                file=str(file),
                problem=problem,
                keys=len(self.current.keys),
            )


def utc_now() -> datetime:
    return datetime.now(UTC)


def _signature(file: Path) -> object:
    """Changes with the file; mounted secrets are exchanged by a link, which changes the inode."""
    found = file.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(file: Path) -> tuple[AccessKey, ...]:
    with file.open("rb") as stream:
        return read_keys(stream.read(FILE_BYTES_MAX + 1))


def _why(error: OSError | BrokenKeys) -> str:
    return error.message if isinstance(error, BrokenKeys) else f"cannot be read ({error.strerror or error})"


def _changes(before: KeySet, after: KeySet) -> dict[str, object]:
    """Names only."""
    old, new = ({key.name: key for key in keys.keys} for keys in (before, after))
    return {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
        "keys": len(new),
    }
