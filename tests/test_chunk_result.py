"""The result the platform's orchestrator collects: its acceptance rules, each a test."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from src.worker.pipeline.chunk_result import chunk_result, sentiment_shares, tallies
from src.worker.services.chunk_records import Origin, timings

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


def _verdict(label: str, *topics: str) -> dict[str, Any]:
    return {
        "sentiment": {"label": label, "score": 0.0},
        "topics": list(topics),
        "intent": "GENERAL",
        "priority": "P3_LOW",
        "tier": 2,
    }


def _result(*verdicts: dict[str, Any]) -> dict[str, Any]:
    return chunk_result(brand="acme", chunk_id="c-1", verdicts=verdicts, processed_at=NOW, metrics={"io_time_ms": 1.5})


def test_shares_add_up_and_the_score_is_their_difference() -> None:
    result = _result(*[_verdict("positive")] * 2, _verdict("negative"), _verdict("neutral"))
    assert result["sentiment"] == {"positive": 0.5, "neutral": 0.25, "negative": 0.25, "score": 0.25}
    assert set(sentiment_shares([_verdict("negative")])) == {"positive", "neutral", "negative"}


def test_arrays_that_the_orchestrator_needs_are_never_missing() -> None:
    result = _result(_verdict("neutral"))
    assert result["topics"] == []
    assert result["clusters"] == []
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_the_most_frequent_topics_come_first_because_only_five_are_kept() -> None:
    result = _result(_verdict("neutral", "a"), _verdict("neutral", "b", "a"), _verdict("neutral", "c", "a", "b"))
    assert result["topics"] == ["a", "b", "c"]
    assert "about a, b, c" in result["summary"]


def test_the_summary_is_counted_not_judged() -> None:
    assert _result(_verdict("negative")).get("summary") == "1 mention: 1 negative."
    assert _result(_verdict("negative"), _verdict("positive"))["summary"] == "2 mentions: 1 positive, 1 negative."


def test_there_is_no_result_without_mentions() -> None:
    with pytest.raises(ValueError, match="at least one mention"):
        _result()


def test_the_time_is_one_that_every_reader_parses() -> None:
    assert datetime.fromisoformat(_result(_verdict("neutral"))["processedAt"]) == NOW.replace(microsecond=123000)


def test_tallies_count_each_kind() -> None:
    assert tallies([_verdict("negative"), _verdict("negative")]) == {
        "sentiments": {"negative": 2},
        "intents": {"GENERAL": 2},
        "priorities": {"P3_LOW": 2},
        "tiers": {"2": 2},
    }


def test_the_times_of_an_execution_are_named_in_milliseconds_and_add_up() -> None:
    assert timings([10.0, 10.5, 12.5, 12.625, 13.625]) == {
        "preprocessing_time_ms": 500.0,
        "analysis_time_ms": 2000.0,
        "embedding_time_ms": 125.0,
        "io_time_ms": 1000.0,
        "total_task_time_ms": 3625.0,
    }


@pytest.mark.parametrize(
    ("origin", "another"),
    [
        (Origin("t-1", "1-0", replayed=False), False),  # executed again
        (Origin("t-1", "2-0", replayed=False), True),  # sent again, id and all
        (Origin("t-1", "2-0", replayed=True), False),  # its replay, which has an entry of its own
        (Origin("t-1", "", replayed=False), False),  # over REST, where there is no entry
        (Origin("t-2", "1-0", replayed=False), True),
    ],
)
def test_a_second_task_of_a_chunk_is_told_from_a_second_execution(origin: Origin, another: bool) -> None:
    assert origin.is_another({"task_id": "t-1", "entry": "1-0"}) is another
