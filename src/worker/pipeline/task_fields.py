"""Fields of a task's type, in the spellings that producers use (camel and snake case are both real). Pure.

Every problem is an `InvalidTask` that names the field as its producer wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ..errors import InvalidTask
from ..llm.fence import clean
from ..models import Chunk, Mention
from ..tasks import json_kind
from .normalize import EMPTY, normalise

NAME_MAX: Final = 200
"""Characters of a name, as many as reach a prompt (`llm.texts.NAME_MAX`)."""
_KEY_PART: Final = re.compile(r"[^\s:*?\[\]\x00-\x1f\x7f]{1,200}\Z")
"""Ids become parts of key names: a colon would make two keys one, a star belongs to patterns."""
_NUMBER_MAX: Final = 10**30
"""Ids that are longer are none; Python takes its time over numbers of many digits."""
_ONE: Final = "mentions[0]."


class Fields:
    """The payload of one task. A field that is null or empty text is one that is not there."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._payload = payload

    def text(self, *names: str, limit: int) -> str:
        """The first of these fields that is there.

        Raises:
            InvalidTask: none is, or it is no text, longer than `limit` characters, or holds nothing that can be seen.
        """
        name, value = self._found(names)
        if value is None:
            raise InvalidTask(name, "is required")
        found = self.optional(*names, limit=limit)
        if found is None or not clean(found):
            raise InvalidTask(name, "is empty")
        return found

    def identity(self, *names: str) -> str | None:
        """An id or a name of somebody, or None. Ids are numbers to some producers."""
        value = self._found(names)[1]
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _NUMBER_MAX:
            return str(value)
        return self.optional(*names)

    def optional(self, *names: str, limit: int = NAME_MAX) -> str | None:
        """The same as `text`, or None."""
        name, value = self._found(names)
        if value is None:
            return None
        if not isinstance(value, str):
            raise InvalidTask(name, f"must be text, not {json_kind(value)}")
        if len(value) > limit:
            raise InvalidTask(name, f"has {len(value):,} characters, at most {limit:,} are allowed")
        return value.strip() or None

    def key_part(self, *names: str) -> str | None:
        """An id that becomes part of a key's name."""
        found = self.identity(*names)
        if found is not None and not _KEY_PART.match(found):
            raise InvalidTask(self._found(names)[0], "must hold no blanks and none of : * ? [ ]")
        return found

    def number(self, *names: str, default: float, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        name, value = self._found(names)
        if value is None:
            return default
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise InvalidTask(name, f"must be a number, not {json_kind(value)}")
        if not low <= value <= high:  # which NaN is not either
            raise InvalidTask(name, f"must be a number from {low:g} to {high:g}")
        return float(value)

    def flag(self, *names: str) -> bool | None:
        name, value = self._found(names)
        if value is not None and not isinstance(value, bool):
            raise InvalidTask(name, f"must be true or false, not {json_kind(value)}")
        return value

    def choice(self, *names: str, allowed: tuple[str, ...]) -> str | None:
        """A word of a closed list, however it is cased."""
        found = self.optional(*names)
        if found is None:
            return None
        if found.lower() not in allowed:
            raise InvalidTask(self._found(names)[0], f"must be one of {', '.join(allowed)}")
        return found.lower()

    def items(self, name: str, *, most: int) -> tuple[Any, ...]:
        """An array that is not empty; what is in it is checked by `mentions_of`."""
        value = self._payload.get(name)
        if value is None:
            raise InvalidTask(name, "is required")
        if not isinstance(value, list):
            raise InvalidTask(name, f"must be an array, not {json_kind(value)}")
        if not value:
            raise InvalidTask(name, "is empty")
        if len(value) > most:
            raise InvalidTask(name, f"has {len(value):,} items, at most {most:,} are allowed")
        return tuple(value)

    def first(self, *names: str) -> Any:
        """A value whose form somebody else checks; None where there is none."""
        return self._found(names)[1]

    def _found(self, names: tuple[str, ...]) -> tuple[str, Any]:
        for name in names:
            value = self._payload.get(name)
            if value is not None and value != "":
                return name, value
        return names[0], None


@dataclass(frozen=True, slots=True)
class Mentions:
    """Mentions of a task, in its order, without synthetic ones, which aggregators make up, and empty ones."""

    mentions: tuple[Mention, ...]
    synthetic: int
    empty: int = 0

    def left_out(self) -> dict[str, int]:
        """How many were, as results say it."""
        return {"synthetic": self.synthetic, "empty": self.empty}


def mentions_of(items: tuple[Any, ...], *, brand: str, received_at: datetime, max_chars: int) -> Mentions:
    """Texts or objects as mentions; one that cannot be read spoils the task, because its answer is about all of them.

    A post of pictures has an empty text and spoils nothing: a crisis is not to go unseen because somebody posted one.

    Raises:
        InvalidTask: names the first bad one, e.g. `mentions[3].text`; or the first, where nobody wrote anything.
    """
    chunk = Chunk(brand=brand, chunk_id="task", items=items)
    found = normalise(chunk, received_at=received_at, max_chars=max_chars)
    bad = [one for one in found.rejected if not one.reason.endswith(f": {EMPTY}")]
    if found.rejected and not found.mentions and not found.synthetic:
        bad = found.rejected
    if bad:
        field, _, problem = bad[0].reason.partition(": ")
        raise InvalidTask(field, problem)
    return Mentions(tuple(mention for _, mention in found.mentions), found.synthetic, len(found.rejected))


def mention_of(item: Mapping[str, Any], *, brand: str, received_at: datetime, max_chars: int) -> Mention | None:
    """The one mention whose fields stand in the task itself; None for one that an aggregator made up."""
    try:
        found = mentions_of((dict(item),), brand=brand, received_at=received_at, max_chars=max_chars)
    except InvalidTask as error:
        raise InvalidTask(error.field.removeprefix(_ONE), error.problem) from None
    return found.mentions[0] if found.mentions else None
