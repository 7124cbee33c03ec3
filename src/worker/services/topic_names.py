"""Names of topics by a language model: in the background, one question at a time, never in the way of a chunk.

A topic is asked about at twelve mentions and whenever there are four times as many (`topic_labels.model_step`), by one
worker of all. What fails leaves the name by phrases.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from ..cluster_labels import label_inputs
from ..embeddings import Embedder
from ..errors import WorkerError
from ..llm_adapter import LLMAdapter
from ..logging import get_logger
from ..topic_labels import model_step
from ..topics import Label, LabelBy, TopicState
from .topic_metrics import TopicMetrics
from .topic_store import TopicStore

log = get_logger(__name__)

Named = Callable[[str, str, Label], Any]
"""(brand, topic, label), awaited."""

_TEXTS: Final = 40
"""Newest texts of a topic; the twenty nearest to their middle are shown to the model."""
_WAITING_MAX: Final = 1_000
_SETTLED_MAX: Final = 10_000
"""Topics of which is remembered up to which number of mentions they have been asked about: 1 MB."""


class TopicNames:
    """`offer` states as they change; `run` in a task of its own. Built only where a model is configured."""

    def __init__(self, llm: LLMAdapter, store: TopicStore, embedder: Embedder, metrics: TopicMetrics) -> None:
        self._llm = llm
        self._store = store
        self._embedder = embedder
        self._metrics = metrics
        self._waiting: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._settled: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._some = asyncio.Event()

    def offer(self, brand: str, state: TopicState) -> None:
        """Note which topics of a brand are to be named."""
        for topic in state.topics:
            step, key = model_step(topic), (brand, topic.id)
            if step is not None and self._settled.get(key, 0) < step and len(self._waiting) < _WAITING_MAX:
                self._waiting[key] = step
        if self._waiting:
            self._some.set()

    async def run(self, named: Named, sleep: Callable[[float], Any] = asyncio.sleep) -> None:
        """Ask about one topic after the other, for ever."""
        while True:
            await self._some.wait()
            resting = self._llm.resting()
            if resting is not None:
                await sleep(max(1.0, resting.retry_after_sec or 0.0))
                continue
            key, step = self._waiting.popitem(last=False)
            if not self._waiting:
                self._some.clear()
            await self._one(key, step, named)

    async def _one(self, key: tuple[str, str], step: int, named: Named) -> None:
        brand, topic = key
        self._settled[key] = step
        self._settled.move_to_end(key)
        while len(self._settled) > _SETTLED_MAX:
            self._settled.popitem(last=False)
        try:
            if not await self._store.claim_naming(brand, topic, step):
                return
            await named(brand, topic, await self._ask(brand, topic, step))
        except WorkerError as error:
            self._metrics.names.labels("failed").inc()
            log.warning("a topic keeps its name by phrases", brand=brand, topic=topic, problem=error.message)
        except Exception as error:  # noqa: BLE001 - one topic that nobody foresaw must not stop the naming of all
            self._metrics.names.labels("failed").inc()
            log.error("a topic could not be named", brand=brand, topic=topic, exc=error)
        else:
            self._metrics.names.labels("named").inc()

    async def _ask(self, brand: str, topic: str, step: int) -> Label:
        operation = await asyncio.to_thread(_operation)  # its form takes long to build the first time
        found = await self._store.newest(brand, [topic], _TEXTS)
        texts = list(dict.fromkeys(one["text"] for one in found))
        if not texts:
            raise WorkerError("no mention of it is stored any more")
        vectors = await self._embedder.embed(texts, brand=brand)
        inputs = await asyncio.to_thread(label_inputs, brand, texts, vectors)
        answer = await self._llm.run(operation, inputs, operation.read, brand=brand)
        return Label(str(answer.value.label), LabelBy.LLM, step, str(answer.value.summary))


def _operation() -> Any:
    from ..llm.operations.clusters import CLUSTER_LABEL

    return CLUSTER_LABEL
