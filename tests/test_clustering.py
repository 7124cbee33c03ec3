"""Clusters, their labels, and topics over a stream: no mention is lost, ids stay, the same input gives the same."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.worker import topics as topics_module
from src.worker.cluster_labels import label_inputs, labels_of
from src.worker.clustering import NOISE, Clustering, cluster
from src.worker.llm.operations.clusters import CLUSTER_LABEL
from src.worker.local_vectors import LocalVectors
from src.worker.topic_records import from_record, to_record
from src.worker.topics import (
    MERGE,
    TOPICS_MAX,
    Assigned,
    Label,
    LabelBy,
    TopicState,
    TopicStateError,
    assign,
)

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REFUND = ["Where is my refund", "refund not received yet", "still no refund after two weeks", "I want my refund now"]
CRASH = ["App crashes on login", "the app crashes again", "crashes when I open the app", "login makes the app crash"]
FLIGHT = ["flight delayed again", "my flight was delayed", "delayed flight to Denver", "another delayed flight"]


def _blobs(sizes: Sequence[int], *, noise: float = 0.05, dimensions: int = 64, seed: int = 0) -> Any:
    """Unit vectors around as many random directions, one group after the other."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(len(sizes), dimensions))
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    rows = np.repeat(middles, sizes, axis=0) + noise * rng.normal(size=(sum(sizes), dimensions))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _holds_every_row_once(found: Clustering, rows: int) -> None:
    assert len(found.labels) == rows
    assert set(found.labels) <= {NOISE, *range(found.k)}
    inside = sorted(row for number in (NOISE, *range(found.k)) for row in found.members(number))
    assert inside == list(range(rows))
    assert all(found.members(number) for number in range(found.k))


@pytest.mark.timeout(180)  # sixty inputs, three times each: the processor's time, on a busy machine
@given(
    st.lists(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0]), min_size=4, max_size=4).filter(any), max_size=25),
    st.none() | st.integers(1, 30),
)
@settings(max_examples=60, deadline=None)
def test_every_row_is_in_exactly_one_cluster_or_noise_whatever_the_vectors_and_k(
    rows: list[list[float]], k: int | None
) -> None:
    matrix = np.array(rows, dtype=np.float32).reshape(len(rows), 4)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True) if rows else 1
    found = cluster(matrix, k)
    _holds_every_row_once(found, len(rows))
    assert cluster(matrix, k).labels == found.labels
    assert found.labels == cluster(matrix, k).labels
    if k is not None:
        assert NOISE not in found.labels
        assert found.k <= k


def test_two_groups_with_a_stranger_between_keep_all_six() -> None:
    """The predecessor's labels [0, 0, -1, 1, 1, -1] lost four mentions of six."""
    stranger = np.eye(8, dtype=np.float32)
    rows = np.stack([stranger[0], stranger[0], stranger[5], stranger[1], stranger[1], stranger[6]])
    for k in (None, 2, 4):
        _holds_every_row_once(cluster(rows, k), 6)
    assert len({cluster(rows, 4).labels[place] for place in (0, 2, 3, 5)}) == 4


@pytest.mark.parametrize("groups", [2, 4, 9])
def test_k_is_found_where_groups_are_clear(groups: int) -> None:
    found = cluster(_blobs([30] * groups))
    assert found.k == groups
    truth = [row // 30 for row in range(30 * groups)]
    assert len(set(zip(truth, found.labels, strict=True))) == groups
    assert all(2 <= number <= (30 * groups) ** 0.5 for number, _ in found.tried)


def test_without_any_structure_there_is_one_cluster() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(150, 64)).astype(np.float32)
    assert cluster(rows / np.linalg.norm(rows, axis=1, keepdims=True)).k == 1
    same = np.repeat(_blobs([1]), 20, axis=0)
    assert (cluster(same).k, cluster(same, 5).k, set(cluster(same).labels)) == (1, 1, {0})


def test_a_few_rows_and_none_are_no_special_case() -> None:
    assert cluster(np.zeros((0, 8), dtype=np.float32)).labels == ()
    assert cluster(_blobs([1])).labels == (0,)
    assert cluster(_blobs([2], noise=0.01)).labels == (0, 0)
    assert len(set(cluster(_blobs([1, 1, 1]), 3).labels)) == 3


def test_a_row_that_is_alone_is_noise_unless_k_was_given() -> None:
    rows = np.concatenate([_blobs([20, 20, 20], noise=0.02), -_blobs([20], noise=0.02)[:1]])
    alone = len(rows) - 1
    chosen = cluster(rows)
    label = chosen.labels[alone]
    assert label == NOISE or len(chosen.members(label)) > 1, "a cluster of one"
    given = cluster(rows, 4)
    assert given.members(given.labels[alone]) == [alone]
    two = np.eye(4, dtype=np.float32)[[0, 1]]
    assert cluster(two).labels == (NOISE, NOISE)  # nothing in common at all


def test_clusters_are_numbered_by_size_and_centroids_lie_in_the_space_of_the_vectors() -> None:
    rows = _blobs([10, 40, 20])
    found = cluster(rows, 3)
    assert [len(found.members(number)) for number in range(3)] == [40, 20, 10]
    for number in range(3):
        mean = rows[found.members(number)].mean(axis=0)
        assert np.allclose(found.centroids[number], mean / np.linalg.norm(mean), atol=1e-5)


def test_centroids_of_two_chunks_on_the_same_matters_match_by_cosine() -> None:
    vectors = LocalVectors()
    one = cluster(vectors.matrix([*REFUND[:2], *CRASH[:2], *FLIGHT[:2]]), 3)
    other = cluster(vectors.matrix([*FLIGHT[2:], *REFUND[2:], *CRASH[2:]]), 3)
    near = one.centroids @ other.centroids.T
    assert sorted(near.argmax(axis=1).tolist()) == [0, 1, 2]


@pytest.mark.parametrize("bad", [[[0.0, 0.0]], [[float("nan"), 1.0]]])
def test_vectors_without_a_direction_are_refused(bad: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="no direction"):
        cluster(np.array(bad, dtype=np.float32))
    with pytest.raises(ValueError, match="at least 1"):
        cluster(np.eye(2, dtype=np.float32), 0)


@pytest.mark.timeout(180)
@pytest.mark.skipif(not DATA.is_dir(), reason="development data (../shared/data) is not there")
def test_local_vectors_reach_the_promised_agreement_on_banking77() -> None:
    from sklearn.metrics import adjusted_rand_score

    with gzip.open(DATA / "questions_banking77.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    scores = []
    for seed in range(3):
        chosen = np.random.default_rng(seed).choice(len(rows), 3_000, replace=False)
        matrix = LocalVectors().matrix([rows[row]["text"] for row in chosen])
        truth = [rows[row]["category"] for row in chosen]
        scores.append(adjusted_rand_score(truth, cluster(matrix, 77, seed=seed).labels))
    assert float(np.median(scores)) >= 0.25, scores


# -- labels ----------------------------------------------------------------------------------------------------


def test_labels_name_what_tells_clusters_apart_as_people_write_it() -> None:
    refund, crash, flight = labels_of([REFUND, CRASH, FLIGHT])
    assert "refund" in refund.lower()
    assert "crash" in crash.lower()
    assert "delayed" in flight.lower()
    (shout,) = labels_of([["WiFi is down", "no WiFi again", "the wifi", "WiFi dead"]])
    assert "WiFi" in shout


def test_labels_leave_out_the_brand_stop_words_links_and_numbers() -> None:
    texts = [f"@AcmeCorp the delivery is late {n} http://t.co/{n}" for n in range(5)]
    (label,) = labels_of([texts], ("acme-corp",))
    assert "acme" not in label.lower()
    assert label.lower() == "delivery is late"
    assert "delivery" in label.lower()


def test_labels_differ_even_where_the_texts_do_not_and_none_is_empty() -> None:
    labels = labels_of([["ok", "ok"], ["ok"], ["👍"], ["refund late"] * 3, ["refund late"] * 3, ["the a of"]])
    assert len({label.lower() for label in labels}) == 6
    assert all(label.strip() and len(label) <= 80 for label in labels)


def test_the_inputs_of_tier_3_are_the_different_texts_nearest_to_the_middle() -> None:
    texts = [*REFUND, REFUND[0], "unrelated words entirely"]
    inputs = label_inputs("acme", texts, LocalVectors().matrix(texts), examples=4)
    assert set(inputs.texts) == set(REFUND)
    assert (inputs.brand, inputs.left_out) == ("acme", 2)
    assert set(CLUSTER_LABEL.fields(inputs)) == {"brand", "texts"}
    with pytest.raises(ValueError, match="a vector for each"):
        label_inputs("acme", [], LocalVectors().matrix([]))


# -- topics ----------------------------------------------------------------------------------------------------


def _assign(state: TopicState, vectors: Any, at: datetime = NOW, name: str = "m") -> Assigned:
    return assign(state, vectors, [f"{name}{row}" for row in range(len(vectors))], [at] * len(vectors))


def _eye(*places: int, of: int = 128) -> Any:
    return np.eye(of, dtype=np.float32)[list(places)]


def test_a_topic_keeps_its_id_over_chunks_and_the_state_survives_storage() -> None:
    vectors = LocalVectors()
    first = _assign(TopicState("s"), vectors.matrix([*REFUND, *CRASH]))
    stored = from_record(to_record(first.state), "s")
    assert stored == first.state
    one = _assign(first.state, vectors.matrix(["my refund is still not received"]), NOW + timedelta(hours=1))
    other = _assign(stored, vectors.matrix(["my refund is still not received"]), NOW + timedelta(hours=1))
    assert one.topics == other.topics
    assert one.topics[0] in first.topics[:4]
    assert to_record(one.state) == to_record(other.state)


def test_every_mention_gets_a_topic_and_the_order_inside_of_a_chunk_does_not_matter() -> None:
    rows = _blobs([5, 7, 3])
    ids = [f"m{row}" for row in range(15)]
    times = [NOW + timedelta(minutes=row % 4) for row in range(15)]
    straight = assign(TopicState("s"), rows, ids, times)
    order = np.random.default_rng(1).permutation(15).tolist()
    mixed = assign(TopicState("s"), rows[order], [ids[row] for row in order], [times[row] for row in order])
    assert dict(zip(ids, straight.topics, strict=True)) == dict(
        zip([ids[row] for row in order], mixed.topics, strict=True)
    )
    assert to_record(straight.state) == to_record(mixed.state)
    assert sum(one.count for one in straight.state.topics) == 15


def test_counts_fade_by_event_time_and_a_late_mention_counts_as_faded() -> None:
    half = timedelta(seconds=topics_module.HALF_LIFE_SEC)
    state = _assign(TopicState("s"), _eye(0), NOW).state
    later = _assign(state, _eye(1), NOW + half, "n").state
    assert [round(one.weight, 6) for one in later.topics] == [0.5, 1.0]
    late = _assign(later, _eye(0), NOW, "late").state
    assert [round(one.weight, 6) for one in late.topics] == [1.0, 1.0]
    assert late.at == later.at
    ages = _assign(late, _eye(1), NOW + timedelta(days=4_000), "far").state
    assert np.isfinite(ages.topics[0].centroid).all()


def test_topics_that_grow_alike_become_the_older_one_and_mentions_of_the_chunk_follow() -> None:
    def at(degrees: float) -> list[float]:
        return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]

    state = _assign(TopicState("s"), np.array([at(0), at(70)], dtype=np.float32)).state
    assert [one.id for one in state.topics] == ["t1", "t2"]
    nearer = np.array([at(30)] * 8 + [at(40)] * 8, dtype=np.float32)
    done = _assign(state, nearer, NOW + timedelta(minutes=1), "n")
    assert done.merged == {"t2": "t1"}
    assert set(done.topics) == {"t1"}
    assert [(one.id, one.count) for one in done.state.topics] == [("t1", 18)]
    assert at(0)[0] * at(40)[0] + at(0)[1] * at(40)[1] >= MERGE


def test_topics_are_bounded_the_faintest_go_and_no_id_is_given_twice() -> None:
    first = _assign(TopicState("s"), _eye(*range(TOPICS_MAX)))
    fresh = _assign(first.state, _eye(120, 121, of=128), NOW + timedelta(days=1), "n")
    assert len(fresh.state.topics) == TOPICS_MAX
    assert fresh.dropped == ("t1", "t2")
    again = _assign(fresh.state, _eye(0), NOW + timedelta(days=2), "o")
    assert again.topics == (f"t{TOPICS_MAX + 3}",)


def test_labels_stay_with_their_topic() -> None:
    label = Label("Refund", LabelBy.LLM, 12, "Refunds are late.")
    state = _assign(TopicState("s"), _eye(0, 1)).state.labelled({"t2": label})
    kept = from_record(to_record(_assign(state, _eye(1), NOW, "n").state), "s")
    assert [one.label for one in kept.topics] == [None, label]


def test_a_state_of_another_space_or_damaged_is_refused() -> None:
    stored = to_record(_assign(TopicState("s"), _eye(0)).state)
    cut, zero = stored["vectors"][:-2], bytes(len(stored["vectors"]))
    broken = ({}, {**stored, "vectors": cut}, {**stored, "vectors": zero}, {**stored, "topics": [{}]})
    for record in (*broken, {**stored, "format": 1}, {**stored, "merged": [["t1", "t2"]]}):
        with pytest.raises(TopicStateError):
            from_record(record, "s")
    with pytest.raises(TopicStateError, match="other"):
        from_record(stored, "other")
    with pytest.raises(ValueError, match="zone"):
        assign(TopicState("s"), _eye(0), ["m"], [datetime(2026, 1, 1)])  # noqa: DTZ001
    with pytest.raises(ValueError, match="as many"):
        assign(TopicState("s"), _eye(0), [], [])
