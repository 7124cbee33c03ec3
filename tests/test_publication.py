"""What neighbours read of each mention: one shape, bounded commands, the right keys."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from src.worker.models import Intent, StrategicTag
from src.worker.pipeline.enriched import TEXT_MAX, action, author_key, competitor_id, enriched
from src.worker.pipeline.publication import hour_bucket, publication
from src.worker.queue_commands import Command
from tests.audience_helpers import about, stored, strict

LIVE_FIELDS = {"id", "brand", "source", "text", "timestamp", "sentiment", "metadata"}
FRONTEND_FIELDS = {
    "createdAt", "url", "intent", "strategic_tag", "sentiment_score", "is_competitor", "priority", "action_suggested",
}  # fmt: skip
MENTION_FIELDS = {
    "author", "created_at", "author_followers", "influence_score", "enhanced_analysis", "is_verified",
    "verification_score", "verification_reason",
}  # fmt: skip
METADATA_FIELDS = {
    "author", "url", "followers", "emotion", "isCompetitor", "competitorId", "competitorName", "complaint_category",
    "complaint_pain_level",
}  # fmt: skip


def _by_key(commands: list[Command]) -> dict[str, list[Command]]:
    ordered = sorted(commands, key=lambda command: str(command[1]))
    return {str(key): list(found) for key, found in itertools.groupby(ordered, key=lambda command: str(command[1]))}


def _published(*documents: dict[str, Any], live: bool = False, leads: tuple[Any, ...] = ()) -> dict[str, list[Command]]:
    return _by_key(publication("acme", documents, leads, live=live))


def test_a_mention_has_every_field_that_a_reader_wants() -> None:
    shown = enriched(stored("Acme keeps crashing, this is terrible", author="ann", url="https://x.test/1"))
    assert set(shown) >= LIVE_FIELDS | FRONTEND_FIELDS | MENTION_FIELDS
    assert set(shown["metadata"]) >= METADATA_FIELDS
    assert (shown["brand"], shown["source"], shown["id"]) == ("acme", "x", "17")
    assert shown["timestamp"] == 1795170030500
    assert shown["created_at"] == shown["createdAt"] == "2026-11-20T10:20:30.500Z"
    assert shown["sentiment"] == "negative"
    assert isinstance(shown["sentiment_score"], float)
    assert shown["priority"] == "P2_MEDIUM"
    assert (shown["metadata"]["author"], shown["metadata"]["url"]) == ("ann", "https://x.test/1")


def test_what_nobody_has_verified_is_null_and_not_true() -> None:
    shown = enriched(stored("Acme is fine"))
    assert [shown[name] for name in ("is_verified", "verification_score", "enhanced_analysis", "author", "url")] == [
        None
    ] * 5
    assert shown["metadata"]["emotion"] is None


def test_the_text_keeps_its_case_and_is_cut_with_a_mark() -> None:
    assert enriched(stored("I LOVE Acme 😀"))["text"] == "I LOVE Acme 😀"
    long = enriched(stored("Acme " + "😀" * 50_000))
    assert len(long["text"]) == TEXT_MAX
    assert long["text"].endswith("…")
    assert long["text_truncated"] is True
    exact = enriched(stored("a" * TEXT_MAX))
    assert (exact["text"], exact["text_truncated"]) == ("a" * TEXT_MAX, False)


HOSTILE = {
    "id": 12345,
    "author": '"]}\n\u2028<script>',
    "url": "javascript:alert(1)" * 500,
    "author_followers": 10**30,
    "metadata": {
        "raw": {"a": "b" * 10_000},
        "score": 1e308,
        "likes": {"deep": [1]},
        "matchReason": "x" * 5_000,
        "isCompetitor": "yes",
        "competitorName": ["a"],
        "emotion": "bliss",
        "junk": ["x" * 1000] * 50,
    },
}


def test_hostile_fields_give_bounded_strict_json_without_passing_for_our_own() -> None:
    shown = enriched(stored("Acme \u0000 & ' \" \\ \x1b", **HOSTILE))
    (push, *_) = _published(stored("Acme \u0000 & ' \" \\ \x1b", **HOSTILE))["data:brand:acme:optimized_mentions"]
    raw = push[2]
    assert isinstance(raw, bytes)
    assert len(raw) < 10_000
    assert strict(raw) == shown
    assert shown["id"] == "12345"
    assert shown["author_followers"] == 2**63 - 1
    assert shown["is_competitor"] is False
    assert shown["metadata"]["emotion"] is None
    assert shown["metadata"]["likes"] is None
    assert "junk" not in shown["metadata"]
    assert "raw" not in shown["metadata"]


def test_a_figure_that_json_cannot_carry_is_an_error_that_names_its_field() -> None:
    document = stored("Acme is fine")
    document["influence_score"] = math.nan
    with pytest.raises(ValueError, match="influence_score"):
        publication("acme", [document], [], live=False)


@pytest.mark.parametrize(
    ("intent", "tag", "rival", "words"),
    [
        (Intent.HOT_LEAD, StrategicTag.CRITICAL_ALERT, False, "Reach out"),
        (Intent.CHURN_RISK, StrategicTag.CRITICAL_ALERT, False, "Escalate"),
        (Intent.CHURN_RISK, StrategicTag.NONE, False, "Call this customer"),
        (Intent.CHURN_RISK, StrategicTag.OPPORTUNITY_TO_STEAL, True, "user of a competitor"),
        (Intent.BUG_REPORT, StrategicTag.CRITICAL_ALERT, False, "ticket"),
        (Intent.BUG_REPORT, StrategicTag.OPPORTUNITY_TO_STEAL, True, "user of a competitor"),
        (Intent.FEATURE_REQUEST, StrategicTag.NONE, False, "backlog"),
        (Intent.GENERAL, StrategicTag.OPPORTUNITY_TO_STEAL, True, "user of a competitor"),
        (Intent.GENERAL, StrategicTag.CRITICAL_ALERT, False, "crisis response"),
        (Intent.BUG_REPORT, StrategicTag.NONE, True, "Monitor"),
        (Intent.PRAISE, StrategicTag.NONE, False, "Monitor"),
    ],
)
def test_the_action_is_chosen_in_the_contracts_order(
    intent: Intent, tag: StrategicTag, rival: bool, words: str
) -> None:
    assert words in action(intent, tag, rival)


def test_nothing_is_published_for_nothing() -> None:
    assert publication("acme", [], [], live=True) == []


def test_hour_buckets_are_written_only_where_the_live_feed_is_owned() -> None:
    late, early = stored("Acme one", at="2026-11-20T23:59:59.999Z"), stored("Acme two", at="2026-11-21T01:30:00+02:00")
    assert hour_bucket("acme", late) == "data:brand:acme:2026-11-20:23"
    buckets = {key for key in _published(late, early, live=True) if ":2026-" in key}
    assert buckets == {"data:brand:acme:2026-11-20:23"}
    assert not any(":2026-" in key for key in _published(late, early, live=False))


def test_every_key_is_bounded_and_expires() -> None:
    documents = [
        stored(f"Acme {n} is bad", author=f"a{n}", author_followers=10, metadata=about("Bolt")) for n in (1, 2)
    ]
    documents.append(stored("Acme is fine", author="b", author_followers=10))
    published = _published(*documents, live=True, leads=({"timestamp": 1, "id": "lead-1"},))
    for key, commands in published.items():
        names = [command[0] for command in commands]
        if key.endswith(":influencers"):
            assert names == ["TOP_AUTHORS"]
            continue
        assert names[-1] == "EXPIRE", key
        assert names[0] == "INCRBY" or names[1] in ("LTRIM", "ZREMRANGEBYRANK"), key
    assert set(published) == {
        "data:brand:acme:optimized_mentions", "data:brand:acme:timeline", "data:brand:acme:influencers",
        "data:brand:acme:2026-11-20:10", "competitor:42:mentions", "competitor:42:mention_count",
        "competitor:42:sentiment:negative", "leads:brand:acme", "queue:leads",
    }  # fmt: skip


def test_a_chunk_writes_each_key_once_whatever_its_size() -> None:
    few, many = ([stored(f"Acme {n}", author=f"a{n}", author_followers=9) for n in range(size)] for size in (1, 30))
    assert len(publication("acme", few, [], live=True)) == len(publication("acme", many, [], live=True)) == 10


def test_the_newest_mention_is_at_the_head_of_a_list() -> None:
    hours = ("05", "09", "01")
    push = _published(*(stored(f"Acme {h}", at=f"2026-11-20T{h}:00:00Z") for h in hours))[
        "data:brand:acme:optimized_mentions"
    ][0]
    assert [strict(raw)["text"] for raw in push[2:] if isinstance(raw, bytes)] == ["Acme 01", "Acme 05", "Acme 09"]


def test_a_huge_chunk_sends_what_fits_in_commands_that_the_script_can_unpack() -> None:
    template = stored("Acme is fine")
    documents = [{**template, "id": str(n)} for n in range(12_000)]
    published = _published(*documents)
    for commands in published.values():
        assert all(len(command) < 2_000 for command in commands)
    feed = published["data:brand:acme:optimized_mentions"]
    assert sum(len(command) - 2 for command in feed if command[0] == "LPUSH") == 1_000
    timeline = published["data:brand:acme:timeline"]
    adds = [command for command in timeline if command[0] == "ZADD"]
    assert sum(len(command) - 2 for command in adds) == 20_000
    assert all(len(command) % 2 == 0 for command in adds)


def test_influencers_are_authors_and_not_mentions() -> None:
    documents = [
        stored("Acme one", author="@Ann", author_followers=100),
        stored("Acme two", author="ann", author_followers=5_000),
        stored("Acme three", author="Bob", author_followers=1),
        stored("Acme four", author_followers=90_000),
        stored("Bolt is fine", author="Cat", author_followers=90_000, metadata=about("Bolt")),
    ]
    ((name, _, companion, most, _, *authors),) = _published(*documents)["data:brand:acme:influencers"]
    assert (name, companion, most) == ("TOP_AUTHORS", "data:brand:acme:influencers:authors", 100)
    (author, score, ms, member) = authors
    assert author == "x:ann"
    assert float(score) == pytest.approx(math.log10(5_000))
    assert ms == 1795170030500
    assert isinstance(member, bytes)
    assert (strict(member)["text"], strict(member)["author_followers"]) == ("Acme two", 5_000)


@pytest.mark.parametrize("identity", ["a:b", "*", "a b", "", "x" * 201, None, True, ["a"], "a\nb", {"$gt": ""}])
def test_an_id_that_cannot_name_a_key_names_none(identity: Any) -> None:
    document = stored("Bolt is bad", metadata=about("Bolt", identity))
    assert competitor_id(document) is None
    assert not any(key.startswith("competitor:") for key in _published(document))


@pytest.mark.parametrize(("identity", "expected"), [("65f0c", "65f0c"), (42, "42"), ("böse-firma", "böse-firma")])
def test_competitor_counters_are_kept_by_the_platforms_id(identity: Any, expected: str) -> None:
    published = _published(stored("Bolt is terrible", metadata=about("Bolt", identity)))
    assert published[f"competitor:{expected}:mention_count"][0] == ("INCRBY", f"competitor:{expected}:mention_count", 1)
    assert published[f"competitor:{expected}:sentiment:negative"][0][2] == 1


def test_a_competitor_id_without_a_competitor_is_none() -> None:
    assert competitor_id(stored("Acme is fine", metadata={"competitorId": "42"})) is None


def test_one_name_on_two_networks_is_two_authors() -> None:
    names = [author_key(stored("Acme", author=author, source=source)) for author, source in
             (("@Ann", "x"), ("ANN ", "x"), ("ann", "reddit"), (None, "x"))]  # fmt: skip
    assert names == ["x:ann", "x:ann", "reddit:ann", None]
