"""`brands`: how the brands are doing, and one of them in detail, from their states in MongoDB."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

from ..config import Settings, load_settings
from ..logging import configure
from . import EXIT_OK, CommandProblem, note
from .tables import Row, show

_EVENTS: Final = 5
_DEFAULT_LIMIT: Final = 50
_HEADER: Final = ("brand", "mentions", "health", "crisis", "spike", "as of")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("brand", metavar="BRAND", nargs="?", help="one brand in detail (name or slug); without: all of them")
    add(
        "--limit", type=_count, default=_DEFAULT_LIMIT, metavar="N", help=f"at most N brands (default {_DEFAULT_LIMIT})"
    )
    add("--after", metavar="SLUG", help="brands that come after this one, in the order of their slugs")
    add("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    settings = load_settings()
    configure("error", "text")
    return asyncio.run(_run(settings, arguments))


async def _run(settings: Settings, arguments: argparse.Namespace) -> int:
    from ..services.insight_store import InsightStore
    from ..storage import Storage

    storage = Storage(mongodb_uri(settings))
    try:
        store = InsightStore(storage)
        if arguments.brand is None:
            await _list(store, arguments)
        else:
            await _one(store, arguments)
    finally:
        storage.close()
    return EXIT_OK


def mongodb_uri(settings: Settings) -> str:
    """Where the states are: MONGODB_URI, else the server a worker runs under DATA_DIR.

    Raises:
        CommandProblem: there is neither.
    """
    if settings.mongodb_uri:
        return settings.mongodb_uri
    from ..embedded import read_state

    endpoints = read_state(settings.data_dir)
    if endpoints is None or not endpoints.mongodb_uri:
        raise CommandProblem(
            f"no worker is running under {settings.data_dir}: start one with `make run`, or set MONGODB_URI"
        )
    return endpoints.mongodb_uri


async def _list(store: Any, arguments: argparse.Namespace) -> None:
    from ..times import iso_ms

    found = await store.states(limit=arguments.limit, after=arguments.after)
    more = len(found) > arguments.limit
    brands = [
        {
            "brand": one["_id"],
            "totalMentions": one["totals"]["stored"],
            "asOf": iso_ms(one["as_of_ms"]) if one["as_of_ms"] else None,
            **one["overview"],
        }
        for one in found[: arguments.limit]
    ]
    following = brands[-1]["brand"] if more else None
    if arguments.json:
        print(json.dumps({"brands": brands, "after": following}))
        return
    if not brands:
        note("no mention has been counted yet: `replay examples/outage.csv` brings some")
        return
    show([_row(one) for one in brands], header=_HEADER, title="Brands", numbers=(1, 2))
    if following is not None:
        note(f"there are more: --after {following}")


def _row(one: dict[str, Any]) -> Row:
    health = one["healthScore"]
    return (
        one["brand"],
        f"{one['totalMentions']:,}",
        "-" if health is None else f"{health:.0f}",
        one["crisisState"],
        "yes" if one["spikeDetected"] else "",
        one["asOf"] or "-",
    )


async def _one(store: Any, arguments: argparse.Namespace) -> None:
    from ..pipeline.brand_state import BrandState
    from ..pipeline.brand_summary import brand_summary, crisis_metrics, health_document
    from ..services.insight_store import CRISIS_EVENTS, SPIKES, shown
    from ..tasks import brand_field, slug_of

    slug = slug_of(brand_field(arguments.brand) or arguments.brand)
    document = await store.state(slug)
    if document is None:
        raise CommandProblem(f"no mention of {slug!r} has been counted: `brands` lists those that are known")
    try:
        state = BrandState.from_dict(document)
    except (KeyError, TypeError, ValueError) as error:
        raise CommandProblem(
            f"the state of {slug!r} was written by another version of the worker: use that one"
        ) from error
    events = {
        name: (await store.page(collection, slug, limit=_EVENTS, before=None, show=shown)).items
        for name, collection in (("crises", CRISIS_EVENTS), ("spikes", SPIKES))
    }
    summary, health = brand_summary(state), health_document(state)
    if arguments.json:
        print(json.dumps({"summary": summary, "health": health, "crisis": crisis_metrics(state), **events}))
        return
    show([*_facts(summary, health), *_events(events)], title=slug)


def _facts(summary: dict[str, Any], health: dict[str, Any]) -> list[Row]:
    mood = summary["sentiment"]
    score = health["score"]
    rows = [
        ("mentions", f"{summary['totalMentions']:,} stored, {summary['totalPosts']:,} posts with repeats"),
        ("as of", summary["asOf"] or "-"),
        ("mood", f"{mood['positive']:,} positive, {mood['neutral']:,} neutral, {mood['negative']:,} negative"),
        ("health", f"{score:.0f} of 100" if score is not None else f"unknown: {health['reason']}"),
    ]
    rows += [(f"  {name}", _part(part)) for name, part in health["parts"].items()]
    rows += [
        ("crisis", summary["crisisState"]),
        ("topics", ", ".join(f"{one['name']} ({one['count']:,})" for one in summary["topics"]) or "-"),
    ]
    return rows + [("do", action) for action in summary["recommended_actions"]]


def _part(part: dict[str, Any]) -> str:
    points = part.get("points")
    return f"{points:.0f} points" if points is not None else f"unknown: {part.get('reason')}"


def _events(events: dict[str, list[dict[str, Any]]]) -> list[Row]:
    crises = [
        ("crisis event", f"{one['timestamp']} {one['severity']}: {'; '.join(map(str, one.get('reasons') or ()))}")
        for one in events["crises"]
    ]
    spikes = [
        ("spike", f"{one['timestamp']} {one['mentionCount']:,} posts in ten minutes, score {one['spikeScore']:.1f}")
        for one in events["spikes"]
    ]
    return [*crises, *spikes]


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def _between(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = _number(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be {least:,} to {most:,}")
        return value

    return number


_count: Final = _between(1, 10_000)
