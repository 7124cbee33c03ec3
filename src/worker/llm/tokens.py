"""How many tokens a text has: exactly where the tokenizer is at hand, else by an estimate that learns from real usage.

tiktoken would download its tables at first use, without a timeout. Here it is asked only for tables that lie in its
cache already, in a thread; until they are read, and for all models it does not know, the estimator counts.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from ..logging import get_logger
from .exchange import Message

log = get_logger(__name__)


class Encoder(Protocol):
    """What is used of `tiktoken.Encoding`."""

    def encode_ordinary(self, text: str) -> list[int]: ...


class Table(NamedTuple):
    """A published table of a tokenizer. `sha256` is that of its content, as tiktoken 0.14 checks it."""

    url: str
    sha256: str

    def path(self, environ: Mapping[str, str]) -> Path | None:
        """Where tiktoken keeps it; None when its cache is switched off."""
        directory = environ.get("TIKTOKEN_CACHE_DIR", environ.get("DATA_GYM_CACHE_DIR"))
        if directory is None:
            directory = str(Path(tempfile.gettempdir()) / "data-gym-cache")
        # SHA-1 names the file, it protects nothing.
        return (
            Path(directory) / hashlib.sha1(self.url.encode(), usedforsecurity=False).hexdigest() if directory else None
        )


_SOURCE: Final = "https://openaipublic.blob.core.windows.net/encodings/"
TABLES: Final[Mapping[str, Table]] = {
    "o200k_base": Table(
        f"{_SOURCE}o200k_base.tiktoken", "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
    ),
    "cl100k_base": Table(
        f"{_SOURCE}cl100k_base.tiktoken", "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
    ),
}
# Which table OpenAI's models use, by the beginning of their names; the first that fits.
_ENCODINGS: Final = (
    (re.compile(r"(?:ft:)?(?:gpt-4o|gpt-4\.1|gpt-4\.5|gpt-[5-9]|chatgpt-4o|o[1-9](?:-|$))"), "o200k_base"),
    (re.compile(r"(?:ft:)?(?:gpt-4(?:-|$)|gpt-3\.5|gpt-35|davinci-002|babbage-002)"), "cl100k_base"),
)

EXACT_MAX: Final = 100_000
"""Characters. 2 kB take up to 130 µs (measured): more than this would hold the event loop over its 20 ms."""
MESSAGE_TOKENS: Final = 4
"""Role and separators of a message in OpenAI's chat format; the others are close, and usage corrects it."""
REPLY_TOKENS: Final = 3
"""What primes the reply in that format."""
RATIO_MIN, RATIO_MAX = 0.25, 4.0
"""Bounds of the correction: usage beyond them is another kind of count (an image, a cached prompt), not our error."""
LEARNING: Final = 0.2
"""Weight of a new observation: five calls change a wrong ratio by two thirds, one odd call by a fifth."""
LEARN_FROM: Final = 32
"""Prompts with fewer tokens than that say more about a provider's fixed overhead than about its tokenizer."""
ESTIMATES_MAX: Final = 64
"""Texts whose estimate is remembered: some megabytes at most, as prompts are."""
MODELS_MAX: Final = 64
"""Models whose ratios are remembered, the last used ones."""

# A single space belongs to the word after it and is found by none of these.
_PIECES: Final = re.compile(
    r"(?P<latin>[A-Za-z]+)"
    r"|(?P<accented>[\u00c0-\u024f\u1e00-\u1eff]+)"
    r"|(?P<cyrillic>[\u0370-\u052f]+)"
    r"|(?P<han>[\u2e80-\u2fdf\u3000-\u303f\uff00-\uff65\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+)"
    r"|(?P<kana>[\u3040-\u30ff\uac00-\ud7af\u1100-\u11ff]+)"
    r"|(?P<digits>[0-9]+)"
    r"|(?P<gap>\s{2,}|[^\S ])"
    r"|(?P<marks>[!-/:-@\[-`{-~]+)"
    r"|(?P<abugida>[\u0530-\u1dff]+)"
    r"|(?P<other>\S)"
)


def _word(first: int, more: int) -> Callable[[int], float]:
    """A token for the first letters of a word, another for every `more` that follow."""
    return lambda length: 1 + max(0, length - first + more - 1) // more


# Tokens by the length of a piece. Fitted to the characters per token that o200k has in each kind of text (len/4 was
# measured against it): English 5.3, German 5.2, Chinese 1.6, Russian 4.8, Hindi 3.4, JSON 3.1, code 2.5.
_COSTS: Final[Mapping[str, Callable[[int], float]]] = {
    "latin": _word(9, 5),
    "accented": lambda length: 0.7 * length,
    "cyrillic": _word(7, 5),
    "han": lambda length: 0.64 * length,
    "kana": lambda length: 0.7 * length,
    "digits": lambda length: -(-length // 3),
    "gap": lambda length: 1 + length // 16,
    "marks": lambda length: -(-length // 2),
    "abugida": lambda length: 0.34 * length,
    "other": lambda length: 2,
}


def estimate(text: str) -> float:
    """Tokens of a text by the script of its pieces, before any correction. Linear; no model is asked."""
    total = 0.0
    for piece in _PIECES.finditer(text):
        start, end = piece.span()
        total += _COSTS[piece.lastgroup or "other"](end - start)
    return total


def load_table(name: str, path: Path) -> Encoder | None:
    """The encoder of a table that lies in tiktoken's cache; None when the file is not the published one.

    The content is checked before tiktoken sees it: a wrong file it would delete and download again. Takes up to half a
    second and 70 MB, so it belongs into a thread.
    """
    if hashlib.sha256(path.read_bytes()).hexdigest() != TABLES[name].sha256:
        return None
    import tiktoken

    return tiktoken.get_encoding(name)


class TokenCounter:
    """Counts tokens at once, without waiting for anything. One per process; safe to use from its threads."""

    def __init__(
        self,
        *,
        environ: Mapping[str, str] = os.environ,
        load: Callable[[str, Path], Encoder | None] = load_table,
    ) -> None:
        self._environ = environ
        self._load = load
        self._encoders: dict[str, Encoder | None] = {}
        """None: being read, or not to be had."""
        self._ratios: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()
        # The rules of a prompt are the same in every call, and its material is counted before and after it.
        self._estimate = lru_cache(maxsize=ESTIMATES_MAX)(estimate)

    def exact(self, model: str) -> bool:
        """Are the counts of this model exact by now? False until its table has been read."""
        return self._encoder(model) is not None

    def count(self, text: str, model: str) -> int:
        """Tokens of a text. Zero only for an empty one."""
        if not text:
            return 0
        encoder = self._encoder(model) if len(text) <= EXACT_MAX else None
        if encoder is not None:
            return len(encoder.encode_ordinary(text))
        return max(1, round(self._estimate(text) * self.ratio(model)))

    def count_messages(self, messages: Sequence[Message], model: str) -> int:
        """Tokens of a prompt, with what the chat format adds."""
        return REPLY_TOKENS + sum(MESSAGE_TOKENS + self.count(message.text, model) for message in messages)

    def observe(self, messages: Sequence[Message], model: str, actual: int) -> None:
        """The provider counted `actual` input tokens for this prompt: the model's ratio moves towards it."""
        guess = sum(self._estimate(message.text) for message in messages)
        real = actual - REPLY_TOKENS - MESSAGE_TOKENS * len(messages)
        if guess < LEARN_FROM or real <= 0:
            return
        with self._lock:
            old = self._ratios.pop(model, 1.0)
            seen = min(RATIO_MAX, max(RATIO_MIN, real / guess))
            self._ratios[model] = old + LEARNING * (seen - old)
            while len(self._ratios) > MODELS_MAX:
                self._ratios.popitem(last=False)

    def ratio(self, model: str) -> float:
        """Real tokens per estimated token of a model; 1 until something has been observed."""
        return self._ratios.get(model, 1.0)

    def _encoder(self, model: str) -> Encoder | None:
        name = next((name for pattern, name in _ENCODINGS if pattern.match(model)), None)
        if name is None:
            return None
        if name not in self._encoders:
            self._start(name)
        return self._encoders[name]

    def _start(self, name: str) -> None:
        with self._lock:
            if name in self._encoders:
                return
            self._encoders[name] = None
        path = TABLES[name].path(self._environ)
        if path is not None and path.is_file():
            # A daemon: a process that ends does not wait for a table.
            threading.Thread(target=self._read, args=(name, path), name=f"tokens-{name}", daemon=True).start()

    def _read(self, name: str, path: Path) -> None:
        try:
            encoder = self._load(name, path)
        except Exception as error:  # noqa: BLE001 - any failure of a foreign library: the estimator goes on counting
            log.warning("tokenizer unusable, token counts stay estimates", encoding=name, error=type(error).__name__)
            return
        if encoder is None:
            log.warning("tokenizer's file is not the published one, token counts stay estimates", encoding=name)
            return
        self._encoders[name] = encoder
