"""The `langfuse` destination: Langfuse's OTLP endpoint, in Langfuse's own attributes.

Endpoint, headers and variables are those of its SDK (langfuse 5.0.4, `_client.span_processor`),
which is not needed here.
"""

import base64
import os
from urllib.parse import quote

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from langflow_otel import environment as env
from langflow_otel.context import let_trace_name_travel
from langflow_otel.export.address import usable_address
from langflow_otel.export.destination import DestinationSpanExporter
from langflow_otel.export.http import otlp_sender
from langflow_otel.export.langfuse.translate import Deployment, langfuse_span
from langflow_otel.export.langfuse.values import environment_name
from langflow_otel.export.sending import NO_SENDER, Sender
from langflow_otel.guard import warn_once
from langflow_otel.settings import Mask, Settings
from langflow_otel.variables import is_on, wrong

__all__ = ["LangfuseSpanExporter"]

DEFAULT_BASE_URL = "https://cloud.langfuse.com"
_TRACES_PATH = "/api/public/otel/v1/traces"
# What the server writes at once, instead of merging it first, which takes minutes to be seen.
_INGESTION_VERSION = "4"
# What the server takes a name for that it cannot use.
_DEFAULT_ENVIRONMENT = "default"
_ENVIRONMENTS = ("deployment.environment.name", "deployment.environment")


class LangfuseSpanExporter(DestinationSpanExporter):
    """Sends AI spans to Langfuse.

    Registered as the traces exporter `langfuse`, so `OTEL_TRACES_EXPORTER=langfuse` selects it.

    Args:
        public_key: Default: `LANGFUSE_PUBLIC_KEY`.
        secret_key: Default: `LANGFUSE_SECRET_KEY`.
        base_url: Where Langfuse is. Default: `LANGFUSE_BASE_URL`, else `LANGFUSE_HOST`, else
            `https://cloud.langfuse.com`.
        content: Whether content is sent. Default: what `settings` say for this destination.
        mask: Called with every text of content; returns what is sent instead.
        settings: Instead of what the environment and `mask` say.
    """

    separates_metadata = True

    def __init__(
        self,
        *,
        public_key: str | None = None,
        secret_key: str | None = None,
        base_url: str | None = None,
        content: bool | None = None,
        mask: Mask | None = None,
        settings: Settings | None = None,
    ) -> None:
        """See the class."""
        keys = (
            public_key or _said(env.LANGFUSE_PUBLIC_KEY),
            secret_key or _said(env.LANGFUSE_SECRET_KEY),
        )
        super().__init__(
            "langfuse",
            _sender(keys, base_url),
            settings=settings or Settings.from_environment(arguments={"mask": mask}),
            content=content,
            credentials=f"{env.LANGFUSE_PUBLIC_KEY}, {env.LANGFUSE_SECRET_KEY}",
        )
        self._on = is_on(os.environ, env.LANGFUSE_TRACING_ENABLED, default=True)
        if self._on:
            # It is of the whole trace, also where a part of that is another Langflow's.
            let_trace_name_travel()
        else:
            warn_once(
                "langflow-otel: %s is false; nothing is sent to Langfuse",
                env.LANGFUSE_TRACING_ENABLED,
            )
        self._bound = _sample_bound()
        self._deployments: tuple[Resource | None, Deployment] = (None, Deployment())

    def selects(self, span: ReadableSpan) -> bool:
        """Tell whether `span` is an AI span of a trace that Langfuse is to get."""
        if not (self._on and super().selects(span)):
            return False
        context = span.get_span_context()
        return self._bound is None or (
            context is not None
            and context.trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < self._bound
        )

    def translate(self, span: ReadableSpan) -> ReadableSpan:
        """Return `span` in Langfuse's attributes."""
        return langfuse_span(span, self._deployment(span.resource))

    def _deployment(self, resource: Resource) -> Deployment:
        last, deployment = self._deployments
        if resource is not last:
            deployment = Deployment(_environment(resource), _said(env.LANGFUSE_RELEASE) or None)
            self._deployments = (resource, deployment)
        return deployment


def _sender(keys: tuple[str, str], base_url: str | None) -> Sender:
    names = (env.LANGFUSE_PUBLIC_KEY, env.LANGFUSE_SECRET_KEY)
    missing = [name for name, key in zip(names, keys, strict=True) if not key]
    if missing:
        warn_once("langflow-otel: %s not set; nothing is sent to langfuse", " and ".join(missing))
        return NO_SENDER
    variable = next(
        (name for name in (env.LANGFUSE_BASE_URL, env.LANGFUSE_HOST) if _said(name)),
        env.LANGFUSE_BASE_URL,
    )
    base = base_url or _said(variable) or DEFAULT_BASE_URL
    path = "/" + (_said(env.LANGFUSE_OTEL_TRACES_EXPORT_PATH) or _TRACES_PATH).lstrip("/")
    address = usable_address(variable, base, path)
    if address is None:
        return NO_SENDER
    pair = base64.b64encode(":".join(keys).encode()).decode()
    headers = {
        "authorization": f"Basic {pair}",
        "x-langfuse-ingestion-version": _INGESTION_VERSION,
        # As a header holds it: a key that was pasted with more than a key in it.
        "x-langfuse-public-key": quote(keys[0], safe="-_.~"),
    }
    return otlp_sender(address, headers, compression="gzip")


def _sample_bound() -> int | None:
    """Return the bound below which the trace ids are that are sent, None where all are."""
    said = _said(env.LANGFUSE_SAMPLE_RATE)
    if not said:
        return None
    try:
        rate = float(said)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        wrong(env.LANGFUSE_SAMPLE_RATE, said, "a number from 0 to 1", "1")
        return None
    return TraceIdRatioBased.get_bound_for_rate(rate)


def _environment(resource: Resource) -> str | None:
    told = [(env.LANGFUSE_TRACING_ENVIRONMENT, _said(env.LANGFUSE_TRACING_ENVIRONMENT))]
    told += [(name, str(resource.attributes.get(name, ""))) for name in _ENVIRONMENTS]
    for name, said in told:
        if said:
            named = environment_name(said)
            if named != said:
                wrong(
                    name,
                    said,
                    "1 to 40 of a-z, 0-9, - and _, not beginning with langfuse",
                    named or _DEFAULT_ENVIRONMENT,
                )
            return named or _DEFAULT_ENVIRONMENT
    return None


def _said(name: str) -> str:
    return os.environ.get(name, "").strip()
