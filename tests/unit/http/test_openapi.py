"""/openapi.json and /docs: everything is described, and nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import validate

from palaver.http import openapi
from palaver.http.describe import Answer, Operation
from palaver.http.dialects import CLASSES, make_dialect
from palaver.http.dialects.base import Route
from palaver.http.operations import Operations
from tests.unit.http.fakes import Caller


class Everything(Caller):
    """All dialects, as `wiring` puts them together."""

    def __init__(self) -> None:
        super().__init__()
        dialects = [make_dialect(name, self.services) for name in CLASSES]
        self.dialects = (*dialects, Operations(self.services, dialects))
        self.app = self.make_app()


@pytest.fixture
def caller() -> Everything:
    return Everything()


@pytest.fixture
def document(caller: Everything) -> dict[str, Any]:
    return openapi.build(caller.dialects)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, told in item.items():
            yield method.upper(), path, told


def test_every_route_is_described(caller: Everything, document: dict[str, Any]) -> None:
    routes = {
        (method, endpoint.route.path)
        for _, entry in caller.app.table.entries()
        for method, endpoint in entry.endpoints.items()
    }
    assert {(method, path) for method, path, _ in operations(document)} == routes
    assert {"engine", "studio", "chatbot", "clustaar", "operations"} == {
        tag["name"] for tag in document["tags"]
    }


def test_the_document_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    validate(document)


def test_every_operation_has_a_summary_and_says_who_may_call(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    for method, path, told in operations(document):
        assert told["summary"], (method, path)
        for alternative in told.get("security", []):
            assert set(alternative) <= set(schemes), (method, path)


def test_no_component_is_left_over(document: dict[str, Any]) -> None:
    used = set(re.findall(r"#/components/(schemas|responses|parameters)/([\w.-]+)", str(document)))
    have = {
        (kind, name)
        for kind in ("schemas", "responses", "parameters")
        for name in document["components"][kind]
    }
    assert used == have


def test_server_errors_are_declared_where_the_engine_prescribes_them(
    document: dict[str, Any],
) -> None:
    """csml-engine-runtime §13.3, §19."""
    failing = {
        (method, path) for method, path, told in operations(document) if "500" in told["responses"]
    }
    assert failing == {("POST", "/run"), ("POST", "/bots")}


def test_what_decodes_is_what_is_described(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["engine.ClientBody"]["required"] == ["bot_id", "channel_id", "user_id"]
    assert schemas["engine.RunBody"]["required"] == ["event"]
    assert schemas["studio.ClientBody"]["required"] == ["user_id"]


def test_a_route_without_a_description_is_an_error(caller: Everything) -> None:
    class Silent(Operations):
        name = "silent"

        def routes(self) -> tuple[Route, ...]:
            return (Route("GET", "/silent", self.livez),)

    with pytest.raises(ValueError, match="GET /silent is not described"):
        openapi.build([Silent(caller.services)])


def test_templates_that_differ_in_names_only_are_an_error(caller: Everything) -> None:
    told = Operation("x", {200: Answer("x")})

    class Twice(Operations):
        name = "twice"

        def routes(self) -> tuple[Route, ...]:
            return (
                Route("GET", "/x/{a}", self.livez, describes=told),
                Route("PUT", "/x/{b}", self.livez, describes=told),
            )

    with pytest.raises(ValueError, match="name its parameters alike"):
        openapi.build([Twice(caller.services)])


def test_the_document_is_served(caller: Everything, document: dict[str, Any]) -> None:
    answer = caller.send("GET", "/openapi.json")
    assert answer.status_code == 200
    assert answer.json()["paths"].keys() == document["paths"].keys()


def test_docs_run_their_own_script_only(caller: Everything) -> None:
    answer = caller.send("GET", "/docs")
    page = answer.text
    script = page.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert page.count("<script") == 1
    assert not re.search(r"https?://|\bon\w+=|innerHTML|\beval\b", page)
