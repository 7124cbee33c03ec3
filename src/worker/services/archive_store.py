"""Where the blocks of the archive lie: a directory, GridFS, or whatever fsspec reaches (S3-compatible storage).

A name is written whole or not at all, and what `write` has returned from survives a crash of the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote, unquote, urlsplit

from ..config import Settings
from ..errors import ConfigError, WorkerError
from ..raw_storage import GridFiles
from ..storage import Storage

Result = TypeVar("Result")
_BUCKET: Final = "archive"
_BESIDE: Final = ".writing"
"""Where a file is until it is whole; no brand's directory begins with a dot."""
_DEPTH: Final = 3
"""Directories above a block that may be new: its day, its brand, the archive."""
_FSSPEC_PACKAGES: Final = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


class ArchiveUnavailable(WorkerError):
    """The archive cannot be read or written at this moment: disk full, no permission, no connection."""

    code = "ARCHIVE_UNAVAILABLE"
    retryable = True


class ArchiveMissing(WorkerError):
    """A block that was recorded is not there."""

    code = "ARCHIVE_MISSING"


class ArchiveStore(Protocol):
    """Names are relative paths with slashes (`archive_name`). All raise `ArchiveUnavailable`."""

    async def write(self, name: str, data: bytes) -> None:
        """Written and on disk when this returns; replaces what was there."""
        ...

    async def read(self, name: str) -> bytes:
        """Raises `ArchiveMissing` when there is none of that name."""
        ...

    async def delete(self, name: str) -> None:
        """No error when there is none."""
        ...

    async def tidy(self, before: datetime) -> None:
        """Remove what writes have left that were cut off before that moment, where `delete` does not."""
        ...


def archive_name(brand: str, day: str, sha256: str) -> str:
    """The name of a block. Brands are slugs; whatever else stands there cannot leave the archive's directory.

    >>> archive_name("acme", "2026-03-01", "ab" * 32)
    'acme/2026-03-01/abababababababababababababababab.bwa'
    >>> archive_name("../x", "2026-03-01", "ab" * 32).split("/")[0]
    '%2E%2E%2Fx'
    """
    return f"{quote(brand, safe='').replace('.', '%2E')}/{day}/{sha256[:32]}.bwa"


def open_archive(settings: Settings, storage: Storage) -> ArchiveStore:
    """The archive ARCHIVE_URL names; DATA_DIR/archive when it is not set.

    Raises:
        ConfigError: the URL cannot be used, or needs a package that is not installed.
        ArchiveUnavailable: its server cannot be reached.
    """
    url = settings.archive_url
    if url is None:
        return LocalArchive(settings.data_dir / "archive")
    scheme = urlsplit(url).scheme
    if scheme == "file":
        return LocalArchive(Path(unquote(urlsplit(url).path)))
    if scheme == "gridfs":
        return GridArchive(GridFiles(storage, urlsplit(url).netloc or _BUCKET))
    return FsspecArchive(url)


class LocalArchive:
    """Files under a directory: written elsewhere in it, flushed, then renamed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    async def write(self, name: str, data: bytes) -> None:
        await _in_thread(f"write {name}", _write_file, self.directory / name, self.directory / _BESIDE, data)

    async def read(self, name: str) -> bytes:
        return await _in_thread(f"read {name}", (self.directory / name).read_bytes)

    async def delete(self, name: str) -> None:
        await _in_thread(f"delete {name}", lambda: (self.directory / name).unlink(missing_ok=True))

    async def tidy(self, before: datetime) -> None:
        await _in_thread("remove what was cut off", _remove_older, self.directory / _BESIDE, before.timestamp())


class GridArchive:
    """Blocks in GridFS: in the database's own backups, and no disk of the janitor's own is needed."""

    def __init__(self, files: GridFiles) -> None:
        self._files = files

    async def write(self, name: str, data: bytes) -> None:
        await self._files.put(name, data)

    async def read(self, name: str) -> bytes:
        data = await self._files.get(name)
        if data is None:
            raise ArchiveMissing(f"archive block {name} is not there")
        return data

    async def delete(self, name: str) -> None:
        await self._files.remove(name)

    async def tidy(self, before: datetime) -> None:
        """Chunks of an upload that was cut off go when its name is deleted."""


class FsspecArchive:
    """Objects of a store that fsspec knows. Object stores show an object only when all of it has arrived."""

    def __init__(self, url: str) -> None:
        import fsspec  # type: ignore[import-untyped]

        scheme = urlsplit(url).scheme
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            needed = _FSSPEC_PACKAGES.get(scheme, f"the fsspec package for {scheme}://")
            raise ConfigError(
                f"ARCHIVE_URL: {scheme}:// cannot be opened ({type(error).__name__}); is {needed} installed?"
            ) from None
        except Exception as error:  # noqa: BLE001 - some connect at once, and each package has errors of its own
            raise ArchiveUnavailable(f"archive: open {scheme}://: {type(error).__name__}") from None

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    async def write(self, name: str, data: bytes) -> None:
        path = self._path(name)

        def put() -> None:
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(path, data)

        await _in_thread(f"write {name}", put)

    async def read(self, name: str) -> bytes:
        data: bytes = await _in_thread(f"read {name}", self._files.cat_file, self._path(name))
        return data

    async def delete(self, name: str) -> None:
        def remove() -> None:
            with contextlib.suppress(FileNotFoundError):
                self._files.rm_file(self._path(name))

        await _in_thread(f"delete {name}", remove)

    async def tidy(self, before: datetime) -> None:
        """The store itself forgets uploads that were cut off."""


def _write_file(path: Path, elsewhere: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    elsewhere.mkdir(exist_ok=True)
    beside = elsewhere / f"{path.name}.{secrets.token_hex(4)}"
    try:
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    for directory in list(path.parents)[:_DEPTH]:
        _sync_directory(directory)


def _remove_older(directory: Path, before: float) -> None:
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < before:
                os.unlink(entry.path)


def _sync_directory(path: Path) -> None:
    """A rename, and a directory that was made, are on disk only when the directory around them is."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _in_thread(what: str, function: Callable[..., Result], *arguments: Any) -> Result:
    try:
        return await asyncio.to_thread(function, *arguments)
    except FileNotFoundError as error:
        raise ArchiveMissing(f"archive: {what}: there is none of that name") from error
    except Exception as error:  # every package behind fsspec has errors of its own
        if isinstance(error, WorkerError):
            raise
        known = errno.errorcode.get(error.errno or 0, "") if isinstance(error, OSError) else ""
        raise ArchiveUnavailable(f"archive: {what}: {known or type(error).__name__}: {str(error)[:200]}") from error
