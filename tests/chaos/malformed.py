"""Ten thousand ways to get a task wrong, each with the field that its dead letter must name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from src.worker import keys
from src.worker.keys import PlatformKeys

BRAND = "flood"
LIST = PlatformKeys().chunks(BRAND)
HUGE = "x" * 2_000_000


@dataclass(frozen=True, slots=True)
class Bad:
    """`raw` None: a stream entry without a field `task`."""

    key: str
    raw: bytes | None
    field: str


def _task(**fields: Any) -> Callable[[int], bytes]:
    return lambda n: json.dumps({"type": "noop", "n": n, **fields}).encode()


def _chunk(mentions: Any, **fields: Any) -> Callable[[int], bytes]:
    return lambda n: json.dumps(
        {"type": "analyze_mentions", "brand": BRAND, "chunkId": f"bad-{n}", "mentions": mentions, **fields}
    ).encode()


def _raw(text: str | bytes) -> Callable[[int], bytes]:
    """Bytes as they are, with the number in place of %d."""
    raw = text.encode() if isinstance(text, str) else text
    return lambda n: raw.replace(b"%d", str(n).encode())


def _wrapped(layers: int) -> Callable[[int], bytes]:
    return lambda n: b'{"type": "analyze_mentions", "payload": ' * layers + b'{"n": %d}' % n + b"}" * layers


_NOT_JSON = [
    (_raw("not JSON %d"), "task"),
    (_raw('{"type": "noop", "n": %d'), "task"),
    (_raw("{'type': 'noop', 'n': %d}"), "task"),
    (_raw('{"type": "noop", "n": %d} and more'), "task"),
    (_raw(""), "task"),
    (_raw("  \n"), "task"),
    (_raw(b'\xff\xfe{"n": %d}'), "task"),
    (_raw(b'{"type": "noop", "n": %d, "text": "caf\xe9"}'), "task"),
    (_raw(b'\x00\x01\x02 %d {"type": "noop"}'), "task"),
    (_raw('\ufeff{"type": "noop", "n": %d}'), "task"),
    (_raw("[" * 100_000), "task"),
    (_raw('{"type": "noop", "n": %d, "deep": ' + "[" * 100 + "]" * 100 + "}"), "task"),
    (_raw('{"a": ' * 5_000 + "%d" + "}" * 5_000), "task"),
    (_raw('{"type": "noop", "n": %d, "big": ' + "9" * 5_000 + "}"), "task"),
]
_NOT_AN_OBJECT = [(_raw(text), "task") for text in ("[1, %d]", "[]", "%d", "null", "true", '"text %d"', "-0.5")]
_NOT_STRICT = [
    (_raw('{"type": "noop", "n": %d, "score": NaN}'), "score"),
    (_raw('{"type": "noop", "n": %d, "deep": {"list": [0, Infinity]}}'), "deep.list[1]"),
    (_raw('{"type": "noop", "n": %d, "score": -Infinity}'), "score"),
    (_raw('{"type": "noop", "n": %d, "text": "\\ud800"}'), "text"),
    (_raw('{"type": "noop", "n": %d, "id": "a\\udfffb"}'), "id"),
    (
        _raw('{"type": "analyze_mentions", "n": %d, "brand": "b", "mentions": [{"text": "\\udc00 x"}]}'),
        "mentions[0].text",
    ),
]
_WRONG_ENVELOPE = [
    (_raw('{"n": %d}'), "type"),
    (_task(type="launch_missiles"), "type"),
    (_task(type=None), "type"),
    (_task(type=5), "type"),
    (_task(type=["noop"]), "type"),
    (_task(type=""), "type"),
    (_task(type="t" * 200), "type"),
    (_task(id="a b"), "id"),
    (_task(id=""), "id"),
    (_task(id="i" * 201), "id"),
    (_task(id={"a": 1}), "id"),
    (_task(id=True), "id"),
    (_task(brand=5), "brand"),
    (_task(brand=" "), "brand"),
    (_task(brand="!!!"), "brand"),
    (_task(brand="b" * 201), "brand"),
    (_task(priority="urgent"), "priority"),
    (_task(priority=1), "priority"),
    (_task(runAt="soon"), "runAt"),
    (_task(runAt={"at": 1}), "runAt"),
    (_task(deadline="never"), "deadline"),
    (_task(deadline="2020-01-01T00:00:00Z"), "deadline"),
    (_task(dedupKey=5), "dedupKey"),
    (_task(dedupKey=""), "dedupKey"),
    (_task(payload=[1]), "payload"),
    (_task(payload="text"), "payload"),
]
_WRONG_CHUNK = [
    (_chunk("text"), "mentions"),
    (_chunk(5), "mentions"),
    (_chunk({"text": "a"}), "mentions"),
    (_chunk([]), "mentions"),
    (_chunk([{"text": 5}]), "mentions[0].text"),
    (_chunk([{"text": None}]), "mentions[0].text"),
    (_chunk([{"id": 1}]), "mentions[0].text"),
    (_chunk([None]), "mentions[0]"),
    (_chunk([[]]), "mentions[0]"),
    (_chunk([{"text": "a", "id": {"x": 1}}]), "mentions[0].id"),
    (_chunk([{"text": "a", "metadata": "m"}]), "mentions[0].metadata"),
    (_chunk([{"text": "a", "created_at": [1]}]), "mentions[0].created_at"),
    (_chunk([{"text": "a", "source": 5}]), "mentions[0].source"),
    (_chunk(["a"], keywords="k"), "keywords"),
    (_chunk(["a"], keywords=["k", 5]), "keywords[1]"),
    (_chunk(["a"], meta=[1]), "meta"),
    (_chunk(["a"], chunkId={"x": 1}), "chunkId"),
    (_chunk(["a"], chunkId="c" * 301), "chunkId"),
    (_chunk(["a"], brand=None), "brand"),
]
# On a list the brand is the list's, and there is no envelope to get wrong.
_WRONG_ON_A_LIST = [
    (_raw("{}"), "mentions"),
    (_raw('{"n": %d}'), "mentions"),
    (_raw('{"mentions": %d}'), "mentions"),
    (_raw('{"chunkId": "c%d", "clusters": []}'), "payload"),
    (_raw('{"envelope_id": "e%d", "task": {"type": "cluster_mentions", "mentions": %d}}'), "task.mentions"),
    (_raw('{"envelope_id": [%d], "task": {"mentions": ["a"]}}'), "envelope_id"),
    (_raw('{"text": %d}'), "mentions[0].text"),
    (_raw('{"text": "a", "id": {"x": %d}}'), "mentions[0].id"),
    (_raw('{"reason": "r%d", "payload": "not JSON"}'), "task"),
    (_raw('{"reason": "r%d", "payload": [1]}'), "task"),
    (_wrapped(7), "payload"),
]
_HUGE = [
    (_chunk([{"text": HUGE}]), "mentions[0].text"),
    (_task(filler=HUGE * 3), "task"),
]
HUGE_COPIES = 5
"""Of each: a few, they are to go through memory and not to fill the disk."""


def make(count: int) -> Iterator[Bad]:
    """So many bad items, all kinds in turn over all streams and a list."""
    streams = cycle(keys.STREAMS.values())
    for copy in range(HUGE_COPIES):
        for maker, field in _HUGE:
            yield Bad(next(streams), maker(copy), field)
    rest = count - HUGE_COPIES * len(_HUGE)
    for number, (door, kind, field) in enumerate(islice(cycle(_kinds()), rest)):
        raw = kind(number) if kind is not None else None
        yield Bad(LIST if door else next(streams), raw, field)


def _kinds() -> Iterator[tuple[bool, Callable[[int], bytes] | None, str]]:
    for kind, field in (*_NOT_JSON, *_NOT_AN_OBJECT, *_NOT_STRICT, *_WRONG_ENVELOPE, *_WRONG_CHUNK):
        yield False, kind, field
    yield False, None, "task"
    yield False, _wrapped(7), "payload"
    for kind, field in (*_NOT_JSON, *_NOT_AN_OBJECT, *_WRONG_ON_A_LIST):
        yield True, kind, field
    for kind, field in _WRONG_CHUNK:
        if field != "brand":
            yield True, kind, field
