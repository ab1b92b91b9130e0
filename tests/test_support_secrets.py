"""What looks for planted secrets finds them: a test that finds none must mean something."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from tests.support.secrets import leaks, leaks_of, planted
from tests.support.spans import Event, Link, Span


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "anna:"])
def test_a_secret_is_found_in_base64_wherever_it_begins(before: str) -> None:
    secret = planted()
    encoded = base64.b64encode(f"{before}{secret} and more".encode()).decode()
    (found,) = leaks("here", f"sent {encoded}", {"key": secret})
    assert found.startswith("key (base64 +")


def test_a_secret_is_found_in_plain_url_encoded_and_cut_off() -> None:
    secret = planted()
    for text in (secret, quote(secret, safe=""), secret[:28], secret[-28:]):
        assert leaks("here", f"x{text}x", {"key": secret})
    assert leaks("here", f"no {planted()}", {"key": secret}) == []


def test_a_secret_is_found_in_every_part_of_a_span() -> None:
    secret = planted()
    spans = [
        Span(secret, "1", "2"),
        Span("a", "1", "2", status_message=secret),
        Span("b", "1", "2", attributes={secret: 1}),
        Span("c", "1", "2", attributes={"list": ["x", secret]}),
        Span("d", "1", "2", resource={"name": secret}),
        Span("e", "1", "2", events=(Event("x", 0, {"message": secret}),)),
        Span("f", "1", "2", links=(Link("1", "2", {"to": secret}),)),
    ]
    for span in spans:
        assert leaks_of([span], {"key": secret}), span
    assert leaks_of([Span("g", "1", "2", attributes={"a": 1})], {"key": secret}) == []
