"""A wrong variable names itself, its value, what is allowed and what happens now."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from langflow_otel.export.phoenix import traces_endpoint
from langflow_otel.settings import Settings, deactivated_by

PREFIX = "OTEL_PYTHON_LANGFLOW_"


@pytest.mark.parametrize(
    ("environ", "content"),
    [
        ({}, None),
        ({"CAPTURE_CONTENT": "true"}, True),
        ({"CAPTURE_CONTENT": " TRUE "}, True),
        ({"CAPTURE_CONTENT": "false"}, False),
        ({"CAPTURE_CONTENT": "treu"}, False),
        ({"CAPTURE_CONTENT": ""}, None),
    ],
)
def test_capture_content(environ: dict[str, str], content: bool | None) -> None:
    named = {PREFIX + name: value for name, value in environ.items()}
    assert Settings.from_environment(named).capture_content is content


@pytest.mark.parametrize(
    ("value", "content"),
    [
        ("SPAN_ONLY", True),
        ("span_and_event", True),
        ("true", True),
        ("EVENT_ONLY", False),
        ("NO_CONTENT", False),
        ("SPAN-ONLY", False),
    ],
)
def test_opentelemetrys_own_switch_is_understood(value: str, content: bool) -> None:
    name = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
    assert Settings.from_environment({name: value}).capture_content is content
    ours = {name: value, PREFIX + "CAPTURE_CONTENT": str(not content)}
    assert Settings.from_environment(ours).capture_content is not content


@pytest.mark.parametrize(
    ("value", "used"),
    [
        ("", 16384),
        ("1000", 1000),
        ("255", 16384),
        ("1048577", 16384),
        ("16k", 16384),
        ("-1", 16384),
    ],
)
def test_max_value_bytes(value: str, used: int, said: Any) -> None:
    settings = Settings.from_environment({PREFIX + "MAX_VALUE_BYTES": value})
    assert settings.max_value_bytes == used
    if value not in {"", "1000"}:
        assert said(logging.WARNING) == [
            f"langflow-otel: OTEL_PYTHON_LANGFLOW_MAX_VALUE_BYTES={value!r} is not allowed "
            "(allowed: a whole number from 256 to 1048576); using 16384"
        ]


def test_what_turns_it_off_is_named(said: Any) -> None:
    assert deactivated_by({}) is None
    assert deactivated_by({"OTEL_SDK_DISABLED": "TRUE"}) == "OTEL_SDK_DISABLED"
    assert deactivated_by({"OTEL_SDK_DISABLED": "yes please"}) is None
    (line,) = said()
    assert "OTEL_SDK_DISABLED='yes please' is not allowed" in line


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        (None, "http://localhost:6006/v1/traces"),
        ("http://p:6006", "http://p:6006/v1/traces"),
        ("http://p:6006/", "http://p:6006/v1/traces"),
        ("https://p/s/space", "https://p/s/space/v1/traces"),
        ("http://p:6006/v1/traces", "http://p:6006/v1/traces"),
        ("p:6006", "http://p:6006/v1/traces"),
        ("http://p:port", None),
        ("ftp://p", None),
        ("http:/p:6006", None),
        ("https:p", None),
    ],
)
def test_the_address_of_phoenix(endpoint: str | None, address: str | None, said: Any) -> None:
    assert traces_endpoint(endpoint) == address
    wrong = address is None
    assert [f"{endpoint!r} is not an http:// or https:// address" in line for line in said()] == (
        [True] if wrong else []
    )


def test_the_grpc_port_of_phoenix_is_pointed_out(said: Any) -> None:
    traces_endpoint("http://p:4317")
    (line,) = said(logging.WARNING)
    assert "which is usually for gRPC" in line
