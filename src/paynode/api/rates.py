"""Rates: what coins cost, who said so, and why a price is missing."""

from paynode.api.body import Nothing
from paynode.api.lists import ListView, list_answer
from paynode.api.routes import Call, Routes
from paynode.operations import rates
from paynode.operations.once import Answer
from paynode.operations.rates import RateView
from paynode.store.database import Tx

routes = Routes()


@routes.get("/v1/rates", scope="rates:read", shows=ListView[RateView])
def list_all(call: Call[Nothing], tx: Tx) -> Answer:
    """List what each coin costs in the currencies in use."""
    return list_answer(rates.views(tx, call.node.catalogue, call.now))
