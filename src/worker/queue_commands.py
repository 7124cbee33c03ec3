"""What the queue and those who publish through it share."""

from __future__ import annotations

Word = str | bytes | int | float
Command = tuple[Word, ...]
"""One Redis command as words, e.g. `("RPUSH", key, value)`."""
