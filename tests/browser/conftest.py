"""A real Chromium, a real worker process with a brand's history, and pages that must not complain."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
import redis

from src.worker.embedded import Endpoints
from tests.browser import stream
from tests.browser.faults import Faults
from tests.browser.service import ROOT, Service

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
IMAGES = ROOT / "docs" / "images"
_IMAGE_BYTES_MAX = 150_000


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-screenshots", action="store_true", help="write docs/images/*.png (name tests/browser)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless, of the system's package manager; never downloaded by us. Of one module: while it is there, an event
    loop runs in this thread, and asynchronous tests could not run their own."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium): the dashboard is not tested in a browser")
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def start(servers: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Service]]:
    """Starts services: each with a database of MongoDB of its own, in the Redis database that is named."""
    services: list[Service] = []
    bases: list[str] = []

    def _start(number: int, **env: str) -> Service:
        bases.append(f"browser_{uuid.uuid4().hex[:12]}")
        urls = {
            "REDIS_URL": servers.redis_url.removesuffix("/0") + f"/{number}",
            "MONGODB_URI": servers.mongodb_uri.removesuffix("/worker") + f"/{bases[-1]}",
        }
        with redis.Redis.from_url(urls["REDIS_URL"]) as client:
            client.flushdb()
        services.append(Service(tmp_path_factory.mktemp("service"), **urls, **env))
        return services[-1]

    yield _start
    for service in services:
        service.close()
    with pymongo.MongoClient[dict[str, object]](servers.mongodb_uri) as client:
        for name in bases:
            client.drop_database(name)


@pytest.fixture(scope="module")
def service(browser: Any, start: Callable[..., Service], tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A worker that has seen ten days of a brand, through the command line as anybody would replay them."""
    service = start(12)
    file = tmp_path_factory.mktemp("stream") / "mentions.csv"
    rows = stream.write(file)
    service.cli("replay", str(file), "--chunk-size", "60", "--quiet")
    deadline = time.monotonic() + 60
    while True:
        brands = service.get("/v1/brands")["items"]
        if brands and brands[0]["totalMentions"] == rows:
            # What follows from a brand's state is written after the state.
            told = [service.get(f"/v1/brands/{stream.BRAND}/{name}")["items"] for name in ("crisis", "spikes")]
            if all(told) and told[0][0]["severity"] == "critical":
                return service
        assert time.monotonic() < deadline, f"the replay was not folded: {brands}"
        time.sleep(0.1)


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens pages; at the end none of them may have complained."""
    contexts: list[Any] = []
    watched: list[Faults] = []

    def _open(url: str, *, faults: Faults | None = None, **options: Any) -> Any:
        chosen = {"viewport": {"width": 1200, "height": 900}, "locale": "en-US", "timezone_id": "UTC", **options}
        contexts.append(browser.new_context(**chosen))
        page = contexts[-1].new_page()
        page.set_default_timeout(25_000)
        watched.append(faults or Faults())
        watched[-1].watch(page)
        page.goto(url)
        return page

    yield _open
    for context in contexts:
        context.close()
    assert [one for faults in watched for one in faults.seen] == []


@pytest.fixture
def screenshot(request: pytest.FixtureRequest) -> Callable[[Any, str, int], None]:
    """Writes docs/images/NAME.png when asked for with --update-screenshots."""

    def _write(page: Any, name: str, height: int) -> None:
        if not request.config.getoption("--update-screenshots", default=False):
            return
        page.set_viewport_size({**page.viewport_size, "height": height})
        page.wait_for_timeout(500)  # charts are drawn again after the page has its new size
        IMAGES.mkdir(parents=True, exist_ok=True)
        path = IMAGES / f"{name}.png"
        page.screenshot(path=path, animations="disabled", caret="hide")
        size = path.stat().st_size
        assert size < _IMAGE_BYTES_MAX, f"{path.name} has {size:,} bytes"

    return _write


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    if not _AXE.exists():
        pytest.skip("axe-core is not installed: `make test` does that where npm is")
    return _AXE.read_text("utf-8")
