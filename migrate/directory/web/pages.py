"""Reads a listing page by page, by next links (OData) or page numbers; completely, or it raises an error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

from migrate.directory.web.budget import Budget
from migrate.directory.web.client import Client
from migrate.errors import DirectoryError

NEXT: Final = "@odata.nextLink"
_EMPTY: Final = 1000
"""After this many empty pages in a row, the listing is taken to have no end."""

Page = tuple[list[dict[str, Any]], str | None]
"""The rows of a page, and the address of the next page."""


def linked(told: Any) -> Page:
    """The JSON of an OData page as a `Page`. Raises ValueError for anything else."""
    if not isinstance(told, dict) or not isinstance(told.get("value"), list):
        raise ValueError("there is no list of values")
    if not all(isinstance(each, dict) for each in told["value"]):
        raise ValueError("a value is no object")
    following = told.get(NEXT)
    if following is not None and not isinstance(following, str):
        raise ValueError("the address of the next page is no text")
    return told["value"], following


def pages(
    client: Client,
    url: str,
    params: Mapping[str, str],
    *,
    budget: Budget,
    cost: int = 1,
    headers: Mapping[str, str] | None = None,
    shape: Callable[[Any], Page] = linked,
) -> Iterator[list[dict[str, Any]]]:
    """The rows of each page. Every request has the headers. Raises RefusedError, and DirectoryError for a page that comes twice."""
    seen = _Seen(client)
    rows, following = client.get(url, params, budget=budget, cost=cost, headers=headers, shape=shape)
    seen.look(rows)
    yield rows
    while following:
        seen.follow(following)
        rows, following = client.get(following, budget=budget, cost=cost, headers=headers, shape=shape)
        seen.look(rows)
        yield rows


def numbered(
    client: Client,
    url: str,
    params: Mapping[str, str],
    *,
    budget: Budget,
    shape: Callable[[Any], tuple[list[dict[str, Any]], int | None]],
    name: str = "page",
    first: int = 1,
) -> Iterator[list[dict[str, Any]]]:
    """The rows of each page of a listing with page numbers; `shape` gives the rows of a page, and the number of the next page or None.
    Raises RefusedError, and DirectoryError for a page that comes twice."""
    seen = _Seen(client)
    number: int | None = first
    while number is not None:
        seen.follow(str(number))
        rows, number = client.get(url, {**params, name: str(number)}, budget=budget, shape=shape)
        seen.look(rows)
        yield rows


class _Seen:
    """The pages and rows that came so far, so that a listing which goes in circles is noticed."""

    def __init__(self, client: Client) -> None:
        self._server = client.server
        self._addresses: set[bytes] = set()
        self._pages: set[bytes] = set()
        self._empty = 0

    def follow(self, address: str) -> None:
        self._once(self._addresses, address.encode("utf-8", "surrogatepass"), "names a page a second time")

    def look(self, rows: list[dict[str, Any]]) -> None:
        self._empty = 0 if rows else self._empty + 1
        if self._empty > _EMPTY:
            raise self._no_end("gives one empty page after another")
        if rows:
            self._once(self._pages, json.dumps(rows, sort_keys=True).encode(), "gives the same page a second time")

    def _once(self, seen: set[bytes], what: bytes, said: str) -> None:
        digest = blake2b(what, digest_size=12).digest()
        if digest in seen:
            raise self._no_end(said)
        seen.add(digest)

    def _no_end(self, said: str) -> DirectoryError:
        return DirectoryError(
            f"{self._server.name} {said}, so that others may be missing. Nothing was changed.",
            where=self._server.where,
            hint="Try again later.",
        )
