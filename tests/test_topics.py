"""Topics as plain data: other workers' states, names, sums that add up, spikes, and the clusters of a chunk result."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import numpy as np
import pytest

from src.worker.local_vectors import LocalVectors, has_words
from src.worker.pipeline.brand_state import BrandState, Folder, Pending
from src.worker.pipeline.brand_summary import brand_summary
from src.worker.pipeline.brand_topics import KEPT, BrandTopics
from src.worker.pipeline.chunk_result import chunk_result, without_centroids
from src.worker.pipeline.clusters import CENTROIDS_MAX, COMPETITORS_ID, chunk_clusters, missing
from src.worker.pipeline.contribution import Contribution, Post, contribution
from src.worker.pipeline.documents import COMPETITORS
from src.worker.pipeline.topic_sums import NOISE, TopicNews, TopicRow, TopicSums
from src.worker.spike_detector import BUCKET_MS
from src.worker.times import to_ms
from src.worker.topic_labels import MODEL_AGAIN, MODEL_FIRST, model_step, named
from src.worker.topics import (
    EXAMPLES,
    Joined,
    Label,
    LabelBy,
    Topic,
    TopicState,
    assign,
    rejoin,
)
from tests.insight_streams import BRAND, NOW, T0, document, mention, mood_of, together

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
REFUND = ["Where is my refund", "refund not received yet", "still no refund after two weeks", "I want my refund now"]
CRASH = ["App crashes on login", "the app crashes again", "crashes when I open the app", "login makes the app crash"]


def _label(text: str, at: int = 2, by: LabelBy = LabelBy.PHRASES) -> Label:
    return Label(text, by, at)


def _given(state: TopicState, texts: list[str], numbers: list[int], name: str = "m") -> Any:
    ids = [f"{name}{n}" for n in range(len(texts))]
    times = [AT + timedelta(seconds=n) for n in range(len(texts))]
    return assign(state, LocalVectors().matrix(texts), ids, times, numbers=iter(numbers), texts=texts)


def _joined(texts: list[str], topics: tuple[str, ...]) -> list[Joined]:
    rows = LocalVectors().matrix(texts)
    return [Joined(topic, row, AT.timestamp(), text) for topic, row, text in zip(topics, rows, texts, strict=True)]


# -- states ----------------------------------------------------------------------------------------------------


def test_new_topics_take_the_numbers_they_are_given() -> None:
    done = _given(TopicState("s"), [*REFUND, *CRASH], [701, 702, 900])
    assert set(done.topics[:4]) == {"t701"}
    assert set(done.topics[4:]) == {"t702"}
    assert [one.examples for one in done.state.topics] == [tuple(REFUND), tuple(CRASH)]


def test_only_the_newest_texts_are_remembered() -> None:
    texts = [f"{REFUND[0]} {'!' * n}" for n in range(EXAMPLES + 3)]
    (topic,) = _given(TopicState("s"), texts, [1, 2]).state.topics
    assert topic.examples == tuple(texts[3:])


def test_mentions_brought_into_anothers_state_join_their_topic_or_bring_it_along() -> None:
    theirs = _given(TopicState("s"), REFUND, [1]).state
    own = _given(theirs, CRASH, [101])
    own_state = own.state.labelled({"t101": _label("crash", 4), "t1": _label("ours", 1)})
    newer = _given(theirs, [REFUND[1]], [2], "n").state.labelled({"t1": _label("theirs", 4)})
    done = rejoin(newer, own_state, _joined([*CRASH, REFUND[2]], (*own.topics, "t1")))
    assert done.topics == ("t101",) * 4 + ("t1",)
    assert {one.id: one.count for one in done.state.topics} == {"t1": 6, "t101": 4}
    assert {one.id: one.label.text for one in done.state.topics if one.label} == {"t1": "theirs", "t101": "crash"}


def test_the_same_topic_begun_by_two_workers_becomes_the_older_one_and_a_models_name_stays() -> None:
    theirs = _given(TopicState("s"), REFUND, [101]).state
    own = _given(TopicState("s"), REFUND, [1], "o")
    own_state = own.state.labelled({"t1": _label("Refunds", 4, LabelBy.LLM)})
    done = rejoin(theirs, own_state, _joined(REFUND, own.topics))
    assert done.merged == {"t101": "t1"}
    assert done.state.resolved("t101") == "t1"
    (topic,) = done.state.topics
    assert (topic.id, topic.count) == ("t1", 8)
    assert topic.label is not None
    assert topic.label.text == "Refunds"
    again = rejoin(done.state, own_state, _joined([REFUND[0]], ("t101",)))
    assert again.topics == ("t1",)


def test_a_topic_nobody_talked_about_for_years_keeps_its_direction() -> None:
    state = _given(TopicState("s"), REFUND, [1]).state
    before = state.topics[0].centroid
    for year in range(1, 6):
        rows = LocalVectors().matrix([CRASH[0]])
        state = assign(state, rows, [f"y{year}"], [AT + timedelta(days=365 * year)], numbers=iter([1 + year])).state
    assert np.allclose(state.topics[0].centroid, before, atol=1e-6)


# -- names -----------------------------------------------------------------------------------------------------


def test_a_topic_is_named_at_two_mentions_and_again_at_each_doubling() -> None:
    state, named_at = TopicState("s"), []
    for n in range(20):
        before = state.topics[0].label if state.topics else None
        state = named(_given(state, [f"{REFUND[n % 4]} {n}"], [1 + n], f"m{n}").state)
        assert len(state.topics) == 1
        if state.topics[0].label is not before:
            named_at.append(n + 1)
    assert named_at == [2, 4, 8, 16]
    assert state.topics[0].label is not None
    assert "refund" in state.topics[0].label.text.lower()


def test_names_differ_and_show_no_mark_of_the_brand() -> None:
    texts = ["* ok", "* ok"]
    state = _given(TopicState("s"), texts, [1, 2]).state.labelled({})
    (label,) = [one.label for one in named(state).topics]
    assert label is not None
    assert label.text == "ok"


def test_a_models_name_is_not_replaced_by_phrases_and_is_asked_for_at_each_quadrupling() -> None:
    def topic(count: int, label: Label | None) -> Topic:
        return Topic("t1", float(count), count, np.ones(2, dtype=np.float32), 1.0, label, ("a b", "a b"))

    assert [model_step(topic(n, _label("x"))) for n in (11, 12, 47, 48, 192)] == [None, 12, 12, 48, 192]
    by_model = Label("x", LabelBy.LLM, MODEL_FIRST)
    assert model_step(topic(MODEL_FIRST * MODEL_AGAIN - 1, by_model)) is None
    assert model_step(topic(MODEL_FIRST * MODEL_AGAIN, by_model)) == MODEL_FIRST * MODEL_AGAIN
    state = TopicState("s", topics=(topic(500, by_model),))
    assert named(state) is state


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("refund", True),
        ("🚀🚀", False),
        ("?! ...", False),
        ("https://x.org/a", False),
        ("404", True),
        ("ありがとう", True),
    ],
)
def test_words_are_told_from_marks_and_links(text: str, expected: bool) -> None:
    assert has_words(text) is expected


# -- sums ------------------------------------------------------------------------------------------------------


def _posts(count: int = 40) -> list[Post]:
    rng = Random(5)
    posts = []
    for n in range(count):
        one, mood = (
            mention(n, T0 + timedelta(minutes=rng.randrange(300)), author=f"a{n}"),
            mood_of(rng.choice((-0.7, 0.4))),
        )
        topic = rng.choice(("t1", "t2", "t3", NOISE, None))
        stored = n % 4 != 0
        posts.append(Post(one, mood, document(one, mood) if stored else None, topic))
    return posts


def test_topics_add_up_in_any_order_and_survive_storage() -> None:
    posts = _posts()
    parts = [contribution(posts[start : start + 7], received_at=NOW) for start in range(0, 40, 7)]
    parts[2].clusters.tell(TopicNews({"t1": _label("one", 2)}, {"t3": "t1"}))
    parts[4].clusters.tell(TopicNews({"t1": _label("ONE", 4), "t2": _label("two")}, {}))
    forward, backward = Contribution(), Contribution()
    for part in parts:
        forward.merge(Contribution.from_dict(json.loads(json.dumps(part.to_dict()))))
    for part in reversed(parts):
        backward.merge(part)
    assert forward.to_dict() == backward.to_dict()
    rows = forward.clusters.rows
    assert sum(row.posts for row in rows.values()) == sum(post.topic is not None for post in posts)
    assert sum(row.stored for row in rows.values()) == sum(
        post.topic is not None and post.document is not None for post in posts
    )
    assert forward.clusters.labels["t1"].text == "ONE"
    in_buckets = sum(sum(counts.values()) for counts in forward.clusters.buckets.values())
    assert in_buckets == sum(row.posts for row in rows.values())


def test_a_contribution_and_a_state_of_before_there_were_topics_can_be_read() -> None:
    old = contribution(_posts(), received_at=NOW).to_dict()
    del old["clusters"]
    assert Contribution.from_dict(old).clusters.rows == {}
    state = BrandState.new(BRAND, 1).to_dict()
    del state["stream_topics"]
    state["outbox"]["volume"] = [[1, 2]]
    state["clusters"] = []
    assert BrandState.from_dict(state).clusters.sums.rows == {}


def test_what_is_no_topic_is_refused() -> None:
    for name in ("t1.x", "$t1", "t01", "x", ""):
        bad = {"rows": [[name, 1, 0, 0, 0, 0, 0, 0, 0]], "buckets": [], "labels": [], "merged": []}
        with pytest.raises((ValueError, TypeError)):
            TopicSums.from_dict(bad)


def _folded(*batches: list[tuple[list[Post], TopicNews]]) -> BrandState:
    state, number = BrandState.new(BRAND, 1), 0
    for batch in batches:
        pending = []
        for posts, news in batch:
            sums = contribution(posts, received_at=NOW)
            sums.clusters.tell(news)
            pending.append(Pending(f"k{number}", f"c{number}", number, sums))
            number += 1
        Folder().fold(state, together(*pending), to_ms(NOW))
        state = BrandState.from_dict(json.loads(json.dumps(state.to_dict())))
    return state


def _in(topic: str, numbers: range, minute: float = 0) -> list[Post]:
    out = []
    for n in numbers:
        one = mention(n, T0 + timedelta(minutes=minute, seconds=n % 60), author=f"a{n}")
        out.append(Post(one, mood_of(0.4), document(one, mood_of(0.4)), topic))
    return out


def test_counts_of_a_topic_that_became_another_move_once_whenever_that_is_told() -> None:
    told, nothing = TopicNews({}, {"t57": "t12"}), TopicNews()
    early, late = (_in("t57", range(5)), nothing), (_in("t57", range(50, 53)), nothing)
    other = (_in("t12", range(10, 14)), told)
    for state in (_folded([early, other, late]), _folded([early], [other], [late]), _folded([other], [late], [early])):
        assert {topic: row.stored for topic, row in state.clusters.sums.rows.items()} == {"t12": 12}
        again = _folded([early, other, late], [(_in("t12", range(60, 61)), told)])
        assert again.clusters.sums.rows["t12"].stored == 13


def test_volume_of_a_version_names_the_topics_by_what_they_are_called_now() -> None:
    state = _folded([(_in("t57", range(3)), TopicNews({}, {"t57": "t12"})), (_in(NOISE, range(20, 22)), TopicNews())])
    bucket = to_ms(T0) // BUCKET_MS
    assert state.outbox.volume == [[bucket, 5, [[NOISE, 2], ["t12", 3]]]]


def test_remembered_topics_are_bounded_by_size_and_by_how_recent_they_are() -> None:
    topics = BrandTopics()
    for n in range(1, 3 * KEPT + 2):
        row = TopicRow(posts=1 + (n == 7), first_ms=n, last_ms=n)
        topics.add(TopicSums(rows={f"t{n}": row}, labels={f"t{n}": _label(f"l{n}")}))
    topics.forget(0)
    assert KEPT <= len(topics.sums.rows) <= 2 * KEPT
    assert {"t7", f"t{3 * KEPT + 1}"} <= set(topics.sums.rows)
    assert set(topics.sums.labels) <= set(topics.sums.rows)


# -- spikes ----------------------------------------------------------------------------------------------------


def _spiking() -> BrandState:
    """Two days of two topics alike; then half an hour in which forty speak of t2 and two of t1."""
    news = TopicNews({"t1": _label("price"), "t2": _label("crash")}, {})
    posts, n = [], 0
    for hour in range(48):
        for minute, topic in ((5, "t1"), (25, "t2"), (45, "t1")):
            posts += _in(topic, range(n, n + 1), hour * 60 + minute)
            n += 1
    loud = 48 * 60 + 10
    posts += _in("t2", range(n, n + 40), loud) + _in("t1", range(n + 40, n + 42), loud)
    posts += _in("t1", range(n + 42, n + 43), loud + 90)
    return _folded([(posts, news)])


def test_a_spike_names_what_was_talked_about_and_only_topics_beyond_their_usual_share_spike() -> None:
    state = _spiking()
    (spike,) = state.outbox.spikes
    assert spike["topics"] == [
        {"id": "t2", "label": "crash", "mentions": 40},
        {"id": "t1", "label": "price", "mentions": 2},
    ]
    assert state.clusters.spiking == ["t2"]
    shown = {one["id"]: one for one in brand_summary(state)["clusters"]}
    assert (shown["t2"]["spike"], shown["t1"]["spike"]) == (True, False)
    assert shown["t2"]["mentions"] == 88


def test_no_topic_spikes_when_the_brand_does_not_any_more() -> None:
    state = _spiking()
    sums = contribution(_in("t2", range(9_000, 9_001), (48 + 30) * 60), received_at=NOW)
    Folder().fold(state, together(Pending("z", "z", 9, sums)), to_ms(NOW))
    assert state.clusters.spiking == []


def test_a_share_as_usual_and_two_people_are_no_part_of_a_spike() -> None:
    topics = BrandTopics(sums=TopicSums(rows={"t1": TopicRow(posts=60), "t2": TopicRow(posts=2)}))
    topics.judge([10, [["t1", 5], ["t2", 2]]], posts=110)
    assert topics.spiking == []
    topics.judge([10, [["t1", 5], ["t2", 3]]], posts=110)
    assert topics.spiking == ["t2"]


def test_the_summary_shows_the_largest_topics_without_noise_and_without_loners() -> None:
    posts = _in("t1", range(3)) + _in(NOISE, range(10, 20)) + _in("t2", range(30, 31)) + _in("t3", range(40, 45))
    summary = brand_summary(_folded([(posts, TopicNews({"t3": _label("late")}, {}))]))
    assert summary["clusters"] == [
        {
            "id": "t3",
            "label": "late",
            "labelBy": "phrases",
            "mentions": 5,
            "posts": 5,
            "spike": False,
            "sentimentScore": 0.4,
        },
        {"id": "t1", "label": "t1", "labelBy": None, "mentions": 3, "posts": 3, "spike": False, "sentimentScore": 0.4},
    ]


# -- clusters of a chunk result ----------------------------------------------------------------------------------


def _stored(n: int, topic: str | None, reason: str | None = None, score: float = 0.0) -> dict[str, Any]:
    label = "positive" if score > 0 else "negative" if score < 0 else "neutral"
    sentiment = {"label": label, "score": score}
    return {
        "_id": f"acme:{n}",
        "text": f"words {n}",
        "topic": topic,
        "topic_reason": reason,
        "sentiment": sentiment,
        "topics": [],
    }


def _state(counts: dict[str, int], merged: dict[str, str] | None = None) -> TopicState:
    rows = np.eye(max(2, len(counts)), dtype=np.float32)
    topics = tuple(
        Topic(name, float(count), count, rows[n], 1.0, _label(f"label {name}") if count > 1 else None, ("a",) * count)
        for n, (name, count) in enumerate(counts.items())
    )
    return TopicState("s", topics=topics, merged=merged or {})


def test_every_mention_is_in_exactly_one_cluster_biggest_first() -> None:
    documents = [
        _stored(1, "t1", score=0.5),
        _stored(2, "t2"),
        _stored(3, "t1", score=-0.1),
        _stored(4, NOISE),
        _stored(5, "t9"),  # alone in a new topic
        _stored(6, None, COMPETITORS.reason),
        _stored(7, "t5"),  # has become t1
        _stored(8, "t77"),  # has made room: nobody knows it any more
    ]
    state = _state({"t1": 9, "t2": 4, "t9": 1}, {"t5": "t1"})
    found = chunk_clusters(documents, state, {"t2"})
    assert [(one["id"], one["mentionCount"]) for one in found] == [
        ("noise", 3),
        ("t1", 3),
        (COMPETITORS_ID, 1),
        ("t2", 1),
    ]
    assert Counter(key for one in found for key in one["mentions"]) == Counter(one["_id"] for one in documents)
    by_id = {one["id"]: one for one in found}
    assert by_id["t1"]["sentimentScore"] == round(0.4 / 3, 4)
    assert [by_id[name]["spike"] for name in ("t1", "t2")] == [False, True]
    assert {name for name, one in by_id.items() if "centroid" in one} == {"t1", "t2"}
    assert by_id["noise"]["label"] == "noise"
    assert by_id["t1"]["label"] == "label t1"


def test_clusters_have_what_the_orchestrator_reads_in_strict_json() -> None:
    rows = LocalVectors().matrix(REFUND)
    state = assign(TopicState("s"), rows, ["a", "b", "c", "d"], [AT] * 4, texts=REFUND).state
    documents = [_stored(n, "t1") for n in range(4)]
    result = chunk_result(
        brand="acme",
        chunk_id="c",
        verdicts=documents,
        processed_at=AT,
        metrics={},
        clusters=chunk_clusters(documents, state),
    )
    (cluster,) = json.loads(json.dumps(result, allow_nan=False))["clusters"]
    assert {
        name: type(cluster[name]) for name in ("id", "label", "mentions", "sentimentScore", "spike", "mentionCount")
    } == {
        "id": str,
        "label": str,
        "mentions": list,
        "sentimentScore": float,
        "spike": bool,
        "mentionCount": int,
    }
    centroid = np.array(cluster["centroid"])
    assert centroid @ state.topics[0].centroid > 0.999
    assert all(len(f"{number}".lstrip("-")) <= 6 for number in cluster["centroid"])
    assert "clustersReason" not in result["meta"]
    kept = without_centroids(result)
    assert "centroid" not in kept["clusters"][0]
    assert "centroid" in result["clusters"][0]


def test_only_the_largest_clusters_carry_centroids() -> None:
    names = {f"t{n}": 5 for n in range(1, CENTROIDS_MAX + 6)}
    documents = [_stored(100 * n + k, f"t{n}") for n in range(1, CENTROIDS_MAX + 6) for k in range(1 + (n > 5))]
    found = chunk_clusters(documents, _state(names))
    assert len(found) == CENTROIDS_MAX + 5
    assert {one["id"] for one in found if "centroid" in one} == {f"t{n}" for n in range(6, CENTROIDS_MAX + 6)}


def test_a_mention_that_should_have_a_topic_and_has_none_is_a_reason() -> None:
    assert missing([_stored(1, "t1"), _stored(2, None, COMPETITORS.reason)]) is None
    assert (
        missing([_stored(1, "t1"), _stored(2, None, "embeddings failed: RATE_LIMIT")])
        == "embeddings failed: RATE_LIMIT"
    )
    assert missing([{"_id": "old"}]) == "topics are not known"
    result = chunk_result(
        brand="acme",
        chunk_id="c",
        verdicts=[_stored(1, None, "x")],
        processed_at=AT,
        metrics={},
        clusters_reason="x",
    )
    assert (result["clusters"], result["meta"]["clustersReason"]) == ([], "x")
