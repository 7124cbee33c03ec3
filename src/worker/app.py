"""The service: `python -m src.worker.app`.

Starts what the machine lacks (embedded Redis and MongoDB-compatible server), the worker and its HTTP side in one
process, and takes all of it down again in order: stop claiming, finish or give back, stop answering, stop the servers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Final

from . import __version__
from .allocator import bound_arenas
from .imports import absent, collector_resting

with collector_resting():
    with absent("watchfiles"):  # uvicorn's reloader; nothing is reloaded here
        import uvicorn

    from .api.application import create_application
    from .api.key_ring import KeyRing
    from .config import Settings, load_settings
    from .errors import ConfigError
    from .logging import configure, get_logger
    from .runtime import Runtime
    from .secrecy import masked_url
    from .stopping import stop_on_signals

if TYPE_CHECKING:
    from .embedded import EmbeddedServers

log = get_logger(__name__)

_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_HTTP_CLOSE_SEC: Final = 5


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: one place decides when this process ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0 after an orderly end, 1 when the service could not start, 130 after a second signal."""
    parser = argparse.ArgumentParser(
        prog="python -m src.worker.app", description="Run the worker and its HTTP API. Settings: see .env.example."
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.parse_args(argv)
    bound_arenas()
    try:
        settings = load_settings()
        configure(settings.log_level, settings.log_format)
        sock = listen(settings)
        with contextlib.closing(sock):
            return asyncio.run(serve(settings, sock))
    except ConfigError as error:
        print(error.message, file=sys.stderr)
        return 1


def http_host(settings: Settings) -> str:
    """Where to listen: without a key on this machine only, whatever HTTP_HOST says."""
    if not _needs_key(settings) and settings.http_host not in _LOOPBACK:
        return "127.0.0.1"
    return settings.http_host


def _needs_key(settings: Settings) -> bool:
    return settings.worker_api_key is not None or settings.worker_api_keys_file is not None


def key_ring(settings: Settings) -> KeyRing:
    """
    Raises:
        ConfigError: the file of keys cannot be used.
    """
    key = settings.worker_api_key.get_secret_value() if settings.worker_api_key else None
    return KeyRing(key, settings.worker_api_keys_file)


def listen(settings: Settings) -> socket.socket:
    """Bind before anything else starts, so that a taken port is one clear line.

    Raises:
        ConfigError: the port is taken or the host is not of this machine.
    """
    host, port = http_host(settings), settings.http_port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"HTTP_HOST: cannot listen on {host} ({error.strerror or error})") from None
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(2048)
    except OSError as error:
        sock.close()
        raise ConfigError(
            f"HTTP_PORT: cannot listen on {host}:{port} ({error.strerror}); choose another port or stop what uses it"
        ) from None
    sock.setblocking(False)
    return sock


async def serve(settings: Settings, sock: socket.socket) -> int:
    """Run until a signal; returns the exit code."""
    keys = key_ring(settings)
    stop = asyncio.Event()
    stop_on_signals(stop, finishing="what runs")
    async with _servers(settings) as (redis_url, mongodb_uri, embedded):
        runtime = Runtime(settings, redis_url=redis_url, mongodb_uri=mongodb_uri)
        app = create_application(
            runtime.api,
            keys=keys,
            max_body_bytes=settings.http_max_body_bytes,
            cors_origins=settings.cors_origins,
        )
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=_HTTP_CLOSE_SEC
        )
        server = _Server(config)
        jobs: dict[str, asyncio.Task[Any]] = {
            "http": asyncio.create_task(server.serve(sockets=[sock])),
            "worker": asyncio.create_task(runtime.run()),
            "stop": asyncio.create_task(stop.wait()),
        }
        if settings.worker_api_keys_file is not None:
            jobs["keys"] = asyncio.create_task(keys.follow(runtime.audit.told))
        if embedded is not None:
            jobs["embedded"] = asyncio.create_task(embedded.supervise())
        _announce(settings, redis_url, mongodb_uri)
        try:
            await asyncio.wait(jobs.values(), return_when=asyncio.FIRST_COMPLETED)
            return await _take_down(runtime, server, jobs)
        finally:
            await runtime.close()


async def _take_down(runtime: Runtime, server: uvicorn.Server, jobs: dict[str, asyncio.Task[Any]]) -> int:
    """HTTP answers until the worker has drained, so that probes see what is going on."""
    code = 0
    for name, job in jobs.items():
        if name != "stop" and job.done():
            code = 1
            problem = job.exception() if not job.cancelled() else None
            log.error("a part of the service ended by itself", part=name, exc=problem)
    runtime.stop()
    await asyncio.wait([jobs["worker"]])
    server.should_exit = True
    for name, job in jobs.items():
        if name != "http":
            job.cancel()
    await asyncio.gather(*jobs.values(), return_exceptions=True)  # problems were said above
    log.info("stopped")
    return code


@contextlib.asynccontextmanager
async def _servers(settings: Settings) -> AsyncIterator[tuple[str, str, EmbeddedServers | None]]:
    """The URLs to work with; servers of our own for those that are not given."""
    if settings.redis_url and settings.mongodb_uri:
        yield settings.redis_url, settings.mongodb_uri, None
        return
    from .embedded import EmbeddedError, EmbeddedServers  # only where something embedded is to be started

    servers = EmbeddedServers(settings.data_dir, redis=not settings.redis_url, mongo=not settings.mongodb_uri)
    try:
        endpoints = await servers.start()
    except EmbeddedError as error:
        raise ConfigError(f"{error.server}: {error.problem}; {error.mend}") from error
    try:
        yield settings.redis_url or endpoints.redis_url, settings.mongodb_uri or endpoints.mongodb_uri, servers
    finally:
        await servers.stop()


def _announce(settings: Settings, redis_url: str, mongodb_uri: str) -> None:
    """Five lines: what is running where, and how to push a first mention."""
    host, port = http_host(settings), settings.http_port
    own = f"embedded, data in {settings.data_dir}"
    shown = "127.0.0.1" if host in (*_LOOPBACK, "0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    key = ""
    note = "loopback only: no WORKER_API_KEY is set"
    if _needs_key(settings):
        key, note = "-H 'X-API-Key: '\"$WORKER_API_KEY\" ", "X-API-Key required"
    elif host != settings.http_host:
        log.warning("HTTP_HOST is not used without WORKER_API_KEY", wanted=settings.http_host, used=host)
    body = '{"type":"analyze_mentions","brand":"acme","mentions":[{"text":"I love Acme, but the app keeps crashing"}]}'
    lines = [
        f"worker   {settings.worker_id}, version {__version__}, {settings.queue_concurrency} slots",
        f"http     http://{shown}:{port} (docs at /docs; {note})",
        f"redis    {masked_url(redis_url)} ({'REDIS_URL' if settings.redis_url else own})",
        f"mongodb  {masked_url(mongodb_uri)} ({'MONGODB_URI' if settings.mongodb_uri else own})",
        f"try      curl -s http://{shown}:{port}/v1/tasks {key}-H 'content-type: application/json' -d '{body}'",
    ]
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    sys.exit(main())
