"""The README's demo in a payer's eyes: a browser opens the page that `paynode demo` prints, and what it shows is true.

One journey, since a browser is dear. What is read is what a payer's own devices read: the page's words by the browser,
the QR code by a scanner out of the picture's pixels.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import zxingcpp
from PIL import Image
from tests.cli.commands import process_environ

SECONDS_MAX = 180  # takes ten on a quiet machine
PAYER = Path(__file__).parent / "payer.mjs"

Json = dict[str, Any]


@contextmanager
def demo(folder: Path) -> Iterator[str]:
    """What a running demo said before it waits for somebody to play with it."""
    environ = process_environ({"TMPDIR": str(folder)})
    command = [sys.executable, "-m", "paynode", "demo"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if "Ctrl-C" in line:
                    break
            yield said
        finally:
            process.kill()


@contextmanager
def payer(*arguments: str) -> Iterator[IO[str]]:
    """A payer's browser; what it tells, line by line."""
    with subprocess.Popen(["node", str(PAYER), *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout
            assert process.wait(SECONDS_MAX) == 0
        finally:
            process.kill()


def scanned(picture: Path) -> str:
    """What the one QR code in a picture says."""
    with Image.open(picture) as opened:
        (code,) = zxingcpp.read_barcodes(opened.convert("L"))
    return str(code.text)


def method_of(shop: httpx.Client, invoice_id: str, name: str) -> Json:
    """A method of an invoice as the API says it."""
    methods = shop.get(f"/v1/invoices/{invoice_id}").json()["methods"]
    return next(each for each in methods if each["method"] == name)


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match[0]


def test_a_payer_picks_a_method_by_a_click_scans_the_code_and_sees_the_payment_arrive(tmp_path: Path) -> None:
    with demo(tmp_path) as said:
        headers = {"Authorization": f"Bearer {found(r'pn_sim_[A-Za-z0-9_]+', said)}"}
        link = found(r"http://127\.0\.0\.1:[0-9]+/i/inv_[0-9A-Z]+", said)
        host = link.split("/")[2]
        with httpx.Client(base_url=f"http://{host}", headers=headers, trust_env=False, timeout=SECONDS_MAX) as shop:
            order = {"amount": "20", "currency": "USD", "methods": ["all"], "name": "Order 1002"}
            other = shop.post("/v1/invoices", json=order).json()
            with payer(link, other["checkout_url"], "SIM on Simulation", str(tmp_path)) as told:
                printed, picked = json.loads(told.readline()), json.loads(told.readline())
                usdt = method_of(shop, link.rpartition("/")[2], "sim_usdt")
                assert printed == {"amount": usdt["amount_due"], "address": usdt["address"]}
                assert scanned(tmp_path / "printed.png") == usdt["address"]

                sim = method_of(shop, other["id"], "sim_sim")
                assert picked == {"amount": sim["amount_due"], "address": sim["address"]}
                for name in ("light", "dark", "narrow"):
                    assert scanned(tmp_path / f"{name}.png") == sim["payment_uri"]

                shop.post(f"/v1/test/invoices/{other['id']}/pay", json={"method": "sim_sim"}).raise_for_status()
                end = json.loads(told.readline())
                assert end == {"hosts": [host], "complaints": []}
            assert shop.get(f"/v1/invoices/{other['id']}").json()["status"] == "paid"
