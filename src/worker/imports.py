"""What a start of the process need not pay while it imports: the collector's rounds, and packages nobody asked for."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_resting() -> Iterator[None]:
    """For imports that make some hundred thousand objects, nearly all of which stay.

    The garbage collector would look through them again and again, with every thread stopped (a fifth of the time that
    importing the service takes; 20 to 120 ms at once in a worker that runs). It rests meanwhile, and afterwards they
    are out of its sight: no later round looks through them either.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


@contextmanager
def absent(module: str) -> Iterator[None]:
    """Inside, importing `module` fails as if it were not installed, unless it has been imported before.

    For packages that try to import what this process has no use for, and do without where it is missing.
    """
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # the interpreter's own mark of a module that is not there
    try:
        yield
    finally:
        del sys.modules[module]
