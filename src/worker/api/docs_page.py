"""The OpenAPI document as one HTML page. Pure; every text is escaped."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final

Node = Mapping[str, Any]
_STYLE: Final = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}
code,pre{font:14px/1.45 ui-monospace,monospace}
pre{overflow-x:auto;padding:.6rem;border:1px solid #8886;border-radius:4px}
details{border:1px solid #8886;border-radius:4px;margin:.4rem 0;padding:.3rem .7rem}
summary{cursor:pointer;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0;border-bottom:1px solid #8883}
td{overflow-wrap:anywhere}
.method{font-weight:700;display:inline-block;min-width:4.5rem}
:focus-visible{outline:3px solid #06c;outline-offset:2px}
"""
_DEPTH_MAX: Final = 12
_CODE: Final = re.compile(r"`([^`]*)`")
_BOLD: Final = re.compile(r"\*\*([^*]*)\*\*")


@dataclass(frozen=True, slots=True)
class DocsPage:
    html: str
    style_hash: str
    """For the content security policy: this style, and no other, is used."""


def docs_page(document: Node) -> DocsPage:
    """Operations by tag, each with its parameters, bodies, answers and a call to try."""
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width,initial-scale=1'>",
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>",
        *_paragraphs(document["info"].get("description", "")),
        "<p>This page as a document for programs: <a href='/openapi.json'>/openapi.json</a></p>",
    ]
    for tag, operations in _by_tag(document).items():
        parts.append(f"<h2>{escape(tag)}</h2>")
        for path, method, operation in operations:
            parts += _operation(document, path, method, operation)
    parts.append("</body></html>")
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return DocsPage("\n".join(parts), digest)


def _by_tag(document: Node) -> dict[str, list[tuple[str, str, Node]]]:
    found: dict[str, list[tuple[str, str, Node]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = (operation.get("tags") or ["other"])[0]
            found.setdefault(tag, []).append((path, method, operation))
    return found


def _operation(document: Node, path: str, method: str, operation: Node) -> Iterator[str]:
    summary = escape(operation.get("summary", ""))
    yield "<details><summary>"
    yield f"<span class='method'>{method.upper()}</span> <code>{escape(path)}</code> {summary}</summary>"
    yield from _paragraphs(operation.get("description", ""))
    parameters = operation.get("parameters", [])
    if parameters:
        yield "<table><thead><tr><th>parameter</th><th>in</th><th>form</th><th>meaning</th></tr></thead><tbody>"
        for one in parameters:
            needed = " (needed)" if one.get("required") else ""
            yield (
                f"<tr><td><code>{escape(one['name'])}</code>{needed}</td><td>{escape(one['in'])}</td>"
                f"<td>{escape(_form(document, one.get('schema', {})))}</td>"
                f"<td>{_inline(one.get('description', ''))}</td></tr>"
            )
        yield "</tbody></table>"
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None:
        yield f"<p>Body</p><pre>{escape(_shape(document, body.get('schema', {})))}</pre>"
    yield f"<p>Try</p><pre>{escape(_call(path, method, operation, body))}</pre>"
    for status, answer in operation["responses"].items():
        yield from _answer(document, status, answer)
    yield "</details>"


def _answer(document: Node, status: str, answer: Node) -> Iterator[str]:
    described = f"<p><strong>{escape(status)}</strong> {_inline(answer.get('description', ''))}</p>"
    content = answer.get("content", {}).get("application/json")
    yield described
    if status.startswith("2") and content is not None:
        yield f"<pre>{escape(_shape(document, content.get('schema', {})))}</pre>"
        if "example" in content:
            example = json.dumps(content["example"], ensure_ascii=False, indent=1)
            yield f"<p>For example</p><pre>{escape(example)}</pre>"


def _call(path: str, method: str, operation: Node, body: Node | None) -> str:
    words = ["curl -s"]
    if method != "get":
        words.append(f"-X {method.upper()}")
    if operation.get("security"):
        words.append('-H "X-API-Key: $KEY"')
    if body is not None:
        example = body.get("example", body.get("schema", {}).get("example", {}))
        quoted = json.dumps(example, ensure_ascii=False).replace("'", "'\\''")
        words.append(f"-H 'content-type: application/json' -d '{quoted}'")
    return " ".join([*words, f"'http://localhost:8000{path}'"])


def _resolved(document: Node, schema: Node) -> Node:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Node = document["components"]["schemas"][str(reference).rpartition("/")[2]]
    return found


def _form(document: Node, schema: Node) -> str:
    """A schema in a few words."""
    schema = _resolved(document, schema)
    either = schema.get("anyOf")
    if either:
        return " or ".join(dict.fromkeys(_form(document, one) for one in either))
    if "enum" in schema:
        return " | ".join(str(one) for one in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    words = str(schema.get("type", "any"))
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None or high is not None:
        words += f" {'' if low is None else low} to {'' if high is None else high}".rstrip()
    return f"{words}, default {schema['default']}" if schema.get("default") is not None else words


def _shape(document: Node, schema: Node, depth: int = 0) -> str:
    """A schema as an outline of the JSON it describes; a name with `?` may be missing."""
    schema = _resolved(document, schema)
    if depth > _DEPTH_MAX:
        return "…"
    either = schema.get("anyOf")
    if either:
        return " | ".join(dict.fromkeys(_shape(document, one, depth) for one in either))
    pad = "  " * (depth + 1)
    if schema.get("properties"):
        needed = set(schema.get("required", ()))
        lines = []
        for name, one in schema["properties"].items():
            mark = "" if name in needed else "?"
            why = one.get("description", "")
            lines.append(f"{pad}{name}{mark}: {_shape(document, one, depth + 1)}{f'   // {why}' if why else ''}")
        return "{\n" + "\n".join(lines) + "\n" + "  " * depth + "}"
    if schema.get("type") == "array":
        return f"[{_shape(document, schema.get('items', {}), depth)}]"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return "{…: " + _shape(document, schema["additionalProperties"], depth) + "}"
    return _form(document, schema)


def _paragraphs(text: str) -> Iterator[str]:
    for part in text.split("\n\n"):
        if part.strip():
            yield f"<p>{_inline(part)}</p>"


def _inline(text: str) -> str:
    """The little markup that our descriptions use."""
    return _BOLD.sub(r"<strong>\1</strong>", _CODE.sub(r"<code>\1</code>", escape(text)))
