"""Names of a stream's topics, and when it is time for a new one. Pure.

A topic is named when it has two mentions, or one that others repeat, and again at each doubling, so that names stay
while they are looked at. From twelve mentions on a model may name it, and again when there are four times as many.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from .cluster_labels import labels_of
from .topics import Label, LabelBy, Topic, TopicState

FIRST: Final = 2
"""A name for one mention would be the mention."""
MODEL_FIRST: Final = 12
"""Where a model is worth its price: a dozen mentions are a topic and not a coincidence."""
MODEL_AGAIN: Final = 4
"""Five calls for a topic of 3,000 mentions."""
_OTHERS: Final = 12
"""Texts of other topics that a label has to tell its topic from; each costs some 30 us. With twice as many, 11 of the
12 largest topics of the airline stream had the same names, for half as much time again."""
MASK: Final = "*"
"""Stands for the brand's name in texts of topics. A mark ends phrases, so none reaches across it."""


def named(state: TopicState, repeated: Collection[str] = ()) -> TopicState:
    """The state with labels by phrases for all topics whose time it is; the state itself when there is none.

    `repeated`: topics whose mentions others repeat. A hundred people who share one post are a topic of one mention, and
    it needs a name.
    """
    due = [one for one in state.topics if _is_due(one) or (one.id in repeated and unnamed(one))]
    if not due:
        return state
    ids = {one.id for one in due}
    others = sorted((one for one in state.topics if one.id not in ids), key=lambda one: -one.weight)
    rest = [one.examples[-1] for one in others if one.examples][:_OTHERS]
    taken = [one.label.text for one in others if one.label is not None]
    labels = labels_of([one.examples for one in due] + ([rest] if rest else []), taken=taken)
    return state.labelled(
        {one.id: Label(_shown(text), LabelBy.PHRASES, one.count) for one, text in zip(due, labels, strict=False)}
    )


def _shown(label: str) -> str:
    """A label that is a whole text, without the mark and what stands around it."""
    return " ".join(label.replace(MASK, " ").split()).lstrip(":;,.!?-– ") or label


def model_step(topic: Topic) -> int | None:
    """The number of mentions for which a model is to name the topic now; None: it is not time."""
    if topic.count < MODEL_FIRST:
        return None
    step = MODEL_FIRST
    while step * MODEL_AGAIN <= topic.count:
        step *= MODEL_AGAIN
    label = topic.label
    by_model = label is not None and label.by is LabelBy.LLM
    return None if by_model and label is not None and label.at >= step else step


def unnamed(topic: Topic) -> bool:
    """Whether there is no name yet, and what to make one of."""
    return topic.label is None and bool(topic.examples)


def _is_due(topic: Topic) -> bool:
    if topic.count < FIRST or not topic.examples:
        return False
    label = topic.label
    return label is None or (label.by is LabelBy.PHRASES and topic.count >= 2 * label.at)
