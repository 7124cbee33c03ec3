"""`page URL`: one page of the web as the worker reads it: same guard, same robots.txt, same text."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import asdict
from datetime import UTC, datetime

from ..config import Settings, load_settings
from . import EXIT_OK, printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("url", metavar="URL", help="http:// or https:// URL of a page")
    add("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    return asyncio.run(_run(load_settings(), arguments))


async def _run(settings: Settings, arguments: argparse.Namespace) -> int:
    from ..cpu import Cpu
    from ..times import iso
    from ..web.seams import WebPage
    from ..web_scraper import WebScraper

    cpu = Cpu()
    scraper = WebScraper.build(settings, cpu, now=lambda: datetime.now(UTC))
    try:
        page: WebPage = await scraper.read(arguments.url)
    finally:
        scraper.close()
        cpu.close()
    if arguments.json:
        import orjson

        times = {
            "published_at": iso(page.published_at) if page.published_at else None,
            "fetched_at": iso(page.fetched_at),
        }
        print(orjson.dumps({**asdict(page), **times}).decode())
        return EXIT_OK
    facts = (
        ("title", page.title),
        ("author", page.author),
        ("published", iso(page.published_at) if page.published_at else None),
        ("language", page.language),
        ("read", page.final_url),
        ("canonical", page.canonical_url),
        ("words", f"{page.word_count:,}{' (cut)' if page.truncated else ''}"),
    )
    for name, value in facts:
        print(f"{name + ':':11}{printable(value or '-')}")
    print()
    for line in page.text.split("\n"):
        print(printable(line))
    return EXIT_OK
