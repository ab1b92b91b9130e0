"""The `phoenix` destination: Arize Phoenix, over OTLP/HTTP.

Phoenix takes protobuf on `/v1/traces`, a bearer token, and the project as a resource attribute
(Phoenix 20.26, `phoenix.server.api.routers.v1.traces`; variables as `arize-phoenix-otel` reads).
"""

import os
from collections.abc import Mapping

from openinference.semconv.resource import ResourceAttributes
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.util.re import parse_env_headers

from langflow_otel import environment as env
from langflow_otel.export.address import usable_address
from langflow_otel.export.destination import DestinationSpanExporter
from langflow_otel.export.dialect import span_in_dialect
from langflow_otel.export.http import otlp_sender
from langflow_otel.export.sending import NO_SENDER
from langflow_otel.settings import Mask, Settings

DEFAULT_ENDPOINT = "http://localhost:6006"
# Where Langflow's own tracer sends with nothing but a key.
_CLOUD_ENDPOINT = "https://app.phoenix.arize.com"
_DEFAULT_PROJECT = "langflow"
_TRACES_PATH = "/v1/traces"


class PhoenixSpanExporter(DestinationSpanExporter):
    """Sends AI spans to Arize Phoenix.

    Registered as the traces exporter `phoenix`, so `OTEL_TRACES_EXPORTER=phoenix` selects it.

    Args:
        endpoint: Where Phoenix is, with or without `/v1/traces`. Default:
            `PHOENIX_COLLECTOR_ENDPOINT`, else Phoenix's cloud where there is an API key, else
            `http://localhost:6006`.
        api_key: Default: `PHOENIX_API_KEY`.
        headers: More headers. Default: `PHOENIX_CLIENT_HEADERS`.
        content: Whether content is sent. Default: unless
            `OTEL_PYTHON_LANGFLOW_CONTENT_PHOENIX` or `OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT` says
            no.
        project_name: Default: `PHOENIX_PROJECT_NAME`, else the resource's service name, else
            `langflow`. A resource that names a project itself (`openinference.project.name`)
            keeps it.
        mask: Called with every text of content; returns what is sent instead.
        settings: Instead of what the environment and `mask` say.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        project_name: str | None = None,
        *,
        content: bool | None = None,
        mask: Mask | None = None,
        settings: Settings | None = None,
    ) -> None:
        """See the class."""
        told = _headers(api_key, headers)
        address = traces_endpoint(
            endpoint
            or os.environ.get(env.PHOENIX_COLLECTOR_ENDPOINT)
            or (_CLOUD_ENDPOINT if "authorization" in told else None)
        )
        settings = settings or Settings.from_environment(arguments={"mask": mask})
        super().__init__(
            "phoenix",
            otlp_sender(address, told) if address else NO_SENDER,
            settings=settings,
            content=content,
            credentials=env.PHOENIX_API_KEY,
        )
        self._dialect = settings.dialect or "openinference"
        self._project = project_name or os.environ.get(env.PHOENIX_PROJECT_NAME, "").strip()
        self._resources: tuple[Resource | None, Resource] = (None, Resource({}))

    def translate(self, span: ReadableSpan) -> ReadableSpan:
        """Return `span` in OpenInference's attributes, unless another dialect is set."""
        return span_in_dialect(span, self._dialect)

    def resource(self, resource: Resource) -> Resource:
        """Return `resource` with the project in it."""
        last, named = self._resources
        if resource is not last:
            named = self._with_project(resource)
            self._resources = (resource, named)
        return named

    def _with_project(self, resource: Resource) -> Resource:
        if ResourceAttributes.PROJECT_NAME in resource.attributes:
            return resource
        service = str(resource.attributes.get(SERVICE_NAME, ""))
        named = service if not service.startswith("unknown_service") else ""
        project = self._project or named or _DEFAULT_PROJECT
        return resource.merge(Resource({ResourceAttributes.PROJECT_NAME: project}))


def traces_endpoint(endpoint: str | None) -> str | None:
    """Return the address that traces are posted to, None where `endpoint` is no address."""
    told = (endpoint or "").strip() or DEFAULT_ENDPOINT
    return usable_address(env.PHOENIX_COLLECTOR_ENDPOINT, told, _TRACES_PATH)


def _headers(api_key: str | None, headers: Mapping[str, str] | None) -> dict[str, str]:
    if headers is None:
        listed = os.environ.get(env.PHOENIX_CLIENT_HEADERS, "")
        known = dict(parse_env_headers(listed, liberal=True))
    else:
        known = {name.lower(): value for name, value in headers.items()}
    key = api_key or os.environ.get(env.PHOENIX_API_KEY, "").strip()
    if key:
        known.setdefault("authorization", f"Bearer {key}")
    return known
