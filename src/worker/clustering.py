"""Mentions into clusters: spherical K-Means with a k that is chosen, and a name for what belongs nowhere. Pure.

The vectors (unit length, `embeddings`) are reduced for the partition alone: what all texts of the batch share is taken
off, and what is left is seen along its main directions. Without that, clusters of hashed words follow the brand's name
and the grammar. Centroids are means of the vectors as they came, so centroids of different batches compare by cosine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

NOISE: Final = -1
"""The label of a mention that belongs to no cluster."""
_DIRECTIONS: Final = 100
"""Main directions that are looked at: 50 to 150 gave the same ARI on Banking77 within .02."""
_ROWS_PER_DIRECTION: Final = 3
"""Of fewer rows a direction is no more than the rows themselves."""
_STEP: Final = math.sqrt(2)
"""Numbers of clusters that are tried grow by this: the quality hardly changes between."""
_FINER: Final = 6
"""Numbers tried between the neighbours of the best."""
_K_ROWS: Final = 2_000
"""Rows among which k is chosen, and of which the silhouette is taken; the rest say the same and cost more."""
_NULL_ROWS: Final = 400
_NULL_DRAWS: Final = 3
_NULL_MARGIN: Final = 1.2
"""Draws without structure that structure must beat, and by how much: three alone are beaten by chance one time in four,
and the best of several k is raised by chance too."""
_STARTS: Final = 3
_ROUND: Final = 1e-6
"""Lengths below this are what rounding leaves."""


@dataclass(frozen=True, slots=True)
class Clustering:
    """`labels[i]` is the cluster of row i, 0..k-1 by size, or NOISE; every row has one."""

    labels: tuple[int, ...]
    centroids: Matrix
    """k x d, unit length, in the space of the vectors given."""
    tried: tuple[tuple[int, float], ...] = ()
    """Numbers of clusters with their silhouettes, where k was chosen."""

    @property
    def k(self) -> int:
        return len(self.centroids)

    def members(self, cluster: int) -> list[int]:
        return [row for row, label in enumerate(self.labels) if label == cluster]


def cluster(vectors: Matrix, k: int | None = None, *, seed: int = 0) -> Clustering:
    """Partition n x d unit vectors; the same input gives the same result.

    Args:
        k: number of clusters. A k that is given is kept (as far as there are so many different vectors) and nothing is
            called noise; otherwise k is chosen and a mention that is alone, or no nearer to its cluster than to the
            whole, is noise.

    Raises:
        ValueError: k is below 1, or a vector is not finite or has no direction.
    """
    import numpy as np

    if k is not None and k < 1:
        raise ValueError("k must be at least 1")
    if len(vectors) == 0:
        return Clustering((), np.zeros((0, vectors.shape[1] if vectors.ndim == 2 else 0), dtype=np.float32))
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    if not np.isfinite(norms).all() or (norms < _ROUND).any():
        raise ValueError("a vector is not finite, or has no direction")
    reduced = _reduced(vectors, k or 2)
    tried: tuple[tuple[int, float], ...] = ()
    if k is None:
        number, tried = choose_k(reduced, seed)
    else:
        number = min(k, len(np.unique(reduced.round(5), axis=0))) if k > 1 else 1
    labels = _partition(reduced, number, seed)
    if k is None:
        labels = _without_noise(reduced if number > 1 else vectors, labels)
    return _ordered(vectors, labels, tried)


def choose_k(reduced: Matrix, seed: int) -> tuple[int, tuple[tuple[int, float], ...]]:
    """The smallest k with about the best silhouette (Rousseeuw 1987) among 2..sqrt(n), or 1 without any structure.

    "About": within one standard error of the best, as Breiman et al. (1984) choose the size of a tree.

    The bound keeps clusters at sqrt(n) members in the mean: above it silhouettes of sparse vectors rise again, because
    pairs of near-equal texts are tight. There is structure where the best silhouette clearly beats those of normal
    draws with the same spread along each direction: one group of that shape, as the gap statistic argues (Tibshirani,
    Walther and Hastie 2001).
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    numbers = _candidates(len(reduced))
    if not numbers or not np.any(reduced):
        return 1, ()
    small = _sample(reduced, _NULL_ROWS, rng)
    few = _candidates(len(small))
    best = _best(_silhouettes(small, few, seed))
    spread = np.sqrt((small.astype(np.float64) ** 2).mean(axis=0))
    for _ in range(_NULL_DRAWS):
        drawn = _unit(rng.normal(size=small.shape) * spread)
        if best <= _NULL_MARGIN * _best(_silhouettes(drawn, few, seed)):
            return 1, ()
    rows = _sample(reduced, _K_ROWS, rng)
    found = _silhouettes(rows, numbers, seed)
    found |= _silhouettes(rows, _between(numbers, found), seed)
    best, error = max(found.values())
    number = min(one for one, (mean, _) in found.items() if mean >= best - error)
    return number, tuple((one, mean) for one, (mean, _) in sorted(found.items()))


def _between(numbers: Sequence[int], found: Mapping[int, tuple[float, float]]) -> list[int]:
    """Numbers around the best of those tried, up to its neighbours; a few where there are many."""
    place = numbers.index(max(found, key=lambda one: found[one]))
    low, high = numbers[max(0, place - 1)], numbers[min(len(numbers) - 1, place + 1)]
    step = max(1, round((high - low) / _FINER))
    return [one for one in range(low + 1, high, step) if one not in found]


def _best(found: Mapping[int, tuple[float, float]]) -> float:
    return max((mean for mean, _ in found.values()), default=0.0)


def _candidates(rows: int) -> list[int]:
    """2, 3, 4, 6, 8, 11, … up to the square root of the number of rows."""
    most = math.isqrt(rows)
    numbers = {round(2 * _STEP**step) for step in range(2 * most.bit_length())}
    return sorted(one for one in numbers | {most} if 2 <= one <= most)


def _silhouettes(rows: Matrix, numbers: Sequence[int], seed: int) -> dict[int, tuple[float, float]]:
    """Number of clusters → mean silhouette and its standard error; one start each, for they are only compared."""
    from sklearn.metrics import silhouette_samples  # type: ignore[import-untyped]

    out = {}
    for number in numbers:
        labels = _partition(rows, number, seed, starts=1)
        if 2 <= len(set(labels.tolist())) < len(rows):
            values = silhouette_samples(rows, labels)
            out[number] = (float(values.mean()), float(values.std() / math.sqrt(len(values))))
    return out


def _partition(rows: Matrix, number: int, seed: int, starts: int = _STARTS) -> Any:
    """Labels by K-Means. Between unit vectors Euclidean distance orders as cosine does."""
    import warnings

    import numpy as np
    from sklearn.cluster import KMeans  # type: ignore[import-untyped]
    from sklearn.exceptions import ConvergenceWarning  # type: ignore[import-untyped]

    if number == 1:
        return np.zeros(len(rows), dtype=np.int64)
    with warnings.catch_warnings():
        # Fewer different rows than clusters: some stay empty, which `_ordered` sees.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(number, n_init=starts, random_state=seed).fit_predict(rows).astype(np.int64)


def _reduced(vectors: Matrix, least: int) -> Matrix:
    """n x p, rows of unit length (0 for a row that is the mean itself): centred, along the p main directions."""
    import numpy as np

    centred = _unit(vectors - vectors.mean(axis=0))
    # k groups need k directions.
    directions = max(2, min(_DIRECTIONS, max(least, len(vectors) // _ROWS_PER_DIRECTION)))
    wide = centred.astype(np.float64)
    if len(wide) < wide.shape[1]:
        left, lengths, _ = np.linalg.svd(wide, full_matrices=False)
        return _unit(left[:, :directions] * lengths[:directions])
    _, axes = np.linalg.eigh(wide.T @ wide)
    return _unit(wide @ axes[:, ::-1][:, :directions])


def _unit(rows: Any) -> Matrix:
    """Rows at unit length; those without a direction as zeros."""
    import numpy as np

    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Matrix = np.where(norms > _ROUND, rows / np.maximum(norms, _ROUND), 0.0).astype(np.float32)
    return unit


def _sample(rows: Matrix, most: int, rng: np.random.Generator) -> Matrix:
    return rows if len(rows) <= most else rows[rng.choice(len(rows), most, replace=False)]


def _without_noise(rows: Matrix, labels: Any) -> Any:
    """Labels with NOISE for rows whose cosine with the rest of their cluster is not above 0.

    In the reduced space 0 is the nearness to the mean of all. One row in all, and equal rows, are never noise.
    """
    import numpy as np

    if len(rows) == 1 or not np.any(rows):
        return labels
    out = labels.copy()
    for label in np.unique(labels):
        inside = np.flatnonzero(labels == label)
        own = rows[inside].astype(np.float64)
        rest = own.sum(axis=0) - own
        out[inside[np.einsum("ij,ij->i", own, rest) <= _ROUND]] = NOISE
    return out


def _ordered(vectors: Matrix, labels: Any, tried: tuple[tuple[int, float], ...]) -> Clustering:
    """Clusters numbered by size, then by their first member; empty ones gone; centroids of the vectors as given."""
    import numpy as np

    sizes: dict[int, int] = {}
    for label in labels.tolist():
        sizes[label] = sizes.get(label, 0) + 1
    order = sorted((one for one in sizes if one != NOISE), key=lambda one: -sizes[one])  # stable: first member first
    places = {label: place for place, label in enumerate(order)} | {NOISE: NOISE}
    means = [vectors[labels == label].mean(axis=0) for label in order]
    centroids = _unit(np.stack(means)) if means else np.zeros((0, vectors.shape[1]), dtype=np.float32)
    return Clustering(tuple(places[label] for label in labels.tolist()), centroids, tried)
