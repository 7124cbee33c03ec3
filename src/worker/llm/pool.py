"""Open lines to models, one per target and process: opening one costs a second of imports, keeping it costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from ..config_llm import Account
from .errors import Kind, LLMError
from .exchange import Target
from .providers import PROVIDERS
from .wire import Wire, connect


class LinePool:
    """Opens a line when the first call needs it. Whoever waits for one and gives up leaves it to the next."""

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self._accounts = accounts
        self._opening: dict[Target, asyncio.Task[Wire]] = {}

    async def line(self, target: Target) -> Wire:
        """Raises `LLMError` (no key, no such provider, settings that its adapter refuses)."""
        opening = self._opening.get(target)
        if opening is None:
            opening = self._opening[target] = asyncio.create_task(self._open(target), name=f"open {target}")
        try:
            return await asyncio.shield(opening)
        except LLMError:
            if self._opening.get(target) is opening:
                del self._opening[target]  # the next call tries again
            raise

    async def _open(self, target: Target) -> Wire:
        account, row = self._accounts.get(target.provider), PROVIDERS.get(target.provider)
        if account is None or row is None:
            raise LLMError(Kind.UNSUPPORTED, f"{target.provider}: no such provider", target=target)
        return await connect(row, model=target.model, api_key=account.api_key, base_url=account.base_url)

    async def close(self) -> None:
        """Close all lines; calls that still run break off."""
        opened, self._opening = self._opening, {}
        for task in opened.values():
            if not task.done():
                task.cancel()
        for line in await asyncio.gather(*opened.values(), return_exceptions=True):
            if not isinstance(line, BaseException):
                await line.close()
