"""Whether a provider can do all that the node needs of it: answer for the right chain, look, and know the tokens."""

import trio

from paynode.chains.base import Unavailable
from paynode.chains.evm.adapter import EvmChain
from paynode.chains.rpc import RpcPool
from paynode.cli.exit_codes import ExitCode
from paynode.cli.problems import Failure
from paynode.config import Network, RpcUrl
from paynode.domain.money import Asset

SECONDS_MAX = 60.0  # for one provider; each call has a shorter deadline of its own
NOBODY = "0x0000000000000000000000000000000000000001"  # a precompile: any token can say its balance


def provider_answers(network: Network, url: RpcUrl) -> str:
    """A sentence about a provider that works.

    Raises:
        Failure: it does not; a sentence about why.
    """
    return trio.run(_ask, network, url)


async def _ask(network: Network, url: RpcUrl) -> str:
    assert network.chain_id is not None, "the config wants one where there are providers"
    with trio.move_on_after(SECONDS_MAX):
        async with RpcPool([url], chain_id=network.chain_id) as pool:
            chain = EvmChain(network.name, network.chain_id, network.assets, pool, depth=network.confirmations)
            return await _try_all(chain, network)
    raise Failure(ExitCode.PROBLEM, f"no answers within {SECONDS_MAX:.0f} s. Ask the provider, or name another.")


async def _try_all(chain: EvmChain, network: Network) -> str:
    try:
        sentence = await chain.connect()
    except Unavailable as trouble:
        text = f"cannot be used: {trouble}. Check its URL and key, or name another provider."
        raise Failure(ExitCode.PROBLEM, text) from None
    for asset in network.assets:
        await _try_asset(chain, asset)
    return f"{sentence}; chain id, looks and {len(network.assets)} assets are right"


async def _try_asset(chain: EvmChain, asset: Asset) -> None:
    """A token has a contract that tells balances, and counts in the decimals that the config says."""
    try:
        await chain.balance_units(asset, NOBODY)
        wrong = await chain.listing_trouble(asset)
    except Unavailable as trouble:
        text = f"{asset.method}: no balance ({trouble}). Check the token's contract in the config."
        raise Failure(ExitCode.PROBLEM, text) from None
    if wrong is not None:
        text = f"{asset.method}: {wrong}. Check both: payments would be taken for much less or much more."
        raise Failure(ExitCode.PROBLEM, text)
