"""Where work stands in a trace (W3C Trace Context of 2021, with level 2's second flag), and what runs now.

A task, a request and whatever they call carry a `Scope` in a context variable. Logs read it; spans are opened from it
(`tracing`). Pure: no I/O, and nothing of OpenTelemetry is imported here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar, Token
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol

Attribute = str | bool | int | float | tuple[str, ...]
"""What a span can say of itself."""

PARENT: Final = "traceparent"
STATE: Final = "tracestate"
_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_PARENT_MAX: Final = 512
"""A later version may be longer than the 55 characters of version 00; nobody needs it to have no end."""
_SAMPLED: Final = 0x01
_KNOWN_FLAGS: Final = 0x03
"""Sampled, and "the trace id is random" (level 2). Others are reserved: they are not handed on."""
_STATE_MAX: Final = 512
_MEMBERS_MAX: Final = 32
_KEY: Final = r"[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}"
_MEMBER: Final = re.compile(rf"({_KEY})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]", re.ASCII)


class TraceContext(NamedTuple):
    """One span of one trace, as it is handed from program to program."""

    trace_id: str
    """32 digits, hexadecimal, lower case."""
    span_id: str
    """16 of them."""
    flags: int = _SAMPLED
    state: str = ""
    """What tracing systems on the way have added (`tracestate`)."""

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    def fields(self) -> dict[str, str]:
        """As fields of a task or headers of a request."""
        return {PARENT: self.traceparent, STATE: self.state} if self.state else {PARENT: self.traceparent}


def read(parent: Any, state: Any = None) -> TraceContext | None:
    """A context from the two values of the recommendation; None when `parent` is none of its.

    A `state` that cannot be read is left out, as the recommendation has it: the trace goes on without.

    >>> read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").span_id
    'b7ad6b7169203331'
    """
    if not isinstance(parent, str) or len(parent) > _PARENT_MAX:
        return None
    found = _PARENT.fullmatch(parent.strip(" \t"))
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == "ff" or (version == "00" and rest is not None):
        return None
    if not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceContext(trace_id, span_id, int(flags, 16) & _KNOWN_FLAGS, _state(state))


def take(document: dict[str, Any]) -> TraceContext | None:
    """The same from a task's fields, which are taken out of the document."""
    parent, state = document.pop(PARENT, None), document.pop(STATE, None)
    return None if parent is None else read(parent, state)


def of(fields: Mapping[str, Any]) -> TraceContext | None:
    """The same without taking anything."""
    parent = fields.get(PARENT)
    return None if parent is None else read(parent, fields.get(STATE))


def _state(value: Any) -> str:
    if not isinstance(value, str) or not value:
        return ""
    members = [member for part in value.split(",") if (member := part.strip(" \t"))]
    keys = [found[1] for member in members if (found := _MEMBER.fullmatch(member))]
    joined = ",".join(members)
    fine = len(keys) == len(members) == len(set(keys)) and len(members) <= _MEMBERS_MAX and len(joined) <= _STATE_MAX
    return joined if fine else ""


# -- what runs now -------------------------------------------------------------------------------------------------


class SpanKind(StrEnum):
    """OpenTelemetry's kinds of spans."""

    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


class Span(Protocol):
    """Something that takes time: `with span(…) as it`. An exception that leaves it is its failure."""

    def __enter__(self) -> Span: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def set(self, name: str, value: Attribute | None) -> None:
        """Say something of it; None says nothing. Never text that a person wrote."""

    def fail(self, kind: str) -> None:
        """It has not come to a good end, though no exception leaves it. `kind`: one of a closed list of words."""

    def rename(self, name: str) -> None:
        """Its name is known only later."""


class Opener(Protocol):
    """A span that is recorded, and can have others inside."""

    def child(self, name: str, kind: SpanKind) -> Span: ...

    @property
    def span(self) -> Span: ...


class Scope(NamedTuple):
    """What the code that runs now belongs to."""

    task_id: str | None = None
    trace: TraceContext | None = None
    """Our own span where one is recorded; else the one of whoever asked, which is handed on as it came."""
    opener: Opener | None = None
    """None: nothing is recorded here."""


_NOWHERE: Final = Scope()
_scope: ContextVar[Scope] = ContextVar("scope", default=_NOWHERE)

current: Final = _scope.get
"""The scope of the code that calls."""


def outgoing() -> dict[str, str]:
    """What a task that is enqueued here gets, so that its trace goes on: nothing where there is none."""
    trace = current().trace
    return {} if trace is None else trace.fields()


def enter(scope: Scope) -> Token[Scope]:
    """Set the scope of this coroutine and whatever it calls; `leave` puts back what was before."""
    return _scope.set(scope)


def leave(token: Token[Scope]) -> None:
    _scope.reset(token)
