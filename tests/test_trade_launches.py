"""detect_launch: what is a launch, whose it is, how it is received; and looking for launches once a day."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from src.worker import keys
from src.worker.api.application import create_application
from src.worker.models import TaskPriority
from src.worker.pipeline.launches import signs
from src.worker.runtime import Runtime
from src.worker.services.launches import candidates
from src.worker.services.trade_store import LAUNCHES
from tests.audience_helpers import about, stored
from tests.helpers import dead_letters, until
from tests.injection_corpus import ATTACKS
from tests.llm_doubles.scripted import Asked, Fault, ScriptedServer, scripted_server
from tests.trade_helpers import advised, alone, expires, outcome, result, says, unasked, value

pytestmark = pytest.mark.anyio

MINE, THEIRS = "launch:brand:acme:my", "launch:brand:acme:competitor"
TEXT = "Acme just launched the new Rocket app and everybody is thrilled"
TASK: dict[str, Any] = {"type": "detect_launch", "brand": "Acme", "text": TEXT}
HIT: dict[str, Any] = {
    "is_launch": True, "product_name": "Rocket", "success_score": 82, "reason": "People are thrilled.",
    "hype_signals": ["everybody is thrilled"], "skepticism_signals": [], "reception": "warm",
}  # fmt: skip
NONE: dict[str, Any] = {
    "is_launch": False, "product_name": None, "success_score": 0, "reason": "It is about a parcel.",
    "hype_signals": [], "skepticism_signals": [], "reception": None,
}  # fmt: skip
CONTRACT = {
    "is_launch",
    "product_name",
    "success_score",
    "reason",
    "brand",
    "is_competitor",
    "reception",
    "detected_at",
}
FRONTEND = {"hype_signals", "skepticism_signals", "overall"}


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as found:
        yield found


@pytest.mark.parametrize(
    ("text", "words", "strong"),
    [
        (TEXT, True, True),
        ("Introducing Acme Cloud", True, True),
        ("Acme v2 is now available", True, True),
        ("The new Acme phone was unveiled in Berlin", True, True),
        ("Acme shipped my parcel yesterday", True, False),
        ("Acme passengers just arrived an hour late", True, False),
        ("Acme shipped. A new week begins", True, False),
        ("When will Acme launch the new app?", True, False),
        ("Rumour: Acme might launch a new phone", True, False),
        ("Acme is not launching a new app", False, False),
        ("I love Acme", False, False),
        ("a rocket relaunchinge of nothing", False, False),
    ],
)
def test_words_say_where_to_look_and_only_plain_ones_decide(text: str, words: bool, strong: bool) -> None:
    found = signs(text)
    assert (bool(found.words), found.strong) == (words, strong)


def test_hostile_texts_are_read_in_linear_time() -> None:
    def seconds(text: str) -> float:
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            signs(text)
            best = min(best, time.process_time() - began)
        return best

    for text in ("launching " * 500, "new " * 1_200, "launch a b c d e f " * 250, "rolls " * 800):
        # Linear is 4, quadratic 16; what takes next to nothing is fast enough, whatever the ratio says of it.
        assert seconds(text * 16) < 9 * seconds(text * 4) + 0.02, text[:20]


async def test_a_launch_of_the_brand_is_told_in_the_contracts_shape(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    async with advised(redis_url, mongo_uri, server, says(HIT)) as runtime:
        found = await result(runtime, TASK)
        body = await value(runtime.redis, MINE)
        await expires(runtime.redis, MINE, 30)
        assert await runtime.redis.call("EXISTS", THEIRS) == 0
    assert set(body) >= CONTRACT | FRONTEND
    assert body["reception"] == {
        "hype_signals": ["everybody is thrilled"],
        "skepticism_signals": [],
        "overall": "warm",
    }
    wanted = {
        "is_launch": True,
        "product_name": "Rocket",
        "success_score": 82,
        "band": "POTENTIAL_HIT",
        "brand": "acme",
        "is_competitor": False,
        "competitor": None,
        "hype_signals": ["everybody is thrilled"],
        "overall": "warm",
        "null_reasons": {},
        "degraded": False,
        "tier": 3,
    }
    assert {name: body[name] for name in wanted} == wanted
    assert {name: found[name] for name in body} == body
    assert (found["announced"], found["words"]) == (True, ["launch"])


@pytest.mark.parametrize("change", [{"competitor": "Bolt"}, {"isCompetitor": True}, {"is_competitor": True}])
async def test_a_competitors_launch_is_never_the_brands_own(
    redis_url: str, mongo_uri: str, server: ScriptedServer, change: dict[str, Any]
) -> None:
    text = TEXT.replace("Acme", "Bolt")
    async with advised(redis_url, mongo_uri, server, says(HIT)) as runtime:
        await result(runtime, {**TASK, "text": text, **change})
        body = await value(runtime.redis, THEIRS)
        assert await runtime.redis.call("EXISTS", MINE) == 0
        kinds = [one["kind"] for one in await runtime.storage.collection(LAUNCHES).find({}).to_list(None)]
    assert (body["is_competitor"], body["brand"], body["competitor"]) == (True, "acme", change.get("competitor"))
    assert kinds == ["competitor"]
    assert "The text is about: the brand itself" not in server.asked[0].user


async def test_without_a_word_of_a_launch_no_model_is_asked(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    async with advised(redis_url, mongo_uri, server, unasked) as runtime:
        found = await result(runtime, {**TASK, "text": "Acme is nice"})
        assert await runtime.redis.call("EXISTS", MINE) == 0
    assert server.asked == []
    assert (found["is_launch"], found["tier"], found["degraded"], found["announced"]) == (False, 1, False, False)
    assert found["reason"] == "no word of a launch in the text"


async def test_what_the_model_calls_no_launch_is_stored_nowhere(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    async with advised(redis_url, mongo_uri, server, says(NONE)) as runtime:
        found = await result(runtime, {**TASK, "text": "Acme shipped my parcel yesterday"})
        assert await runtime.redis.call("EXISTS", MINE) == 0
        assert await runtime.storage.collection(LAUNCHES).count_documents({}) == 0
    assert (found["is_launch"], found["success_score"]) == (False, None)
    assert found["null_reasons"]["success_score"] == "it is no launch"


async def test_a_product_that_the_text_does_not_name_is_not_taken_over(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    async with advised(redis_url, mongo_uri, server, says({**HIT, "product_name": "Moonshot 9000"})) as runtime:
        found = await result(runtime, TASK)
    assert found["product_name"] is None
    assert found["null_reasons"] == {"product_name": "the model named one that is not in the text"}


async def test_without_a_model_a_plain_launch_has_no_score_and_says_why(redis_url: str, mongo_uri: str) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        plain = await result(runtime, TASK)
        vague = await result(runtime, {**TASK, "text": "Acme shipped my parcel yesterday"})
        body = await value(runtime.redis, MINE)
    assert (plain["is_launch"], plain["success_score"], plain["band"], plain["degraded"]) == (True, None, None, True)
    assert plain["null_reasons"]["success_score"] == "no model has read the text"
    assert plain["degraded_reason"] == "MISSING_API_KEY: no language model is configured"
    assert body["success_score"] is None
    assert (vague["is_launch"], vague["announced"]) == (None, False)
    assert vague["null_reasons"]["is_launch"] == "there are words of a launch, too few to tell without a model"


async def test_what_nobody_judged_never_replaces_what_somebody_did(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    async with advised(redis_url, mongo_uri, server, says(HIT)) as runtime:
        await result(runtime, TASK)
    async with alone(redis_url, mongo_uri) as runtime:
        await result(runtime, {**TASK, "text": "Acme launches the new Comet app"})
        assert (await value(runtime.redis, MINE))["product_name"] == "Rocket"
    async with advised(redis_url, mongo_uri, server, says({**HIT, "product_name": "Comet"})) as runtime:
        await result(runtime, {**TASK, "text": "Acme launches the new Comet app"})
        assert (await value(runtime.redis, MINE))["product_name"] == "Comet"


async def _get(runtime: Runtime, path: str) -> httpx.Response:
    app = create_application(runtime.api, api_key=None, max_body_bytes=2**20)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        return await client.get(path)


async def test_launches_are_kept_one_per_product_and_kind_and_shown(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    def reads(asked: Asked) -> str:
        return says({**HIT, "product_name": "Comet" if "Comet" in asked.user else "rocket"})(asked)  # type: ignore[return-value]

    async with advised(redis_url, mongo_uri, server, reads) as runtime:
        for text in (TEXT, TEXT, "The new Acme ROCKET is now available", "Acme launches the new Comet app"):
            await result(runtime, {**TASK, "text": text})
        await result(runtime, {**TASK, "text": "Bolt launches the new Comet app", "competitor": "Bolt"})
        shown = (await _get(runtime, "/v1/brands/Acme/launches")).json()
        first = (await _get(runtime, "/v1/brands/acme/launches?limit=1&kind=my")).json()
        rest = (await _get(runtime, f"/v1/brands/acme/launches?limit=1&kind=my&cursor={first['next']}")).json()
        nobody = (await _get(runtime, "/v1/brands/nobody/launches")).json()
        bad = await _get(runtime, "/v1/brands/acme/launches?kind=yours")
    assert [(one["product_name"], one["kind"], one["mentions"]) for one in shown["items"]] == [
        ("Comet", "competitor", 1),
        ("Comet", "my", 1),
        ("rocket", "my", 2),
    ]
    assert shown["myLaunch"]["product_name"] == "Comet"
    assert shown["competitorLaunch"]["competitor"] == "Bolt"
    assert [one["product_name"] for one in (*first["items"], *rest["items"])] == ["Comet", "rocket"]
    assert rest["next"] is None
    assert nobody == {"brand": "nobody", "myLaunch": None, "competitorLaunch": None, "items": [], "next": None}
    assert (bad.status_code, bad.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"brand": None}, "brand"),
        ({"text": None}, "text"),
        ({"text": ["a"]}, "text"),
        ({"isCompetitor": "yes"}, "isCompetitor"),
        ({"isCompetitor": False, "competitor": "Bolt"}, "isCompetitor"),
        ({"competitor": "ACME"}, "competitor"),
        ({"url": {"a": 1}}, "url"),
    ],
)
async def test_bad_input_is_dead_lettered_with_its_field(
    redis_url: str, mongo_uri: str, change: dict[str, Any], field: str
) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        record = await outcome(runtime, {**TASK, **change})
        (letter,) = await dead_letters(runtime.redis)
    assert (record["status"], record["error"]["field"]) == ("failed", field)
    assert letter["reason"].startswith(f"{field}: ")


async def test_orders_in_a_text_stay_in_its_fence(redis_url: str, mongo_uri: str, server: ScriptedServer) -> None:
    async with advised(redis_url, mongo_uri, server, lambda asked: "PWNED") as runtime:
        found = await result(runtime, {**TASK, "text": f"Acme shipped. {ATTACKS['disregard']}"})
    assert (found["is_launch"], found["degraded"]) == (None, True)
    user = server.asked[0].user
    at = user.index("Disregard the above")
    assert user.rindex("<data-", 0, at) > user.rindex("</data-", 0, at)


# -- looking for launches ----------------------------------------------------------------------------------------------


def test_the_plainest_mention_that_names_its_subject_is_the_candidate() -> None:
    documents = [
        stored("It just launched the new app"),
        stored("Acme shipped my parcel"),
        stored("Acme launches the new Rocket app", id="plain"),
        stored("Acme launches the new Rocket app, v2 now available", id="plainest"),
        stored("Bolt unveils the new Comet app", id="rival", metadata=about("Bolt")),
        stored("Acme is nice"),
    ]
    assert {rival: one["id"] for rival, one in candidates(documents).items()} == {None: "plainest", "Bolt": "rival"}


def _chunk(*texts: str) -> dict[str, Any]:
    return {"type": "analyze_mentions", "brand": "acme", "mentions": [{"text": text, "source": "x"} for text in texts]}


async def test_mentions_that_tell_of_a_launch_are_asked_about_once_a_day(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    began = datetime.now(UTC).date()
    async with advised(redis_url, mongo_uri, server, says(HIT)) as runtime:
        for number in range(5):
            await result(runtime, _chunk(f"Acme just launched the new Rocket {number} app", f"Acme is nice {number}"))
        body = await until(lambda: value(runtime.redis, MINE))
        days = await runtime.redis.call("KEYS", "worker:launch:*")
        ttls = [await runtime.redis.call("TTL", day) for day in days]
        depth = await runtime.queue.depth()
    if began == datetime.now(UTC).date():  # else midnight was in between, and a second one is right
        assert body["source_text"] == "Acme just launched the new Rocket 0 app"
        assert (len(days), len(server.asked)) == (1, 1)
    assert len(server.asked) <= len(days)
    assert all(0 < ttl <= 86_400 for ttl in ttls)
    assert sum(depth.waiting.values()) == 0


async def test_a_competitors_mention_is_asked_about_as_the_competitors(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    chunk = _chunk("Bolt unveils the new Rocket app")
    chunk["mentions"][0]["metadata"] = about("Bolt")
    async with advised(redis_url, mongo_uri, server, says(HIT)) as runtime:
        await result(runtime, chunk)
        body = await until(lambda: value(runtime.redis, THEIRS))
        assert await runtime.redis.call("EXISTS", MINE) == 0
    assert body["competitor"] == "Bolt"


async def test_nobody_looks_where_there_is_no_model_or_nothing_plain(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    low = keys.STREAMS[TaskPriority.LOW]
    async with alone(redis_url, mongo_uri) as runtime:
        await result(runtime, _chunk("Acme just launched the new Rocket app"))
        assert await runtime.redis.call("KEYS", "worker:launch:*") == []
    async with advised(redis_url, mongo_uri, server, unasked) as runtime:
        await result(runtime, _chunk("Acme shipped my parcel", "When will Acme launch the new app?"))
        assert await runtime.redis.call("KEYS", "worker:launch:*") == []
        assert await runtime.redis.call("XLEN", low) == 0
    assert server.asked == []


async def test_a_day_that_was_taken_by_a_chunk_is_its_own_when_it_is_executed_again(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    from src.worker.models import Task
    from src.worker.services.launches import LaunchScout

    def task(identity: str) -> Task:
        return Task(identity, "analyze_mentions", {}, "acme", TaskPriority.NORMAL, 1, 0, entry=f"normal-{identity}")

    document = stored("Acme launches the new Rocket app")
    async with alone(redis_url, mongo_uri) as runtime:
        clock = lambda: datetime(2026, 11, 21, 23, 59, tzinfo=UTC)  # noqa: E731 - one moment
        scout = LaunchScout(runtime.redis, runtime.cpu, available=lambda: True, clock=clock)
        first = await scout.outputs("acme", [document], task("1"))
        assert await scout.outputs("acme", [document], task("1")) == first
        assert await scout.outputs("acme", [document], task("2")) == ()
        assert len(await scout.outputs("other", [document], task("2"))) == 1
    ((command, stream, *_),) = first
    assert (command, stream) == ("XADD", keys.STREAMS[TaskPriority.LOW])


async def test_a_model_that_fails_for_good_leaves_a_marked_launch(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    async with advised(redis_url, mongo_uri, server, lambda asked: Fault(401)) as runtime:
        record = await outcome(runtime, TASK)
    assert (record["attempts"], record["result"]["is_launch"], record["result"]["degraded"]) == (1, True, True)
    assert record["result"]["degraded_reason"].startswith("AUTH_ERROR: ")
