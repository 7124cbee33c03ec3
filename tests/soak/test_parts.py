"""The soak judges nothing that it cannot fail: its own parts, quickly and without any server."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from src.worker.config import load_settings
from src.worker.llm.operations import OPERATIONS
from src.worker.runtime import Runtime
from tests.chaos.malformed import Bad
from tests.llm_samples import plain
from tests.soak import page
from tests.soak.answers import PLAIN, answer, operation_of
from tests.soak.generator import BRANDS, FULL_SEC, HISTORY_ROUNDS, SPAN, Generator
from tests.soak.judge import Letter, Verdict, judge_ends, judge_malformed, judge_texts
from tests.soak.ledger import Ledger, Sent
from tests.soak.loglines import Window, judge_log
from tests.soak.sampler import Lags
from tests.soak.scripted_llm import _text
from tests.soak.tasks import MAKERS
from tests.soak.trend import theil_sen


@pytest.mark.anyio
async def test_no_task_type_of_the_service_is_forgotten() -> None:
    settings = load_settings(_env_file=None)
    runtime = Runtime(settings, redis_url="redis://127.0.0.1:1/0", mongodb_uri="mongodb://127.0.0.1:1/none")
    try:
        assert set(MAKERS) == set(runtime.handlers)
    finally:
        await runtime.close()


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_the_scripted_model_answers_every_question_in_its_form(name: str) -> None:
    system, user = OPERATIONS[name].render(plain(name)).messages
    assert operation_of(system.text) == name
    OPERATIONS[name].read(_text(answer(name, user.text)))


def test_the_scripted_model_answers_conversations_of_the_evaluation() -> None:
    assert answer(operation_of("You are careful."), "A trolley runs.") == PLAIN


def test_half_of_all_mentions_are_of_one_brand_and_texts_are_unique_but_for_repetitions() -> None:
    made = Generator(1, 60.0)
    chunks = [made.chunk(0.0) for _ in range(2_000)]
    mentions = sum(len(chunk.keys) for chunk in chunks)
    first = sum(len(chunk.keys) for chunk in chunks if chunk.brand == BRANDS[0])
    assert 0.45 < first / mentions < 0.55
    assert {chunk.brand for chunk in chunks} == set(BRANDS)
    groups: dict[tuple[str, str, str], int] = {}
    for chunk in chunks:
        for key, group in zip(chunk.keys, chunk.groups, strict=True):
            assert groups.setdefault((chunk.brand, *key), group) == group
    assert 0.05 < 1 - len(groups) / mentions < 0.11


def test_the_same_seed_sends_the_same() -> None:
    one, two = ([Generator(7, 60.0).chunk(float(at)).keys for at in range(5)] for _ in range(2))
    assert one == two


def test_every_brand_has_said_something_in_the_week_before_the_run() -> None:
    made = Generator(seed=3, seconds=FULL_SEC)
    before = list(made.history())
    assert Counter(chunk.brand for chunk in before) == dict.fromkeys(BRANDS, HISTORY_ROUNDS)
    times = [datetime.fromisoformat(item["created_at"]) for chunk in before for item in chunk.items]
    begin = made.end - SPAN
    assert min(times) < begin - 0.9 * SPAN
    assert max(times) < begin
    assert made.chunk(0).chunk_id not in {chunk.chunk_id for chunk in before}


def test_event_time_comes_to_the_present_and_bursts_of_anger_occur() -> None:
    made = Generator(1, 600.0)
    for at in range(600):
        made.chunk(float(at))
    assert len(made.bursts) > 10
    assert made.event_time(0) < made.event_time(300) < made.event_time(600)


# -- the judge fails what has to fail ----------------------------------------------------------------------------------


def _ledger() -> Ledger:
    ledger = Ledger(tasks={"a": Sent("noop", "xadd", 1.0)}, malformed=[Bad("s", b"bad", "type")])
    ledger.tries.update({"a": 1, "bad:0": 1, "c": 1})
    ledger.chunks["c"] = "b"
    ledger.groups["b"][1].add(("x", "text"))
    return ledger


def _records(**changes: Any) -> dict[str, Any]:
    noop = {"id": "a", "type": "noop", "status": "succeeded", "result": {}}
    chunk = {"id": "n-1", "type": "analyze_mentions", "status": "succeeded", "result": {"chunkId": "c"}}
    return {name: one for name, one in ({"a": noop, "n-1": chunk} | changes).items() if one is not None}


_LETTER = Letter(b"bad", "type: is required", "")


def test_a_run_in_which_everything_is_right_has_no_findings() -> None:
    verdict = Verdict()
    judge_ends(verdict, _ledger(), _records(), [_LETTER])
    judge_malformed(verdict, _ledger(), [_LETTER])
    judge_texts(verdict, _ledger(), {"b": Counter({("x", "text"): 1})})
    assert verdict.problems() == {}


@pytest.mark.parametrize(
    ("changes", "letters", "kind"),
    [
        ({"a": None}, [], "lost"),
        ({"n-1": None}, [], "lost"),
        ({"a": {"id": "a", "type": "noop", "status": "running"}}, [], "wrong"),
        ({"a": {"id": "a", "type": "noop", "status": "failed"}}, [Letter(b"", "x: y", "a")], "wrong"),
        ({}, [Letter(b"", "x: y", "a")], "doubled"),
        ({"n-2": {"id": "n-2", "type": "analyze_mentions", "status": "succeeded", "result": {"chunkId": "c"}}}, [],
         "doubled"),
    ],
)  # fmt: skip
def test_ends_that_are_missing_or_too_many_are_found(changes: Any, letters: list[Letter], kind: str) -> None:
    verdict = Verdict()
    judge_ends(verdict, _ledger(), _records(**changes), letters)
    assert list(verdict.problems()) == [kind]


@pytest.mark.parametrize(
    ("letters", "kind"),
    [
        ([], "lost"),
        ([_LETTER, _LETTER], "doubled"),
        ([Letter(b"bad", "id: is required", "")], "wrong"),
        ([_LETTER, Letter(b"good", "type: is required", "")], "wrong"),
    ],
)
def test_dead_letters_are_judged_one_by_one(letters: list[Letter], kind: str) -> None:
    verdict = Verdict()
    judge_malformed(verdict, _ledger(), letters)
    assert list(verdict.problems()) == [kind]


@pytest.mark.parametrize(
    ("stored", "kind"), [({}, "lost"), ({("x", "text"): 2}, "doubled"), ({("x", "text"): 1, ("x", "y"): 1}, "wrong")]
)
def test_mentions_that_are_missing_too_many_or_unknown_are_found(stored: Any, kind: str) -> None:
    verdict = Verdict()
    judge_texts(verdict, _ledger(), {"b": Counter(stored)})
    assert list(verdict.problems()) == [kind]


def _line(level: str, message: str, second: int, **more: Any) -> dict[str, Any]:
    return {"timestamp": f"2026-01-01T00:00:{second:02d}.000Z", "level": level, "message": message, **more}


def test_a_line_needs_a_cause() -> None:
    outage = Window("redis", 1767225605.0, 1767225610.0)
    explained = [
        _line("info", "anything", 1),
        _line("warning", "model call failed", 1),
        _line("warning", "something waits", 7),
        _line("error", "something failed", 30, code="UNAVAILABLE"),
        _line("error", "a pool broke", 7, exception="Traceback", logger="pymongo.client"),
    ]
    assert judge_log(explained, [outage]).unexplained == []
    bare = [
        _line("warning", "something waits", 1),
        _line("error", "something failed", 59),
        _line("error", "request failed", 7, exception="Traceback", logger="src.worker.api.guard"),
        _line("error", "model call failed", 1),
        _line("warning", "MongoDB is not available, claiming rests", 7),
    ]
    assert judge_log(bare, [outage]).unexplained == bare


def test_a_slope_is_found_through_noise_and_steps() -> None:
    rng = Random(3)
    points = [(at / 100, 200 + 3 * at / 100 + rng.gauss(0, 0.2) + (50 if at % 37 == 0 else 0)) for at in range(300)]
    trend = theil_sen(points)
    assert trend.slope == pytest.approx(3, abs=0.1)
    assert trend.low < 3 < trend.high
    assert theil_sen([(float(at), 5.0) for at in range(9)]) == (0, 0, 0)
    with pytest.raises(ValueError, match="three moments"):
        theil_sen([(0.0, 1.0), (1.0, 2.0)])


def test_lag_is_read_from_the_workers_own_histogram() -> None:
    text = "\n".join(
        f'worker_event_loop_lag_seconds_bucket{{le="{bound}"}} {count}'
        for bound, count in (("0.01", "90.0"), ("0.05", "98.0"), ("0.1", "100.0"), ("+Inf", "100.0"))
    )
    lags = Lags().read(text)
    assert lags.within(0.05) == 0.98
    assert lags.quantile(0.99) == pytest.approx(0.075)
    assert lags.worst() == 0.1
    assert lags.since(lags).total == 0


def test_the_page_says_which_check_has_failed(tmp_path: Path) -> None:
    sample = {"at": 0.0, "rss_mb": 1.0, "uss_mb": None, "fds": 1, "threads": 1, "queue": None}
    found: dict[str, Any] = {
        "began": "2026-01-01T00:00:00+00:00", "minutes": 3, "rate": 20, "seed": 1, "llmFaults": 0.1, "warmUpSec": 60,
        "machine": dict.fromkeys(("worker", "commit", "python", "system", "cores", "cpu", "memoryGB"), "m"),
        "checks": [{"name": "lost", "found": "1", "wanted": "0", "passed": False}],
        "figures": {"mentionsStored": 1, "malformed": 1, "succeededByType": {"noop": 2}},
        "accepted": {
            "tasks": 1, "mentions": 1, "bursts": 0, "history": 1, "chunksByDoor": {"list": 1}, "lostReplies": 0,
        },
        "insight": {"mentions": 1}, "cpu": {"workerMedian": 0.5, "machineMedian": 0.5},
        "timeline": [{"at": 1.0, "what": "Redis stopped", "awaySec": 3.0}],
        "log": [{"level": "error", "message": "a|b", "cause": "", "count": 1}],
        "readers": {"answers": {"200": 1}, "medianMs": 1, "p99Ms": 1, "slowestMs": 1, "inOutages": 0, "endsTold": 1,
                    "endsToldTwice": 0, "liveEvents": {"tasks": 1}, "browser": "none"},
        "samples": [sample, {**sample, "at": 5.0}],
    }  # fmt: skip
    page.write_page(tmp_path / "soak.md", found)
    text = (tmp_path / "soak.md").read_text()
    assert "**FAILED**" in text
    assert "| lost | 1 | 0 | **no** |" in text
    assert "| error | a\\|b | **none** | 1 |" in text
    assert (tmp_path / page.IMAGE).read_text().startswith("<?xml")
