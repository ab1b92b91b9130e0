"""How a secret is known: by its name, its shape, its value; and how blobs and vectors look."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel, SecretStr
from requests.structures import CaseInsensitiveDict

from langflow_otel.capture import Capture, RunSecrets, SecretNames, known_secrets, secrets_of

MASK = "**********"
SWITCHES = {"password": True, "token": None, "secret": ""}
PLACEHOLDERS = {"token": "{token}", "password": "your-password", "api_key": "$API_KEY"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100


SECRETS = """
api_key apiKey API-KEY x-api-key OPENAI_API_KEY openaiApiKey Authorization Set-Cookie
client_secret clientSecret accessToken refresh_token id_token token db_pass smtpPass passwd
dbpassword passWord connection_string ConnectionString DATABASE_DSN privateKey session_key
aws_secret_access_key X-Amz-Security-Token credentials basic_auth AccountKey jwt pwd
access_tokens apikey openai_key secret_key_base api_key_2 apiKeyValue server_url
"""
LOOKALIKES = """
token_count max_tokens tokens token_usage tokenizer keyboard monkey primary_key cache_key
public_key author authors authorized key keys next_page_token eos_token pad_token_id session_id
secretary passenger compass secret_name token_type password_policy passwordless
password_changed_at api_key_name auth_type auth_url pass_rate cookie_name message_id
"""


@pytest.fixture
def capture() -> Capture:
    return Capture(max_bytes=4096, secrets=RunSecrets())


def _hash(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()[:12]}"


def _data_url(kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(PNG[:900]).decode()}"


def _json(capture: Capture, value: Any) -> Any:
    return json.loads(capture.json(value).text)


@pytest.mark.parametrize("name", SECRETS.split())
def test_the_name_of_a_secret_is_known_in_any_spelling(name: str) -> None:
    assert SecretNames().hides(name)


@pytest.mark.parametrize("name", LOOKALIKES.split())
def test_a_name_that_only_sounds_like_one_is_shown(name: str) -> None:
    assert not SecretNames().hides(name)


def test_names_can_be_added_in_any_spelling() -> None:
    names = SecretNames(["iban", "customer-number"])
    assert names.hides("IBAN")
    assert names.hides("customerNumber")
    assert names.hides("the_customer_number_2")
    assert not names.hides("customer")
    assert not names.hides("numbered")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"a": {"b": [{"token": "x1y2"}]}}, {"a": {"b": [{"token": MASK}]}}),
        ([["Authorization", "abc"], ("q", "cats")], [["Authorization", MASK], ["q", "cats"]]),
        ([{"key": "X-Api-Key", "value": "abc"}], [{"key": "X-Api-Key", "value": MASK}]),
        (["search", "--api-key", "abc", "-v"], ["search", "--api-key", MASK, "-v"]),
        (SWITCHES, SWITCHES),
        ({"credentials": {"user": "ann", "pin": 1}}, {"credentials": MASK}),
        ({"api_key": {"type": "x", "default": "abc"}}, {"api_key": {"type": "x", "default": MASK}}),
        (PLACEHOLDERS, PLACEHOLDERS),
        ({b"cookie": "a=b"}, {"cookie": MASK}),
        (httpx.Headers({"cookie": "a=b", "accept": "x"}), [["cookie", MASK], ["accept", "x"]]),
        (CaseInsensitiveDict({"Cookie": "a=b", "a": "x"}), {"Cookie": MASK, "a": "x"}),
    ],
    ids=str,
)  # fmt: skip
def test_what_stands_under_a_secrets_name_is_masked(
    capture: Capture, value: Any, shown: Any
) -> None:
    assert _json(capture, value) == shown


def test_a_column_of_a_table_with_a_secrets_name_is_masked(capture: Capture) -> None:
    shown = _json(capture, pd.DataFrame({"service": ["maps"], "api_key": ["abc"], "n": [1]}))
    assert shown == {
        "shape": [1, 3],
        "columns": ["service", "api_key", "n"],
        "head": [{"service": "maps", "api_key": MASK, "n": 1}],
    }


@pytest.mark.parametrize(
    "write",
    [
        lambda secret: f"it is {secret}.",
        lambda secret: json.dumps({"said": f'"{secret}"'}),
        lambda secret: f"https://example.org/?q={quote(secret, safe='')}",
        lambda secret: quote(secret).lower() if "%" in quote(secret) else quote(secret),
        lambda secret: base64.b64encode(secret.encode()).decode(),
        lambda secret: base64.b64encode(b"a" + secret.encode() + b"xyz").decode(),
        lambda secret: base64.urlsafe_b64encode(b"ab" + secret.encode() + b"z").decode(),
        repr,
    ],
)
@pytest.mark.parametrize("secret", ["hunter22", "pa?s/w&rd+ü", "k" * 40 + '"\\', "two\nlines"])
def test_a_value_that_is_a_secret_is_masked_however_it_is_written(
    capture: Capture, secret: str, write: Any
) -> None:
    capture.secrets.add(secret)
    written = write(secret)
    for shown in (capture.value(written).text, capture.json([{written: 1}, written]).text):
        assert MASK in shown
        assert secret not in shown
        assert written not in shown


def test_what_a_name_tells_of_is_masked_from_then_on(capture: Capture) -> None:
    capture.json({"headers": {"Authorization": "Bearer pl4nted.token"}, "password": "correct"})
    assert capture.value("sent pl4nted.token").text == f"sent {MASK}"
    assert capture.value("the correct answer").text == "the correct answer"


def test_a_word_is_not_taken_for_a_secret(capture: Capture) -> None:
    for word in ("none", "ollama", "abc", "password", "EMPTY"):
        capture.secrets.add(word)
    assert len(capture.secrets) == 0


def test_the_secrets_of_a_run_are_bounded(said: Any) -> None:
    secrets = RunSecrets()
    for number in range(200):
        secrets.add_named(f"by-name-{number}")
    for number in range(200):
        secrets.add(f"by-field-{number:03}")
    assert len(secrets) == 128
    assert secrets.without("by-field-005 by-field-199") == f"{MASK} by-field-199"
    assert len([line for line in said(logging.WARNING) if "too many secrets" in line]) <= 1


def test_the_secrets_of_a_run_outlive_it_for_the_exporters() -> None:
    secrets_of(4711).add("hunter22")
    found = known_secrets(4711)
    assert found is not None
    assert found.without("hunter22") == MASK
    secrets_of(4712)
    assert known_secrets(4712) is None, "a run without any is not kept"


def test_a_secret_at_the_cut_is_masked_whole(capture: Capture) -> None:
    secret = "s3cr3t-" + "x9" * 20
    capture.secrets.add(secret)
    for before in range(4020, 4100):
        text = "a " * (before // 2) + secret + " and more" * 1000
        for captured in (capture.value(text), capture.json({"t": text})):
            assert "s3cr" not in captured.text
            assert captured.truncated


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (PNG, f"<image/png 25.6 KB {_hash(PNG[:12288])} of the first 12.3 KB>"),
        (bytearray(b"%PDF-1.7"), f"<application/pdf 8 bytes {_hash(b'%PDF-1.7')}>"),
        (memoryview(b""), f"<bytes 0 bytes {_hash(b'')}>"),
        (_data_url("image/gif"), f"<image/gif 900 bytes {_hash(PNG[:900])}>"),
        (
            base64.b64encode(PNG).decode(),
            f"<image/png 25.6 KB {_hash(PNG[:12288])} of the first 12.3 KB>",
        ),
        (
            base64.encodebytes(PNG[:1200]).decode(),
            f"<image/png 1.2 KB {_hash(PNG[:1200])}>",
        ),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else type(value).__name__,
)  # fmt: skip
def test_a_blob_is_named_by_type_size_and_hash(capture: Capture, value: Any, shown: str) -> None:
    assert _json(capture, {"blob": value}) == {"blob": shown}
    assert capture.value(value).text == shown
    assert not capture.value(value).truncated


def test_an_image_in_a_text_is_named_where_it_stands(capture: Capture) -> None:
    shown = capture.value(f"see ![a]({_data_url('image/png')}) and {'text ' * 100}").text
    assert shown.startswith(f"see ![a](<image/png 900 bytes {_hash(PNG[:900])}>) and text")


@pytest.mark.parametrize(
    "text", ["a" * 2000, "0123456789abcdef" * 100, "word " * 300, "wörter" * 200]
)
def test_a_long_text_is_no_blob(capture: Capture, text: str) -> None:
    assert capture.value(text).text == text


@pytest.mark.parametrize(
    ("value", "shown", "numbers"),
    [
        ([0.5] * 1536, "<vector of 1536 floats>", [0.5] * 1536),
        (np.zeros((2, 3), dtype="float32"), "<ndarray shape=(2, 3) dtype=float32>", [0.0] * 6),
    ],
)
def test_a_vector_is_shown_only_where_that_is_asked_for(
    value: Any, shown: str, numbers: list[float]
) -> None:
    def shown_by(*, vectors: bool) -> Any:
        return _json(Capture(max_bytes=65536, vectors=vectors), {"v": value})["v"]

    assert shown_by(vectors=False) == shown
    assert shown_by(vectors=True) == numbers


def test_a_number_of_numpys_is_a_number(capture: Capture) -> None:
    assert _json(capture, {"n": np.int64(5), "few": [0.5, 1.5]}) == {"n": 5, "few": [0.5, 1.5]}


class Account(BaseModel):
    name: str
    key: SecretStr


def test_the_value_of_a_secretstr_is_masked_elsewhere_too(capture: Capture) -> None:
    capture.json(Account(name="ann", key=SecretStr("pl4nted-key")))
    assert capture.value("pl4nted-key was used").text == f"{MASK} was used"


class Enlarging(SecretStr):
    """Enlarges a mapping while that is read, as another thread may."""

    def __init__(self, target: dict[str, Any]) -> None:
        super().__init__("")
        self.target = target

    def get_secret_value(self) -> str:
        self.target["new"] = 1
        return ""


def test_a_mapping_that_changes_while_it_is_read_is_shown_as_far_as_it_was(
    capture: Capture,
) -> None:
    changing: dict[str, Any] = {"first": 1}
    changing.update(grows=Enlarging(changing), last=2)
    captured = capture.json(changing)
    assert json.loads(captured.text) == {
        "first": 1,
        "grows": MASK,
        "…": "changed while it was read",
    }
    assert captured.truncated
