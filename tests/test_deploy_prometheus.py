"""What is watched exists: every metric that an alert or a dashboard names is one of a running worker's."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from src.worker.config import load_settings
from src.worker.redis_client import RedisClient
from src.worker.runtime import Runtime
from src.worker.services import janitor_report
from tests.helpers import finished, push, running, until

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent
PROMETHEUS = ROOT / "deploy" / "prometheus"
GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
ALL_ON: dict[str, Any] = {
    "bluesky_stream": True,
    "llm_daily_budget_usd": "1",
    "otel_exporter_otlp_endpoint": "http://127.0.0.1:1",
}
"""Settings under which every metric there can be is there."""
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",), "gauge": ("",)}
_REPORT = {
    "success": True,
    "started_at": "2026-01-01T03:00:00Z",
    "completed_at": "2026-01-01T03:01:00Z",
    "redis": {"bytes_freed": 1},
    "archive": {"mentions_archived": 2},
}


def names_of(registry: CollectorRegistry) -> set[str]:
    return {family.name + suffix for family in registry.collect() for suffix in _SUFFIXES[family.type]}


def alerts() -> list[dict[str, Any]]:
    document = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text("utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    for rule in alerts():
        yield rule["alert"], rule["expr"]
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text("utf-8"))["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", target["expr"]


def metrics_in(expression: str) -> set[str]:
    """Names of ours, the client library's and Prometheus' own `up`."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\b(by|without)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\{[^}]*\}", "", bare)
    return set(re.findall(r"\b(?:worker|gen_ai|process)_[a-z0-9_]+|\bup\b", bare))


def anchors() -> set[str]:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    return {heading.strip().lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@pytest.fixture
async def exposed(redis_url: str) -> set[str]:
    """Names of all metrics of a worker with everything on, after a janitor has run. Built, not started."""
    runtime = Runtime(
        load_settings(_env_file=None, **ALL_ON), redis_url=redis_url, mongodb_uri="mongodb://127.0.0.1:1/worker"
    )
    client = RedisClient(redis_url)
    await janitor_report.save(client, _REPORT)
    assert runtime.api.janitor is not None
    await runtime.api.janitor.refresh()
    names = names_of(runtime.api.metrics.registry)
    await client.close()
    await runtime.close()
    return names


async def test_every_metric_in_alerts_and_dashboards_exists(exposed: set[str]) -> None:
    used = {(place, name) for place, expression in expressions() for name in metrics_in(expression)}
    assert len({name for _, name in used}) > 30, "the pattern finds them"
    assert sorted((place, name) for place, name in used if name not in exposed | {"up"}) == []


async def test_the_names_of_earlier_workers_are_still_there(exposed: set[str]) -> None:
    older = {"worker_chunks_processed_total", "worker_chunks_failed_total", "worker_processing_time_seconds_bucket"}
    assert older <= exposed


async def test_labels_used_in_alerts_and_dashboards_are_labels_of_running_workers(
    redis_url: str, mongo_uri: str
) -> None:
    async with running(redis_url, mongo_uri) as runtime:
        client = RedisClient(redis_url)
        mention = {"text": "I love Acme", "source": "x", "createdAt": "2026-01-01T10:00:00Z"}
        await push(client, {"type": "analyze_mentions", "id": "t-1", "brand": "acme", "mentions": [mention]})
        await push(client, {"type": "analyze_mentions", "id": "t-2", "brand": "acme", "mentions": "none"})
        assert (await finished(runtime, "t-1"))["status"] == "succeeded"
        assert (await finished(runtime, "t-2"))["status"] == "failed"
        registry = runtime.api.metrics.registry

        async def settled() -> bool:
            failed = registry.get_sample_value("worker_chunks_failed_total", {"reason": "validation"})
            return failed == 1.0 and bool(registry.get_sample_value("worker_event_loop_lag_seconds_count"))

        await until(settled)
        text = runtime.api.metrics.render().decode()
        await client.close()
    assert registry.get_sample_value("worker_chunks_processed_total") == 1.0
    assert registry.get_sample_value("worker_chunks_failed_total", {"reason": "processing"}) == 0.0
    assert registry.get_sample_value("worker_processing_time_seconds_count") == 2.0
    for stage in ("normalise", "dedup", "analyse", "topics", "store", "conclude"):
        assert registry.get_sample_value("worker_mention_stage_duration_seconds_count", {"stage": stage}) == 1.0
    states = re.findall(r'^worker_state\{state="(\w+)"\} (\S+)$', text, re.MULTILINE)
    assert ("redis_lost", "0.0") in states
    assert {name for name, _ in states} >= set(re.findall(r'worker_state\{state="(\w+)"', _all_text()))
    assert sum(float(value) for _, value in states) == 1.0
    assert re.search(r'^worker_build_info\{python="3\.[\d.]+",version="[^"]+"\} 1\.0$', text, re.MULTILINE)
    assert re.search(r"^process_resident_memory_bytes \S+$", text, re.MULTILINE)
    assert "_created" not in text, "a second series of each would say when it began"
    assert "acme" not in text, "brands are no labels"
    assert runtime.settings.worker_id not in text
    _promtool("check", "metrics", stdin=text)


def _all_text() -> str:
    return "\n".join(expression for _, expression in expressions())


def test_every_alert_leads_to_a_page_that_says_what_to_do() -> None:
    known = anchors()
    seen = set()
    for rule in alerts():
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert page == "docs/operations.md"
        assert anchor == rule["alert"].lower()
        assert anchor in known, f"{rule['alert']} has no runbook"
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"].endswith(".")
        seen.add(rule["alert"])
    text = (ROOT / "docs" / "operations.md").read_text("utf-8").partition("## Alerts")[2]
    assert set(re.findall(r"^### (\w+)$", text, re.MULTILINE)) == seen, "no page for an alert that is gone"


def test_links_of_the_operations_page_lead_somewhere() -> None:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        page, _, anchor = target.partition("#")
        assert (ROOT / "docs" / page).exists() if page else anchor in anchors(), target


def test_dashboards_are_what_grafana_reads() -> None:
    assert {path.stem for path in DASHBOARDS} == {"queue", "mentions", "llm", "insight", "janitor", "process"}
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text("utf-8"))
    (prometheus,) = source["datasources"]
    provider = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "worker.yml").read_text("utf-8"))
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    mounts = [mount.split(":")[:2] for mount in compose["grafana"]["volumes"]]
    assert ["./deploy/grafana/dashboards", provider["providers"][0]["options"]["path"]] in mounts
    assert prometheus["url"] == "http://prometheus:9090"
    uids = set()
    for path in DASHBOARDS:
        board = json.loads(path.read_text("utf-8"))
        uids.add(board["uid"])
        places = []
        for panel in board["panels"]:
            assert panel["title"]
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {prometheus["uid"]}
            grid = panel["gridPos"]
            assert grid["x"] + grid["w"] <= 24
            places += [
                (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
            ]
        assert len(places) == len(set(places)), f"panels of {path.stem} lie over each other"
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert len(uids) == len(DASHBOARDS)


def test_prometheus_scrapes_the_service_that_compose_runs() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))
    job = config["scrape_configs"][0]
    (discovery,) = job["dns_sd_configs"]
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    assert set(discovery["names"]) <= services.keys()
    assert str(discovery["port"]) == services["worker"]["environment"]["HTTP_PORT"]
    named = set(re.findall(r'job="([^"]+)"', _all_text()))
    assert named == {job["job_name"]}
    monitor = ROOT / "deploy" / "k8s" / "components" / "monitoring" / "servicemonitor.yaml"
    assert yaml.safe_load(monitor.read_text("utf-8"))["metadata"]["name"] == job["job_name"]


def _promtool(*words: str, stdin: str | None = None) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool (of Prometheus) is not on this machine")
    done = subprocess.run(["promtool", *words], input=stdin, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
    assert stdin is None or not (done.stdout + done.stderr).strip(), "promtool has remarks"


def test_promtool_accepts_the_configuration_and_its_rules() -> None:
    _promtool("check", "config", str(PROMETHEUS / "prometheus.yml"))
    _promtool("check", "rules", "--lint=all", "--lint-fatal", str(PROMETHEUS / "alerts.yml"))


def test_alerts_fire_when_they_should_and_not_before() -> None:
    _promtool("test", "rules", str(PROMETHEUS / "alerts_test.yml"))


def test_promtool_can_read_every_query_of_the_dashboards(tmp_path: Path) -> None:
    queries = [expression.replace("$__rate_interval", "1m") for _, expression in expressions()]
    rules = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(queries)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    _promtool("check", "rules", str(path))
