"""QR codes, read as a wallet's camera reads them: from their pixels."""

import re
from dataclasses import replace

import zxingcpp
from PIL import Image
from tests.api.conftest import Api, Reply, World

from paynode.api.qr import QUIET_MODULES
from paynode.config import Family
from paynode.operations.payment_uri import qr_text

PIXELS = 8  # of a module


def read(reply: Reply) -> zxingcpp.Barcode:
    """What the drawing says, once it is drawn."""
    assert (reply.status, reply.headers["Content-Type"]) == (200, "image/svg+xml")
    drawn = reply.raw.decode()
    size = int(re.search(r'viewBox="0 0 (\d+) \1"', drawn)[1])  # type: ignore[index]
    background, modules = re.findall(r'<path[^>]* d="([^"]+)"', drawn)
    assert background == f"M0 0h{size}v{size}h-{size}z"
    picture = Image.new("L", (size * PIXELS, size * PIXELS), 255)
    x, y = 0.0, 0.0
    for command, first, second in re.findall(r"([Mmh])(-?[\d.]+)(?: (-?[\d.]+))?", modules):
        if command == "h":
            box = (int(x), int(y), int(x) + int(first), int(y) + 1)
            assert min(box) >= QUIET_MODULES
            assert max(box) <= size - QUIET_MODULES
            picture.paste(0, tuple(PIXELS * edge for edge in box))
            x += int(first)
        else:
            x, y = (float(first), float(second)) if command == "M" else (x + float(first), y + float(second))
    (found,) = zxingcpp.read_barcodes(picture)
    return found


async def test_of_a_native_coin_it_is_the_uri_and_of_a_token_the_address(world: World, api: Api) -> None:
    invoice = await api.invoice(methods=["sim_sim", "sim_usdt"], provision=True)
    anybody = Api(world.app, None)
    for method in invoice["methods"]:
        said = method["payment_uri"] if method["contract"] is None else method["address"]
        public = await anybody.get(f"/checkout/{invoice['id']}/methods/{method['method']}/qr.svg")
        assert read(public).text == said
        assert read(public).ec_level == "M"
        own = await api.get(f"/v1/invoices/{invoice['id']}/qr.svg", method=method["method"])
        assert own.raw == public.raw
        full = await anybody.get(f"/checkout/{invoice['id']}/methods/{method['method']}/qr.svg", amount="with")
        assert read(full).text == method["payment_uri"]


async def test_there_is_none_of_what_nobody_can_pay_to(world: World, api: Api) -> None:
    invoice = await api.invoice(methods=["sim_usdt"])
    anybody = Api(world.app, None)
    code = f"/checkout/{invoice['id']}/methods/{{}}/qr.svg"
    unpicked = await anybody.get(code.format("sim_usdt"))
    assert (unpicked.status, unpicked.json["code"]) == (409, "no_address")
    assert (await anybody.get(code.format("sim_sim"))).status == 404
    assert (await api.get(f"/v1/invoices/{invoice['id']}/qr.svg")).problems == {"method": "required"}
    stranger = world.caller_of_other_store()
    assert (await stranger.get(f"/v1/invoices/{invoice['id']}/qr.svg", method="sim_usdt")).status == 404


def test_on_evm_networks_it_is_what_eip_681_says_and_a_tokens_amount_only_if_asked_for(world: World) -> None:
    catalogue = world.shop.catalogue
    network = replace(catalogue.networks["sim"], family=Family.EVM, chain_id=137)
    coin, token = catalogue.assets["sim_sim"], catalogue.assets["sim_usdt"]
    assert qr_text(network, coin, "0xA1", 5, with_amount=False) == "ethereum:0xA1@137?value=5"
    assert qr_text(network, token, "0xA1", 5, with_amount=False) == "0xA1"
    transfer = f"ethereum:{token.contract}@137/transfer?address=0xA1&uint256=5"
    assert qr_text(network, token, "0xA1", 5, with_amount=True) == transfer
    assert qr_text(network, token, "0xA1", None, with_amount=True) == "0xA1"
