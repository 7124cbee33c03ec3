"""Spans: what took how long, from the queue to the language model. Off unless an OTLP endpoint is set.

with span("dedup") as here:
    here.set("worker.mentions", len(fresh))

Inside a task or a request that is recorded this opens a span; anywhere else it costs a look at a context variable,
under a microsecond. Nothing that records is imported before `tracing_of` finds that it is wanted. Names follow
OpenTelemetry's semantic conventions where they have one; values are figures, names of ours and ids, never text that a
person wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol

from .errors import ConfigError
from .trace_context import Attribute, Scope, Span, SpanKind, TraceContext, current, enter, leave

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from .config import Settings


class _Silent:
    """A span that nobody records."""

    __slots__ = ()

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def set(self, name: str, value: Attribute | None) -> None:
        return None

    def fail(self, kind: str) -> None:
        return None

    def rename(self, name: str) -> None:
        return None


_SILENT: Final = _Silent()


class Carried(_Silent):
    """Not recorded, but known to logs and handed on to whatever is called."""

    __slots__ = ("_scope", "_token")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._token: Token[Scope] | None = None

    def __enter__(self) -> Span:
        self._token = enter(self._scope)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            leave(self._token)


class Tracing(Protocol):
    """Opens the spans that stand at the beginning: everything else opens inside."""

    def begin(
        self,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        *,
        parent: TraceContext | None = None,
        task_id: str | None = None,
        links: Sequence[TraceContext] = (),
    ) -> Span:
        """A span below `parent`, or at the root; `task_id` is for the logs."""
        ...

    def close(self) -> None:
        """Send what waits, for two seconds at most. Blocks."""
        ...


class NoTracing:
    """Records nothing; traces of others pass through."""

    __slots__ = ()

    def begin(
        self,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        *,
        parent: TraceContext | None = None,
        task_id: str | None = None,
        links: Sequence[TraceContext] = (),
    ) -> Span:
        return Carried(Scope(task_id, parent))

    def close(self) -> None:
        return None


OFF: Final = NoTracing()


def span(name: str, kind: SpanKind = SpanKind.INTERNAL) -> Span:
    """A span inside the one that is open here; silence where none is."""
    opener = current().opener
    return _SILENT if opener is None else opener.child(name, kind)


def here() -> Span | None:
    """The span that is open here, None where nothing is recorded: for attributes that cost something to find."""
    opener = current().opener
    return None if opener is None else opener.span


def tracing_of(settings: Settings, registry: CollectorRegistry) -> Tracing:
    """What the settings ask for.

    Raises:
        ConfigError: they cannot be met.
    """
    if settings.otel_sdk_disabled or not settings.otel_exporter_otlp_endpoint:
        return OFF
    try:
        from .tracing_export import ExportedTracing
    except ModuleNotFoundError as error:
        raise ConfigError(
            "OTEL_EXPORTER_OTLP_ENDPOINT: traces need opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http,"
            f" of which {error.name} is not installed"
        ) from error
    return ExportedTracing.of(settings, registry)
