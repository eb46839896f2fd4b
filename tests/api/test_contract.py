"""The contract, /v1/openapi.json: complete, valid, and what the gate keeps to."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from tests.api.conftest import ROUTES, Api, World
from tests.api.test_gate import BODIES, revoke

from paynode.api import contract
from paynode.api.examples import REQUESTS
from paynode.api.operations import path_of
from paynode.api.problem_types import problem_types
from paynode.api.routes import Shelf
from paynode.domain.events import EventType

NOBODY = "inv_0000000000000000000000000A"


class Operation(NamedTuple):
    method: str
    path: str
    about: dict[str, Any]

    @property
    def scope(self) -> str | None:
        """The scope that it says it needs."""
        scopes = {scope for scheme in self.about["security"] for names in scheme.values() for scope in names}
        assert len(scopes) <= 1
        return next(iter(scopes), None)


@pytest.fixture
def document(world: World) -> Any:
    return json.loads(contract.show(Shelf(world.node, list(ROUTES.values()), {})))


def operations(document: Any) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method, about in item.items():
            yield Operation(method.upper(), path, about)


def test_it_has_every_route_that_is_served_but_pages(world: World, document: Any) -> None:
    served = {
        f"{method} {rule.rule.replace('<', '{').replace('>', '}')}"
        for rule in world.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    told = {f"{operation.method} {operation.path}" for operation in operations(document)}
    assert {name for name in served - told if " /docs" not in name and " /i/" not in name} == set()
    assert told <= served


def test_every_operation_has_a_name_of_its_own_a_summary_and_a_schema_of_its_answer(document: Any) -> None:
    ids = [operation.about["operationId"] for operation in operations(document)]
    assert len(set(ids)) == len(ids)
    assert {"invoices_create", "invoices_list", "invoices_show", "webhook_endpoints_delete", "status_show"} <= set(ids)
    for operation in operations(document):
        assert operation.about["summary"], operation.path
        (status,) = [status for status in operation.about["responses"] if status.startswith("2")]
        assert ("content" in operation.about["responses"][status]) == (status != "204"), operation.path


def test_every_event_is_a_webhook_with_the_schema_of_its_object(document: Any) -> None:
    assert set(document["webhooks"]) == set(EventType)
    body = document["webhooks"]["invoice.paid"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["allOf"][1]["properties"]["data"]["properties"]["object"] == {"$ref": "#/components/schemas/Invoice"}


def test_every_problem_is_named_where_it_can_happen(document: Any) -> None:
    responses = [
        str(response) for operation in operations(document) for response in operation.about["responses"].values()
    ]
    named = {code for text in responses for code in re.findall(r"(?:errors|responses)/([a-z_]+)", text)}
    assert named == set(problem_types()) - {"method_not_allowed"}  # of no route: the path's method is wrong


def test_no_text_that_callers_send_may_hold_nul_be_it_a_value_a_key_or_an_item(document: Any) -> None:
    schemas = document["components"]["schemas"]
    metadata = schemas["InvoiceForm"]["properties"]["metadata"]["anyOf"][0]
    name = schemas["InvoiceForm"]["properties"]["name"]["anyOf"][0]
    texts = [name, metadata["propertyNames"], metadata["additionalProperties"]]
    for text in [*texts, schemas["SelectionForm"]["properties"]["invoices"]["items"]]:
        assert re.search(text["pattern"], "two\nlines, caf\u00e9")
        assert not re.search(text["pattern"], "a\0b")


async def test_every_operation_is_public_or_demands_its_scope(world: World, document: Any) -> None:
    """Walked from the document alone: no key, an unknown one, all scopes but its own, its own, and that one revoked."""
    everything = {operation.scope for operation in operations(document)} - {None}
    anybody, stranger = Api(world.app, None), Api(world.app, "pn_sim_unknown_key")
    holders = {scope: world.caller(str(scope), of_node=True) for scope in everything}
    others = {scope: world.caller(*map(str, everything - {scope}), of_node=True) for scope in everything}
    for number, operation in enumerate(operations(document)):
        outside = [
            (await knock(anybody, operation, number)).status,
            (await knock(stranger, operation, number)).status,
        ]
        if operation.scope is None:
            assert not {401, 403} & set(outside), operation.path
            continue
        assert outside == [401, 401], operation.path
        assert (await knock(others[operation.scope], operation, number)).status == 403, operation.path
        assert (await knock(holders[operation.scope], operation, number)).status not in {401, 403}, operation.path
    for holder in holders.values():
        revoke(world, holder)
    for number, operation in enumerate(operations(document)):
        if operation.scope is not None:
            assert (await knock(holders[operation.scope], operation, number)).status == 401, operation.path


async def test_no_operation_shows_or_changes_what_is_another_stores(world: World, document: Any) -> None:
    owner, stranger = world.caller(), world.caller_of_other_store()
    invoice = (await owner.invoice(provision=True))["id"]
    endpoint = (await owner.post("/v1/webhook_endpoints", {"url": "https://example.com"})).json["id"]
    await owner.post(f"/v1/webhook_endpoints/{endpoint}/ping")
    delivery = (await owner.get("/v1/deliveries")).json["data"][0]["id"]
    event = (await owner.get("/v1/events")).json["data"][0]["id"]
    ids = {
        **dict.fromkeys(["invoice_id"], invoice),
        "endpoint_id": endpoint,
        "delivery_id": delivery,
        "event_id": event,
        "store_id": world.shop.store_id,
    }
    walked = 0
    for number, operation in enumerate(operations(document)):
        variables = re.findall(r"{(\w+)}", operation.path)
        if operation.scope is None or not set(variables) & ids.keys():
            continue
        foreign = await knock(stranger, operation, number, **ids)
        unknown = await knock(stranger, operation, number)
        assert foreign.status == unknown.status != 403, operation.path
        assert foreign.status in {404, 422}, operation.path
        assert foreign.json["code"] == unknown.json["code"]
        walked += 1
    assert walked > 15
    assert (await owner.get(f"/v1/invoices/{invoice}")).json["status"] == "open"


@pytest.mark.parametrize(
    ("name", "example"), [(name, example) for name, examples in REQUESTS.items() for example in examples]
)
async def test_every_example_works_as_it_stands(api: Api, document: Any, name: str, example: str) -> None:
    route = ROUTES[name]
    told = document["paths"][path_of(route)][route.method.lower()]["requestBody"]["content"]["application/json"]
    path = route.path.replace("<invoice_id>", (await api.invoice())["id"])
    reply = await api.post(path, told["examples"][example]["value"])
    assert reply.status == route.status


async def knock(caller: Api, operation: Operation, number: int, **ids: str) -> Any:
    path = operation.path
    for name in re.findall(r"{(\w+)}", path):
        path = path.replace(f"{{{name}}}", {"method": "sim_usdt", "network": "sim", **ids}.get(name, NOBODY))
    raw = BODIES.get(operation.path, b"{}") if "requestBody" in operation.about else None
    return await caller.send(operation.method, path, raw=raw, peer=f"198.51.100.{number}")


async def test_who_has_the_document_is_spared_it(world: World, document: Any) -> None:
    anybody = Api(world.app, None)
    first = await anybody.get("/v1/openapi.json")
    assert first.json == document
    assert first.headers["Content-Type"] == "application/json"
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = await anybody.send("GET", "/v1/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.raw, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    other = await anybody.send("GET", "/v1/openapi.json", headers={"If-None-Match": 'W/"other"'})
    assert (other.status, other.raw) == (200, first.raw)
