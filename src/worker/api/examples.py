"""Answers as examples of the OpenAPI document, by operation. A test holds them to the forms they are examples of."""

from __future__ import annotations

from typing import Any, Final

_MENTION: Final[dict[str, Any]] = {
    "id": "4711",
    "brand": "acme",
    "text": "Thinking of switching to Acme, where can I buy it?",
    "source": "x",
    "created_at": "2026-03-01T10:20:30.000Z",
    "time_source": "event",
    "author": "ann",
    "url": None,
    "author_followers": 2300,
    "influence_score": 3.3617,
    "competitor": None,
    "content_hash": "de97ff3c0970f835628979018ba0fea638ba3898",
    "metadata": {},
    "notes": [],
    "sentiment": {"label": "neutral", "score": 0.0},
    "intent": "HOT_LEAD",
    "intent_confidence": 0.82,
    "emotions": {"joy": 0.0, "anger": 0.0, "fear": 0.0, "sadness": 0.0, "surprise": 0.0, "disgust": 0.0},
    "urgency": "high",
    "priority": "P1_HIGH",
    "strategic_tag": "NONE",
    "is_sarcastic": False,
    "topics": [],
    "entities": [],
    "lead_score": 45,
    "relevant": True,
    "tier": 2,
    "reasons": ["sentiment:vader", "intent:hot_lead", "relevance:named"],
    "confidence": 0.82,
    "degraded": False,
    "llm": None,
}
_STORED: Final = {**_MENTION, "first_seen": "2026-03-01T10:20:31.000Z", "topic": "t3", "topic_reason": None}
_LETTER: Final[dict[str, Any]] = {
    "id": "1772360431000-0",
    "taskId": "normal-1772360430990-0",
    "type": "analyze_mentions",
    "brand": "acme",
    "reason": "mentions: is required",
    "error": {
        "code": "VALIDATION_ERROR",
        "message": "mentions: is required",
        "retryable": False,
        "field": "mentions",
    },
    "attempts": 1,
    "at": "2026-03-01T10:20:31.000Z",
    "worker": "host-1a2b3c4d",
    "stream": "worker:tasks:normal",
    "door": None,
    "history": [],
    "task": {"type": "analyze_mentions", "brand": "acme"},
    "taskBytes": 46,
}

EXAMPLES: Final[dict[tuple[str, str], Any]] = {
    ("get", "/health"): {"status": "ok", "workerId": "host-1a2b3c4d", "version": "0.1.0"},
    ("get", "/ready"): {
        "status": "ready",
        "dependencies": {"redis": {"ok": True, "ms": 0.7}, "mongodb": {"ok": True, "ms": 2.1}},
        "worker": {"id": "host-1a2b3c4d", "state": "running"},
    },
    ("post", "/v1/tasks"): {"id": "00e41238ef974ffa825e95e5e17180d8", "status": "queued"},
    ("get", "/v1/queue"): {
        "waiting": {"critical": 0, "high": 0, "normal": 120, "low": 4},
        "parked": 0,
        "inFlight": 16,
        "delayed": 2,
        "dead": 1,
    },
    ("post", "/v1/analyze"): {
        "brand": "acme",
        "verdicts": [{**_MENTION, "index": 0}],
        "rejected": [{"index": 1, "reason": "mentions[1].text: must be text, not a number"}],
    },
    ("get", "/v1/dead-letters"): {"items": [_LETTER], "next": None},
    ("get", "/v1/dead-letters/{letter_id}"): _LETTER,
    ("post", "/v1/dead-letters/replay"): {"replayed": 3},
    ("post", "/v1/dead-letters/{letter_id}/replay"): {
        "id": _LETTER["id"],
        "taskId": _LETTER["taskId"],
        "status": "queued",
    },
    ("delete", "/v1/dead-letters"): {"dropped": 3},
    ("post", "/v1/retry/{brand}"): {"status": "ok", "retried": 2, "brand": "acme"},
    ("get", "/v1/brands"): {
        "items": [
            {
                "brand": "acme",
                "totalMentions": 28,
                "asOf": "2026-03-01T10:20:30.000Z",
                "updatedAt": "2026-03-01T10:20:32.000Z",
                "healthScore": 56.4,
                "crisisState": "calm",
                "spikeDetected": False,
            }
        ],
        "next": None,
    },
    ("get", "/v1/brands/{brand}/mentions"): {"items": [_STORED], "next": "WzE3NzIzNjA0MzAwMDAsImFjbWU6ZGU5N2ZmIl0"},
    ("get", "/v1/brands/{brand}/volume"): {
        "brand": "acme",
        "bucketMinutes": 5,
        "items": [{"timestamp": "2026-03-01T10:20:00.000Z", "count": 12}],
        "next": None,
    },
    ("get", "/v1/audit"): {
        "items": [
            {
                "id": "019caaf6c2b8-00000001-1a2b3c4d",
                "at": "2026-03-01T10:20:31.000Z",
                "worker": "host-1a2b3c4d",
                "action": "DELETE /v1/dead-letters",
                "outcome": "done",
                "actor": "ann",
                "target": "/v1/dead-letters?brand=acme",
                "status": 200,
                "client": "10.0.0.7",
                "requestId": "c05aaec5098a4d9f96d82be5dfbce665",
                "details": {"dropped": 3},
                "lostBefore": 0,
            }
        ],
        "next": None,
    },
}
