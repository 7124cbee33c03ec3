"""Spans on their way to a collector: OpenTelemetry's SDK, OTLP over HTTP. Imported only when tracing is on.

Spans wait in a bounded queue (OTEL_BSP_MAX_QUEUE_SIZE, 2,048; the newest push the oldest out) for a thread of the SDK
that sends them in batches. A collector that cannot be reached costs spans, one line in the log when it begins and one
when it ends; the SDK's own complaints, one per batch, are what that line quotes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags, set_span_in_context
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind as OtelKind
from opentelemetry.trace.span import TraceState
from prometheus_client import Counter

from . import __version__
from .errors import ConfigError, WorkerError
from .logging import get_logger
from .trace_context import Attribute, Scope, Span, SpanKind, TraceContext, current
from .tracing import Carried

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from prometheus_client import CollectorRegistry

    from .config import Settings

log = get_logger(__name__)

_CLOSE_SEC: Final = 2.0
"""A stopping worker waits no longer for its last spans: its tasks are what has to be saved."""
_TEXT_MAX: Final = 200
"""Characters of an attribute: a span carries ids and names, not texts."""
_PATH: Final = "/v1/traces"
_KINDS: Final = {kind: OtelKind[kind.value] for kind in SpanKind}
_SAMPLERS: Final[dict[str, Callable[[float], Sampler]]] = {
    "always_on": lambda _: ALWAYS_ON,
    "always_off": lambda _: ALWAYS_OFF,
    "traceidratio": TraceIdRatioBased,
    "parentbased_always_on": lambda _: ParentBased(ALWAYS_ON),
    "parentbased_always_off": lambda _: ParentBased(ALWAYS_OFF),
    "parentbased_traceidratio": lambda share: ParentBased(TraceIdRatioBased(share)),
}


class ExportedTracing:
    """Spans of one process, recorded by one provider of its own: nothing global is set."""

    def __init__(self, exporter: SpanExporter, *, sampler: Sampler, resource: Resource) -> None:
        self._processor = BatchSpanProcessor(exporter)
        # Without the hook at exit: it would wait for a collector that hangs, after everything else has ended.
        self._provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("worker", __version__)

    @classmethod
    def of(cls, settings: Settings, registry: CollectorRegistry) -> ExportedTracing:
        """As the settings say; what they do not know (OTEL_BSP_…, certificates, compression) the SDK reads itself.

        Raises:
            ConfigError: headers or resource attributes that are no list of name=value.
        """
        secret = settings.otel_exporter_otlp_headers
        headers = _pairs("OTEL_EXPORTER_OTLP_HEADERS", secret.get_secret_value() if secret else "")
        attributes = _pairs("OTEL_RESOURCE_ATTRIBUTES", settings.otel_resource_attributes)
        name, version = settings.otel_service_name, __version__
        own = {"service.name": name, "service.version": version, "service.instance.id": settings.worker_id}
        endpoint = (settings.otel_exporter_otlp_endpoint or "").rstrip("/") + _PATH
        return cls(
            Watched(OTLPSpanExporter(endpoint=endpoint, headers=headers or None), registry, endpoint),
            sampler=_SAMPLERS[settings.otel_traces_sampler](settings.otel_traces_sampler_arg),
            resource=Resource.create({**own, **attributes}),
        )

    def begin(
        self,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        *,
        parent: TraceContext | None = None,
        task_id: str | None = None,
        links: Sequence[TraceContext] = (),
    ) -> Span:
        """A span below `parent`; one that is not to be recorded still has ids for logs and for whoever is called."""
        # An empty context, not None: None would be the caller's, of a library that traces by itself.
        above = Context()
        if parent is not None:
            above = set_span_in_context(NonRecordingSpan(_to_otel(parent)), above)
        linked = [Link(_to_otel(one)) for one in links]
        made = self._tracer.start_span(name, context=above, kind=_KINDS[kind], links=linked)
        if not made.is_recording():
            return Carried(Scope(task_id, _from_otel(made)))
        return Recorded(self._tracer, made, task_id)

    def close(self) -> None:
        """Send what waits, for two seconds at most; in a thread, for a request under way cannot be broken off."""
        closing = threading.Thread(target=self._provider.shutdown, name="tracing-close", daemon=True)
        closing.start()
        closing.join(_CLOSE_SEC)
        if closing.is_alive():
            log.warning("the last spans could not be sent in time", seconds=_CLOSE_SEC)


class Recorded(Carried):
    """One span of the SDK, and the scope of what runs inside it."""

    __slots__ = ("_made", "_tracer")

    def __init__(self, tracer: Any, made: OtelSpan, task_id: str | None) -> None:
        super().__init__(Scope(task_id, _from_otel(made), self))
        self._tracer = tracer
        self._made = made

    @property
    def span(self) -> Span:
        return self

    def child(self, name: str, kind: SpanKind) -> Span:
        above = set_span_in_context(self._made, Context())
        made = self._tracer.start_span(name, context=above, kind=_KINDS[kind])
        return Recorded(self._tracer, made, current().task_id)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if error is not None:
            # Not its message: it may quote what it stumbled over, and mentions and prompts stay out of traces.
            self.fail(error.code if isinstance(error, WorkerError) else type(error).__name__)
        self._made.end()

    def set(self, name: str, value: Attribute | None) -> None:
        if value is not None:
            self._made.set_attribute(name, value[:_TEXT_MAX] if isinstance(value, str) else value)

    def fail(self, kind: str) -> None:
        self.set("error.type", kind)
        self._made.set_status(Status(StatusCode.ERROR, kind))

    def rename(self, name: str) -> None:
        self._made.update_name(name)


class Watched(SpanExporter):
    """Another exporter whose failures are said once, counted, and never raised into the SDK's thread."""

    def __init__(self, inner: SpanExporter, registry: CollectorRegistry, endpoint: str) -> None:
        self._inner = inner
        self._endpoint = endpoint
        self._failing = False
        self._heard = _Complaints()
        self._spans = Counter(
            "worker_trace_spans",
            "Spans handed to the collector by what became of them (exported, failed).",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("exported", "failed"):
            self._spans.labels(outcome)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._heard.last = ""
        try:
            result = self._inner.export(spans)
        except Exception as error:  # noqa: BLE001 - the exporter's fault must not end the thread that sends; it is said
            result, self._heard.last = SpanExportResult.FAILURE, f"{type(error).__name__}: {error}"
        fine = result is SpanExportResult.SUCCESS
        self._spans.labels("exported" if fine else "failed").inc(len(spans))
        if fine and self._failing:
            log.info("spans reach the collector again", endpoint=self._endpoint)
        elif not fine and not self._failing:
            log.warning("spans cannot be sent and are dropped", endpoint=self._endpoint, problem=self._heard.last)
        self._failing = not fine
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()
        self._heard.remove()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


class _Complaints(logging.Handler):
    """Hears what the SDK logs instead of the process's own handlers; the last of it is the reason of a failure."""

    _LOGGERS: Final = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal")

    def __init__(self) -> None:
        super().__init__()
        self.last = ""
        for name in self._LOGGERS:
            logging.getLogger(name).addHandler(self)
            logging.getLogger(name).propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()[:500]

    def remove(self) -> None:
        for name in self._LOGGERS:
            logger = logging.getLogger(name)
            logger.removeHandler(self)
            logger.propagate = not logger.handlers


def _pairs(setting: str, text: str) -> Mapping[str, str]:
    """`a=1,b=2` as OpenTelemetry writes lists, values percent-encoded."""
    pairs = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, found, value = part.partition("=")
        if not name.strip() or not found:
            raise ConfigError(f"{setting}: must be a list such as name=value,other=value")
        pairs[name.strip()] = unquote(value.strip())
    return pairs


def _to_otel(trace: TraceContext) -> SpanContext:
    return SpanContext(
        int(trace.trace_id, 16),
        int(trace.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(trace.flags),
        trace_state=TraceState.from_header([trace.state]) if trace.state else None,
    )


def _from_otel(span: OtelSpan) -> TraceContext:
    found = span.get_span_context()
    return TraceContext(
        f"{found.trace_id:032x}", f"{found.span_id:016x}", int(found.trace_flags), found.trace_state.to_header()
    )
