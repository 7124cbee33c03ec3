"""What a route needs of who calls it. Declared at the route, checked by the guard, and again where it runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from re import Pattern
from typing import Any, Final

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.routing import iter_route_contexts
from starlette.types import Scope

from ..access import Role
from ..errors import WorkerError

_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_CALLER: Final = "worker.caller"
_NOTES: Final = "worker.audit"


class UndeclaredRoute(WorkerError):
    """A route that says not, or not plausibly, who may use it. The application is not built."""

    code = "UNDECLARED_ROUTE"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom the guard has let in."""

    name: str
    """The key's name; never the key."""
    role: Role


@dataclass(frozen=True, slots=True)
class Needs:
    """A dependency that declares what its route needs; `None`: it is open. The guard has checked already, by the path;
    this checks the route that is really executed, should the two ever differ. Routers without a guard before them (a
    test of one alone) ask nobody."""

    role: Role | None

    async def __call__(self, request: Request) -> None:
        if self.role is None or _CALLER not in request.scope:
            return
        caller: Caller | None = request.scope[_CALLER]
        if caller is None or not caller.role.covers(self.role):
            raise HTTPException(403, f"This needs the role {self.role}.")


OPEN: Final = Depends(Needs(None))
"""Holds no data of anybody: probes, metrics, the dashboard's page."""
READS: Final = Depends(Needs(Role.READ))
WRITES: Final = Depends(Needs(Role.WRITE))
"""Puts work into the queue, costs money or computing time."""
OPERATES: Final = Depends(Needs(Role.OPERATE))
"""Sends again, drops or shows what others have put in; is written into the audit log."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One method of one route."""

    method: str
    template: str
    """The path as it is declared, e.g. `/v1/dead-letters/{letter_id}`."""
    needed: Role | None
    pattern: Pattern[str]


@dataclass(frozen=True, slots=True)
class RouteTable:
    """All routes with what they need, in the router's order: the first that matches is the one it takes."""

    routes: tuple[Declared, ...]

    def find(self, method: str, path: str) -> Declared | None:
        for one in self.routes:
            if one.method == method and one.pattern.match(path):
                return one
        return None

    def open_path(self, path: str) -> bool:
        return any(one.needed is None and one.pattern.match(path) for one in self.routes)


def route_table(app: FastAPI) -> RouteTable:
    """
    Raises:
        UndeclaredRoute: a route without a declaration; one that is no route of FastAPI's (a mount, a socket); one that
            changes something and says that reading is enough.
    """
    routes: list[Declared] = []
    for route in iter_route_contexts(app.routes):
        methods, pattern = route.methods, getattr(route, "path_regex", None)
        where = f"{' '.join(sorted(methods or ()))} {route.path}".strip()
        if not methods or route.path is None or pattern is None:
            raise UndeclaredRoute(f"{where or route.original_route!r}: only plain routes can say who may use them")
        needed = _needed(getattr(route, "dependencies", None) or (), where)
        for method in sorted(methods):
            if method not in _SAFE_METHODS and (needed is None or not needed.covers(Role.WRITE)):
                raise UndeclaredRoute(f"{where}: a route that is no GET needs at least {Role.WRITE}")
            routes.append(Declared(method, route.path, needed, pattern))
    return RouteTable(tuple(routes))


def _needed(dependencies: Iterable[Any], where: str) -> Role | None:
    """The strictest of all that the route and its routers declare."""
    declared = [one.dependency.role for one in dependencies if isinstance(one.dependency, Needs)]
    if not declared:
        raise UndeclaredRoute(f"{where}: declares not who may use it; add one of OPEN, READS, WRITES, OPERATES")
    roles = [role for role in declared if role is not None]
    return max(roles, key=list(Role).index) if roles else None


def let_in(scope: Scope, caller: Caller | None) -> None:
    """None: nobody, who may use what is open."""
    scope[_CALLER] = caller


def note(request: Request, **details: Any) -> None:
    """What the audit log is to say of this action beside its path: figures, filters; never texts of mentions."""
    request.scope.setdefault(_NOTES, {}).update(details)


def notes(scope: Scope) -> dict[str, Any]:
    found: dict[str, Any] = scope.get(_NOTES, {})
    return found
