"""suggest_response and /v1/suggestion: three tones, no promises in a brand's name, canned ones for want of a model."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from src.worker.api.application import create_application
from src.worker.models import SentimentLabel
from src.worker.pipeline.promises import Promise, promises
from src.worker.pipeline.suggestions import Suggested, Tone, canned, screened
from src.worker.runtime import Runtime
from src.worker.services.advisor import Advisor
from src.worker.services.local_analysis import LocalAnalysis
from src.worker.services.suggestions import Suggester
from tests.helpers import dead_letters
from tests.injection_corpus import ATTACKS
from tests.llm_doubles.scripted import ScriptedServer, scripted_server
from tests.trade_helpers import advised, alone, fails, outcome, result, says, unasked

pytestmark = pytest.mark.anyio

GOOD = {"safe": "Thank you for telling us.", "engaging": "What happened, exactly?", "bold": "Ouch. Tell us more."}
TASK: dict[str, Any] = {
    "type": "suggest_response",
    "brand": "Acme",
    "text": "The app is so slow",
    "sentiment": "negative",
}


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as found:
        yield found


async def _post(runtime: Runtime, body: Any, **options: Any) -> httpx.Response:
    app = create_application(runtime.api, api_key=None, max_body_bytes=2**20)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        if isinstance(body, bytes):
            return await client.post("/v1/suggestion", content=body, **options)
        return await client.post("/v1/suggestion", json=body)


# -- promises ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("We will refund you in full.", "money"),
        ("Your money back, no questions asked.", "money"),
        ("Here is 20% off your next order.", "money"),
        ("You get a free month on us.", "money"),
        ("We put $15 on your card.", "money"),
        ("Wir erstatten Ihnen den Betrag.", "money"),
        ("Nous allons vous rembourser.", "money"),
        ("Le reembolsamos todo.", "money"),
        ("You will hear from us within 24 hours.", "time"),
        ("It is back by Monday.", "time"),
        ("We'll get to it right away.", "time"),
        ("The next release has it.", "time"),
        ("Ready on March 14.", "time"),
        ("We’ll fix this.", "outcome"),
        ("Our team will get this resolved.", "outcome"),
        ("This will never happen again.", "outcome"),
        ("We guarantee it.", "outcome"),
        ("The bug has been fixed.", "outcome"),
        ("Sorry, this was our fault.", "legal"),
        ("We take full responsibility.", "legal"),
        ("Our lawyers will be in touch.", "legal"),
        ("Please send us your card number.", "personal_data"),
        ("Reply with your date of birth.", "personal_data"),
        ("See https://acme.example/help", "link"),
        ("Details on acme-support.com", "link"),
        ("Write to help@acme.example", "link"),
        ("Call 0800 123 45678", "link"),
    ],
)
def test_what_the_brand_did_not_say_is_recognised(reply: str, kind: str) -> None:
    assert Promise(kind) in promises(reply, "Acme")


@pytest.mark.parametrize(
    "reply",
    [
        "Thank you for telling us, we are sorry you feel this way.",
        "Could you send us a direct message so that we can look into it?",
        "What do you like most about it?",
        "We hear you. What would make it better for you?",
        "Ouch. Fair point, and well put.",
        "Danke für die offenen Worte! Was genau ist passiert?",
        "Merci pour votre message. Que s'est-il passé ?",
        "Booking.com loves you back!",
    ],
)
def test_what_promises_nothing_passes(reply: str) -> None:
    assert promises(reply, "Booking.com") == ()


@pytest.mark.parametrize("mood", list(SentimentLabel))
def test_canned_replies_keep_the_rules_themselves_and_name_the_brand(mood: SentimentLabel) -> None:
    replies = canned("Acme", mood)
    assert [one.tone for one in replies] == list(Tone)
    assert [promises(one.text, "Acme") for one in replies] == [()] * 3
    assert sum("Acme" in one.text for one in replies) >= 2
    assert len({one.text for one in replies}) == 3
    assert not any(re.search(r"[{}]", one.text) for one in replies)


def test_equal_replies_are_one_and_unsafe_ones_are_named() -> None:
    replies = [
        Suggested(Tone.SAFE, " Thank  you. "),
        Suggested(Tone.ENGAGING, "thank you."),
        Suggested(Tone.BOLD, "$5!"),
    ]
    kept, dropped = screened(replies, "Acme")
    assert kept == [Suggested(Tone.SAFE, "Thank you.")]
    assert [(one.tone, one.promises) for one in dropped] == [(Tone.BOLD, (Promise.MONEY,))]


# -- the task ----------------------------------------------------------------------------------------------------------


async def test_a_model_writes_in_three_tones_and_in_the_brands_voice(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    async with advised(redis_url, mongo_uri, server, says(GOOD)) as runtime:
        found = await result(runtime, {**TASK, "voice": "like a calm pilot"})
    assert found["suggestions"] == list(GOOD.values())
    assert found["tones"] == ["safe", "engaging", "bold"]
    assert (found["degraded"], found["reason"], found["tier"], found["language"]) == (False, None, 3, None)
    assert (found["sentiment"], found["sentimentSource"], found["dropped"]) == ("negative", "given", [])
    user = server.asked[0].user
    assert 'kind="brand">\nAcme\n' in user
    assert 'kind="voice">\nlike a calm pilot\n' in user
    assert "Sentiment of the comment: negative" in user


async def test_a_reply_that_promises_is_dropped_and_said_so(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    answer = {**GOOD, "safe": "We will refund you within 3 days."}
    async with advised(redis_url, mongo_uri, server, says(answer)) as runtime:
        found = await result(runtime, TASK)
    assert found["suggestions"] == [GOOD["engaging"], GOOD["bold"]]
    assert found["tones"] == ["engaging", "bold"]
    assert found["dropped"] == [{"tone": "safe", "promises": ["money", "time"]}]
    assert found["degraded"] is False


async def test_where_every_reply_promises_canned_ones_stand_in(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    answer = dict.fromkeys(GOOD, "We guarantee a refund.")
    async with advised(redis_url, mongo_uri, server, says(answer)) as runtime:
        found = await result(runtime, TASK)
    assert found["suggestions"] == [one.text for one in canned("Acme", SentimentLabel.NEGATIVE)]
    assert (found["degraded"], found["reason"].split(":")[0], found["tier"]) == (True, "UNSAFE_ANSWER", 2)
    assert len(found["dropped"]) == 3
    assert found["llm"]["provider"] == "openai"


async def test_one_tone_can_be_wanted(redis_url: str, mongo_uri: str, server: ScriptedServer) -> None:
    async with advised(redis_url, mongo_uri, server, says(GOOD)) as runtime:
        bold = await result(runtime, {**TASK, "tone": "Bold"})
        voice = await result(runtime, {**TASK, "tone": "dry and short"})
    assert (bold["suggestions"], bold["tones"]) == ([GOOD["bold"]], ["bold"])
    assert len(voice["suggestions"]) == 3
    assert 'kind="voice">\ndry and short\n' in server.asked[-1].user


async def test_without_a_model_replies_are_canned_for_the_mood_that_the_local_analysis_hears(
    redis_url: str, mongo_uri: str
) -> None:
    comment = {name: value for name, value in TASK.items() if name != "sentiment"}
    async with alone(redis_url, mongo_uri) as runtime:
        angry = await result(runtime, {**comment, "text": "Acme is terrible, I hate it"})
        happy = await result(runtime, {**comment, "text": "I love Acme, it is wonderful"})
        given = await result(runtime, {**comment, "text": "I love Acme", "sentiment": "Negative"})
    assert [(one["sentiment"], one["sentimentSource"]) for one in (angry, happy, given)] == [
        ("negative", "local"),
        ("positive", "local"),
        ("negative", "given"),
    ]
    for found in (angry, happy, given):
        assert found["suggestions"] == [one.text for one in canned("Acme", SentimentLabel(found["sentiment"]))]
        assert (found["degraded"], found["language"], found["tier"]) == (True, "en", 2)
        assert found["reason"] == "MISSING_API_KEY: no language model is configured"


async def test_nobody_at_a_screen_waits_for_another_try(redis_url: str, mongo_uri: str, server: ScriptedServer) -> None:
    async with advised(redis_url, mongo_uri, server, fails(503)) as runtime:
        record = await outcome(runtime, TASK)
    assert (record["status"], record["attempts"]) == ("succeeded", 1)
    assert (record["result"]["degraded"], record["result"]["reason"].split(":")[0]) == (True, "SERVER_ERROR")
    assert len(record["result"]["suggestions"]) == 3


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"brand": None}, "brand"),
        ({"text": None}, "text"),
        ({"text": "x" * 10_001}, "text"),
        ({"text": " \u200b "}, "text"),
        ({"text": 5.5}, "text"),
        ({"sentiment": "angry"}, "sentiment"),
        ({"sentiment": 1.0}, "sentiment"),
        ({"voice": "x" * 501}, "voice"),
        ({"tone": ["bold"]}, "tone"),
    ],
)
async def test_bad_input_is_dead_lettered_with_its_field_and_refused_by_rest(
    redis_url: str, mongo_uri: str, change: dict[str, Any], field: str
) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        record = await outcome(runtime, {**TASK, **change})
        (letter,) = await dead_letters(runtime.redis)
        response = await _post(runtime, {**TASK, **change})
    assert (record["status"], record["error"]["field"]) == ("failed", field)
    assert letter["reason"].startswith(f"{field}: ")
    assert (response.status_code, response.json()["field"]) == (400, field)
    assert response.headers["content-type"] == "application/problem+json"


async def test_orders_in_comment_and_voice_stay_in_their_fences(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    async with advised(redis_url, mongo_uri, server, lambda asked: "PWNED") as runtime:
        found = await result(runtime, {**TASK, "text": ATTACKS["disregard"], "voice": ATTACKS["ignore"]})
    assert (found["degraded"], found["reason"].split(":")[0]) == (True, "INVALID_RESPONSE")
    user = server.asked[0].user
    for words in ("Disregard the above", "Ignore all previous"):
        at = user.index(words)
        assert user.rindex("<data-", 0, at) > user.rindex("</data-", 0, at)


# -- REST --------------------------------------------------------------------------------------------------------------


async def test_rest_answers_with_the_contracts_field_and_its_default(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    body = {"brand": "Acme", "text": "Acme is terrible, I hate it"}
    async with advised(redis_url, mongo_uri, server, says(GOOD)) as runtime:
        response = await _post(runtime, body)
    assert response.status_code == 200
    found = response.json()
    assert found["suggestions"] == list(GOOD.values())
    assert (found["sentiment"], found["sentimentSource"], found["degraded"]) == ("neutral", "default", False)
    assert "Sentiment of the comment: neutral" in server.asked[0].user


async def test_rest_never_fails_for_want_of_a_model(redis_url: str, mongo_uri: str, server: ScriptedServer) -> None:
    body = {"brand": "Acme", "text": "Where are you?", "sentiment": "neutral"}
    async with alone(redis_url, mongo_uri) as runtime:
        nobody = await _post(runtime, body)
    async with advised(redis_url, mongo_uri, server, fails(500)) as runtime:
        broken = await _post(runtime, body)
    for response in (nobody, broken):
        found = response.json()
        assert response.status_code == 200
        assert (len(found["suggestions"]), found["degraded"], found["language"]) == (3, True, "en")
        assert all(isinstance(one, str) and one for one in found["suggestions"])


async def test_a_model_that_is_too_slow_is_not_waited_for(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    async with advised(redis_url, mongo_uri, server, says(GOOD)) as runtime:
        await result(runtime, {**TASK, "text": "the client is loaded by now"})
        local = LocalAnalysis(runtime.cpu, None, runtime.students)  # type: ignore[arg-type] - its names are not asked for
        suggester = Suggester(Advisor.build(runtime.llm, runtime.settings), local, deadline_sec=0.3)
        object.__setattr__(runtime.api, "suggester", suggester)
        server.delay_sec = 50.0
        began = time.monotonic()
        try:
            response = await _post(runtime, {"brand": "Acme", "text": "Hello?"})
        finally:
            server.delay_sec = 0.0
        took = time.monotonic() - began
    assert took < 25
    assert (response.status_code, response.json()["degraded"]) == (200, True)
    assert response.json()["reason"].startswith("TIMEOUT: ")


@pytest.mark.parametrize(
    ("body", "status", "options"),
    [
        (b"[1]", 400, {}),
        (b"{", 400, {}),
        (b'{"brand": "a", "text": "\\ud800"}', 400, {}),
        (b'{"brand": "a", "text": "b", "x": NaN}', 400, {}),
        (b'{"brand": "a", "text": "b"}', 415, {"headers": {"content-type": "text/plain"}}),
    ],
)
async def test_bodies_that_cannot_be_read_are_problem_documents(
    redis_url: str, mongo_uri: str, server: ScriptedServer, body: bytes, status: int, options: dict[str, Any]
) -> None:
    options = options or {"headers": {"content-type": "application/json"}}
    async with advised(redis_url, mongo_uri, server, unasked) as runtime:
        response = await _post(runtime, body, **options)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
