"""How questions name a topic."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import Query

from ..errors import InvalidTask, StorageUnavailable
from ..services.topic_view import TopicView
from .context import ApiContext

_TOPIC: Final = re.compile(r"t[1-9]\d{0,14}|noise")

TopicId = Annotated[str | None, Query(max_length=20, description="a topic's id, as `clusters` names it")]


async def topic_names(ctx: ApiContext, brand: str, topic: str | None) -> list[str]:
    """All names of the topic that a question names; empty when it names none. Raises InvalidTask for what is none."""
    if topic is None:
        return []
    if not _TOPIC.fullmatch(topic):
        raise InvalidTask("topic", "is not a topic's id: t1, t2, … or noise")
    return await topic_view(ctx).named(brand, topic)


def topic_view(ctx: ApiContext) -> TopicView:
    if ctx.topics is None:
        raise StorageUnavailable("topics are not kept by this process")
    return ctx.topics
