"""The producer of the native stream, used by our worker and by the raw loops: plain XADD of one JSON document each."""

from __future__ import annotations

import orjson
import redis

from bench.queue._side import Options, send_all_blocking
from bench.queue._sides import STREAM

_PIPELINE = 1000


def document(number: int, sent: int) -> bytes:
    return orjson.dumps({"type": "noop", "id": f"task-{number}", "n": number, "sent": sent})


def enqueue(options: Options) -> None:
    """Paced: one XADD per task. Else pipelined, as any producer of many would."""
    with redis.Redis.from_url(options.url) as client:
        if options.rate:
            send_all_blocking(options, lambda number, sent: client.xadd(STREAM, {"task": document(number, sent)}))
            return
        for start in range(0, options.count, _PIPELINE):
            pipe = client.pipeline(transaction=False)
            for number in range(start, min(start + _PIPELINE, options.count)):
                pipe.xadd(STREAM, {"task": document(number, 0)})
            pipe.execute()
