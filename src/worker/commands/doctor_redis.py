"""What `doctor` asks Redis: is it there, new enough, does it forget, does it keep, does its clock agree with ours?"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..errors import ConfigError, QueueUnavailable
from ..redis_client import RedisClient, RedisRefused
from ..secrecy import masked_url
from .doctor_checks import Finding, fault, ok, skipped, warning

LEAST_VERSION: Final = (6, 2)
"""Scripts ask XPENDING for what has been idle, and LPOP for several at once: both are of 6.2."""
BAD_URL: Final = "write special characters of user and password as %xx (@ is %40, # is %23), the port as a number"
_FULL: Final = 0.8
"""Of maxmemory: from here on the janitor gives room."""
_SKEW_WARN_SEC: Final = 1.0
_SKEW_FAULT_SEC: Final = 60.0
"""Delayed tasks start, and limits per minute end, by the clock of Redis; `runAt` is written by producers' clocks. A
second is noise of hosts without time service, a minute makes tasks late by what somebody would notice."""
_TEST_TTL_SEC: Final = 10


async def check_redis(url: str, *, clock: Callable[[], float] = time.time) -> list[Finding]:
    """Never raises for a server that does not answer: that is a finding."""
    try:
        client = RedisClient(url, max_connections=2)
    except ConfigError:
        # The URL is not shown: of a password with a # in it too much would be.
        return [fault("redis", "REDIS_URL is no URL of a server", BAD_URL)]
    try:
        await client.ping()
        info = _fields(await client.call("INFO"))
        return [
            ok("redis", f"{masked_url(url)} answers"),
            _version(info),
            *_role(info),
            _eviction(info),
            _persistence(info),
            await _write(client),
            await _skew(client, clock),
        ]
    except (QueueUnavailable, TimeoutError) as error:
        return [
            fault(
                "redis",
                f"{masked_url(url)}: {str(error) or 'no answer'}",
                "start that server, or correct REDIS_URL (user, password, host, port, rediss:// for TLS)",
            )
        ]
    finally:
        await client.close()


def _fields(reply: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in reply.decode("utf-8", "replace").splitlines())
    return {name: value.strip() for name, colon, value in lines if colon}


def _version(info: Mapping[str, str]) -> Finding:
    text = info.get("redis_version", "")
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if len(numbers) < 2:
        return warning("redis version", f"{text or 'none'} is not a version", "see that it is Redis 6.2 or later")
    if numbers < LEAST_VERSION:
        return fault("redis version", f"{text} is too old", "use Redis 6.2 or later")
    return ok("redis version", text)


def _role(info: Mapping[str, str]) -> list[Finding]:
    out = []
    if info.get("redis_mode") == "cluster":
        mend = "use one primary (with replicas); docs/scaling.md says how brands are divided when it is full"
        out.append(fault("redis mode", "a cluster, which the worker's scripts cannot use", mend))
    if info.get("role") not in (None, "master"):
        out.append(fault("redis role", f"{info['role']}: it takes no writes", "point REDIS_URL at the primary"))
    return out


def _eviction(info: Mapping[str, str]) -> Finding:
    policy, most = info.get("maxmemory_policy"), _number(info, "maxmemory")
    if policy is None:
        return skipped("redis memory", "the server does not say how it evicts (maxmemory-policy)")
    used = _number(info, "used_memory")
    shown = f"{_mib(used)} used of {_mib(most) if most else 'no limit'}, maxmemory-policy {policy}"
    mend = "set maxmemory-policy noeviction: a queue that forgets under pressure loses tasks"
    if policy != "noeviction":
        return fault("redis memory", shown, mend) if most else warning("redis memory", shown, mend)
    if most and used > _FULL * most:
        return warning("redis memory", shown, "give it more memory, or run the janitor: python -m src.worker.janitor")
    return ok("redis memory", shown)


def _persistence(info: Mapping[str, str]) -> Finding:
    if info.get("aof_enabled") == "1":
        if info.get("aof_last_write_status", "ok") != "ok":
            return fault("redis log", "the last write to the append-only file failed", "look at the disk of Redis")
        return ok("redis log", "append-only file on")
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        return fault("redis log", "append-only file off and the last snapshot failed", "look at the disk of Redis")
    mend = "set appendonly yes (appendfsync everysec), or accept that tasks since the last snapshot are lost"
    return warning("redis log", "append-only file off: a crash of Redis loses the newest tasks", mend)


async def _write(client: RedisClient) -> Finding:
    key, value = f"worker:doctor:{uuid.uuid4().hex}", b"written by doctor"
    try:
        await client.call("SET", key, value, "EX", _TEST_TTL_SEC)
        read, left = await client.call("GET", key), int(await client.call("TTL", key))
        await client.call("DEL", key)
    except RedisRefused as error:
        return fault("redis write", error.message, "allow this user to write (ACL), or give Redis room")
    if read != value or not 0 < left <= _TEST_TTL_SEC:
        return fault("redis write", "what was written was not what was read", "see that nothing stands in between")
    return ok("redis write", "written, read, expires, deleted")


async def _skew(client: RedisClient, clock: Callable[[], float]) -> Finding:
    before = clock()
    seconds, micros = await client.call("TIME")
    after = clock()
    # The answer was made somewhere between the two: what lies between them is no difference of clocks.
    theirs = int(seconds) + int(micros) / 1e6
    skew = max(before - theirs, theirs - after, 0.0)
    shown = f"differs from ours by {skew:.1f} s" if skew >= _SKEW_WARN_SEC else "agrees with ours"
    mend = "run a time service (chrony, systemd-timesyncd) on both machines"
    if skew >= _SKEW_FAULT_SEC:
        return fault("redis clock", shown, mend)
    return warning("redis clock", shown, mend) if skew >= _SKEW_WARN_SEC else ok("redis clock", shown)


def _number(info: Mapping[str, Any], name: str) -> int:
    value = str(info.get(name, ""))
    return int(value) if value.isdigit() else 0


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
