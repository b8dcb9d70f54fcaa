"""The description of Graph and of its sign-in (OpenAPI 3.0.3, `description.json`), and what of a call does not keep to it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

_WHOLE = json.loads(Path(__file__).with_name("description.json").read_text(encoding="utf-8"))
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,), "integer": (int,), "number": (int, float),
}  # fmt: skip


class Description:
    """One API: `graph` or `sign-in`."""

    def __init__(self, name: str) -> None:
        self._told = _WHOLE[name]
        self._paths = {template: (_matching(template), item) for template, item in self._told["paths"].items()}

    def operation(self, method: str, path: str, *, beta: bool = False) -> tuple[str, dict[str, Any]] | None:
        """The template and the operation of a path, or None if there is none in that version."""
        for template, (pattern, item) in self._paths.items():
            if pattern.fullmatch(path) and (found := item.get(method.lower())) is not None and _in_version(item, found, beta):
                return template, found
        return None

    def unknown_parameters(self, operation: Mapping[str, Any], query: Mapping[str, str]) -> list[str]:
        """What is wrong with the query of a call."""
        known = {each["name"]: each for each in map(self._resolved, operation.get("parameters", ()))}
        wrong = [name for name in query if known.get(name, {}).get("in") != "query"]
        for name in query.keys() - set(wrong):
            schema = known[name]["schema"]
            value: Any = query[name]
            if schema.get("type") == "integer":
                value = int(value) if re.fullmatch(r"-?\d+", value) else value
            elif schema.get("type") == "array":
                value = re.split(r",(?![^(]*\))", value)
            elif schema.get("type") == "boolean":
                value = {"true": True, "false": False}.get(value, value)
            wrong += [f"{name}: {each}" for each in self.faults(schema, value)]
        return wrong

    def answer_faults(self, operation: Mapping[str, Any], status: int, body: Any) -> list[str]:
        """What of an answer is not as described."""
        answers = operation["responses"]
        answer = answers.get(str(status)) or answers.get(f"{status // 100}XX")
        if answer is None:
            return [f"status {status} is not described"]
        content = self._resolved(answer).get("content")
        return list(self.faults(content["application/json"]["schema"], body)) if content else []

    def request_faults(self, operation: Mapping[str, Any], body: Any, media: str) -> list[str]:
        """What of a request's body is not as described."""
        return list(self.faults(operation["requestBody"]["content"][media]["schema"], body))

    def properties(self, schema: str) -> frozenset[str]:
        """The properties of a schema."""
        return frozenset(_properties(self, {"$ref": f"#/components/schemas/{schema}"}))

    def faults(self, schema: Mapping[str, Any], value: Any, at: str = "$") -> Iterator[str]:
        """What of a value is not as a schema has it, a sentence each."""
        schema = self._resolved(schema)
        if value is None and schema.get("nullable"):
            return
        for each in schema.get("allOf", ()):
            yield from self.faults(each, value, at)
        if one_of := schema.get("oneOf"):
            fitting = sum(not any(self.faults(each, value, at)) for each in one_of)
            if fitting != 1:
                yield f"{at} fits {fitting} of its forms"
        kind = schema.get("type")
        if kind and not (isinstance(value, _TYPES[kind]) and not (kind in ("integer", "number") and isinstance(value, bool))):
            yield f"{at} is {type(value).__name__}, not {kind}"
            return
        yield from _simple(schema, value, at)
        if isinstance(value, dict):
            yield from (f"{at} lacks {name}" for name in schema.get("required", ()) if name not in value)
            for name, each in schema.get("properties", {}).items():
                if name in value:
                    yield from self.faults(each, value[name], f"{at}.{name}")
            if isinstance(more := schema.get("additionalProperties"), dict):
                for name in value.keys() - schema.get("properties", {}).keys():
                    yield from self.faults(more, value[name], f"{at}.{name}")
        if isinstance(value, list) and schema.get("items"):
            for number, each in enumerate(value):
                yield from self.faults(schema["items"], each, f"{at}[{number}]")

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while (name := schema.get("$ref")) is not None:
            schema = self._told
            for part in name.removeprefix("#/").split("/"):
                schema = schema[part]
        return schema


def _properties(description: Description, schema: Mapping[str, Any]) -> Iterator[str]:
    schema = description._resolved(schema)
    yield from schema.get("properties", {})
    for each in schema.get("allOf", ()):
        yield from _properties(description, each)


def _simple(schema: Mapping[str, Any], value: Any, at: str) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at} is none of {schema['enum']}"
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{at} does not match {schema['pattern']}"
    if isinstance(value, str) and schema.get("format") == "date-time" and not _is_instant(value):
        yield f"{at} is no instant"
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{at} is not between {schema.get('minimum')} and {schema.get('maximum')}"
    if isinstance(value, list) and not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{at} has {len(value)} items"
    if isinstance(value, list) and schema.get("uniqueItems") and len(set(map(str, value))) < len(value):
        yield f"{at} names one twice"


def _is_instant(value: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z", value):
        return False
    try:
        datetime.fromisoformat(value[:19])
    except ValueError:
        return False
    return True


def _in_version(item: Mapping[str, Any], operation: Mapping[str, Any], beta: bool) -> bool:
    versions = [server["url"].rpartition("/")[2] for server in item.get("servers", ())] or ["v1.0"]
    if not any(version in ("v1.0", "beta") for version in versions):
        return True
    return ("beta" if beta else "v1.0") in versions or (beta and bool(operation.get("x-beta")))


@cache
def _matching(template: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[^}]+\})", template)
    return re.compile("".join("[^/]+" if part.startswith("{") else re.escape(part) for part in parts))


GRAPH = Description("graph")
SIGN_IN = Description("sign-in")
