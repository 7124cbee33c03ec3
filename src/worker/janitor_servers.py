"""Which Redis and MongoDB the janitor works on.

Those of the settings, else those of the worker that runs under DATA_DIR, else its own, started for this run and ended
after it, so that a worker finds the directory free.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from .config import Settings
from .errors import ConfigError

_STARTING_SEC: Final = 20.0
"""A worker that has just been started owns the directory before its servers answer; they get this long at most."""
_LOOK_SEC: Final = 0.1


class Servers(NamedTuple):
    redis_url: str
    mongodb_uri: str


@asynccontextmanager
async def servers(settings: Settings) -> AsyncIterator[Servers]:
    """Raises `ConfigError` when there are none and none can be started: it says what would mend it."""
    found = _known(settings)
    if found is not None:
        yield found
        return
    from .embedded import EmbeddedError, EmbeddedServers  # only where something embedded is to be started

    own = EmbeddedServers(settings.data_dir, redis=not settings.redis_url, mongo=not settings.mongodb_uri)
    try:
        endpoints = await own.start()
    except EmbeddedError as error:
        # Most likely a worker that is starting at this moment has the directory.
        found = await _until_known(settings) if error.server == "data directory" else None
        if found is None:
            raise ConfigError(f"{error.server}: {error.problem}; {error.mend}") from error
        yield found
        return
    try:
        yield Servers(settings.redis_url or endpoints.redis_url, settings.mongodb_uri or endpoints.mongodb_uri)
    finally:
        await own.stop()


def _known(settings: Settings) -> Servers | None:
    """Of the settings, and what is missing there of a worker that runs here; None where one of both is missing."""
    redis_url, mongodb_uri = settings.redis_url or "", settings.mongodb_uri or ""
    if not (redis_url and mongodb_uri):
        from .embedded import read_state

        endpoints = read_state(settings.data_dir)
        if endpoints is not None:
            redis_url, mongodb_uri = redis_url or endpoints.redis_url, mongodb_uri or endpoints.mongodb_uri
    return Servers(redis_url, mongodb_uri) if redis_url and mongodb_uri else None


async def _until_known(settings: Settings) -> Servers | None:
    deadline = time.monotonic() + _STARTING_SEC
    while time.monotonic() < deadline:
        found = _known(settings)
        if found is not None:
            return found
        await asyncio.sleep(_LOOK_SEC)
    return None
