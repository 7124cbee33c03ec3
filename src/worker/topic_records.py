"""Topics of a brand as a database keeps them: plain fields, and the centroids as one run of bytes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .topics import Label, LabelBy, Topic, TopicState, TopicStateError, number_of

VERSION: Final = 2
"""1 was JSON, and was never stored."""
_NUMBERS: Final = "<f4"
"""As they are computed with: a state that comes back from the database decides exactly as before."""


def to_record(state: TopicState) -> dict[str, Any]:
    """Fields of a document; `vectors` holds k x d little-endian float32, row by row in the order of `topics`."""
    import numpy as np

    rows = np.stack([one.centroid for one in state.topics]) if state.topics else np.zeros((0, 0))
    return {
        "format": VERSION,
        "space": state.space,
        "next": state.next_number,
        "at": state.at,
        "topics": [_row(one) for one in state.topics],
        "merged": [[old, new] for old, new in state.merged.items()],
        "vectors": rows.astype(_NUMBERS).tobytes(),
    }


def from_record(record: Mapping[str, Any], space: str) -> TopicState:
    """Raises TopicStateError: damaged, of another format, or of another space than `space`."""
    import numpy as np

    try:
        if record["format"] != VERSION or record["space"] != space:
            raise TopicStateError(
                f"topics are of format {record['format']} in space {record['space']!r}, "
                f"format {VERSION} in {space!r} is needed"
            )
        rows = record["topics"]
        numbers = np.frombuffer(record["vectors"], dtype=_NUMBERS).astype(np.float32)
        vectors = numbers.reshape(len(rows), -1) if rows else numbers.reshape(0, 0)
        lengths = np.linalg.norm(vectors, axis=1)
        if rows and (not vectors.shape[1] or not np.allclose(lengths, 1.0, atol=1e-3)):
            raise ValueError("a centroid is not of unit length")
        topics = tuple(_topic(row, vector.copy()) for row, vector in zip(rows, vectors, strict=True))
        at = record["at"]
        merged = {str(old): str(new) for old, new in record["merged"]}
        if any(number_of(new) >= number_of(old) for old, new in merged.items()):
            raise ValueError("a topic has become a younger one")
        return TopicState(space, int(record["next"]), None if at is None else float(at), topics, merged)
    except (KeyError, TypeError, ValueError) as error:
        raise TopicStateError(f"stored topics cannot be read ({type(error).__name__})") from None


def label_of(row: Mapping[str, Any]) -> Label | None:
    """Of one row of `topics`. Raises like reading it."""
    if row["label"] is None:
        return None
    return Label(str(row["label"]), LabelBy(row["labelBy"]), int(row["labelAt"]), row["summary"])


def _row(one: Topic) -> dict[str, Any]:
    label = one.label
    return {
        "id": one.id,
        "weight": one.weight,
        "count": one.count,
        "mass": one.mass,
        "label": label.text if label else None,
        "labelBy": label.by.value if label else None,
        "labelAt": label.at if label else None,
        "summary": label.summary if label else None,
        "examples": list(one.examples),
    }


def _topic(row: Mapping[str, Any], vector: Any) -> Topic:
    return Topic(
        str(row["id"]),
        float(row["weight"]),
        int(row["count"]),
        vector,
        float(row["mass"]),
        label_of(row),
        tuple(str(text) for text in row["examples"]),
    )
