"""docs/reference/metrics.md: what GET /metrics can show, from the registry of a worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.process_collector import ProcessCollector

from .page import code, page, table

_INTRO: Final = """\
`GET /metrics`, in the text format of Prometheus, without a key. Times are in seconds, sizes in bytes, money in US \
dollars. \
Labels are bounded: no brand, no id, no text of a mention is ever one. Counters begin at 0 with every start of a \
process. \
Beside these there are the `process_*` metrics of the client library, on Linux. \
`deploy/prometheus/alerts.yml` has alerts on them, `deploy/grafana` a dashboard."""


def render(registry: CollectorRegistry) -> str:
    rows = sorted(_rows(registry))
    return page("Metrics", _INTRO, table(("metric", "kind", "labels", "what"), rows))


def _rows(registry: CollectorRegistry) -> Iterator[tuple[str, str, str, str]]:
    # The client library shows labels only on series that exist; a collector knows them from the start.
    for collector in registry._collector_to_names:
        if isinstance(collector, ProcessCollector):
            continue
        for family in collector.collect():
            source: Any = collector if hasattr(collector, "_labelnames") else family
            labels = getattr(source, "_labelnames", ())
            name = f"{family.name}_total" if family.type == "counter" else family.name
            yield code(name), family.type, ", ".join(code(one) for one in labels), family.documentation
