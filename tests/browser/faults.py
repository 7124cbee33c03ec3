"""What the pages of a test complain of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Faults:
    """What a page complains of. Tests that cause faults on purpose take them out."""

    seen: list[str] = field(default_factory=list)

    def watch(self, page: Any) -> None:
        page.on("console", lambda one: one.type in ("error", "warning") and self.seen.append(f"console: {one.text}"))
        page.on("pageerror", lambda error: self.seen.append(f"error: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", lambda one: one.status >= 400 and self.seen.append(f"{one.status} {one.url}"))

    def _failed(self, request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page itself ends what it does not want any more
            self.seen.append(f"failed: {request.url} {request.failure}")
