"""Embeddings, whoever makes them: texts in, a matrix of unit vectors in one fixed space out.

A deployment has one space (`EMBEDDINGS_PROVIDER`, `EMBEDDINGS_MODEL`, `EMBEDDINGS_DIMENSIONS`); its name stands beside
every centroid that is kept. A provider that fails is an LLMError that says whether and when another try helps: there
are no stand-in vectors, because clusters of made-up vectors are noise that looks like insight.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from .config import Settings
from .cpu import Cpu
from .embedding_books import Books, Embedded
from .embedding_wires import WIRES, EmbeddingWire
from .errors import ConfigError, InvalidTask
from .llm.classify import classify
from .llm.errors import Kind, LLMError
from .llm.evidence import HttpError, decoded
from .llm.exchange import Target
from .llm.health import Health, why
from .llm.policy import RULES
from .llm.providers import PROVIDERS
from .llm.redaction import redact
from .local_vectors import SPACE, LocalVectors

if TYPE_CHECKING:
    from .local_vectors import Matrix

_SLICE: Final = 200
"""Texts embedded locally at a time in the CPU thread: 20 ms, after which others have their turn there."""
_CACHE_BYTES: Final = 16 * 2**20
"""Room for remembered vectors that a provider was paid for: 2,700 of 1,536 dimensions."""
_LOCAL_CACHE_BYTES: Final = 2**19
"""The same for the local space, where a vector costs 60 µs: 250 of them, eight chunks and their second try."""
_UNIT_TOLERANCE: Final = 1e-6
"""A shorter vector than this has no direction that could be told from rounding."""


class Embedder(Protocol):
    """Texts to vectors of one space."""

    @property
    def space(self) -> str:
        """Name, version and dimension. Vectors of different spaces must never be compared."""
        ...

    async def embed(self, texts: Sequence[str], *, brand: str | None = None) -> Matrix:
        """n x d, float32, rows of unit length, in the order of the texts. `brand`: for whom, for the ledger.

        Raises:
            InvalidTask: a text is empty.
            LLMError: the provider failed; `retryable` and `not_before_sec` are the queue's to go by.
            QueueUnavailable: a budget is set and Redis, which keeps it, does not answer.
        """
        ...

    async def close(self) -> None: ...


class LocalEmbedder:
    """The fixed space of `local_vectors`, in the CPU thread."""

    def __init__(self, cpu: Cpu) -> None:
        self._cpu = cpu
        self._vectors = LocalVectors()

    @property
    def space(self) -> str:
        return SPACE

    async def embed(self, texts: Sequence[str], *, brand: str | None = None) -> Matrix:
        _refuse_empty(texts)
        slices = [texts[start : start + _SLICE] for start in range(0, len(texts), _SLICE)]
        parts = [await self._cpu.run(self._vectors.matrix, one) for one in slices or [[]]]
        import numpy as np  # loaded by now, in the thread: it takes longer than the event loop may stand still

        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    async def close(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Remote:
    """What a remote embedder needs to know of its deployment."""

    target: Target
    dimensions: int
    base_url: str
    api_key: str | None = field(repr=False)
    timeout_sec: float
    redact_pii: bool


class RemoteEmbedder:
    """A provider over HTTP: one request per batch, none repeated here; the queue tries a failed task again."""

    def __init__(
        self,
        remote: Remote,
        wire: EmbeddingWire,
        books: Books | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`books`: where calls are paid from and written down; None: a process that keeps none."""
        self._remote = remote
        self._wire = wire
        self._books = books
        self._clock = clock
        self._health = Health(clock)
        self._client: Any = None

    @property
    def space(self) -> str:
        return f"{self._remote.target}/{self._remote.dimensions}"

    async def embed(self, texts: Sequence[str], *, brand: str | None = None) -> Matrix:
        _refuse_empty(texts)
        await asyncio.to_thread(_load_numpy)
        import numpy as np

        if not texts:
            return np.zeros((0, self._remote.dimensions), dtype=np.float32)
        size = self._wire.batch
        parts = [await self._batch(texts[start : start + size], brand) for start in range(0, len(texts), size)]
        return np.concatenate(parts)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _batch(self, texts: Sequence[str], brand: str | None) -> Matrix:
        target = self._remote.target
        at, reason = self._health.available_at(target)
        now = self._clock()
        if at > now:
            raise LLMError(
                Kind.RESTING, f"{target.provider} is left alone ({reason})", target=target, retry_after_sec=at - now
            )
        self._health.begin(target)
        try:
            if self._books is None:
                done = await self._ask(texts)
            else:
                done = await self._books.kept(target, texts, brand, lambda: self._ask(texts))
        except LLMError as error:
            self._note(error)
            raise
        except BaseException:
            self._health.abandoned(target)
            raise
        self._health.succeeded(target)
        return done.vectors

    async def _ask(self, texts: Sequence[str]) -> Embedded:
        """One request."""
        remote = self._remote
        sent = [redact(text) for text in texts] if remote.redact_pii else texts
        call = self._wire.call(remote.target.model, remote.dimensions, sent, remote.api_key)
        client = await self._http()
        try:
            async with asyncio.timeout(remote.timeout_sec):
                response = await client.post(remote.base_url + call.path, json=call.body, headers=dict(call.headers))
            if response.status_code >= 300:
                raise HttpError(response.status_code, dict(response.headers), response.content)
        except Exception as error:
            raise classify(error, remote.target) from error
        # A hundred vectors are a megabyte of digits: too much for the event loop.
        return await asyncio.to_thread(self._read, response.content, len(texts))

    def _read(self, content: bytes, count: int) -> Embedded:
        body = decoded(content)
        vectors = self._checked(body, count)
        try:
            tokens = self._wire.tokens(body)
        except (KeyError, TypeError, ValueError, AttributeError):
            tokens = None
        return Embedded(vectors, tokens if type(tokens) is int and tokens > 0 else None)

    async def _http(self) -> Any:
        if self._client is None:
            # Loading it and the certificates takes longer than the event loop may stand still.
            self._client = await asyncio.to_thread(_new_client)
        return self._client

    def _checked(self, body: Any, count: int) -> Matrix:
        import numpy as np

        target, dimensions = self._remote.target, self._remote.dimensions
        try:
            matrix = np.array(self._wire.vectors(body), dtype=np.float32)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise _malformed(target, "the answer does not hold vectors of one length") from None
        if matrix.shape != (count, dimensions):
            raise _malformed(
                target,
                f"{count} vectors of {dimensions} numbers were asked for, {' x '.join(map(str, matrix.shape))} came"
                " (EMBEDDINGS_DIMENSIONS says how many the model makes)",
            )
        norms = np.linalg.norm(matrix.astype(np.float64), axis=1, keepdims=True)
        if not np.isfinite(norms).all() or (norms < _UNIT_TOLERANCE).any():
            raise _malformed(target, "a vector is zero or not finite")
        unit: Matrix = (matrix / norms).astype(np.float32)
        return unit

    def _note(self, error: LLMError) -> None:
        """The policy of model calls, without its repetitions."""
        target, rule = self._remote.target, RULES[error.kind]
        if rule.breaker:
            self._health.failed(target)
        else:
            self._health.abandoned(target)
        rest = error.retry_after_sec if error.retry_after_sec is not None else rule.rest_sec
        if rest:
            self._health.rest(target, rest, why(error.kind))


class CachedEmbedder:
    """Remembers vectors by the hash of their text, within a bounded room; equal texts of one call are asked once."""

    def __init__(self, inner: Embedder, room_bytes: int = _CACHE_BYTES) -> None:
        self._inner = inner
        self._room = room_bytes
        self._kept: OrderedDict[bytes, Any] = OrderedDict()

    @property
    def space(self) -> str:
        return self._inner.space

    async def embed(self, texts: Sequence[str], *, brand: str | None = None) -> Matrix:
        keys = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
        found = {key: self._kept[key] for key in keys if key in self._kept}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing or not texts:
            fresh = await self._inner.embed(list(missing.values()), brand=brand)
            if not texts:
                return fresh
            # Copies: a row kept as a view would keep its whole matrix.
            found |= {key: row.copy() for key, row in zip(missing, fresh, strict=True)}
        self._keep(found)
        import numpy as np  # loaded by whoever made the vectors, off the event loop

        return np.stack([found[key] for key in keys])

    def _keep(self, found: dict[bytes, Any]) -> None:
        for key, row in found.items():
            self._kept[key] = row
            self._kept.move_to_end(key)
            while len(self._kept) * row.nbytes > self._room:
                self._kept.popitem(last=False)

    async def close(self) -> None:
        await self._inner.close()


def embedder_of(settings: Settings, cpu: Cpu, books: Books | None = None) -> CachedEmbedder:
    """The deployment's embedder, as the settings say. `books`: as for `RemoteEmbedder`.

    Raises:
        ConfigError: a key is missing, or the dimensions of a model that is not the provider's default.
    """
    name = settings.embeddings_provider
    if name == "local":
        if settings.embeddings_model or settings.embeddings_dimensions:
            raise ConfigError("EMBEDDINGS_PROVIDER: local has no models; EMBEDDINGS_MODEL must not be set")
        return CachedEmbedder(LocalEmbedder(cpu), _LOCAL_CACHE_BYTES)
    wire, account, provider = WIRES[name], settings.llm_accounts[name], PROVIDERS[name]
    if provider.key_needed and not account.api_key:
        raise ConfigError(f"EMBEDDINGS_PROVIDER: {name} needs {' or '.join(provider.key_variables)}")
    model, dimensions = settings.embeddings_model or wire.model, settings.embeddings_dimensions
    if dimensions is None:
        if model != wire.model:
            raise ConfigError(
                "EMBEDDINGS_DIMENSIONS: is needed with EMBEDDINGS_MODEL: how many numbers its vectors have"
            )
        dimensions = wire.dimensions
    remote = Remote(
        Target(name, model),
        dimensions,
        provider.server_url(account.base_url),
        account.api_key,
        settings.llm_timeout_sec,
        settings.llm_redact_pii,
    )
    return CachedEmbedder(RemoteEmbedder(remote, wire, books))


def _load_numpy() -> None:
    import numpy  # noqa: F401


def _new_client() -> Any:
    import httpx

    # The whole call has its limit around it, for which the client's own would be one more. Redirects are not followed:
    # the key would go along.
    return httpx.AsyncClient(timeout=httpx.Timeout(None), follow_redirects=False)


def _malformed(target: Target, problem: str) -> LLMError:
    return LLMError(Kind.MALFORMED, f"{target.provider}: {problem}", target=target)


def _refuse_empty(texts: Sequence[str]) -> None:
    for place, text in enumerate(texts):
        if not text.strip():
            raise InvalidTask(f"texts[{place}]", "is empty")
