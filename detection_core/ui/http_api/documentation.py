"""The documentation of the HTTP API as one page of HTML, made from its OpenAPI description; it needs no script and no other server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from detection_core.ui.http_api.problems import Kind

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8886; padding: .3rem .6rem .3rem 0; text-align: left; vertical-align: top; }
pre, code { font-family: ui-monospace, monospace; }
code { overflow-wrap: anywhere; }
pre { overflow-x: auto; padding: .6rem; border: 1px solid #8886; border-radius: .3rem; }
"""
_EXAMPLE = "curl -F image=@photo.jpg 'http://host/api/v1/detect?model=ssdlite300_mobilenet_v2&threshold=0.5'"


def documentation_page(openapi: Mapping[str, Any], problems: Mapping[str, Kind], prefix: str) -> str:
    """Writes the page.

    Args:
        openapi: The description.
        problems: The kinds of problems by the fragment of their `type`.
        prefix: Where the operations are, below the server's root.
    """
    info = openapi["info"]
    operations = "".join(
        _operation(method, prefix + path, operation) for path, methods in openapi["paths"].items() for method, operation in methods.items()
    )
    rows = (
        (f'<code id="{escape(name)}">{escape(name)}</code>', str(kind.status), escape(_advice(kind))) for name, kind in problems.items()
    )
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{escape(info["title"])}: HTTP API</title>
<style>{_STYLE}</style>
<h1>{escape(info["title"])}: HTTP API</h1>
<p>{escape(info["description"])} <a href="openapi.json">OpenAPI description</a></p>
<pre>{escape(_EXAMPLE)}</pre>
{operations}
<h2>Problems</h2>
<p>Errors are <code>application/problem+json</code> with <code>type</code>, <code>title</code>, <code>status</code>,
<code>detail</code> and, for parameters, <code>errors</code>.</p>
{_table(("type", "status", "meaning"), rows)}
</html>
"""


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    rows = (
        (f"<code>{escape(each['name'])}</code>", f"<code>{escape(_type(each['schema']))}</code>", _text(each["description"]))
        for each in operation.get("parameters", [])
    )
    parameters = _table(("parameter", "values", "meaning"), rows) if operation.get("parameters") else ""
    body = f"<p>{escape(operation['requestBody']['description'])}</p>" if "requestBody" in operation else ""
    description = f"<p>{_text(operation['description'])}</p>" if operation.get("description") else ""
    return f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation['summary'])}.</p>{description}{body}{parameters}"


def _text(markdown: str) -> str:
    """A description, in which OpenAPI allows Markdown, of which ours have nothing but code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(markdown))


def _type(schema: Mapping[str, Any]) -> str:
    """A parameter's values in short."""
    schema = next((each for each in schema.get("anyOf", []) if each.get("type") != "null"), {}) | {
        key: value for key, value in schema.items() if key != "anyOf"
    }
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    bounds = f" {schema['minimum']}–{schema['maximum']}" if "minimum" in schema else ""
    default = schema.get("default")
    shown = ", ".join(default) if isinstance(default, list) else default
    kind = "list" if schema.get("type") == "array" else schema.get("type", "string")
    return f"{kind}{bounds}" + (f" = {shown}" if shown not in (None, "") else "")


def _advice(kind: Kind) -> str:
    return f"{kind.title}." + ("" if kind.retry_after is None else f" Try again after {kind.retry_after} seconds (Retry-After).")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    cells = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>{cells}</table>"
