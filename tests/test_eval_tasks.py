"""The evaluation workers as task types of the service: through the queue, with the documents of the scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import httpx
import pytest

from src.worker.api.application import create_application
from src.worker.handlers import TaskType
from src.worker.handlers.evaluation import EvaluationHandlers, deadline_sec
from src.worker.llm.errors import Kind, LLMError
from src.worker.runtime import Runtime

from .eval_helpers import PROBE, SUMMARIZE, TARGET, ScriptedModel, changed
from .helpers import finished, push, running, settings

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def evaluating(redis_url: str, mongo_uri: str, model: ScriptedModel) -> AsyncIterator[Runtime]:
    async with running(redis_url, mongo_uri) as runtime:
        handlers = EvaluationHandlers(
            lambda name: model, runtime.cpu, runtime.evaluations, deadline_sec=60, now=lambda: datetime.now(UTC)
        ).task_types()
        cast(dict[str, TaskType], runtime.handlers).update(handlers)
        yield runtime


async def outcome(runtime: Runtime, document: dict[str, Any]) -> dict[str, Any]:
    return await finished(runtime, await push(runtime.redis, document), seconds=20)


async def test_every_type_answers_with_its_document(redis_url: str, mongo_uri: str) -> None:
    model = ScriptedModel("I choose 4.", "Because.", "Yes.", "It weighed safety over cost.")
    async with evaluating(redis_url, mongo_uri, model) as runtime:
        probe = await outcome(runtime, {"type": "probe", **PROBE})
        summary = await outcome(runtime, {"type": "summarize", "payload": SUMMARIZE})
        analysis = await outcome(runtime, {"type": "analyze_basic", "runId": "r", "transcripts": []})
        health = await outcome(runtime, {"type": "health_check"})
    assert probe["result"]["transcript"]["turns"][0]["promptLabel"] == "scenario_prompt"
    assert summary["result"]["summary"]["decisionCode"] == "4"
    assert analysis["result"]["analysis"]["perModel"] == {}
    assert health["result"]["health"]["packages"]["orjson"]


async def test_transcripts_and_analyses_are_kept_and_shown(redis_url: str, mongo_uri: str) -> None:
    model = ScriptedModel("I choose 4.", "Because.", "Yes.")
    rows = [
        {
            "id": f"{name}{n}",
            "modelId": name,
            "scenarioId": f"s{n}",
            "summary": {"score": 1 + n % 5},
            "scenario": {"name": f"S{n}"},
        }
        for name in ("gpt-4.1:mini", "$odd.model")
        for n in range(8)
    ]
    async with evaluating(redis_url, mongo_uri, model) as runtime:
        probe = await outcome(runtime, {"type": "probe", **PROBE})
        done = await outcome(runtime, {"type": "analyze_basic", "runId": "r1", "transcripts": rows})
        kept = await runtime.storage.collection("transcripts").find_one({"_id": probe["id"]})
        app = create_application(runtime.api, api_key=None, max_body_bytes=2**20)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            listed = (await client.get("/v1/analyses")).json()
            shown = (await client.get(f"/v1/analyses/{done['id']}")).json()
            report = await client.get(f"/v1/analyses/{done['id']}/report")
            missing = await client.get("/v1/analyses/no-such/report")
    assert (kept["run_id"], kept["success"]) == (PROBE["runId"], True)
    assert [(one["id"], one["runId"]) for one in listed["items"]] == [(done["id"], "r1")]
    assert shown == done["result"]["analysis"]
    assert (report.status_code, report.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "$odd.model" in report.text
    assert "default-src 'none'" in report.headers["content-security-policy"]
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")


async def test_a_clients_mistake_fails_at_once_and_is_named(redis_url: str, mongo_uri: str) -> None:
    async with evaluating(redis_url, mongo_uri, ScriptedModel()) as runtime:
        record = await outcome(runtime, {"type": "probe", **changed(PROBE, "config.maxTurns", 0)})
    assert (record["status"], record["attempts"]) == ("failed", 1)
    assert record["error"]["code"] == "VALIDATION_ERROR"
    assert "config.maxTurns must be between" in record["error"]["message"]


async def test_a_failure_keeps_the_paid_turns_in_the_record(redis_url: str, mongo_uri: str) -> None:
    model = ScriptedModel("I choose 4.", LLMError(Kind.AUTH, "openai does not accept the API key", target=TARGET))
    async with evaluating(redis_url, mongo_uri, model) as runtime:
        record = await outcome(runtime, {"type": "probe", **PROBE})
    assert (record["status"], record["error"]["code"], record["attempts"]) == ("failed", "AUTH_ERROR", 1)
    assert record["error"]["details"]["transcript"]["turns"][0]["targetResponse"] == "I choose 4."


async def test_what_another_try_can_mend_is_tried_again(redis_url: str, mongo_uri: str) -> None:
    down = LLMError(Kind.SERVER, "openai is down", target=TARGET)
    async with evaluating(redis_url, mongo_uri, ScriptedModel(down, "a", "b", "c")) as runtime:
        record = await outcome(runtime, {"type": "probe", **PROBE})
    assert (record["status"], record["attempts"]) == ("succeeded", 2)


def test_a_task_ends_before_its_timeout_so_that_its_own_error_is_told() -> None:
    assert deadline_sec(settings(task_timeout_sec=100)) == 95
    assert deadline_sec(settings(task_timeout_sec=1000, python_worker_timeout=60)) == 60
