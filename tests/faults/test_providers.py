"""What a node's owner is told of its providers."""

from pathlib import Path

from tests.faults.test_outages import NOBODY, honest, merchant
from tests.lab.node import node
from tests.lab.stub import stub

from paynode.chains.provider import CALLS_PER_BATCH_MAX

BUDGET = "budget = { calls_per_day = 1_000_000, calls_per_second = 500 }"


async def test_the_owner_sees_how_each_provider_does_and_what_it_was_asked(tmp_path: Path) -> None:
    async with merchant() as (lab, usdt, receiver, _), stub(honest(lab)) as provider:
        key = "/v2/0123456789abcdef"
        urls = [NOBODY, provider.url + key]
        async with node(tmp_path, lab, receiver, {"usdt": (usdt, 6)}, rpc=urls, network=BUDGET) as shop:
            await shop.invoice("20", "eth_usdt")
            asked = len(provider.methods)
            network = await shop.network()
            dead, good = network["providers"]
            assert (dead["state"], dead["calls_today"] > 0, dead["head"]) == ("failing", True, None)
            assert "ConnectError" in dead["reason"]
            assert (good["state"], good["reason"]) == ("ok", None)
            assert good["head"] == network["head"]["number"]
            assert asked <= good["calls_today"] <= len(provider.methods) + CALLS_PER_BATCH_MAX  # one may be on its way
            assert {provider["calls_per_day"] for provider in network["providers"]} == {1_000_000}
            assert key not in str(network)


async def test_what_a_provider_was_asked_today_survives_a_kill(tmp_path: Path) -> None:
    async with merchant() as (lab, usdt, receiver, _), stub(honest(lab)) as provider:
        async with node(tmp_path, lab, receiver, {"usdt": (usdt, 6)}, rpc=[provider.url], network=BUDGET) as shop:
            before = (await shop.network())["providers"][0]["calls_today"]
            for _ in range(3):
                shop.kill()
                asked = len(provider.methods)
                await shop.start()
            (seen,) = (await shop.network())["providers"]
            assert seen["calls_today"] > len(provider.methods) - asked, "more than since the last start"
            assert before > 0
