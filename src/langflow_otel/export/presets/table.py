"""Vendors that take OTLP over HTTP, in protobuf: what is different about each, as data.

The variables are those that Langflow's own tracers read (langflow-base 1.13,
`langflow.services.tracing`) and, where they say more, those of the vendor's SDK. Each entry of
`PRESETS` names its source; tests compare it with the SDK where that is installed.
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal
from urllib.parse import urljoin

import orjson
from opentelemetry.util.re import parse_env_headers

from langflow_otel.export.address import host_of, usable_address
from langflow_otel.export.dialect import Dialect
from langflow_otel.guard import warn_once

Environ = Mapping[str, str]
#: Nothing.
NONE: Mapping[str, str] = MappingProxyType({})
_VARIABLE = re.compile(r"\{(\w+)(?::-([^}]*))?\}")


def _opik_endpoint(environ: Environ) -> str | None:
    """Return the address in an API key of Opik: `<key>*<base64 of {"baseUrl": ...}>`."""
    _, _, told = environ.get("OPIK_API_KEY", "").strip().partition("*")
    try:
        read = orjson.loads(base64.b64decode(told + "=" * (-len(told) % 4)))
        return urljoin(str(read["baseUrl"]), "opik/api/")
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


@dataclass(frozen=True)
class Preset:
    """What a vendor wants.

    In `headers` and `resource`, `{VARIABLE}` stands for what a variable says, `{VARIABLE:-text}`
    for `text` where it says nothing, `{project}` for the project; what refers to a variable that
    is not set, and has no such text, is left out.

    Attributes:
        name: The destination's name.
        endpoints: The variables that name the address, the first that is set is used.
        default_endpoint: The address where none is set.
        path: The path that traces are posted to.
        credentials: The variables that must be set; `A|B` means that one of the two must.
        headers: The headers of each request.
        dialect: What the vendor reads, unless `OTEL_PYTHON_LANGFLOW_DIALECT` says something else.
        project: The variables that name the project, the first that is set is used.
        default_project: The project where none is set; empty for the resource's service name.
        resource: Resource attributes; one that the resource has itself is kept.
        also: Span attributes that are told under another name, too.
        compression: `gzip` where it is known that the vendor takes it.
        own_headers: The variable that lists headers to send instead, as `name=value,name=value`.
        messages_everywhere: See `in_dialect`.
        open_elsewhere: Whether the credentials are needed only at the default endpoint's host.
        endpoint_told: Finds an address in the credentials.
    """

    name: str
    endpoints: tuple[str, ...]
    default_endpoint: str
    path: str
    credentials: tuple[str, ...]
    headers: Mapping[str, str]
    dialect: Dialect
    project: tuple[str, ...] = ()
    default_project: str = ""
    resource: Mapping[str, str] = field(default_factory=lambda: NONE)
    also: Mapping[str, str] = field(default_factory=lambda: NONE)
    compression: Literal["gzip"] | None = None
    own_headers: str = ""
    messages_everywhere: bool = False
    open_elsewhere: bool = False
    endpoint_told: Callable[[Environ], str | None] | None = None


PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        # arize-otel 0.14.1, `arize.otel.otel`: the endpoint, the headers, and the project as a
        # resource attribute (`model_id` is what Langflow and older receivers use). Its own tracer
        # in Langflow sends by gRPC; over HTTP only `/v1/traces` is stored, all else is answered
        # with 200 too.
        Preset(
            name="arize",
            endpoints=("ARIZE_COLLECTOR_ENDPOINT",),
            default_endpoint="https://otlp.arize.com",
            path="/v1/traces",
            credentials=("ARIZE_API_KEY", "ARIZE_SPACE_ID"),
            headers={
                "authorization": "{ARIZE_API_KEY}",
                "api_key": "{ARIZE_API_KEY}",
                "arize-space-id": "{ARIZE_SPACE_ID}",
                "space_id": "{ARIZE_SPACE_ID}",
            },
            dialect="openinference",
            project=("ARIZE_PROJECT_NAME",),
            resource={"openinference.project.name": "{project}", "model_id": "{project}"},
        ),
        # langwatch 0.10.2, `langwatch.client`. Its server (langwatch/langwatch, August 2026,
        # `canonicalisation/extractors`, `api/otel/decompressBody`) takes kinds, users, sessions,
        # tokens and values from OpenInference, messages from GenAI; and gzip.
        Preset(
            name="langwatch",
            endpoints=("LANGWATCH_ENDPOINT",),
            default_endpoint="https://app.langwatch.ai",
            path="/api/otel/v1/traces",
            credentials=("LANGWATCH_API_KEY",),
            headers={"authorization": "Bearer {LANGWATCH_API_KEY}"},
            dialect="both",
            compression="gzip",
        ),
        # opik 2.2.103, `opik.config` and `opik.rest_api.open_telemetry_ingestion`; the project in a
        # header as its backend reads it (`OpenTelemetryResource`), by Langflow's name for it. It
        # knows OpenInference, but tokens (and so the cost) by GenAI's names only, and takes any
        # span with GenAI's messages for a model call (`OpenInferenceMappingRules`,
        # `GenAIMappingRules`, `OpenTelemetryMappingUtils`). A server of one's own needs no key.
        Preset(
            name="opik",
            endpoints=("OPIK_URL_OVERRIDE",),
            default_endpoint="https://www.comet.com/opik/api",
            path="/v1/private/otel/v1/traces",
            credentials=("OPIK_API_KEY",),
            headers={
                "authorization": "{OPIK_API_KEY}",
                "comet-workspace": "{OPIK_WORKSPACE:-default}",
                "projectname": "{project}",
            },
            dialect="openinference",
            project=("OPIK_PROJECT_NAME", "LANGCHAIN_PROJECT"),
            default_project="Langflow",
            also={
                "llm.token_count.prompt": "gen_ai.usage.input_tokens",
                "llm.token_count.completion": "gen_ai.usage.output_tokens",
                "llm.token_count.prompt_details.cache_read": "gen_ai.usage.cache_read_tokens",
                "llm.token_count.prompt_details.cache_write": "gen_ai.usage.cache_creation_tokens",
            },
            open_elsewhere=True,
            endpoint_told=_opik_endpoint,
        ),
        # traceloop-sdk 0.62.4, `Traceloop.init` and `init_spans_exporter`; its instrumentations
        # tell GenAI's attributes and, of all other spans, `traceloop.entity.*`
        # (`opentelemetry.semconv_ai` 0.5.1). TRACELOOP_HEADERS replaces the key.
        Preset(
            name="traceloop",
            endpoints=("TRACELOOP_BASE_URL",),
            default_endpoint="https://api.traceloop.com",
            path="/v1/traces",
            credentials=("TRACELOOP_API_KEY|TRACELOOP_HEADERS",),
            headers={"authorization": "Bearer {TRACELOOP_API_KEY}"},
            dialect="genai",
            also={
                "input.value": "traceloop.entity.input",
                "output.value": "traceloop.entity.output",
                "langflow.component.display_name": "traceloop.entity.name",
                "langflow.trace.name": "traceloop.workflow.name",
                "session.id": "traceloop.association.properties.session_id",
                "user.id": "traceloop.association.properties.user_id",
            },
            own_headers="TRACELOOP_HEADERS",
        ),
        # Openlayer's documentation, "OpenTelemetry": the endpoint and the header that names the
        # pipeline; OPENLAYER_BASE_URL as openlayer 0.36.0, `openlayer._client`, and
        # OPENLAYER_OTEL_ENDPOINT as its TypeScript SDK. That SDK's authors measured
        # (`openlayer-ts`, "Mastra observability integration", August 2026) that inputs and outputs
        # are read from GenAI's messages only, on every span but a tool's.
        Preset(
            name="openlayer",
            endpoints=("OPENLAYER_OTEL_ENDPOINT", "OPENLAYER_BASE_URL"),
            default_endpoint="https://api.openlayer.com/v1",
            path="/otel/v1/traces",
            credentials=("OPENLAYER_API_KEY",),
            headers={"authorization": "Bearer {OPENLAYER_API_KEY}"},
            dialect="genai",
            messages_everywhere=True,
        ),
    )
}


def address_of(preset: Preset, environ: Environ) -> str | None:
    """Return the address that spans are posted to, None where the one that is set is none."""
    variable = next((name for name in preset.endpoints if _value(environ, name)), None)
    if variable is not None:
        return usable_address(variable, _value(environ, variable), preset.path)
    told = preset.endpoint_told(environ) if preset.endpoint_told is not None else None
    return usable_address(
        f"the address of {preset.name}", told or preset.default_endpoint, preset.path
    )


def headers_of(preset: Preset, environ: Environ) -> dict[str, str] | None:
    """Return the headers of each request, None where one of them cannot be sent."""
    listed = _value(environ, preset.own_headers)
    headers = dict(parse_env_headers(listed, liberal=True))
    if not listed:
        headers = filled(preset.headers, environ, project_of(preset, environ))
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            told_by = [found[0] for found in _VARIABLE.findall(preset.headers.get(name, ""))]
            if told_by == ["project"]:
                told_by = list(preset.project)
            warn_once(
                "langflow-otel: %s has a character that no header can hold; nothing is sent to %s",
                " or ".join(told_by) or preset.own_headers,
                preset.name,
            )
            return None
    return headers


def project_of(preset: Preset, environ: Environ) -> str:
    """Return the project that is named, or the default one; "" for the service's name."""
    named = (_value(environ, name) for name in preset.project)
    return next((name for name in named if name), preset.default_project)


def missing_of(preset: Preset, environ: Environ, address: str) -> list[str]:
    """Return those of the credentials needed at `address` that are not set."""
    if preset.open_elsewhere and host_of(address) != host_of(preset.default_endpoint):
        return []
    return [
        alternatives.replace("|", " or ")
        for alternatives in preset.credentials
        if not any(_value(environ, name) for name in alternatives.split("|"))
    ]


def say_missing(name: str, missing: Sequence[str]) -> None:
    """Say once what is not set, and what comes of it."""
    warn_once(
        "langflow-otel: %s %s not set; nothing is sent to %s",
        " and ".join(missing),
        "is" if len(missing) == 1 else "are",
        name,
    )


def filled(templates: Mapping[str, str], environ: Environ, project: str) -> dict[str, str]:
    """Return `templates` with the variables in them filled in, and without those that lack one."""

    def value(found: re.Match[str]) -> str:
        return project if found[1] == "project" else _value(environ, found[1]) or found[2] or ""

    return {
        name: _VARIABLE.sub(value, template)
        for name, template in templates.items()
        if all(value(found) for found in _VARIABLE.finditer(template))
    }


def _value(environ: Environ, name: str) -> str:
    return environ.get(name, "").strip()
