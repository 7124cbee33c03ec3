"""The service as it is (`src.worker.app`), but for one thing: where connections of the web scraper end.

Names of hosts lead to a public address, which passes the guard as any other would, and the TCP connection, the last
step of all, goes to the soak's own site on this machine. Nothing of the guard is turned off.

SOAK_SITE_PORT: the site's port on 127.0.0.1. SOAK_TRACE, SOAK_STALLS: files that are told
what grows (`growth`) and what holds the event loop (`stalls`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpcore

from src.worker import web_scraper
from src.worker.app import main
from src.worker.web.transport import Transport
from tests.soak import growth, stalls

PUBLIC = "93.184.215.14"


async def _name(host: str, port: int) -> Sequence[str]:
    return (PUBLIC,) if host.endswith(".example") else (host,)


class _Diverted(httpcore.AnyIOBackend):
    def __init__(self, port: int) -> None:
        self._port = port

    async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        if host not in (PUBLIC, "127.0.0.1"):
            raise httpcore.ConnectError(f"{host} is not there")
        return await super().connect_tcp("127.0.0.1", self._port, *args, **options)


if __name__ == "__main__":
    for name, tool in (("SOAK_TRACE", growth), ("SOAK_STALLS", stalls)):
        if name in os.environ:
            tool.watch(Path(os.environ[name]))
    surroundings = partial(
        web_scraper.Surroundings,
        resolver=_name,
        transport=Transport(backend=_Diverted(int(os.environ["SOAK_SITE_PORT"]))),
    )
    web_scraper.Surroundings = surroundings  # type: ignore[assignment, misc]
    sys.exit(main())
