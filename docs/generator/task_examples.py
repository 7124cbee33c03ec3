"""Words and one example per task type. Tests hold both to the code: every type has them, every example is accepted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ENVELOPE: Final = (
    ("type", "required; one of the types below (`cluster_mentions` is `analyze_mentions`)"),
    (
        "id",
        "1 to 200 letters, digits or `. _ : @ / + = -`; without it `<priority>-<entry id>`. Over REST and `cli "
        "enqueue` a task whose id is known is not run again",
    ),
    ("brand", "name or slug; most types need it"),
    ("priority", "`critical`, `high`, `normal` or `low`; without it that of the stream, over REST `normal`"),
    ("dedupKey", "of several tasks with one key within an hour the first is run, the others succeed as `duplicateOf`"),
    ("runAt", "ISO 8601 or epoch milliseconds: not before this moment"),
    ("deadline", "ISO 8601 or epoch milliseconds: after it the task fails with `DEADLINE_PASSED`"),
    ("payload", "an object whose fields count as if they stood at top level"),
)

WHAT: Final[Mapping[str, str]] = {
    "analyze_mentions": (
        "Mentions of one brand are normalised, told apart from what is known, judged, stored and published. A mention"
        " is a text with whatever its source knows: `id`, `created_at`, `author`, `source`, `url`, `metadata`. "
        "Result: what became of each of them; the verdicts are in MongoDB and in `result:brand:{slug}:chunks`."
    ),
    "analyze_lead_intent": "Is the author of one text somebody to sell to?",
    "analyze_crisis": "How bad is what these mentions say?",
    "analyze_competitor_gap": "What do these mentions complain about in a competitor?",
    "competitor_detection": (
        "Who competes with a brand, by evidence from its mentions and from pages. Also every item of the list "
        "`queue:competitor_detection`. Out: `result:brand:{slug}:competitors_detected` for a week. `automatic: true` "
        "does nothing within a week of a run."
    ),
    "web_scan": (
        "What the web says of a brand, read and quoted, never remembered. Reads `urls`, or what the sources of "
        "`WEB_SEARCH_SOURCES` find for `query` (without one: the brand's name). Out: "
        "`result:brand:{slug}:web_insights` for a day."
    ),
    "bluesky_search": (
        "Posts of Bluesky about a brand, handed on as chunks of mentions. Without `query` the brand's name and "
        "aliases are searched for, without `since` from where the last search ended. Result: how many were found and "
        "handed on."
    ),
    "detect_launch": "Does one text tell of a launch, and how is it received?",
    "suggest_response": "At most three replies that a brand could give to a comment.",
    "probe": (
        "Sends a scenario to a model, turn by turn, and keeps the transcript; also the turns that were paid for "
        "before a failure. The document is that of `workers/probe.py`."
    ),
    "summarize": (
        "Reads the decision and its grounds out of transcripts, one or a batch. The document is that of "
        "`workers/summarize.py`; a batch of which a part failed is a result that says which."
    ),
    "analyze_basic": (
        "Statistics of an evaluation run, the scenario being the unit. The document is that of "
        "`workers/analyze_basic.py`; `GET /v1/analyses/{task id}/report` shows it to people."
    ),
    "health_check": (
        "Can the evaluation workers run here: packages, keys, versions. The document is that of "
        "`workers/health_check.py`."
    ),
    "noop": "Returns its fields. For checks of the queue itself.",
}

_COMPLAINT: Final = "Acme is down again, we lose money by the minute and nobody answers. I want a refund!"

EXAMPLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "analyze_mentions": {
        "brand": "acme",
        "chunkId": "2025-05-08T13",
        "keywords": ["acme app"],
        "mentions": [
            {
                "id": "17",
                "text": _COMPLAINT,
                "created_at": "2025-05-08T13:05:12Z",
                "author": "user_17",
                "source": "x",
                "url": "https://example.com/17",
            }
        ],
    },
    "analyze_lead_intent": {
        "brand": "acme",
        "text": "We are a team of 12 and want to move to Acme. Who do I talk to about a yearly plan?",
        "mention_id": "18",
        "source_platform": "reddit",
        "source_author": "user_29",
        "created_at": "2025-05-08T13:06:00Z",
    },
    "analyze_crisis": {
        "brand": "acme",
        "velocity_multiplier": 4.2,
        "mentions": [{"text": _COMPLAINT, "author": "user_17", "created_at": "2025-05-08T13:05:12Z"}],
    },
    "analyze_competitor_gap": {
        "brand": "acme",
        "competitor_id": "borealis",
        "competitor_name": "Borealis",
        "mentions": ["Borealis raised prices again without a word, and the reports are painfully slow."],
    },
    "competitor_detection": {
        "brand": "acme",
        "description": "Invoicing for small shops",
        "keywords": ["invoices", "bookkeeping"],
        "urls": ["https://example.com/compare"],
    },
    "web_scan": {"brand": "acme", "urls": ["https://example.com/news/acme"]},
    "bluesky_search": {"brand": "acme", "query": "acme app", "since": "2025-05-08T00:00:00Z", "limit": 100},
    "detect_launch": {
        "brand": "acme",
        "text": "Acme has just launched Acme Boards, and it looks great",
        "source": "x",
        "created_at": "2025-05-08T13:05:12Z",
    },
    "suggest_response": {"brand": "acme", "text": _COMPLAINT, "sentiment": "negative", "voice": "warm and brief"},
    "probe": {
        "runId": "run-1",
        "scenarioId": "scenario-1",
        "modelId": "openai:gpt-4o-mini",
        "scenario": {
            "preamble": "You are careful.",
            "prompt": "A trolley runs.",
            "followups": [{"label": "why", "prompt": "Why?"}],
        },
        "config": {"temperature": 0.7, "maxTokens": 100, "maxTurns": 10},
        "modelCost": {"costInputPerMillion": 0.15, "costOutputPerMillion": 0.6},
    },
    "summarize": {
        "transcriptId": "t-1",
        "modelId": "openai:gpt-4o-mini",
        "transcriptContent": {"turns": [{"probePrompt": "Choose.", "targetResponse": "I would choose 4."}]},
    },
    "analyze_basic": {
        "runId": "run-1",
        "transcripts": [
            {
                "id": "t-1",
                "modelId": "openai:gpt-4o-mini",
                "scenarioId": "s1",
                "summary": {"score": 4},
                "scenario": {"name": "Trolley"},
            }
        ],
    },
    "health_check": {},
    "noop": {"n": 1},
}
