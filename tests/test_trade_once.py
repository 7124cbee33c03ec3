"""What holds for all task types about sales, crises, complaints, launches and replies: told once, bounded, strict."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from src.worker import strictjson
from src.worker.api.application import create_application
from src.worker.errors import InvalidTask
from src.worker.llm.fence import clean
from src.worker.models import Task, TaskPriority
from src.worker.pipeline.task_fields import Fields, mention_of, mentions_of
from src.worker.services.trade_store import COMPLAINTS, CRISIS_ASSESSMENTS, LAUNCHES, Origin
from src.worker.storage import LEADS
from src.worker.times import EPOCH
from tests.helpers import until
from tests.injection_corpus import ATTACKS
from tests.trade_helpers import alone, entries, result, value

pytestmark = pytest.mark.anyio

PAYLOADS: dict[str, dict[str, Any]] = {
    "analyze_lead_intent": {
        "text": "Where can I buy Acme? We need a quote for an enterprise plan, ready to buy",
        "source_author": "ann",
    },
    "analyze_crisis": {"mentions": ["Acme is the worst, I hate this terrible company, what a scam"]},
    "analyze_competitor_gap": {"mentions": ["Bolt crashes all day, I hate it"], "competitor_id": "42"},
    "detect_launch": {"text": "Acme just launched the new Rocket app"},
    "suggest_response": {"text": "The app is so slow"},
}
COLLECTIONS = {
    "analyze_lead_intent": LEADS,
    "analyze_crisis": CRISIS_ASSESSMENTS,
    "analyze_competitor_gap": COMPLAINTS,
    "detect_launch": LAUNCHES,
}
ANNOUNCING = ("analyze_lead_intent", "analyze_crisis", "analyze_competitor_gap")


def _task(name: str, identity: str = "t-1", entry: str = "normal-1-0", replayed: bool = False) -> Task:
    return Task(
        identity, name, PAYLOADS[name], "Acme", TaskPriority.NORMAL, 1, 1_800_000_000_000, entry=entry,
        replayed=replayed,
    )  # fmt: skip


@pytest.mark.parametrize("name", ANNOUNCING)
async def test_another_execution_says_the_same_and_another_task_nothing(
    redis_url: str, mongo_uri: str, name: str
) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        handle = runtime.handlers[name].handle
        first = await handle(_task(name))
        again = await handle(_task(name))
        replayed = await handle(_task(name, entry="normal-9-0", replayed=True))
        same_id = await handle(_task(name, entry="normal-2-0"))
        other = await handle(_task(name, "t-2", "normal-3-0"))
        count = await runtime.storage.collection(COLLECTIONS[name]).count_documents({})
    assert first.outputs
    told = [[one for one in done.outputs if one[0] != "SET"] for done in (same_id, other)]  # metrics say how it is now
    assert told == [[], []]
    assert again.outputs == replayed.outputs == first.outputs
    assert count == 1


async def test_a_launch_that_is_told_again_is_the_same_and_counts_a_text_once(redis_url: str, mongo_uri: str) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        handle = runtime.handlers["detect_launch"].handle
        first, again = await handle(_task("detect_launch")), await handle(_task("detect_launch", "t-2"))
        (stored,) = await runtime.storage.collection(LAUNCHES).find({}).to_list(None)
    assert first.outputs == again.outputs
    assert stored["mentions"] == 1


@pytest.mark.parametrize("name", PAYLOADS)
async def test_hostile_texts_are_worked_on_like_any_other(redis_url: str, mongo_uri: str, name: str) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        for index, attack in enumerate(text[:9_000] for text in ATTACKS.values()):
            fields = PAYLOADS[name] | {"mentions": [attack]} if "mentions" in PAYLOADS[name] else {"text": attack}
            task = _task(name, f"t-{index}")._replace(payload=fields)
            if not clean(attack) or "\ud83d" in attack:  # nothing to be seen; what the door refuses as no JSON
                continue
            done = await runtime.handlers[name].handle(task)
            strictjson.check(done.result)
            assert done.result["degraded"] in (True, False)


async def test_items_of_the_priority_list_are_tasks_of_these_types(redis_url: str, mongo_uri: str) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        for name in ("analyze_lead_intent", "analyze_crisis", "analyze_competitor_gap"):
            task = {"type": name, "brand": "Acme", **PAYLOADS[name]}
            await runtime.redis.call("LPUSH", "tasks:priority", orjson.dumps(task))
        for key in ("queue:leads", "queue:crisis:events", "queue:competitors:complaints"):
            assert len(await until(lambda key=key: entries(runtime.redis, key))) == 1


@pytest.mark.parametrize("name", PAYLOADS)
async def test_the_rest_door_refuses_bad_fields_at_once(redis_url: str, mongo_uri: str, name: str) -> None:
    bad = {"mentions": 5} if "mentions" in PAYLOADS[name] else {"text": {}}
    async with alone(redis_url, mongo_uri) as runtime:
        app = create_application(runtime.api, api_key=None, max_body_bytes=2**20)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            document = {"type": name, "brand": "Acme", **PAYLOADS[name], **bad}
            refused = await client.post("/v1/tasks", json=document)
            paths = (await client.get("/openapi.json")).json()["paths"]
    assert (refused.status_code, refused.json()["field"]) == (400, next(iter(bad)))
    assert {
        "/v1/suggestion", "/v1/brands/{brand}/launches", "/v1/competitors/{competitor}/weaknesses",
        "/v1/brands/{brand}/competitors/{competitor}/weaknesses",
    } <= paths.keys()  # fmt: skip


async def test_every_key_that_is_written_ends_some_day(redis_url: str, mongo_uri: str) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        for name, payload in PAYLOADS.items():
            await result(runtime, {"type": name, "brand": "Acme", "monitor_id": "m", **payload})
        names = [key.decode() for key in await runtime.redis.call("KEYS", "*")]
        written = [name for name in names if not name.startswith(("worker:", "workers:"))]
        ages = {name: await runtime.redis.call("TTL", name) for name in written}
        metrics = await value(runtime.redis, "crisis:metrics:acme")
        indexes = {name: await runtime.storage.collection(name).index_information() for name in COLLECTIONS.values()}
    assert set(written) == {
        "queue:leads", "leads:brand:acme", "leads:monitor:m", "queue:crisis:events", "crisis:events:acme",
        "crisis:metrics:acme", "queue:competitors:complaints", "competitor:complaints:42", "launch:brand:acme:my",
    }  # fmt: skip
    assert all(0 < age <= 30 * 86_400 for age in ages.values()), ages
    assert metrics["source"] == "task"
    assert all("expireAfterSeconds" in found["expiry"] for found in indexes.values())


# -- fields ------------------------------------------------------------------------------------------------------------


def test_both_spellings_are_read_and_the_producers_own_is_named() -> None:
    assert Fields({"mention_id": 7}).identity("mention_id", "mentionId") == "7"
    assert Fields({"mentionId": " x "}).identity("mention_id", "mentionId") == "x"
    assert Fields({"mention_id": "", "mentionId": "y"}).identity("mention_id", "mentionId") == "y"
    with pytest.raises(InvalidTask) as caught:
        Fields({"mentionId": True}).identity("mention_id", "mentionId")
    assert (caught.value.field, caught.value.problem) == ("mentionId", "must be text, not true or false")


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 10**400, "1", None, [], True], ids=lambda one: str(one)[:9]
)
def test_a_number_is_a_number_within_its_range(value: Any) -> None:
    fields = Fields({"n": value})
    if value is None:
        assert fields.number("n", default=1.0, low=0.0, high=9.0) == 1.0
        return
    with pytest.raises(InvalidTask):
        fields.number("n", default=1.0, low=0.0, high=9.0)


def test_a_field_of_the_task_itself_is_named_without_the_list() -> None:
    with pytest.raises(InvalidTask) as caught:
        mention_of({"text": "a", "created_at": []}, brand="acme", received_at=EPOCH, max_chars=100)
    assert caught.value.field == "created_at"
    found = mentions_of(("a", {"text": "b"}), brand="acme", received_at=EPOCH, max_chars=100)
    assert [mention.text for mention in found.mentions] == ["a", "b"]


@pytest.mark.parametrize(
    ("stored", "made"),
    [
        ({"task_id": "t", "entry": "e"}, True),
        ({"task_id": "t", "entry": "f"}, False),
        ({"task_id": "u", "entry": "e"}, False),
        ({}, False),
    ],
)
def test_an_execution_knows_its_own_task(stored: dict[str, str], made: bool) -> None:
    assert Origin("t", "e", replayed=False).made(stored) is made


def test_a_replay_is_the_task_that_had_failed() -> None:
    assert Origin("t", "new", replayed=True).made({"task_id": "t", "entry": "old"})
    assert not Origin("t", "new", replayed=True).made({"task_id": "u", "entry": "old"})


# -- weight ------------------------------------------------------------------------------------------------------------


def test_the_handlers_load_no_operation_before_one_is_needed() -> None:
    code = (
        "import sys, src.worker.trades_commercial\n"
        "print([name for name in sys.modules if '.llm.operations.' in name or name in ('langchain_core', 'numpy')])"
    )
    root = Path(__file__).resolve().parents[1]
    out = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert ast.literal_eval(out.stdout) == []
