"""A producer in Python, with its standard library alone: a chunk of mentions over REST, then what became of it.

    python examples/producers/producer.py

WORKER_URL (http://127.0.0.1:8000) and WORKER_API_KEY (none) say where the worker is.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from typing import Any

URL = os.environ.get("WORKER_URL", "http://127.0.0.1:8000").rstrip("/")
KEY = os.environ.get("WORKER_API_KEY")
WAIT_SEC = 30.0

TASK = {
    "type": "analyze_mentions",
    "brand": "acme",
    # The same chunk sent again is known by its id and content: nothing is stored or published twice.
    "chunkId": "producer-python-1",
    "mentions": [
        {
            "id": "python-1",
            "text": "The new Acme dashboard is gorgeous, but the export crashes every time",
            "created_at": "2025-03-03T08:02:11Z",
            "author": "user_17",
            "source": "forum",
        }
    ],
}


def ask(path: str, body: object | None = None) -> dict[str, Any]:
    """One request. Raises urllib.error.HTTPError, whose body is a problem document that names the field."""
    headers = {"content-type": "application/json"} | ({"X-API-Key": KEY} if KEY else {})
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(URL + path, data, headers), timeout=10) as answer:  # noqa: S310
        document: dict[str, Any] = json.load(answer)
    return document


def main() -> int:
    task_id = ask("/v1/tasks", TASK)["id"]
    until = time.monotonic() + WAIT_SEC
    record = ask(f"/v1/tasks/{task_id}")
    while record["status"] not in ("succeeded", "failed") and time.monotonic() < until:
        time.sleep(0.2)
        record = ask(f"/v1/tasks/{task_id}")
    print(json.dumps({"id": task_id, "status": record["status"], "result": record.get("result")}))
    return 0 if record["status"] == "succeeded" else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except urllib.error.HTTPError as refusal:
        sys.exit(f"{refusal.code} {refusal.read().decode()}")
    except OSError as error:
        sys.exit(f"{URL} cannot be reached ({error}); is a worker running, does WORKER_URL name it?")
