"""The dashboard: one page at `/` and its files under `/assets/`. They hold no data, so they need no key."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from .access import OPEN

router = APIRouter(include_in_schema=False, dependencies=[OPEN])

INDEX: Final = "index.html"
_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
"""Other files of the directory (licences, notes) are not served."""
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_PLACEHOLDER: Final = b"{{assets}}"
_HEADERS: Final = {
    # Everything comes from this service; nothing inline runs, nothing can be made into markup by a script.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    packed: bytes
    """The same, gzip."""
    media_type: str
    etag: str
    """Weak: one for both forms."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    version: str
    """Digest of all files; part of their addresses, so that browsers may keep them for ever."""
    assets: Mapping[str, Asset]


@router.get("/")
@router.head("/")
async def page(request: Request) -> Response:
    """The page."""
    dashboard = await asyncio.to_thread(load)
    return _answer(request, dashboard.assets[INDEX], _ASK_AGAIN)


@router.get("/assets/{version}/{path:path}")
@router.head("/assets/{version}/{path:path}")
async def asset(version: str, path: str, request: Request) -> Response:
    """A file of the page. Of another version than this process has, the present file, not to be kept: while replicas
    are renewed one by one, a page may come from one and its files from another."""
    dashboard = await asyncio.to_thread(load)
    found = dashboard.assets.get(path)
    if found is None or path == INDEX:
        raise HTTPException(404, "The dashboard has no such file.")
    return _answer(request, found, _FOR_EVER if version == dashboard.version else _ASK_AGAIN)


@cache
def load() -> Dashboard:
    """All files, read once. A few hundred kilobytes."""
    root = resources.files(__package__.rpartition(".")[0]).joinpath("dashboard")
    bodies = dict(sorted(_files(root, "")))
    whole = hashlib.sha256()
    for name, body in bodies.items():
        whole.update(name.encode() + b"\0" + hashlib.sha256(body).digest())
    version = whole.hexdigest()[:16]
    bodies[INDEX] = bodies[INDEX].replace(_PLACEHOLDER, f"/assets/{version}".encode())
    return Dashboard(version, {name: _asset(name, body) for name, body in bodies.items()})


def _files(directory: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for one in directory.iterdir():
        if one.is_dir():
            found += _files(one, f"{prefix}{one.name}/")
        elif one.name.rpartition(".")[2] in _TYPES:
            found.append((prefix + one.name, one.read_bytes()))
    return found


def _asset(name: str, body: bytes) -> Asset:
    digest = hashlib.sha256(body).hexdigest()[:32]
    return Asset(body, gzip.compress(body, mtime=0), _TYPES[name.rpartition(".")[2]], f'W/"{digest}"')


def _answer(request: Request, found: Asset, kept: str) -> Response:
    headers = {**_HEADERS, "Cache-Control": kept, "ETag": found.etag}
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if found.etag.removeprefix("W/") in known:
        return Response(status_code=304, headers=headers)
    body = found.body
    if "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = found.packed, "gzip"
    # Starlette sends no body to HEAD; the length is the one GET has.
    return Response(body, media_type=found.media_type, headers=headers)
