"""Rates: what coins cost, who said so, and why a price is missing."""

from paynode.api.body import Nothing
from paynode.api.lists import list_answer
from paynode.api.routes import Call, Routes
from paynode.operations import rates
from paynode.operations.once import Answer
from paynode.store.database import Tx

routes = Routes()


@routes.get("/v1/rates", scope="rates:read")
def list_all(call: Call[Nothing], tx: Tx) -> Answer:
    return list_answer(rates.views(tx, call.node.catalogue, call.now))
