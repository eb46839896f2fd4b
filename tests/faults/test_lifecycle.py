"""Starting, stopping and refusing to start; and what a running node never shows."""

import array
import fcntl
import socket
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest
import trio
from click.testing import CliRunner
from tests.cli.test_real_run import free_address, make_node, run
from tests.faults.test_spine import address, blocks, until_quiet, until_told
from tests.lab.anvil import anvil
from tests.lab.books import assert_books_match_chain
from tests.lab.client import Deployed, Lab
from tests.lab.node import MNEMONIC, Node, node
from tests.lab.receiver import Receiver
from tests.lab.stub import Reply, error, in_front_of, reply, stub

from paynode.cli import main
from paynode.cli.exit_codes import ExitCode
from paynode.config import Secret
from paynode.domain.key_paths import deposit_path, gas_path
from paynode.seed import Seed

USDT = 10**6
STOP_SECONDS_MAX = 12.0  # less than what any of those clients may take who are being waited for
INVOICES = 60  # in one answer, more than a stalled client's small buffer takes
PIPELINED = 200
RPC_KEY = "canary7531rpckey"
WRONG_KEY = "pn_test_canary8642wrongkey"


@asynccontextmanager
async def going_chain() -> AsyncIterator[tuple[Lab, Deployed, Receiver]]:
    """A chain that goes on by itself with a token on it, and somebody to be told."""
    async with anvil() as lab, trio.open_nursery() as nursery:
        receiver = Receiver()
        await receiver.listen(nursery)
        usdt = await lab.deploy("TetherLike")
        await lab.mine(5)
        nursery.start_soon(blocks, lab)
        yield lab, usdt, receiver
        nursery.cancel_scope.cancel()


async def test_a_node_stops_in_seconds_whatever_its_clients_do_and_goes_on_where_it_was(tmp_path: Path) -> None:
    async with systemd(tmp_path / "notify") as heard:
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
        async with going_chain() as (lab, usdt, receiver):
            async with node(tmp_path, lab, receiver, {"usdt": (usdt, 6)}, env=env) as shop:
                before = len(receiver.hooks_of("/hooks"))
                receiver.manners["/hooks"] = "hang"
                paid = await shop.invoice("20", "eth_usdt")
                for _ in range(INVOICES):
                    await shop.invoice("20", "eth_usdt", provision=False)
                hung = (await receiver.wait_for("/hooks", before + 1))[before]
                with half_sent(shop), following(shop) as followed, await stalled(shop):
                    await lab.transfer(usdt, address(paid), 20 * USDT)
                    started_at = trio.current_time()
                    assert shop.stop() == ExitCode.OK
                    assert trio.current_time() - started_at < STOP_SECONDS_MAX
                    assert rest_of(followed).endswith(b"0\r\n\r\n"), "the stream was ended, not cut"

                async def has_heard_the_last() -> bool:
                    return heard[-1].startswith("STOPPING=1")

                await shop.until(has_heard_the_last, "systemd has heard that the node stops")
                assert heard[0].startswith("READY=1\n")
                assert sum(message.startswith("WATCHDOG=1") for message in heard) >= 2

                receiver.manners.clear()
                await shop.start()
                await shop.until_told("invoice.created", INVOICES + 1)
                await shop.until_invoice(paid, status="paid", payment_state="exact", sweep_state="swept")
                await until_told(shop, paid, "invoice.paid")
                assert [hook.id for hook in receiver.hooks].count(hung.id) >= 2, "what hung was told again"
                await until_quiet(shop)
                await assert_books_match_chain(shop, lab, {"eth_usdt": usdt, "eth_eth": None})


def half_sent(shop: Node) -> socket.socket:
    """A client that began to send a request and does not go on."""
    client = socket.create_connection(("127.0.0.1", shop.port))
    head = f"POST /v1/invoices HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {shop.key}\r\nContent-Length: 100"
    client.sendall(f'{head}\r\n\r\n{{"amount"'.encode())
    return client


def following(shop: Node) -> socket.socket:
    """A client that follows the events."""
    client = socket.create_connection(("127.0.0.1", shop.port), timeout=STOP_SECONDS_MAX)
    client.sendall(f"GET /v1/events/stream HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {shop.key}\r\n\r\n".encode())
    assert client.recv(64).startswith(b"HTTP/1.1 200")
    return client


def rest_of(client: socket.socket) -> bytes:
    received = b""
    while piece := client.recv(65536):
        received += piece
    return received


async def stalled(shop: Node) -> socket.socket:
    """A client that asks for much and stopped reading: what comes fills its buffer, and then nothing moves."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", shop.port))
    request = f"GET /v1/invoices?limit=100 HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {shop.key}\r\n\r\n"
    client.sendall(request.encode() * PIPELINED)
    before = -1

    async def has_come_to_rest() -> bool:
        nonlocal before
        last, before = before, waiting_bytes(client)
        return 0 < last == before

    await shop.until(has_come_to_rest, "the client's buffer is full")
    return client


def waiting_bytes(client: socket.socket) -> int:
    """How much has arrived that nobody has read."""
    count = array.array("i", [0])
    fcntl.ioctl(client, termios.FIONREAD, count)
    return count[0]


@asynccontextmanager
async def systemd(path: Path) -> AsyncIterator[list[str]]:
    """A manager that reads its socket all the while, as the real one does; what it heard so far."""
    heard: list[str] = []

    async def read() -> None:
        while True:
            heard.append((await manager.recv(1000)).decode())

    with trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        await manager.bind(str(path))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            yield heard
            nursery.cancel_scope.cancel()


async def test_a_running_node_keeps_its_secrets_and_its_data_and_obeys_the_command_line(tmp_path: Path) -> None:
    """At debug level, over a whole journey, with a provider that quotes its key and a receiver that fails."""
    async with going_chain() as (lab, usdt, receiver):
        honest = in_front_of(lab, lambda call, answer: answer)

        async def quoting(body: Any) -> Reply:
            call = body[0] if isinstance(body, list) else body
            return reply(error(call, -32000, f"key {RPC_KEY} is over its limit: see /v2/{RPC_KEY}"), status=403)

        env = {"PAYNODE_LOG": "debug", "PAYNODE_CREDENTIAL_RPC_KEY": RPC_KEY}
        async with stub(honest) as provider:
            urls = [f"{provider.url}/v2/{{credential:rpc_key}}"]
            async with node(tmp_path, lab, receiver, {"usdt": (usdt, 6)}, rpc=urls, env=env) as shop:
                receiver.manners["/hooks"] = "500"
                invoice = await shop.invoice("20", "eth_usdt")
                provider.script = quoting
                degraded = await shop.until_network("degraded")
                assert "***" in degraded["reason"]
                provider.script = honest
                receiver.manners.clear()
                await lab.transfer(usdt, address(invoice), 20 * USDT)
                await shop.until_invoice(invoice, status="paid", sweep_state="swept")
                await until_told(shop, invoice, "invoice.paid")
                refused = await shop.client.get(
                    f"{shop.url}/v1/invoices", headers={"Authorization": f"Bearer {WRONG_KEY}"}
                )
                assert refused.status_code == 401
                await until_quiet(shop)
                await assert_books_match_chain(shop, lab, {"eth_usdt": usdt, "eth_eth": None})

                await assert_a_key_works_until_it_is_revoked(shop)
                assert shop.process is not None
                second = shop.attempt("run")
                assert second.returncode == ExitCode.BUSY
                assert f"process {shop.process.pid}" in second.stderr
                assert_shows_no_secret(shop, degraded)


async def assert_a_key_works_until_it_is_revoked(shop: Node) -> None:
    made = shop.paynode("keys", "create", "--name", "a clerk's")
    key = made.split()[-1]
    (id_,) = (line.split()[0] for line in shop.paynode("keys", "list").splitlines() if "a clerk's" in line)
    await shop.get("/v1/invoices", key=key)
    shop.paynode("keys", "revoke", id_)
    answer = await shop.client.get(f"{shop.url}/v1/invoices", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 401


def assert_shows_no_secret(shop: Node, degraded: dict[str, Any]) -> None:
    assert shop.process is not None
    seed = Seed(Secret(MNEMONIC))
    keys = [seed.private_key(path).hex() for path in (deposit_path(0, 0), gas_path(0))]
    secrets = [*keys, " ".join(MNEMONIC.split()[:2]), shop.key, shop.node_key, shop.secret, RPC_KEY, WRONG_KEY]
    secrets += [secret.rpartition("_")[2] for secret in (shop.key, shop.node_key, shop.secret)]
    proc = Path(f"/proc/{shop.process.pid}")
    shown = {name: (proc / name).read_text(errors="replace") for name in ("cmdline", "environ")}
    shown |= {"log": shop.log, "reason": str(degraded)}
    assert "network_degraded" in shop.log
    assert "webhook_not_accepted" in shop.log
    for name, text in shown.items():
        for secret in secrets:
            assert secret not in text, name


def missing(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    path.unlink()
    apsw.Connection(str(path)).execute("create table recipes (name text)").close()


def newer(path: Path) -> None:
    apsw.Connection(str(path)).execute("pragma user_version = 999").close()


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:12288] = b"\xa5" * 8192
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [missing, empty, foreign, newer, cut_short, overwritten])
def test_a_database_that_is_not_ours_and_whole_is_refused_and_left_as_it_is(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    make_node(tmp_path, free_address())
    path = tmp_path / "paynode-data" / "paynode.db"
    harm(path)
    before = path.read_bytes() if path.exists() else None
    done = run(tmp_path)
    assert done.returncode == ExitCode.DATABASE
    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr
    assert (path.read_bytes() if path.exists() else None) == before
    assert not path.with_name("paynode.db.new").exists()


def test_mistakes_in_the_config_are_all_told_under_the_documented_exit_code(tmp_path: Path) -> None:
    make_node(tmp_path, free_address())
    config = tmp_path / "paynode.toml"
    config.write_text(f"{config.read_text()}\n[stores.shop]\nacount = 1\n[invoices]\nexpires_in = 'soon'\n")
    done = run(tmp_path)
    assert done.returncode == ExitCode.CONFIG
    assert "stores.shop.acount" in done.stderr
    assert "invoices.expires_in" in done.stderr
    assert "78  the config is wrong" in CliRunner().invoke(main, ["--help"]).output
