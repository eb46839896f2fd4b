"""What people do to a shop: buy, pay in every way there is, change their mind, cheat. And all that may happen."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from tests.chains.evm.fakechain import PROTOCOL, Payment
from tests.simulation import faults
from tests.simulation.evmnet import Net
from tests.simulation.node import CONTRACTS, TREASURY

from paynode.domain.addresses import AddressMode, AddressPolicy
from paynode.domain.errors import Rejected
from paynode.operations.loading import LoadedInvoice

if TYPE_CHECKING:
    from tests.simulation.life import Life

PAYER, WALLET, STRANGER, FAKE_TOKEN = ("0x" + each * 20 for each in ("55", "56", "57", "66"))
AFTER_WATCH = timedelta(minutes=30)  # so long after the end of its watch some still pay an invoice
DUST = 1
PRICES = (101, 103, 107, 109, 113)  # of a shop that uses addresses again: no part of one that people pay is another
SHORT, LONG = timedelta(minutes=10), timedelta(hours=1)
POLICIES = [None, *(AddressPolicy(AddressMode.REUSE, rest) for rest in (SHORT, SHORT, SHORT, SHORT, LONG, None))]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of act, and how often an hour it comes."""

    per_hour: float
    happen: Callable[["Life", Random], None]


@dataclass(frozen=True, slots=True)
class Bill:
    """What an invoice asks for by one of its methods, or by another that somebody confuses it with."""

    invoice: LoadedInvoice
    net: Net
    address: str
    symbol: str
    units: int

    @property
    def method(self) -> str:
        return f"{self.net.name}_{self.symbol}"

    def send(self, to: str, *, sender: str = PAYER, **how: object) -> Payment:
        """A transaction of the invoice's payer."""
        payment = self.net.send(sender, to, **how)
        self.mean(payment)
        return payment

    def mean(self, payment: Payment) -> None:
        """Note whom a transaction pays. No reorganisation puts it into a block from before the invoice's turn began."""
        self.net.meant.setdefault((payment.hash, self.address), set()).add(self.invoice.record.id)
        issued = next(iter(self.invoice.addresses.values()))
        if issued.turn:
            earliest = max(int(issued.issued_at.timestamp()), self.net.earliest_by_hash.get(payment.hash, 0))
            self.net.earliest_by_hash[payment.hash] = earliest


def buys(life: "Life", random: Random) -> None:
    methods = random.sample(sorted(life.node.catalogue.assets), random.randint(1, 3))
    minutes = random.choice([5, 30, 30, 90])
    price, policy = random.randint(1, 500), None
    if life.setting.is_reusing:
        price, policy = random.choice(PRICES), random.choice(POLICIES)
    try:
        life.node.create(price, methods, timedelta(minutes=minutes), policy)
    except Rejected:
        return  # a network that was never reached gives out no addresses
    for name in life.next_look:
        life.wake(name, 100)


def cancels(life: "Life", random: Random) -> None:
    if (bill := a_bill(life, random)) is not None:
        try:
            life.node.cancel(bill.invoice.record.id)
        except Rejected:
            return


def pays(life: "Life", random: Random) -> None:
    """By a plain transfer, exactly or about."""
    if (bill := a_bill(life, random)) is not None:
        share = random.choice([100, 100, 100, 100, 50, 120])
        pay(bill, max(bill.units * share // 100, 1))


def pays_with_two_methods_at_once(life: "Life", random: Random) -> None:
    for _ in range(2):
        pays(life, random)


def pays_dust(life: "Life", random: Random) -> None:
    if (bill := a_bill(life, random)) is not None:
        pay(bill, DUST)


def pays_by_a_contract(life: "Life", random: Random) -> None:
    """Coins that no transaction to the address shows; sometimes beside one that does, or that fails."""
    bill = a_bill(life, random, symbol="eth")
    if bill is None:
        return
    bill.send(WALLET, sender=random.choice([PAYER, PAYER, PROTOCOL]), inside=((bill.address, bill.units),))
    if random.random() < 0.2:
        bill.send(WALLET, inside=((bill.address, 3),), undone=((bill.address, bill.units),))
    if random.random() < 0.3:
        bill.send(bill.address, value=bill.units, succeeded=random.random() < 0.3)
    if random.random() < 0.2:
        bill.send(WALLET, inside=((bill.address, 5),), succeeded=random.random() < 0.5)


def pays_in_batches(life: "Life", random: Random) -> None:
    """One transaction to several addresses, and to one of them twice."""
    bills = [bill for _ in range(3) if (bill := a_bill(life, random)) is not None and bill.symbol != "eth"]
    for net in life.nets:
        paid = [bill for bill in bills if bill.net is net]
        if paid:
            moves = [(CONTRACTS[b.symbol], PAYER, b.address, max(b.units // 2, 1)) for b in (paid[0], *paid)]
            wiped = tuple(each for move in moves for each in fee_of(*move))
            payment = net.send(PAYER, WALLET, tokens=tuple(moves), wiped=wiped)
            for bill in paid:
                bill.mean(payment)


def fails_to_pay(life: "Life", random: Random) -> None:
    bill = a_bill(life, random)
    if bill is None:
        return
    if bill.symbol == "eth":
        bill.net.send(PAYER, bill.address, value=bill.units, succeeded=False)
    else:
        move = (CONTRACTS[bill.symbol], PAYER, bill.address, bill.units)
        bill.net.send(PAYER, CONTRACTS[bill.symbol], tokens=(move,), succeeded=False)


def cheats(life: "Life", random: Random) -> None:
    """A worthless token, and a transfer of nothing."""
    if (bill := a_bill(life, random)) is not None:
        bill.net.send(PAYER, FAKE_TOKEN, tokens=((FAKE_TOKEN, PAYER, bill.address, bill.units),))
        bill.net.send(PAYER, FAKE_TOKEN, tokens=((CONTRACTS["usdt"], PAYER, bill.address, 0),))


def wipes(life: "Life", random: Random) -> None:
    """An issuer takes what lies on an address, or a part of it."""
    bill = a_bill(life, random, symbol="iss")
    if bill is None:
        return
    held = bill.net.chain.head.tokens.get((CONTRACTS["iss"], bill.address), 0)
    if random.random() < 0.3:  # on arrival
        move = (CONTRACTS["iss"], PAYER, bill.address, bill.units)
        wiped = ((CONTRACTS["iss"], bill.address, random.randint(1, bill.units)),)
        bill.send(CONTRACTS["iss"], tokens=(move,), wiped=wiped)
    elif held:
        bill.net.send(PAYER, CONTRACTS["iss"], wiped=((CONTRACTS["iss"], bill.address, random.randint(1, held)),))


def gets_code(life: "Life", random: Random) -> None:
    """An address of ours delegates to code that anybody may call to sweep it."""
    if (bill := a_bill(life, random)) is not None:
        bill.net.send(PAYER, WALLET, codes=((bill.address, 23),))


def strangers_sweep(life: "Life", random: Random) -> None:
    """Somebody calls that code: all tokens go to the treasury, those that no look has shown yet too."""
    for net in life.nets:
        coded = sorted(net.chain.codes)
        for address in random.sample(coded, min(3, len(coded))):
            sweep_by_stranger(net, address)


def sweep_by_stranger(net: Net, address: str) -> None:
    net.send(STRANGER, address, drains=tuple((contract, address, TREASURY) for contract in CONTRACTS.values()))


def a_bill(life: "Life", random: Random, symbol: str | None = None) -> Bill | None:
    """What some invoice asks for, mostly a new one, mostly by a method that it offers."""
    rows = life.node.rows("select id from invoices order by id desc limit 12")
    if not rows:
        return None
    invoice = life.node.invoice(rows[min(int(random.expovariate(0.4)), len(rows) - 1)][0])
    if life.now() > invoice.record.monitor_until + AFTER_WATCH:
        return None
    method = random.choice(invoice.methods).method
    if random.random() < 0.1:
        method = random.choice(sorted(life.node.catalogue.assets))
    name, _, asked = method.partition("_")
    asked = symbol or asked
    method = f"{name}_{asked}"
    units = invoice.quotes[method][-1].units if method in invoice.quotes else random.randint(1, 10**9)
    net = next(net for net in life.nets if net.name == name)
    return Bill(invoice, net, next(iter(invoice.addresses.values())).address, asked, units)


def pay(bill: Bill, units: int) -> None:
    if bill.symbol == "eth":
        bill.send(bill.address, value=units)
        return
    contract = CONTRACTS[bill.symbol]
    move = (contract, PAYER, bill.address, units)
    bill.send(contract, tokens=(move,), wiped=fee_of(*move))


def fee_of(contract: str, sender: str, to: str, units: int) -> tuple[tuple[str, str, int], ...]:
    """What one of the tokens keeps of every transfer: its log says more than arrives."""
    return ((contract, to, units // 50),) if contract == CONTRACTS["fee"] and units >= 50 else ()


ACTS = {
    kind.happen.__name__.replace("_", " "): kind
    for kind in (
        Kind(1.5, buys),
        Kind(0.05, cancels),
        Kind(1.5, pays),
        Kind(0.2, pays_with_two_methods_at_once),
        Kind(0.2, pays_dust),
        Kind(0.5, pays_by_a_contract),
        Kind(0.3, pays_in_batches),
        Kind(0.15, fails_to_pay),
        Kind(0.15, cheats),
        Kind(0.1, wipes),
        Kind(0.15, gets_code),
        Kind(0.3, strangers_sweep),
        Kind(0.8, faults.lies),
        Kind(0.08, faults.falls_silent),
        Kind(0.6, faults.reorganises),
        Kind(0.08, faults.reorganises_deeply),
        Kind(0.2, faults.moves_while_read),
        Kind(0.4, faults.crashes),
        Kind(0.1, faults.restarts),
    )
}
