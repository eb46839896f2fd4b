"""The payer's page: what it says in each state of an invoice, what its forms do, and what nobody can make it do."""

from dataclasses import dataclass, replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.api.conftest import Api, FakeSimulation, Reply
from tests.lab.shop import Clock, Shop, make_key
from tests.lab.simnode import SimNode, derive

from paynode.api.app import create_app
from paynode.api.node import ApiNode
from paynode.api.pages import checkout, words
from paynode.api.pages.colors import text_on
from paynode.chains.sim import keys
from paynode.config.networks import presets
from paynode.domain.scopes import STORE_SCOPES
from paynode.domain.screening import Verdict
from paynode.store import deposits

BYTES_MAX = 60 * 1024  # of the page, its stylesheet and its QR code
USDT = 10**6

SHOP = """
[stores.main]
name = "Tea & <b>Cups</b>"
payer_may_cancel = true
allowed_origins = ["https://shop.example"]
branding = { support_email = "help@shop.example", color = "#ffcc00" }

[networks.alpha]
family = "sim"
confirmations = 5
tokens = { usdt = { decimals = 6, stable = true }, usdc = { decimals = 6, stable = true } }

[networks.beta]
family = "sim"

[rates]
static = { "usdt/USD" = "1", "usdc/USD" = "1", "sim/USD" = "2000" }
"""


class Page(HTMLParser):
    """A page as a browser takes it: its text, what it would load, follow and post to."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply
        self.words: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.forms: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.labelled: set[str] = set()
        self.named: set[str] = set()
        self.inputs: set[str] = set()
        self.reloads: int | None = None
        self.codes: list[str] = []
        self.is_code = False
        self.feed(reply.raw.decode())
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.is_code = tag == "code"
        self.attributes |= values.keys()
        self.ids += [values["id"]] if "id" in values else []
        self.labelled |= {values["for"]} if "for" in values else set()
        self.named |= {values["aria-labelledby"]} if "aria-labelledby" in values else set()
        if tag in {"link", "img"}:
            self.loaded.append(values.get("href") or values["src"])
        if tag == "img":
            assert values["alt"]
        if tag == "a":
            self.links.append(values["href"])
        if tag == "form":
            self.forms.append((values["method"], values["action"]))
        if tag == "input":
            self.inputs.add(values["id"])
        if values.get("http-equiv") == "refresh":
            self.reloads = int(values["content"])

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.is_code:
            self.codes.append(data)

    def handle_endtag(self, tag: str) -> None:
        self.is_code = False


@dataclass
class Payer:
    """Somebody with an invoice's link, at a node whose chains a test moves."""

    node: SimNode
    api: Api
    anybody: Api
    clock: Clock

    async def page(self, path: str, status: int = 200, **query: str) -> Page:
        reply = await self.anybody.get(path, **query)
        assert reply.status == status, reply.raw
        return checked(reply)

    async def shown(self, invoice_id: str, method: str = "") -> Page:
        return await self.page(f"/i/{invoice_id}{method and '/'}{method}")

    async def post(self, path: str, fields: str = "") -> Reply:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.anybody.send("POST", path, raw=fields.encode(), headers=form)

    async def invoice(self, **fields: object) -> Any:
        return await self.api.invoice(**{"methods": ["alpha_usdt"], "provision": True, **fields})


def checked(reply: Reply) -> Page:
    """What every page keeps to, whatever it shows."""
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Referrer-Policy"] == "no-referrer"
    assert reply.headers["X-Robots-Tag"] == "noindex"
    rules = dict(rule.strip().partition(" ")[::2] for rule in reply.headers["Content-Security-Policy"].split(";"))
    assert rules == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "https://shop.example" if reply.status == 200 else "'none'",
    }
    page = Page(reply)
    assert not {"script", "style", "iframe", "object", "embed"} & set(page.tags)
    assert not {name for name in page.attributes if name.startswith("on") or name == "style"}
    assert all(path.startswith("/") for path in page.loaded)
    assert page.tags.count("h1") == page.tags.count("main") == page.tags.count("title") == 1
    assert b'<html lang="en">' in reply.raw
    assert len(set(page.ids)) == len(page.ids)
    assert page.named <= set(page.ids)
    assert page.inputs <= page.labelled
    return page


@pytest.fixture
async def payer(tmp_path: Path) -> Payer:
    node = SimNode(tmp_path, SHOP)
    await node.mine()
    shop = Shop(node.database, node.catalogue, node.store_id)
    app = create_app(
        ApiNode(
            database=node.database,
            catalogue=node.catalogue,
            derive=derive,
            parse_tx_hash=lambda family, text: keys.parse_tx_hash(text),
            clock=node.clock,
            check_outbound=lambda url: None,
            version="1",
            started_at=node.clock(),
            health=lambda: {"scanner": "ok"},
            simulation=FakeSimulation(),
        )
    )
    return Payer(node, Api(app, make_key(shop, STORE_SCOPES)), Api(app, None), node.clock)


async def test_a_payer_picks_a_method_and_sees_where_to_send_how_much(payer: Payer) -> None:
    invoice = await payer.invoice(methods=["all"], provision=False, name="Order 7", amount="20.50")
    offered = await payer.shown(invoice["id"])
    assert "Choose how to pay" in offered.text
    assert "20.50 USD" in offered.text
    assert offered.reloads is None, "nothing can have come"
    assert "0.01025 SIM" in offered.text
    assert {action for _, action in offered.forms} >= {f"/i/{invoice['id']}/{m['method']}" for m in invoice["methods"]}
    assert payer.node.invoice(invoice["id"]).addresses == {}, "to look is not to pick"

    posted = await payer.post(f"/i/{invoice['id']}/alpha_usdt")
    assert (posted.status, posted.headers["Location"]) == (303, f"/i/{invoice['id']}/alpha_usdt")
    picked = await payer.page(posted.headers["Location"])
    assert picked.codes == ["20.5", payer.node.address(invoice["id"])]
    assert "Send only USDT on Alpha" in picked.text
    assert "Waiting for your payment" in picked.text
    assert "Price valid until" in picked.text
    assert "mailto:help@shop.example" in picked.links
    assert "Invoice open until" in picked.text
    again = await payer.post(f"/i/{invoice['id']}/alpha_usdt")
    assert again.status == 303
    assert (await payer.page(posted.headers["Location"])).codes == picked.codes


async def test_among_many_methods_a_payer_searches(payer: Payer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkout, "CARDS_MAX", 2)
    invoice = await payer.invoice(methods=["all"])
    path = f"/i/{invoice['id']}"
    every = await payer.page(path)
    assert every.forms == [("get", path), ("post", f"{path}/cancel")]
    assert every.reloads is None, "somebody is typing"
    assert len([link for link in every.links if link.startswith(f"{path}/")]) == len(invoice["methods"]) + 1
    some = await payer.page(path, find=" BETA ")
    assert {link for link in some.links if link.startswith(f"{path}/")} == {
        f"{path}/claim",
        *(f"{path}/{each['method']}" for each in invoice["methods"] if each["network"] == "beta"),
    }
    assert "Nothing here is called so." in (await payer.page(path, find="doge")).text


async def test_the_page_its_sheet_and_its_code_are_small_and_nothing_else_is_loaded(payer: Payer) -> None:
    invoice = await payer.invoice(methods=["all"], description="x" * 1000)
    page = await payer.shown(invoice["id"], "alpha_usdt")
    parts = [await payer.anybody.get(path) for path in page.loaded]
    kinds = [part.headers["Content-Type"].partition(";")[0] for part in parts]
    assert kinds == ["image/svg+xml", "text/css", "text/css", "image/svg+xml"]
    assert len(page.reply.raw) + sum(len(part.raw) for part in parts) < BYTES_MAX
    assert b"url(" not in parts[1].raw
    assert b"@import" not in parts[1].raw
    assert parts[2].raw == b":root { --act: #ffcc00; --act-text: #000000; }\n"


async def test_it_tells_how_far_a_payment_has_come(payer: Payer) -> None:
    invoice = await payer.invoice(success_url="https://shop.example/thanks")
    payer.node.pay(invoice["id"], 20 * USDT)
    await payer.node.mine()
    seen = await payer.shown(invoice["id"])
    assert "Payment received 1 of 5 confirmations" in seen.text
    assert seen.reloads == 5
    assert payer.node.address(invoice["id"]) not in seen.codes, "nothing more is to be sent"
    await payer.node.mine(2)
    assert "3 of 5 confirmations" in (await payer.shown(invoice["id"])).text
    assert "https://shop.example/thanks" not in (await payer.shown(invoice["id"])).links
    await payer.node.mine(3)
    paid = await payer.shown(invoice["id"])
    assert "Paid Thank you." in paid.text
    assert paid.reloads is None
    assert "https://shop.example/thanks" in paid.links
    assert paid.forms == []


async def test_a_receipt_names_what_is_final_and_only_that(payer: Payer) -> None:
    invoice = await payer.invoice(name="Tea", amount="20", order_id="7")
    own, public = f"/v1/invoices/{invoice['id']}/receipt", f"/checkout/{invoice['id']}/receipt"
    first = payer.node.pay(invoice["id"], 12 * USDT)
    await payer.node.mine(2)
    assert [(await payer.anybody.get(public)).json["code"], (await payer.api.get(own)).status] == ["nothing_final", 409]
    await payer.node.mine(4)
    payer.node.pay(invoice["id"], 8 * USDT)
    await payer.node.mine()
    shown = (await payer.anybody.get(public)).json
    assert shown == (await payer.api.get(own)).json
    assert [each["tx_hash"] for each in shown["payments"]] == [first]
    assert (shown["amount_received"], shown["payments"][0]["value"], shown["paid_at"]) == ("12.00", "12.00", None)
    assert (shown["store_name"], shown["name"], shown["order_id"]) == ("Tea & <b>Cups</b>", "Tea", "7")
    await payer.node.mine(5)
    paid = (await payer.anybody.get(public)).json
    assert (paid["status"], paid["amount_received"], len(paid["payments"])) == ("paid", "20.00", 2)
    assert first in (await payer.shown(invoice["id"])).codes


async def test_a_receipt_that_several_payers_see_does_not_say_who_paid(payer: Payer) -> None:
    invoice = await payer.invoice(type="pool")
    hash_ = payer.node.pay(invoice["id"], 20 * USDT)
    await payer.node.mine(6)
    (public,) = (await payer.anybody.get(f"/checkout/{invoice['id']}/receipt")).json["payments"]
    (own,) = (await payer.api.get(f"/v1/invoices/{invoice['id']}/receipt")).json["payments"]
    assert (public["tx_hash"], public["from"], public["explorer_url"]) == (None, None, None)
    assert (own["tx_hash"], own["value"]) == (hash_, "20.00")


async def test_a_part_asks_for_the_rest_in_words_in_the_amount_and_in_the_code(payer: Payer) -> None:
    invoice = await payer.invoice(methods=["alpha_sim"], amount="20")
    code = f"/checkout/{invoice['id']}/methods/alpha_sim/qr.svg"
    before = await payer.anybody.get(code)
    payer.node.pay(invoice["id"], 5 * 10**15, "alpha_sim")
    await payer.node.mine()
    page = await payer.shown(invoice["id"])
    assert "Received 10.00 USD, send 10.00 more" in page.text
    assert page.codes[0] == "0.005"
    assert (await payer.anybody.get(code)).raw != before.raw
    await payer.node.mine(6)
    assert "The payments so far are final" in (await payer.shown(invoice["id"])).text


async def test_who_paid_what_screening_keeps_back_is_neither_told_nor_asked_for_more(payer: Payer) -> None:
    invoice = await payer.invoice()
    payer.node.pay(invoice["id"], 20 * USDT)
    await payer.node.mine()
    [record] = payer.node.deposits(invoice["id"])
    payer.node.database.write(deposits.save, replace(record, screening=Verdict.FLAGGED, is_held=True))
    await payer.node.mine(8)
    assert payer.node.states(invoice["id"]) == ("open", "exact")
    page = await payer.shown(invoice["id"])
    assert "Payment received Nothing is left to do." in page.text
    assert payer.node.address(invoice["id"]) not in page.codes
    assert "screen" not in page.text.lower()


async def test_too_much_says_so_and_whom_to_ask(payer: Payer) -> None:
    invoice = await payer.invoice()
    payer.node.pay(invoice["id"], 25 * USDT)
    await payer.node.mine(6)
    page = await payer.shown(invoice["id"])
    assert "Paid That is 5.00 USD more than was asked for" in page.text


async def test_after_the_deadline_nobody_is_asked_to_pay_but_money_on_its_way_is_told_of(payer: Payer) -> None:
    invoice = await payer.invoice(expires_in=60, fail_url="https://shop.example/cart")
    address = payer.node.address(invoice["id"])
    payer.clock.advance(timedelta(seconds=61))
    overdue = await payer.shown(invoice["id"])
    assert "The time to pay is over" in overdue.text
    assert overdue.reloads is not None
    await payer.node.mine()
    expired = await payer.shown(invoice["id"])
    assert "The time to pay is over Do not send anything any more." in expired.text
    assert address not in expired.codes
    assert "https://shop.example/cart" in expired.links
    payer.node.pay(invoice["id"], 20 * USDT)
    await payer.node.mine()
    late = await payer.shown(invoice["id"])
    assert "Payment seen, waiting" in late.text
    assert "1 of 5 confirmations" in late.text
    await payer.node.mine(5)
    assert "Received 20.00 USD, after the time was over" in (await payer.shown(invoice["id"])).text


async def test_a_part_that_stayed_one_is_no_reason_to_send_more(payer: Payer) -> None:
    invoice = await payer.invoice(expires_in=60)
    payer.node.pay(invoice["id"], 5 * USDT)
    await payer.node.mine(6)
    payer.clock.advance(timedelta(seconds=61))
    await payer.node.mine()
    page = await payer.shown(invoice["id"])
    assert "Received 5.00 of 20 USD Do not send more." in page.text
    assert page.reloads is None


async def test_what_the_chain_takes_back_is_told(payer: Payer) -> None:
    invoice = await payer.invoice()
    payer.node.pay(invoice["id"], 20 * USDT)
    await payer.node.mine(6)
    payer.node.worlds["alpha"].reorg(6, keep=False)
    await payer.node.mine(8)
    page = await payer.shown(invoice["id"])
    assert "The network took the payment back" in page.text
    assert "taken back by the network" in page.text


async def test_a_lapsed_price_is_not_shown_until_it_is_renewed(payer: Payer) -> None:
    invoice = await payer.invoice(methods=["alpha_sim"], expires_in=3600)
    payer.clock.advance(timedelta(minutes=16))
    await payer.node.mine()
    lapsed = await payer.shown(invoice["id"])
    assert "The price in SIM has lapsed" in lapsed.text
    assert lapsed.codes == [payer.node.address(invoice["id"])]
    assert not [path for path in lapsed.loaded if path.startswith("/checkout/")]
    payer.node.fix_rate("sim", "4000")
    assert (await payer.post(f"/i/{invoice['id']}/alpha_sim")).status == 303
    assert "Price valid until" in (await payer.shown(invoice["id"])).text


async def test_a_payer_cancels_where_the_store_allows_it_and_nothing_came(payer: Payer) -> None:
    invoice = await payer.invoice()
    cancel = f"/i/{invoice['id']}/cancel"
    assert ("post", cancel) in (await payer.shown(invoice["id"])).forms
    assert (await payer.post(cancel)).headers["Location"] == f"/i/{invoice['id']}"
    page = await payer.shown(invoice["id"])
    assert "Cancelled Do not send anything any more." in page.text
    assert page.reloads is None


async def test_who_says_i_have_paid_sees_what_came_of_it(payer: Payer) -> None:
    invoice = await payer.invoice()
    claim = f"/i/{invoice['id']}/claim"
    assert claim in (await payer.shown(invoice["id"])).links
    form = await payer.page(claim)
    assert form.forms == [("post", claim)]
    assert form.reloads is None, "somebody is typing"
    wrong = await payer.post(claim, "tx_hash=my+payment")
    assert wrong.status == 422
    assert "a transaction hash of a simulated network is" in checked(wrong).text.lower()
    assert f"/i/{invoice['id']}" in checked(wrong).links
    hash_ = "0x" + "ab" * 32
    told = await payer.post(claim, f"tx_hash={hash_}")
    assert (told.status, told.headers["Location"]) == (303, f"/i/{invoice['id']}")
    assert f"{hash_} being looked for" in (await payer.shown(invoice["id"])).text
    for _ in range(5):
        await payer.post(claim, f"tx_hash={hash_}")
    refused = await payer.post(claim, f"tx_hash={hash_}")
    assert (refused.status, "Retry-After" in refused.headers) == (429, True)


async def test_a_payer_who_decides_how_much_is_told_so(payer: Payer) -> None:
    page = await payer.shown((await payer.invoice(amount=None, min_amount="5"))["id"])
    assert "As much as you like" in page.text
    assert "5 USD or more" in page.text
    shared = await payer.invoice(type="reusable", amount=None)
    payer.node.pay(shared["id"], 7 * USDT)
    await payer.node.mine()
    page = await payer.shown(shared["id"])
    assert "A payment has come" in page.text
    assert "7 USDT on Alpha" in page.text
    assert "Invoice open until" not in page.text


async def test_texts_of_others_are_shown_and_do_nothing(payer: Payer) -> None:
    """Of the merchant, of the config, and of whoever wrote the link."""
    evil = "<script>alert(1)</script>\"'><img src=//x onerror=alert(1)>"
    invoice = await payer.invoice(name=evil, description=evil, order_id=evil, methods=["all"], provision=False)
    page = await payer.page(f"/i/{invoice['id']}", find=evil[:40])
    assert "img" not in page.tags
    assert "Tea & <b>Cups</b>" in page.text
    assert page.text.count("<script>alert(1)</script>") == 3
    assert (await payer.page(f"/i/{evil.replace('/', '')}", 404)).tags.count("h1") == 1


def test_what_stands_on_a_stores_colour_can_be_read() -> None:
    found = {color: text_on(color) for color in ("#000000", "#ffffff", "#0b57b0", "#ffcc00", "#777777", "#757575")}
    assert list(found.values()) == ["#ffffff", "#000000", "#ffffff", "#000000", "#000000", "#ffffff"]


async def test_only_web_links_lead_out() -> None:
    assert words.web_link("https://shop.example/x") == "https://shop.example/x"
    assert words.web_link("javascript:alert(1)") is None
    assert words.web_link(None) is None


@pytest.mark.parametrize("path", ["/i/inv_nothing", "/i/inv_nothing/claim", "/i/inv_nothing/alpha_usdt"])
async def test_what_is_not_there_is_a_page_too(payer: Payer, path: str) -> None:
    page = await payer.page(path, 404)
    assert "No such invoice." in page.text
    assert not [link for link in page.links if "inv_nothing" in link]


async def test_a_method_that_the_invoice_does_not_offer_is_not_there(payer: Payer) -> None:
    invoice = await payer.invoice()
    assert (await payer.page(f"/i/{invoice['id']}/beta_sim", 404)).text
    assert (await payer.post(f"/i/{invoice['id']}/beta_sim")).status == 404


async def test_a_form_that_the_page_did_not_make_changes_nothing(payer: Payer) -> None:
    invoice = await payer.invoice(methods=["all"], provision=False)
    path = f"/i/{invoice['id']}/alpha_usdt"
    assert (await payer.anybody.send("POST", path, raw=b"{}")).status == 415
    assert (await payer.post(path, "address=sim1")).status == 422
    claim = f"/i/{invoice['id']}/claim"
    foreign = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "cross-site"}
    assert (await payer.anybody.send("POST", path, raw=b"", headers=foreign)).status == 403
    assert (await payer.post(claim, "tx_hash=a&tx_hash=b")).status == 400
    assert (await payer.post(claim, "tx_hash=%ff")).status == 400
    assert (await payer.post(claim, "")).status == 422
    assert (await payer.post(claim, f"tx_hash={'a' * 201}")).status == 422
    assert payer.node.invoice(invoice["id"]).addresses == {}


async def test_the_page_reloads_ever_more_seldom_and_not_at_all_for_who_does_not_want_it(payer: Payer) -> None:
    invoice = await payer.invoice(type="reusable", amount=None)
    path = f"/i/{invoice['id']}"
    assert (await payer.page(path)).reloads == 5
    still = await payer.page(path, reload="off")
    assert (still.reloads, path in still.links) == (None, True)
    payer.clock.advance(timedelta(minutes=20))
    assert (await payer.page(path)).reloads == 20
    payer.clock.advance(timedelta(hours=5))
    assert (await payer.page(path)).reloads == 60
    payer.clock.advance(timedelta(hours=20))
    assert (await payer.page(path)).reloads is None


async def test_links_may_carry_what_mailers_add(payer: Payer) -> None:
    invoice = await payer.invoice()
    assert (await payer.page(f"/i/{invoice['id']}", utm_source="mail")).reloads == 5


def test_every_network_that_is_known_has_a_name_for_payers() -> None:
    assert presets().keys() <= words.NETWORKS.keys()
