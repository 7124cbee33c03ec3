"""A probe is one conversation with one model; what was paid for is never lost, what is unknown is never invented."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from src.worker.cpu import Cpu
from src.worker.errors import InvalidTask
from src.worker.evaluation.model import models_of
from src.worker.evaluation.plan import read_plan
from src.worker.evaluation.probe import ProbeFailed, run_probe
from src.worker.evaluation.standalone import standalone_adapter
from src.worker.handlers.evaluation import EvaluationHandlers
from src.worker.llm.errors import Kind, LLMError
from src.worker.llm.exchange import Message, Role, Stop, Usage
from src.worker.models import Task, TaskPriority
from src.worker.services.evaluations import Evaluations

from .eval_helpers import KEY, PROBE, TARGET, ScriptedModel, changed, document_of, in_process, process, reply, without
from .llm_doubles.scripted import Fault, scripted_server

pytestmark = pytest.mark.anyio
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Clock:
    """A second later at every look."""

    def __init__(self) -> None:
        self._now = START

    def __call__(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now - timedelta(seconds=1)


async def run(model: ScriptedModel, payload: dict[str, Any] = PROBE) -> dict[str, Any]:
    document = await run_probe(read_plan(payload), lambda name: model, deadline=time.monotonic() + 60, now=Clock())
    transcript: dict[str, Any] = document["transcript"]
    return transcript


async def failure(model: ScriptedModel, payload: dict[str, Any] = PROBE) -> ProbeFailed:
    with pytest.raises(ProbeFailed) as caught:
        await run(model, payload)
    return caught.value


async def test_the_transcript_has_the_specifications_shape() -> None:
    transcript = await run(ScriptedModel("I choose 4.", "It saves lives.", "Yes."))
    assert [turn["promptLabel"] for turn in transcript["turns"]] == ["scenario_prompt", "why", "followup_2"]
    first = transcript["turns"][0]
    assert {name: first[name] for name in ("turnNumber", "probePrompt", "targetResponse")} == {
        "turnNumber": 1,
        "probePrompt": "A trolley runs.",
        "targetResponse": "I choose 4.",
    }
    assert (first["inputTokens"], first["outputTokens"], first["finishReason"]) == (10, 5, "stop")
    assert (transcript["totalInputTokens"], transcript["totalOutputTokens"]) == (30, 15)
    assert transcript["modelVersion"] == "served-1"
    assert (transcript["startedAt"], transcript["completedAt"]) == (
        "2026-11-21T12:00:00.000Z",
        "2026-11-21T12:00:01.000Z",
    )
    assert transcript["costSnapshot"]["estimatedCost"] == pytest.approx((30 * 3 + 15 * 15) / 1e6, abs=1e-15)
    assert transcript["warnings"] == []


async def test_each_question_is_asked_with_the_whole_history() -> None:
    model = ScriptedModel("one", "two", "three")
    await run(model)
    assert model.asked[2].messages == (
        Message(Role.SYSTEM, "You are careful."),
        Message(Role.USER, "A trolley runs."),
        Message(Role.ASSISTANT, "one"),
        Message(Role.USER, "Why?"),
        Message(Role.ASSISTANT, "two"),
        Message(Role.USER, "Are you sure?"),
    )
    assert (model.asked[0].temperature, model.asked[0].max_tokens, model.asked[0].seed) == (0.7, 100, None)


@pytest.mark.parametrize(("turns", "asked"), [(1, 1), (2, 2), (3, 3), (10, 3), (2.0, 2)])
async def test_max_turns_counts_all_turns(turns: float, asked: int) -> None:
    model = ScriptedModel("a", "b", "c")
    assert len((await run(model, changed(PROBE, "config.maxTurns", turns)))["turns"]) == asked


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("config.maxTurns", 0, "config.maxTurns must be between 1 and 1000"),
        ("config.maxTurns", -1, "config.maxTurns must be between 1 and 1000"),
        ("config.maxTurns", "3", "config.maxTurns must be a whole number"),
        ("config.maxTurns", 2.5, "config.maxTurns must be a whole number"),
        ("config.maxTurns", None, "config.maxTurns must be a whole number; leave it out for the default"),
        ("config.maxTokens", True, "config.maxTokens must be a whole number"),
        ("config.temperature", 3, "config.temperature must be between 0 and 2"),
        ("config.temperature", "hot", "config.temperature must be a number"),
        ("config.seed", 1.5, "config.seed must be a whole number"),
        ("config", None, "config must be an object"),
        ("scenario", "text", "scenario must be an object"),
        ("scenario.prompt", " ", "scenario.prompt cannot be empty"),
        ("scenario.prompt", None, "scenario.prompt is required"),
        ("scenario.prompt", 5, "scenario.prompt must be a string"),
        ("scenario.followups", "why", "scenario.followups must be an array"),
        ("scenario.followups", ["why"], "scenario.followups[0] must be an object"),
        ("scenario.followups", [{"label": "x"}], "scenario.followups[0].prompt is required"),
        ("scenario.followups", [{"label": 1, "prompt": "x"}], "scenario.followups[0].label must be a string"),
        ("scenario.preamble", 1, "scenario.preamble must be a string"),
        ("modelId", None, "modelId is required"),
        ("modelId", " ", "modelId cannot be empty"),
        ("modelCost", 3, "modelCost must be an object"),
        ("modelCost.costInputPerMillion", -1, "modelCost.costInputPerMillion must be a finite number from 0 on"),
        ("modelCost.costInputPerMillion", None, "modelCost.costInputPerMillion must be a number"),
        ("modelCost.costOutputPerMillion", "15", "modelCost.costOutputPerMillion must be a number"),
    ],
)
def test_a_clients_mistake_is_named_before_anything_is_paid_for(path: str, value: Any, message: str) -> None:
    error = in_process("probe", changed(PROBE, path, value))["error"]
    assert (error["message"], error["code"], error["retryable"]) == (message, "VALIDATION_ERROR", False)


@pytest.mark.parametrize("name", ["runId", "scenarioId", "modelId", "scenario", "config"])
def test_a_missing_field_is_named(name: str) -> None:
    assert in_process("probe", without(PROBE, name))["error"]["message"] == f"Missing required field: {name}"


async def test_what_the_specification_leaves_open_has_the_older_defaults() -> None:
    plan = read_plan({**PROBE, "config": {}, "runId": None, "modelCost": {}})
    assert (plan.temperature, plan.max_tokens, len(plan.questions), plan.prices) == (0.7, 1024, 3, None)
    assert read_plan(changed(PROBE, "config.temperature", None)).temperature is None
    assert read_plan(changed(PROBE, "scenario.followups", None)).questions[1:] == ()


async def test_an_empty_followup_leaves_no_hole() -> None:
    followups = [{"prompt": " "}, {"prompt": "Why?"}]
    transcript = await run(ScriptedModel("a", "b"), changed(PROBE, "scenario.followups", followups))
    assert [(turn["turnNumber"], turn["promptLabel"]) for turn in transcript["turns"]] == [
        (1, "scenario_prompt"),
        (2, "followup_2"),
    ]
    assert "scenario.followups[0] has an empty prompt" in transcript["warnings"][0]


def test_model_config_wins_and_what_of_it_is_unknown_is_told() -> None:
    plan = read_plan({**PROBE, "modelConfig": {"temperature": 0, "maxTokens": 50, "topP": 1, "seed": "x"}})
    assert (plan.temperature, plan.max_tokens) == (0, 50)
    assert [text.split()[0] for text in plan.warnings] == ["modelConfig.topP", "modelConfig.seed"]
    bad = read_plan({**PROBE, "modelConfig": {"temperature": 9}})
    assert (bad.temperature, len(bad.warnings)) == (0.7, 1)


async def test_a_failure_in_a_later_turn_keeps_the_paid_ones_and_their_cost() -> None:
    error = LLMError(
        Kind.SERVER, "openai is overloaded", target=TARGET, status=503, retry_after_sec=3, usage=Usage(4, 0)
    )
    failed = await failure(ScriptedModel("I choose 4.", error))
    assert (failed.code, failed.retryable, failed.not_before_sec) == ("SERVER_ERROR", True, 3)
    assert failed.details["failedTurn"] == 2
    assert failed.details["promptLabel"] == "why"
    assert (failed.details["status"], failed.details["retryAfterSec"]) == (503, 3)
    assert failed.details["failedTokens"] == {"inputTokens": 4, "outputTokens": 0}
    kept = failed.details["transcript"]
    assert [turn["targetResponse"] for turn in kept["turns"]] == ["I choose 4."]
    assert kept["costSnapshot"]["estimatedCost"] == pytest.approx((10 * 3 + 5 * 15) / 1e6, abs=1e-15)


async def test_no_content_is_an_error_that_names_turn_tokens_and_reason() -> None:
    failed = await failure(ScriptedModel("a", reply("", stop=Stop.LENGTH, usage=Usage(9, 100, reasoning_tokens=100))))
    assert (failed.code, failed.retryable) == ("INVALID_RESPONSE", False)
    for part in ("gpt-4o-mini", "why", "max_tokens", "100", "limit of tokens"):
        assert part in failed.message
    assert [turn["empty"] for turn in failed.details["transcript"]["turns"]] == [False, True]


async def test_truncated_and_refused_answers_are_kept_and_marked() -> None:
    answers = (
        reply("It depends on", stop=Stop.LENGTH),
        reply("", refusal="I cannot."),
        reply("No.", stop=Stop.REFUSED),
    )
    transcript = await run(ScriptedModel(*answers))
    marks = [(turn["targetResponse"], turn["truncated"], turn["refused"]) for turn in transcript["turns"]]
    assert marks == [("It depends on", True, False), ("I cannot.", False, True), ("No.", False, True)]
    assert [text for text in transcript["warnings"] if "truncated" in text or "refused" in text] == [
        "turn 1 (scenario_prompt) was truncated",
        "turn 2 (why) was refused",
        "turn 3 (followup_2) was refused",
    ]


async def test_a_refusal_without_a_word_ends_the_conversation_and_is_no_failure() -> None:
    transcript = await run(ScriptedModel(reply("", stop=Stop.FILTERED)))
    assert [(turn["targetResponse"], turn["refused"]) for turn in transcript["turns"]] == [("", True)]
    assert "no follow-up was asked" in transcript["warnings"][0]


async def test_missing_token_counts_are_estimated_and_flagged() -> None:
    transcript = await run(ScriptedModel(reply("Four words are here.", usage=None), "b", "c"))
    first = transcript["turns"][0]
    assert first["tokensEstimated"] is True
    assert first["inputTokens"] >= 8
    assert first["outputTokens"] == 5
    assert transcript["turns"][1]["tokensEstimated"] is False
    assert transcript["totalOutputTokens"] == 15
    assert transcript["costSnapshot"]["tokensEstimated"] is True
    assert any("estimated" in text for text in transcript["warnings"])


async def test_a_served_model_that_nobody_tells_is_null_with_a_reason() -> None:
    transcript = await run(ScriptedModel(reply("a", served_model=None)), changed(PROBE, "config.maxTurns", 1))
    assert transcript["modelVersion"] is None
    assert "does not say" in transcript["modelVersionReason"]
    assert transcript["requestedModel"] == "gpt-4o-mini"


async def test_more_than_one_served_model_is_told() -> None:
    transcript = await run(ScriptedModel("a", reply("b", served_model="served-2"), "c"))
    assert any("served-1, served-2" in text for text in transcript["warnings"])


async def test_reasoning_tokens_are_counted_apart() -> None:
    answer = reply("a", usage=Usage(10, 25, reasoning_tokens=20))
    transcript = await run(ScriptedModel(answer), changed(PROBE, "config.maxTurns", 1))
    assert (transcript["turns"][0]["reasoningTokens"], transcript["totalReasoningTokens"]) == (20, 20)


async def test_a_model_that_takes_no_temperature_is_asked_without_and_that_is_told() -> None:
    refused = LLMError(Kind.INVALID, "no temperature", target=TARGET, rejected_parameter="temperature")
    model = ScriptedModel(refused, "a", "b", "c")
    transcript = await run(model)
    assert [request.temperature for request in model.asked] == [0.7, None, None, None]
    assert not any(turn["temperatureSent"] for turn in transcript["turns"])
    assert any("temperature" in text for text in transcript["warnings"])


async def test_a_seed_and_a_temperature_of_zero_are_sent() -> None:
    model = ScriptedModel("a", "b", "c")
    await run(model, {**PROBE, "config": {"temperature": 0, "seed": 42}})
    assert (model.asked[0].temperature, model.asked[0].seed) == (0, 42)


async def test_without_prices_there_is_no_cost() -> None:
    assert "costSnapshot" not in await run(ScriptedModel("a", "b", "c"), {**PROBE, "modelCost": None})


def task(kind: str, payload: dict[str, Any]) -> Task:
    return Task(f"{kind}-1", kind, payload, None, TaskPriority.NORMAL, 1, 0)


class Kept(Evaluations):
    """Only notes for which tasks something was to be stored."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def keep_transcript(self, task_id: str, payload: Mapping[str, Any], document: Mapping[str, Any]) -> None:
        self.names.append(task_id)

    async def keep_analysis(self, task_id: str, run_id: str, analysis: Mapping[str, Any]) -> None:
        self.names.append(task_id)


async def test_the_task_type_gives_the_scripts_document() -> None:
    model = ScriptedModel("a", "b", "c")
    cpu = Cpu()
    kept = Kept()
    handlers = EvaluationHandlers(lambda name: model, cpu, kept, deadline_sec=60, now=Clock())
    types = handlers.task_types()
    result = (await types["probe"].handle(task("probe", PROBE))).result
    assert result["success"] is True
    assert len(result["transcript"]["turns"]) == 3
    assert model.purposes[0].task_id == "probe-1"
    with pytest.raises(InvalidTask, match=r"scenario\.prompt"):
        types["probe"].check(task("probe", changed(PROBE, "scenario.prompt", "")))
    with pytest.raises(InvalidTask, match="transcripts"):
        types["analyze_basic"].check(task("analyze_basic", {"runId": "r"}))
    types["analyze_basic"].check(task("analyze_basic", {"runId": "r", "transcriptIds": []}))
    health = (await types["health_check"].handle(task("health_check", {}))).result
    assert health["health"]["packages"]["orjson"]
    analysis = (await types["analyze_basic"].handle(task("analyze_basic", {"runId": "r", "transcripts": []}))).result
    assert analysis["success"] is True
    assert kept.names == ["probe-1", "analyze_basic-1"]
    cpu.close()


async def test_the_error_of_a_task_keeps_the_paid_turns() -> None:
    failed = await failure(ScriptedModel("a", LLMError(Kind.AUTH, "no", target=TARGET)))
    assert len(failed.as_dict()["details"]["transcript"]["turns"]) == 1


def test_the_process_asks_the_named_model_and_no_other() -> None:
    with scripted_server() as first, scripted_server() as second:
        second.answer = lambda asked: "never"
        first.answer = lambda asked: f"Rating: {len(asked.messages)}"
        environ = {
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": first.url,
            "DEEPSEEK_API_KEY": "another-key-value",
            "DEEPSEEK_BASE_URL": second.url,
        }
        good = document_of(process("probe", PROBE, environ=environ))["transcript"]
        assert [turn["targetResponse"] for turn in good["turns"]] == ["Rating: 2", "Rating: 4", "Rating: 6"]
        assert first.asked[0].body["temperature"] == 0.7
        first.answer = lambda asked: Fault(401)
        bad = process("probe", PROBE, environ=environ)
    error = document_of(bad)["error"]
    assert (error["code"], error["retryable"]) == ("AUTH_ERROR", False)
    assert second.asked == []
    assert b"never" not in bad.stdout
    assert KEY.encode() not in bad.stdout + bad.stderr
    assert b"A trolley runs" not in bad.stderr


async def test_a_turn_is_tried_again_inside_the_deadline_by_the_same_model(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_server() as server:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        server.answer = lambda asked: Fault(429, 0.2) if len(server.asked) == 1 else "Rating: 4"
        adapter = standalone_adapter({})
        try:
            plan = read_plan(changed(PROBE, "config.maxTurns", 1))
            began = time.monotonic()
            document = await run_probe(plan, models_of(adapter), deadline=began + 20, now=Clock())
        finally:
            await adapter.close()
    assert document["transcript"]["turns"][0]["targetResponse"] == "Rating: 4"
    assert len(server.asked) == 2
