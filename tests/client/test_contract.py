"""What the server has, the client knows: routes, fields that can be sent, fields that are answered."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from cinedex_client import answers, calls
from cinedex_client.calls import Call
from cinedex_client.questions import Part, SearchOptions, Step
from pydantic import BaseModel

from server.schemas.query import PartAsked
from server.schemas.search import SearchAsked

OPENAPI: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text())
NOT_FOR_PROGRAMS = {"/", "/docs", "/openapi.json", "/metrics", "/login", "/logout"}
OF_CLIP_RETRIEVAL = {"/knn-service", "/metadata", "/indices-list"}
MADE: dict[str, Call[Any]] = {
    "search": calls.search("red"),
    "upload": calls.upload(b""),
    "batch": calls.batch([]),
    "similar": calls.similar("v-1"),
    "export": calls.export("red", format="csv"),
    "embed": calls.embed(["red"]),
    "tag": calls.tag("v-1", ["red"]),
    "locate": calls.locate("v-1", ["red"]),
    "caption": calls.caption("v-1"),
    "videos": calls.videos(),
    "video": calls.video("v-1"),
    "delete": calls.delete("v-1"),
    "thumbnail": calls.thumbnail("v-1"),
    "clip": calls.clip("v-1"),
    "media": calls.media("v-1"),
    "collections": calls.collections(),
    "ready": calls.ready(),
    "health": calls.health(),
}
ANSWERED: dict[str, type[BaseModel]] = {
    "search": answers.Answer,
    "upload": answers.Answer,
    "similar": answers.Answer,
    "embed": answers.Embedded,
    "tag": answers.Tagged,
    "locate": answers.Located,
    "caption": answers.Captioned,
    "videos": answers.Videos,
    "video": answers.Video,
    "collections": answers.Collections,
    "ready": answers.Readiness,
}


def operation(name: str) -> dict[str, Any]:
    """What the server says of a call's route; empty where this server has none."""
    call = MADE[name]
    found: dict[str, Any] = OPENAPI["paths"].get(call.route, {}).get(call.method.lower(), {})
    return found


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = OPENAPI["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def test_every_route_can_be_called() -> None:
    served = {(method.upper(), route) for route, held in OPENAPI["paths"].items() for method in held}
    programs = {each for each in served if each[1] not in NOT_FOR_PROGRAMS | OF_CLIP_RETRIEVAL}
    assert programs <= {(call.method, call.route) for call in MADE.values()}
    assert len(programs) >= 4


def test_a_search_can_be_told_all_that_the_server_takes() -> None:
    assert {*get_type_hints(SearchOptions)} == {*SearchAsked.model_fields} - {"query"}
    assert {*get_type_hints(Part)} == {*PartAsked.model_fields}
    assert {*get_type_hints(Step)} == {"query", "absent"}


def arguments(name: str) -> Iterator[str]:
    function: Callable[..., Any] = getattr(calls, name)
    hints = get_type_hints(function)
    for each, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            yield from get_type_hints(get_args(hints[each])[0])
        else:
            yield each


@pytest.mark.parametrize("name", sorted(MADE.keys() - {"search", "upload", "batch", "export"}))
def test_a_call_can_be_told_all_that_the_server_takes(name: str) -> None:
    found = operation(name)
    taken = {each["name"] for each in found.get("parameters", ())}
    for content in found.get("requestBody", {}).get("content", {}).values():
        taken |= {*resolved(content["schema"])["properties"]}
    assert taken <= {*arguments(name)}


def test_an_export_can_be_told_all_that_the_server_takes() -> None:
    (content,) = operation("export")["requestBody"]["content"].values()
    assert {*resolved(content["schema"])["properties"]} - {"search"} <= {*arguments("export")}


@pytest.mark.parametrize("name", sorted(ANSWERED))
def test_what_is_answered_has_a_type(name: str) -> None:
    if found := operation(name):
        schema = found["responses"]["200"]["content"]["application/json"]["schema"]
        assert [*untyped(resolved(schema), ANSWERED[name])] == []


def untyped(schema: dict[str, Any], model: type[BaseModel]) -> Iterator[str]:
    """Fields of answers that a model, or those in it, lacks."""
    for name, held in schema.get("properties", {}).items():
        if name not in model.model_fields:
            yield f"{model.__name__}.{name}"
            continue
        own = [*models(model.model_fields[name].annotation)]
        for each in objects(held):
            missing = [[*untyped(each, one)] for one in own]
            assert missing, f"{model.__name__}.{name} is of no type"
            yield from min(missing, key=len)


def objects(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    schema = resolved(schema)
    if "properties" in schema:
        yield schema
    for each in [*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())]:
        yield from objects(each)


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from models(each)


def test_both_clients_have_the_same_methods_with_the_same_arguments() -> None:
    from cinedex_client import AsyncClient, Client

    def public(kind: type) -> dict[str, list[str]]:
        methods = inspect.getmembers(kind, inspect.isfunction)
        return {name: [*inspect.signature(f).parameters] for name, f in methods if name[0] != "_"}

    assert public(Client) == public(AsyncClient)
    assert MADE.keys() <= public(Client).keys()
