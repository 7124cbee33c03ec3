"""`brands`: the figures of the states in MongoDB, as tables and as JSON; what is not there is said."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
import redis

from src.worker.cli import main
from src.worker.embedded import Endpoints
from tests.insight_streams import BRAND, Bench, chunks, stream

OTHERS = ("brand0", "brand1")


async def _build(mongo_uri: str, redis_url: str) -> None:
    """A brand that has had a spike and a crisis, and two more with the same state."""
    bench = await Bench.open(mongo_uri, redis_url)
    try:
        for number, part in enumerate(chunks(stream(), 500)):
            await bench.save(number, part)
        await bench.fold_all()
        state = await bench.store.state(BRAND)
        assert state is not None
        await bench.storage.collection("brand_state").insert_many([{**state, "_id": name} for name in OTHERS])
    finally:
        await bench.close()


@pytest.fixture(scope="module")
def filled(servers: Endpoints) -> Iterator[str]:
    """URI of a database with three brands, for tests that only read."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    uri = servers.mongodb_uri.removesuffix("/worker") + f"/{name}"
    redis_url = servers.redis_url.removesuffix("/0") + "/2"
    asyncio.run(_build(uri, redis_url))
    yield uri
    with pymongo.MongoClient[dict[str, Any]](uri) as client, redis.Redis.from_url(redis_url) as queue:
        client.drop_database(name)
        queue.flushdb()


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MONGODB_URI", raising=False)


@pytest.fixture
def known(filled: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MONGODB_URI", filled)
    return filled


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """The document of `brands … --json`, which must be all there is on standard output and error."""
    assert main(["brands", *words, "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    document: dict[str, Any] = json.loads(said.out)
    return document


def test_brands_are_listed_in_pages_with_the_stored_figures(known: str, capsys: pytest.CaptureFixture[str]) -> None:
    first = shown(capsys, "--limit", "2")
    rest = shown(capsys, "--after", first["after"])
    assert [one["brand"] for one in (*first["brands"], *rest["brands"])] == [BRAND, *OTHERS]
    assert rest["after"] is None
    with pymongo.MongoClient[dict[str, Any]](known) as client:
        state = client.get_default_database()["brand_state"].find_one({"_id": BRAND})
    assert state is not None
    assert first["brands"][0]["totalMentions"] == state["totals"]["stored"] == len(stream())
    assert first["brands"][0]["healthScore"] == state["overview"]["healthScore"]


@pytest.mark.usefixtures("known")
def test_in_a_pipe_the_list_is_plain_lines_and_says_that_there_are_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["brands", "--limit", "1"]) == 0
    said = capsys.readouterr()
    header, row = said.out.splitlines()
    assert header.split()[:3] == ["brand", "mentions", "health"]
    assert row.split()[0:2] == [BRAND, f"{len(stream()):,}"]
    assert f"--after {BRAND}" in said.err


@pytest.mark.usefixtures("known")
def test_one_brand_is_shown_with_its_crisis_and_the_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["brands", "Acme"]) == 0
    text = capsys.readouterr().out
    assert "critical" in text
    assert "people negative" in text
    document = shown(capsys, BRAND)
    assert [one["severity"] for one in document["crises"]] == ["recovered", "insufficient_history"]
    assert any("people are negative" in reason for reason in document["crises"][0]["history"][-2]["reasons"])
    assert set(document["health"]["parts"]) == {"sentiment", "volume", "engagement", "crisis"}
    assert len(document["spikes"]) == 1
    assert document["summary"]["totalMentions"] == len(stream())


@pytest.mark.usefixtures("known")
def test_a_brand_nobody_has_mentioned_is_a_problem_that_says_where_to_look(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["brands", "nobody"]) == 1
    said = capsys.readouterr()
    assert (said.out, "'nobody'" in said.err) == ("", True)


def test_a_state_of_another_version_is_a_problem_and_no_crash(
    mongo_uri: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", mongo_uri)
    with pymongo.MongoClient[dict[str, Any]](mongo_uri) as client:
        client.get_default_database()["brand_state"].insert_one({"_id": BRAND, "version": 1})
    assert main(["brands", BRAND]) == 1
    assert "another version" in capsys.readouterr().err


def test_without_any_brand_it_says_how_to_get_one(
    mongo_uri: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", mongo_uri)
    assert main(["brands"]) == 0
    said = capsys.readouterr()
    assert (said.out, "replay" in said.err) == ("", True)
    assert shown(capsys) == {"brands": [], "after": None}


def test_without_a_database_it_says_how_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["brands"]) == 1
    assert "MONGODB_URI" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["0", "x", "10001"])
def test_an_impossible_number_is_wrong_usage(limit: str) -> None:
    with pytest.raises(SystemExit) as left:
        main(["brands", "--limit", limit])
    assert left.value.code == 2
