"""docs/reference/rest.md: the routes of the service from its OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from .page import cell, code, fenced, page, table

_INTRO: Final = """\
Port 8000 (`HTTP_PORT`). The same with schemas and a form to try: `/docs`, and `/openapi.json` for generators of \
clients. \
Errors are problem documents (RFC 9457, `application/problem+json`). Lists answer `{"items": […], "next": …}`: \
`next` is the \
`cursor` of the next page, null on the last."""
_METHODS: Final = ("get", "post", "put", "patch", "delete")
_ROLE: Final = re.compile(r"\s*Needs the role `\w+`\.")
_HEADER: Final = ("parameter", "in", "what")


def render(openapi: Mapping[str, Any], roles: Mapping[tuple[str, str], str | None]) -> str:
    """`roles`: (method, path) → the role a route needs, None for an open one."""
    by_tag: dict[str, list[str]] = {}
    for path, operations in openapi["paths"].items():
        for method in _METHODS:
            if method in operations:
                tag = (operations[method].get("tags") or ["other"])[0]
                by_tag.setdefault(tag, []).append(_operation(method, path, operations[method], roles))
    blocks = [_INTRO]
    for tag, shown in by_tag.items():
        blocks += [f"## {tag.capitalize()}", *shown]
    return page("REST", *blocks)


def _operation(
    method: str, path: str, operation: Mapping[str, Any], roles: Mapping[tuple[str, str], str | None]
) -> str:
    words = operation.get("description") or operation.get("summary") or ""
    words = _ROLE.sub("", words)  # it stands below, with the answers
    parts = [f"### `{method.upper()} {path}`", cell(words).replace("\\|", "|")]
    rows = list(_parameters(operation))
    if rows:
        parts.append(table(_HEADER, rows))
    body = operation.get("requestBody", {}).get("content", {})
    if body:
        example = _example(body)
        parts.append(f"Body: {', '.join(code(kind) for kind in body)}{', for example:' if example else '.'}")
        parts.append(fenced(example, "json") if example else "")
    role = roles[method.upper(), path]
    key = "Open." if role is None else f"Role: {role}."
    parts.append(f"{key} Answers {', '.join(sorted(operation.get('responses', {})))}.")
    return "\n\n".join(part for part in parts if part)


def _example(body: Mapping[str, Any]) -> str:
    """The first example of a body, as one line of JSON; empty where there is none."""
    for content in body.values():
        named = content.get("examples") or {}
        shown = content.get("example") or next((one.get("value") for one in named.values()), None)
        if shown is not None:
            return json.dumps(shown, ensure_ascii=False)
    return ""


def _parameters(operation: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for one in operation.get("parameters", ()):
        yield code(one["name"]), one["in"], _words(one)


def _words(one: Mapping[str, Any]) -> str:
    schema = one.get("schema", {})
    kinds = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
    kind = kinds[0] if kinds else schema
    words = [one.get("description", ""), str(kind.get("type", ""))]
    if "enum" in kind:
        words.append("one of " + ", ".join(code(str(value)) for value in kind["enum"]))
    least, most = kind.get("minimum"), kind.get("maximum")
    if least is not None or most is not None:
        words.append(
            " ".join(
                part for part in (f"from {least}" * (least is not None), f"to {most}" * (most is not None)) if part
            )
        )
    default = schema.get("default")
    if default is not None:
        words.append(f"default {code(str(default))}")
    elif one.get("required"):
        words.append("required")
    return "; ".join(word for word in words if word)
