"""Clusters: agreement with known groups (adjusted Rand index) by representation, and the k that is chosen.

Seeded samples of Banking77's train texts (77 intents) and of the app reviews (4 kinds; a hard set: the kinds are about
tone more than about topics), K-Means with k = true; medians over the seeds. Word TF-IDF and its LSA are fitted to each
sample, the local vectors to nothing. The auto figures are those of the k that the worker chooses by itself.
"""

from __future__ import annotations

import csv
import gzip
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import normalize

from src.worker.clustering import cluster
from src.worker.local_vectors import LocalVectors
from src.worker.topics import TopicState, assign

from ._report import Figure, Report, at_least
from ._reposts import DATA

SEEDS = range(5)
SAMPLE = 3_000
LEAST = 0.25
"""What is promised of the local vectors on Banking77."""
Labelled = tuple[list[str], list[str]]


def _banking(groups: int | None, rows: int, seed: int) -> Labelled:
    """A sample of all intents, or of `groups` random ones."""
    texts = _read("questions_banking77", "text", "category")
    rng = np.random.default_rng(seed)
    names = sorted({label for _, label in texts})
    wanted = set(names if groups is None else rng.choice(names, groups, replace=False).tolist())
    return _sampled([row for row in texts if row[1] in wanted], rows, rng)


def _reviews(seed: int) -> Labelled:
    return _sampled(_read("intent_play_store", "review", "label"), SAMPLE, np.random.default_rng(seed))


def _read(name: str, text: str, label: str) -> list[tuple[str, str]]:
    with gzip.open(DATA / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return [(row[text], row[label]) for row in csv.DictReader(file) if row[text].strip()]


def _sampled(rows: Sequence[tuple[str, str]], most: int, rng: np.random.Generator) -> Labelled:
    chosen = [rows[place] for place in rng.choice(len(rows), min(most, len(rows)), replace=False)]
    return [text for text, _ in chosen], [label for _, label in chosen]


def _tfidf(texts: Sequence[str], k: int, seed: int) -> Any:
    return KMeans(k, n_init=3, random_state=seed).fit_predict(TfidfVectorizer(sublinear_tf=True).fit_transform(texts))


def _lsa(texts: Sequence[str], k: int, seed: int) -> Any:
    wide = TfidfVectorizer(sublinear_tf=True).fit_transform(texts)
    rows = normalize(TruncatedSVD(100, random_state=seed).fit_transform(wide))
    return KMeans(k, n_init=3, random_state=seed).fit_predict(rows)


def _local(texts: Sequence[str], k: int | None, seed: int) -> Any:
    return cluster(LocalVectors().matrix(texts), k, seed=seed).labels


METHODS: dict[str, Callable[[Sequence[str], int, int], Any]] = {"tfidf": _tfidf, "lsa_100": _lsa, "local": _local}


def main(quick: bool = False) -> Report:
    report = Report("cluster", quick, " ".join((__doc__ or "").split()))
    if not DATA.is_dir():
        report.leave_out("everything: the development data (../shared/data) is not there")
        return report
    seeds = SEEDS[:2] if quick else SEEDS
    sets = {
        "banking77": [_banking(None, SAMPLE, seed) for seed in seeds],
        "banking10": [_banking(10, 400, seed) for seed in seeds],
        "app_reviews": [_reviews(seed) for seed in seeds],
    }
    for name, samples in sets.items():
        for method, labels in METHODS.items():
            scores = [
                float(adjusted_rand_score(truth, labels(texts, len(set(truth)), seed)))
                for seed, (texts, truth) in zip(seeds, samples, strict=True)
            ]
            _add(report, f"{name}.{method}.ari", scores, LEAST if (name, method) == ("banking77", "local") else None)
        _auto(report, name, samples)
    _speed(report, sets["banking77"][0])
    _stream(report, sets["banking77"])
    return report


def _add(report: Report, name: str, values: Sequence[float], least: float | None = None) -> None:
    value = statistics.median(values)
    wanted = "" if least is None else at_least(value, least)
    report.add(Figure(f"cluster.{name}", value, "", wanted=wanted))
    report.details[name] = list(values)


def _auto(report: Report, name: str, samples: Sequence[Labelled]) -> None:
    found = [cluster(LocalVectors().matrix(texts)) for texts, _ in samples]
    scores = [adjusted_rand_score(truth, one.labels) for one, (_, truth) in zip(found, samples, strict=True)]
    _add(report, f"{name}.auto.ari", [float(score) for score in scores])
    _add(report, f"{name}.auto.k", [float(one.k) for one in found])
    _add(report, f"{name}.auto.noise_share", [one.labels.count(-1) / len(one.labels) for one in found])


def _speed(report: Report, sample: Labelled) -> None:
    vectors = LocalVectors()
    began = time.perf_counter()
    matrix = vectors.matrix(sample[0])
    embedded = time.perf_counter()
    cluster(matrix)
    report.add(Figure("cluster.local.speed", len(matrix) / (embedded - began), "texts/s"))
    report.add(Figure("cluster.auto.time", time.perf_counter() - embedded, "s", note=f"{len(matrix)} texts"))


def _stream(report: Report, samples: Sequence[Labelled], chunk: int = 30) -> None:
    """The same texts as one brand's stream of chunks of 30 through the topics that stay."""
    from datetime import UTC, datetime, timedelta

    start = datetime(2026, 1, 1, tzinfo=UTC)
    scores, counts = [], []
    for texts, truth in samples:
        matrix, state, topics, merged = LocalVectors().matrix(texts), TopicState("bench"), list[str](), dict[str, str]()
        for first in range(0, len(texts), chunk):
            rows = range(first, min(first + chunk, len(texts)))
            times = [start + timedelta(seconds=row) for row in rows]
            done = assign(state, matrix[rows.start : rows.stop], [str(row) for row in rows], times)
            state = done.state
            topics += done.topics
            merged = {old: done.merged.get(new, new) for old, new in merged.items()} | dict(done.merged)
        scores.append(float(adjusted_rand_score(truth, [merged.get(one, one) for one in topics])))
        counts.append(float(len(set(topics))))
    _add(report, "banking77.stream.ari", scores)
    _add(report, "banking77.stream.topics", counts)


if __name__ == "__main__":
    main().write()
