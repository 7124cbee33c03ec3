"""The policy names everything that is kept, and says of each what the code does."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.worker import retention
from src.worker.config import Settings, load_settings
from src.worker.redis_families import Classifier, families
from src.worker.retention import EndedBy, collections, policy, redis_keys
from src.worker.services.audit import audit_indexes
from src.worker.services.competitor_store import competitor_indexes
from src.worker.services.insight_store import insight_indexes
from src.worker.services.trade_store import trade_indexes
from src.worker.services.web_scan_store import web_scan_indexes
from src.worker.storage import Storage

PACKAGE = Path(retention.__file__).parent


def _settings(**more: object) -> Settings:
    return load_settings(_env_file=None, **more)


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        words = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(("src", "worker", *words)).removesuffix(".__init__"), ast.parse(path.read_text())


def _named(node: ast.expr, module: str) -> str | None:
    """The text an argument stands for: itself, or a constant of the module or of one it imports from."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Name) and node.id.isupper():
        value = getattr(importlib.import_module(module), node.id, None)
        return value if isinstance(value, str) else None
    return None


def _collections_in_the_code() -> set[str]:
    """First arguments of `collection(…)` and its like, and keys of the tables of indexes."""
    calls = {"collection", "aggregate", "page", "_insert_new", "_keep", "read", "insert", "delete"}
    found = set()
    for module, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in calls:
                names = [_named(node.args[0], module)] if node.args and isinstance(node.args[0], ast.Name) else []
                found |= {name for name in names if name}
            if isinstance(node, ast.Dict) and any(isinstance(value, ast.List) for value in node.values):
                indexed = [value for value in node.values if "IndexModel" in ast.dump(value)]
                if indexed:
                    found |= {name for key in node.keys if key is not None and (name := _named(key, module))}
    return found


def test_every_collection_of_the_code_has_a_row_and_every_row_a_collection() -> None:
    rows = [rule.name for rule in collections(_settings())]
    assert len(rows) == len(set(rows))
    in_code = _collections_in_the_code()
    assert {"mentions", "brand_state", "llm_calls", "transcripts", "topics", "web_scans"} <= in_code
    assert in_code - set(rows) == set(), "kept, and no row of retention.py says for how long"
    grid_fs = {"archive.files", "archive.chunks"}
    assert set(rows) - in_code - grid_fs == set(), "a row of what nobody keeps"


@pytest.mark.anyio
async def test_whatever_mongodb_ends_ends_when_the_row_says(mongo_uri: str) -> None:
    settings = _settings(processed_chunks_ttl_days=33, llm_calls_ttl_days=44)
    storage = Storage(mongo_uri)
    await storage.ensure_indexes(processed_chunks_ttl_days=33, llm_calls_ttl_days=44)
    tables = (insight_indexes(33), trade_indexes(), competitor_indexes(), web_scan_indexes(), audit_indexes())
    for table in tables:
        await storage.make_indexes(table)
    rules = {rule.name: rule for rule in collections(settings)}
    seen = set()
    for name in await storage.database.list_collection_names():
        ages = [
            index["expireAfterSeconds"]
            for index in (await storage.collection(name).index_information()).values()
            if "expireAfterSeconds" in index
        ]
        rule = rules[name]
        assert [age / 86_400 for age in ages] == ([rule.hot_days] if rule.ended_by is EndedBy.TTL else []), name
        seen |= {name} if ages else set()
    storage.close()
    ended = {name for name, rule in rules.items() if rule.ended_by is EndedBy.TTL}
    assert ended - seen == {"transcripts", "analyses"}, "whose indexes another service makes"


def test_what_stays_for_good_says_why_it_may() -> None:
    for rule in policy(_settings()):
        assert rule.then, rule.name
        if rule.hot_days is None:
            assert rule.ended_by is not EndedBy.TTL, rule.name


def test_settings_are_what_the_rows_say() -> None:
    rules = {rule.name: rule for rule in policy(_settings(mentions_hot_days=30, archive_keep_days=700))}
    assert rules["mentions"].hot_days == 30
    assert rules["archived_mentions"].hot_days == 700
    assert rules["worker:result:<any>"].hot_days == 1.0


_KEY_STARTS = (
    "worker:|workers:|data:brand:|queue:|competitor:|leads:|crisis:|health:brand:|summary:brand:|spike:brand:|launch:"
).split("|")
_HOUR = "data:brand:word:word-word"
"""Put together from the parts of a time."""
_CHANNELS = ("worker:events",)
"""Published to, not kept."""


def _keys_in_the_code() -> set[str]:
    """Texts that begin as keys do, with a word wherever the code puts something in."""
    found = set()
    for module, tree in _modules():
        if module.endswith(("redis_families", "retention")):
            continue
        for node in ast.walk(tree):
            text = ""
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            elif isinstance(node, ast.JoinedStr):
                text = "".join(part.value if isinstance(part, ast.Constant) else "word" for part in node.values)
            if text.startswith(tuple(_KEY_STARTS)) and " " not in text and not text.startswith(_CHANNELS):
                # A prefix to which something is added, and the braces of a hash tag.
                found.add(text + "word" if text.endswith(":") else text)
    return found


def test_every_redis_key_of_the_code_has_a_row() -> None:
    settings = _settings()
    table = families(settings.platform_keys, hot_days=90, result_ttl_sec=60)
    known = Classifier(table)
    in_code = _keys_in_the_code()
    assert {"worker:delayed", "worker:dead", "leads:brand:word"} <= in_code
    # Some texts are the stem of names that are put together elsewhere.
    stems = [re.sub("<[a-z]+>", "word", family.pattern) for family in table]
    in_code.remove(_HOUR)
    assert known("data:brand:word:2026-03-01:07") is not None
    missing = {key for key in in_code if known(key) is None and not any(stem.startswith(key) for stem in stems)}
    assert missing == set()
    assert len(redis_keys(settings)) == len(table)
