"""The dashboard in a real browser: right figures, working buttons, usable by all, inert to what strangers write."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from src.worker.queue_entries import DeadLetter
from src.worker.queue_outputs import QueueOutputs
from tests.browser import stream
from tests.browser.faults import Faults
from tests.browser.service import Service

# One service, one replay, one browser for all of them: they stay in one test process.
# The first one waits for all three, and a browser that draws without a GPU is slow on busy cores.
pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(150)]

Open = Callable[..., Any]
KEY = "a-key-for-the-browser"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def say_dead(service: Service, letter: DeadLetter) -> str:
    """Write a dead letter as the worker does; returns its id."""
    outputs = QueueOutputs(worker_id="browser-tests", dead_letters_max=1_000, result_ttl_sec=3_600)
    with redis.Redis.from_url(service.env["REDIS_URL"]) as client:
        entry: bytes = client.execute_command(*outputs.dead_letter(letter))
        return entry.decode()


def repairable(service: Service) -> str:
    """A task that failed while the database was away: sent again, it succeeds."""
    error = {"code": "STORAGE_UNAVAILABLE", "message": "MongoDB was away", "retryable": True}
    return say_dead(
        service, DeadLetter(b'{"type":"noop","brand":"acme","n":1}', "MongoDB was away", error, type="noop")
    )


def hopeless(service: Service) -> str:
    reason = f"type: unknown type {stream.HOSTILE}"
    error = {"code": "VALIDATION_ERROR", "message": reason, "retryable": False}
    return say_dead(service, DeadLetter(stream.HOSTILE.encode(), reason, error, type=stream.HOSTILE, brand="acme"))


@pytest.fixture(autouse=True)
def _no_dead_letters(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "service" in request.fixturenames:
        request.getfixturevalue("service").http.delete("/v1/dead-letters", params={"all": "true"})


def text(page: Any, selector: str) -> str:
    found: str = page.locator(selector).inner_text()
    return found.strip()


def overview(open_page: Open, service: Service, **options: Any) -> Any:
    """The first view with all its parts there."""
    page = open_page(service.url, **options)
    page.locator("#live-sign.live").wait_for()
    page.locator("#rate").wait_for()
    page.get_by_role("link", name=stream.BRAND, exact=True).wait_for()
    return page


def brand_page(open_page: Open, service: Service, **options: Any) -> Any:
    page = open_page(f"{service.url}/#/brands/{stream.BRAND}", **options)
    for name in ("risk", "health-score", "mentions-total"):
        page.locator(f"#{name}").wait_for()
    for heading in ("Crisis", "Health", "Volume and spikes", "Topics of the last 7 days", "Leads", "Latest mentions"):
        section = page.locator("section", has=page.get_by_role("heading", name=heading, exact=True))
        section.locator("article:visible, table:visible").first.wait_for()
    return page


def test_the_overview_shows_what_rest_says(open_page: Open, service: Service, screenshot: Any) -> None:
    letter = repairable(service)
    page = overview(open_page, service)
    page.get_by_role("button", name=f"Replay {letter}").wait_for()
    queue = service.get("/v1/queue")
    brand = service.get("/v1/brands")["items"][0]
    assert (text(page, "#waiting"), text(page, "#in-flight"), text(page, "#delayed")) == ("0", "0", "0")
    assert text(page, "#dead") == str(queue["dead"]) == "1"
    assert text(page, "#workers") == "1"
    assert text(page, "#cost") == "$0.00"
    row = (
        page.locator("tr", has=page.get_by_role("link", name=stream.BRAND, exact=True))
        .locator("th, td")
        .all_inner_texts()
    )
    assert row[:3] == [stream.BRAND, f"{brand['totalMentions']:,}", f"{brand['healthScore']:.1f}".removesuffix(".0")]
    assert "Critical" in row[3]
    assert "Spike" in row[4]
    assert row[5].split() == ["Mar", "13,", "2025,", "2:40", "AM"]
    for n in range(4):
        task = service.http.post("/v1/tasks", json={"type": "noop", "id": f"seen-live-{n}", "brand": "acme"})
        assert task.status_code == 202
    ended = page.get_by_role("table", name="Tasks that ended last").get_by_role("rowheader", name="Noop")
    ended.nth(3).wait_for()
    screenshot(page, "overview", 1250)


def test_the_brand_page_shows_what_rest_says(open_page: Open, service: Service, screenshot: Any) -> None:
    page = brand_page(open_page, service)
    at = f"/v1/brands/{stream.BRAND}"
    summary, crisis, health = (service.get(f"{at}/{name}") for name in ("summary", "crisis", "health"))
    assert text(page, "#mentions-total") == f"{summary['totalMentions']:,}"
    assert text(page, "#health-score") == str(summary["healthScore"])
    assert text(page, "#risk") == str(crisis["metrics"]["riskScore"])
    assert page.get_by_role("meter", name="Risk score").get_attribute("aria-valuenow") == str(
        crisis["metrics"]["riskScore"]
    )
    parts = page.get_by_role("table", name="Parts of the score")
    for name, part in health["parts"].items():
        row = parts.locator("tr", has=page.get_by_role("rowheader", name=name.capitalize(), exact=True))
        points = "not yet" if part["points"] is None else f"{part['points']:.1f}".removesuffix(".0")
        assert row.locator("td").first.inner_text() == points
    spikes = service.get(f"{at}/spikes")["items"]
    assert spikes
    assert page.get_by_role("table", name="Spikes, newest first").locator("tbody tr").count() == len(spikes)
    begin = "2025-03-06T04:00:00Z"  # seven days of two hours each, up to the newest mention at 02:40
    posts = sum(one["count"] for one in service.get(f"{at}/volume", since=begin, limit=2016)["items"])
    assert page.get_by_role(
        "img", name=re.compile(rf"Posts per 120 minutes\. {posts:,} posts.*{len(spikes)} spike")
    ).is_visible()
    topics = service.get(f"{at}/clusters", limit=10)["items"]
    shown = (
        page.get_by_role("table", name="Topics, largest first").locator("tbody tr td:nth-child(2)").all_inner_texts()
    )
    assert shown == [f"{one['mentions']:,}" for one in topics]
    leads = page.locator("section", has=page.get_by_role("heading", name="Leads", exact=True)).locator("article .text")
    assert leads.all_inner_texts() == [one["text"] for one in service.get(f"{at}/leads", limit=5)["items"]]
    assert page.get_by_role("list", name="Verdicts by tier").inner_text().count(f"{summary['tiers']['2']:,}") == 1
    screenshot(page, "brand", 900)


def test_the_mentions_behind_a_crisis_are_a_click_away(open_page: Open, service: Service) -> None:
    page = brand_page(open_page, service)
    crisis = service.get(f"/v1/brands/{stream.BRAND}/crisis")["items"][0]
    found = service.get(f"/v1/brands/{stream.BRAND}/crisis/mentions", event=crisis["id"])
    assert [one["id"] for one in found["items"]] == crisis["evidence"]
    assert found["missing"] == []
    page.get_by_role("button", name=f"Show the {len(crisis['evidence'])} mentions behind it").click()
    behind = page.get_by_role("list", name="Mentions behind the crisis").locator(".text")
    behind.first.wait_for()
    assert behind.all_inner_texts() == [one["text"] for one in found["items"]]


def test_a_dead_letter_is_replayed_by_a_click_and_leaves_the_table(open_page: Open, service: Service) -> None:
    letter, other = repairable(service), hopeless(service)
    page = overview(open_page, service)
    page.get_by_role("button", name=f"Replay {letter}").click()
    dialog = page.get_by_role("dialog")
    assert "MongoDB was away" in dialog.inner_text()
    dialog.get_by_role("button", name="Cancel").click()
    assert service.get("/v1/queue")["dead"] == 2
    page.get_by_role("button", name=f"Replay {letter}").click()
    with page.expect_response(re.compile(rf"/v1/dead-letters/{letter}/replay$")) as answer:
        dialog.get_by_role("button", name="Replay").click()
    page.get_by_role("button", name=f"Replay {letter}").wait_for(state="detached")
    page.get_by_text(f"Dead letter {letter} was put back into the queue.").wait_for()
    task = answer.value.headers["location"]
    deadline = time.monotonic() + 30
    while service.get(task)["status"] != "succeeded":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    page.get_by_role("button", name=f"Drop {other}").click()
    dialog.get_by_role("button", name="Drop").click()
    page.get_by_role("button", name=f"Drop {other}").wait_for(state="detached")
    assert service.get("/v1/queue")["dead"] == 0


def test_the_keyboard_alone_reaches_replay(open_page: Open, service: Service) -> None:
    letter = repairable(service)
    page = overview(open_page, service)
    page.get_by_role("button", name=f"Replay {letter}").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('aria-label')") == f"Replay {letter}":
            break
    else:
        pytest.fail("40 steps of the keyboard do not reach the button")
    seen = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert seen == "solid"
    page.keyboard.press("Enter")
    # The row's button has the same text: the dialog opens after the next frame, and takes the focus.
    page.wait_for_function("document.activeElement.closest('dialog') !== null")
    assert page.evaluate("document.activeElement.textContent") == "Replay"
    page.keyboard.press("Enter")
    page.get_by_text("was put back into the queue").wait_for()
    page.wait_for_function("document.activeElement.id === 'dead-letters'")


def test_what_strangers_write_stays_text(open_page: Open, service: Service) -> None:
    hopeless(service)
    page = brand_page(open_page, service)
    mention = service.get(f"/v1/brands/{stream.BRAND}/mentions", limit=1)["items"][0]
    assert "<script>" in mention["text"]
    page.locator(".text", has_text=mention["text"]).wait_for()
    assert page.get_by_text(stream.HOSTILE_AUTHOR, exact=True).count() == 1
    page.goto(f"{service.url}/#/")
    page.locator(".reason", has_text=stream.HOSTILE).wait_for()
    for selector in ("img", "#app script", "b", "a[href^='javascript']", "[onerror]", "[onmouseover]"):
        assert page.locator(selector).count() == 0, selector
    assert page.title() == "Overview · Worker"


def test_a_brand_that_is_not_known_says_so_and_what_to_do(open_page: Open, service: Service) -> None:
    faults = Faults()
    page = open_page(f"{service.url}/#/brands/%3Cimg%20src%3Dx%3E", faults=faults)
    page.get_by_text("No mention of").wait_for()
    page.get_by_text("Send a first mention of it:").wait_for()
    assert page.locator("img").count() == 0
    assert faults.seen
    assert all("404" in one for one in faults.seen), faults.seen
    faults.seen.clear()


def test_an_evaluation_run_is_listed_with_its_report(open_page: Open, service: Service) -> None:
    transcripts = [
        {
            "id": f"{model}-{n}",
            "modelId": f"provider:{model}",
            "scenarioId": f"s{n}",
            "summary": {"score": 1 + (n + len(model)) % 5},
            "scenario": {"name": f"Scenario {n}", "dimensions": {}},
        }
        for n in range(6)
        for model in ("one", "other")
    ]
    page = open_page(f"{service.url}/#/evaluations")
    page.get_by_text("No run has been analysed yet").wait_for()
    service.http.post(
        "/v1/tasks", json={"type": "analyze_basic", "id": "a1", "runId": "run-1", "transcripts": transcripts}
    )
    deadline = time.monotonic() + 30
    while not service.get("/v1/analyses")["items"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    page.reload()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open the report of run-1").click()
    opened.value.get_by_role("heading", level=1).wait_for()
    assert opened.value.url == f"{service.url}/v1/analyses/a1/report"


def serious(page: Any, rules: list[str]) -> list[Any]:
    """What axe finds that keeps people from using the page."""
    found = page.evaluate("(rules) => axe.run(document, { runOnly: rules })", rules)
    assert found["passes"], "nothing was checked"
    return [
        (one["id"], one["impact"], [node["html"][:120] for node in one["nodes"]])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def test_axe_finds_nothing_serious_in_light_and_dark(open_page: Open, service: Service, axe: str) -> None:
    repairable(service)
    for view in (overview, brand_page):
        page = view(open_page, service, color_scheme="light")
        page.evaluate(axe)
        assert serious(page, WCAG) == []
        page.emulate_media(color_scheme="dark")
        assert serious(page, ["color-contrast"]) == []


def test_the_switch_changes_the_colours_and_is_remembered(open_page: Open, service: Service) -> None:
    page = overview(open_page, service, color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_label("Colours").select_option("dark")
    dark = page.evaluate(ground)
    assert light != dark
    page.reload()
    page.locator("h1").wait_for()
    assert page.evaluate(ground) == dark


def test_a_phone_needs_no_sideways_scrolling(open_page: Open, service: Service, screenshot: Any) -> None:
    repairable(service)
    phone = {"viewport": {"width": 360, "height": 780}, "color_scheme": "dark", "has_touch": True}
    for page in (overview(open_page, service, **phone), brand_page(open_page, service, **phone)):
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    screenshot(page, "brand-phone", 780)


def test_times_are_the_viewers_and_say_utc_too(open_page: Open, service: Service) -> None:
    page = overview(open_page, service, timezone_id="Asia/Tokyo")
    when = page.locator("time[datetime='2025-03-13T02:40:00.000Z']").first
    assert when.inner_text().split() == ["Mar", "13,", "2025,", "11:40", "AM"]
    assert when.get_attribute("title") == "2025-03-13 02:40:00 UTC"


def test_a_key_is_asked_for_and_the_view_comes_back_after_a_restart(
    browser: Any, open_page: Open, start: Callable[..., Service]
) -> None:
    guarded = start(13, WORKER_API_KEY=KEY)
    faults = Faults()
    page = open_page(guarded.url, faults=faults)
    page.get_by_text("This service asks for an API key.").wait_for()
    page.get_by_label("Key (the setting").fill("not-the-key")
    page.keyboard.press("Enter")
    page.get_by_text("The key was not accepted").wait_for()
    page.get_by_label("Key (the setting").fill(KEY)
    page.get_by_role("button", name="Use this key").click()
    page.locator("#live-sign.live").wait_for()
    page.get_by_text("No brand is known yet.").wait_for()
    assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
    assert {one for one in faults.seen if "401" not in one} == set()
    page.reload()
    page.locator("#live-sign.live").wait_for()
    assert guarded.end() == 0
    assert "graceful shutdown exceeded" not in guarded.log(), "open streams keep the service from ending"
    page.locator("#live-sign.lost").wait_for()
    guarded.restart()
    page.locator("#live-sign.live").wait_for(timeout=60_000)
    faults.seen.clear()
    page.get_by_role("button", name="Forget key").click()
    page.get_by_text("The key was forgotten.").wait_for()
    assert page.evaluate("sessionStorage.length") == 0
    faults.seen.clear()
