"""Webhook signatures against the outside world.

Source of the vector: the test suites of the specification's own libraries,
https://github.com/standard-webhooks/standard-webhooks (Python:
libraries/python/tests/test_webhooks.py, `test_sign_function`). The verifiers are the same project's packages
`standardwebhooks` for Python and for Node. A value that fails is never refreshed from our own
output: it is what merchants' libraries compute.
"""

import base64
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from paynode.domain.signing import MalformedSecret, Secret, SignatureFormat, Signer, headers, sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SENT_AT = datetime.fromtimestamp(1614265330, tz=UTC)
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

OTHER = Secret.from_key(bytes(range(32)))


def test_the_published_vector_comes_out() -> None:
    assert sign(Secret.parse(SECRET), MESSAGE_ID, SENT_AT, BODY) == SIGNATURE


def test_the_timestamp_is_the_second_of_the_attempt_rounded_down() -> None:
    late_in_the_second = SENT_AT.replace(microsecond=999_999)
    assert headers([Secret.parse(SECRET)], MESSAGE_ID, late_in_the_second, BODY) == {
        "webhook-id": MESSAGE_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


@given(
    body=st.dictionaries(st.text(), st.text() | st.integers()).map(json.dumps), key=st.binary(min_size=24, max_size=64)
)
def test_the_public_library_verifies_what_we_sign(body: str, key: bytes) -> None:
    secret = Secret.from_key(key)
    signed = headers([secret], "evt_1", datetime.now(UTC), body.encode())
    assert Webhook(secret.reveal()).verify(body, signed) == json.loads(body)


def test_during_a_rotation_the_holder_of_either_secret_can_verify() -> None:
    signed = headers([OTHER, Secret.parse(SECRET)], "evt_1", datetime.now(UTC), BODY)
    assert Webhook(SECRET).verify(BODY, signed) == json.loads(BODY)
    assert Webhook(OTHER.reveal()).verify(BODY, signed) == json.loads(BODY)


def test_a_secret_of_free_text_is_verified_with_its_raw_bytes() -> None:
    signed = headers([Secret.from_text("пароль, any text")], "evt_1", datetime.now(UTC), BODY)
    assert Webhook("пароль, any text".encode()).verify(BODY, signed) == json.loads(BODY)


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "body", "secret"])
def test_the_public_library_refuses_when_any_part_was_exchanged(changed: str) -> None:
    now = datetime.now(UTC)
    signed = headers([Secret.parse(SECRET)], "evt_1", now, BODY)
    body = b"{}" if changed == "body" else BODY
    secret = OTHER.reveal() if changed == "secret" else SECRET
    match changed:
        case "webhook-id":
            signed[changed] = "evt_2"
        case "webhook-timestamp":
            signed[changed] = str(int(now.timestamp()) + 60)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, signed)


@pytest.mark.parametrize("key", [bytes(24), bytes(64)])
def test_secrets_of_the_specified_lengths_parse_back_to_themselves(key: bytes) -> None:
    assert Secret.parse(Secret.from_key(key).reveal()) == Secret(key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        "whsec_MfKQ9r8GKYqrTwjUPD8I LPZIo2LaLaSw",
        "whsec_ключ",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
    ],
)
def test_a_malformed_secret_is_refused(text: str) -> None:
    with pytest.raises(MalformedSecret):
        Secret.parse(text)


def test_an_empty_text_is_no_secret() -> None:
    with pytest.raises(MalformedSecret):
        Secret.from_text("")


def test_a_secret_never_prints_its_key() -> None:
    secret = Secret.from_text("do not print")
    assert "do not print" not in f"{secret} {secret!r}"


def test_a_hex_signature_is_what_a_shell_makes_of_the_body_and_the_secrets_text() -> None:
    """Source: `printf '%s' '{"test": 2432232314}' | openssl dgst -sha256 -hmac SECRET`, for each of the two."""
    old = Secret.from_text("any text")
    signer = Signer(SignatureFormat.HEX, (Secret.from_text(SECRET), old))
    signed = signer.headers(MESSAGE_ID, SENT_AT, BODY)
    assert signed == {
        "webhook-id": MESSAGE_ID,
        "webhook-timestamp": "1614265330",
        "x-signature": "80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c",
        "x-signature-old": "43c7b8e7da764e71167c903116c8632f02ea9874488fcfa6741cddaf18301c80",
    }


LAB = Path(__file__).parent.parent / "lab"
IN_NODE = """
const { Webhook } = require("standardwebhooks");
const webhook = (secret, isText) =>
  isText ? new Webhook(Buffer.from(secret), { format: "raw" }) : new Webhook(secret);
const outcome = ([secret, isText, headers, body]) => {
  try { return webhook(secret, isText).verify(body, headers) } catch (error) { return error.message }
};
console.log(JSON.stringify(JSON.parse(require("node:fs").readFileSync(0)).map(outcome)));
"""


def test_the_public_library_for_node_verifies_endpoints_and_callbacks_and_nothing_that_was_changed() -> None:
    now, body = datetime.now(UTC), '{"id":"evt_1","name":"Zahlung für 木"}'
    endpoint = headers([OTHER, Secret.parse(SECRET)], "evt_1", now, body.encode())
    callback = headers([Secret.of_any("any text, пароль")], "evt_1", now, body.encode())
    cases = [
        (SECRET, False, endpoint, body),
        (OTHER.reveal(), False, endpoint, body),
        ("any text, пароль", True, callback, body),
        (SECRET, False, endpoint, body.replace("evt_1", "evt_2")),
        ("another text", True, callback, body),
    ]
    done = subprocess.run(
        ["node", "-e", IN_NODE], input=json.dumps(cases), cwd=LAB, capture_output=True, text=True, check=True
    )
    refused = "No matching signature found"
    assert json.loads(done.stdout) == [json.loads(body)] * 3 + [refused] * 2
