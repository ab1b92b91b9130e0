"""The exporters of vendors that take OTLP over HTTP; `table` has what is different about each."""

import os
from collections.abc import Mapping, Sequence
from typing import ClassVar

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from langflow_otel.export.destination import DestinationSpanExporter
from langflow_otel.export.dialect import Dialect, span_in_dialect
from langflow_otel.export.http import otlp_sender
from langflow_otel.export.presets import openlayer
from langflow_otel.export.presets.table import (
    NONE,
    PRESETS,
    Environ,
    Preset,
    address_of,
    filled,
    headers_of,
    missing_of,
    project_of,
    say_missing,
)
from langflow_otel.export.sending import NO_SENDER, Sender
from langflow_otel.export.translate import clone
from langflow_otel.plain import plain
from langflow_otel.settings import Mask, Settings

_DEFAULT_PROJECT = "langflow"


class PresetSpanExporter(DestinationSpanExporter):
    """Sends AI spans to the vendor that `preset` describes.

    Args:
        content: Whether content is sent. Default: what `settings` say for this destination.
        mask: Called with every text of content; returns what is sent instead.
        settings: Instead of what the environment and `mask` say.
        environ: Where the vendor's variables are read, as
            `{**os.environ, "LANGWATCH_API_KEY": key}`. Default: the environment.
    """

    preset: ClassVar[Preset]

    def __init__(
        self,
        *,
        content: bool | None = None,
        mask: Mask | None = None,
        settings: Settings | None = None,
        environ: Environ = os.environ,
    ) -> None:
        """See the class."""
        settings = settings or Settings.from_environment(arguments={"mask": mask})
        preset = self.preset
        super().__init__(
            preset.name,
            self._sender(environ),
            settings=settings,
            content=content,
            credentials=", ".join(preset.credentials).replace("|", ", "),
        )
        self._dialect = settings.dialect or preset.dialect
        self._project = project_of(preset, environ)
        self._resources: tuple[Resource | None, Resource] = (None, Resource({}))

    def translate(self, span: ReadableSpan) -> ReadableSpan:
        """Return `span` in the vendor's dialect."""
        return in_terms_of(self.preset, span, self._dialect)

    def resource(self, resource: Resource) -> Resource:
        """Return `resource` with what the vendor wants of it."""
        if not self.preset.resource:
            return resource
        last, wanted = self._resources
        if resource is not last:
            service = str(resource.attributes.get(SERVICE_NAME, ""))
            named = "" if service.startswith("unknown_service") else service
            project = self._project or named or _DEFAULT_PROJECT
            wanted = Resource(filled(self.preset.resource, NONE, project)).merge(resource)
            self._resources = (resource, wanted)
        return wanted

    def _sender(self, environ: Environ) -> Sender:
        preset = self.preset
        address = address_of(preset, environ)
        missing = missing_of(preset, environ, address) if address is not None else []
        if missing:
            say_missing(preset.name, missing)
        headers = headers_of(preset, environ)
        if address is None or missing or headers is None:
            return NO_SENDER
        return self._sender_to(address, headers)

    def _sender_to(self, address: str, headers: Mapping[str, str]) -> Sender:
        return otlp_sender(address, headers, compression=self.preset.compression)


def in_terms_of(preset: Preset, span: ReadableSpan, dialect: Dialect) -> ReadableSpan:
    """Return `span` in `dialect`, and what the vendor wants under names of its own."""
    told = span_in_dialect(span, dialect, messages_everywhere=preset.messages_everywhere)
    said = plain(span.attributes)
    also = {alias: said[name] for name, alias in preset.also.items() if name in said}
    return clone(told, attributes={**also, **(told.attributes or {})}) if also else told


class ArizeSpanExporter(PresetSpanExporter):
    """Sends AI spans to Arize AX."""

    preset = PRESETS["arize"]


class LangWatchSpanExporter(PresetSpanExporter):
    """Sends AI spans to LangWatch."""

    preset = PRESETS["langwatch"]


class OpikSpanExporter(PresetSpanExporter):
    """Sends AI spans to Opik."""

    preset = PRESETS["opik"]


class TraceloopSpanExporter(PresetSpanExporter):
    """Sends AI spans to Traceloop."""

    preset = PRESETS["traceloop"]


class OpenlayerSpanExporter(PresetSpanExporter):
    """Sends AI spans to Openlayer, each flow's to the pipeline it belongs to."""

    preset = PRESETS["openlayer"]

    def selects(self, span: ReadableSpan) -> bool:
        """Tell whether `span` is an AI span of a flow that has a pipeline."""
        if not self._pipelines:
            # Nothing is set up, and what is lost by that is counted.
            return super().selects(span)
        return super().selects(span) and self._pipelines.of(span) is not None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send those of `spans` that belong to a pipeline, one pipeline after the other."""
        groups: dict[str, list[ReadableSpan]] = {}
        for span in filter(self.selects, spans):
            groups.setdefault(str(self._pipelines.of(span)), []).append(span)
        results = []
        for pipeline, group in groups.items():
            with self._by_pipeline.to(pipeline):
                results.append(super().export(group))
        failed = SpanExportResult.FAILURE in results
        return SpanExportResult.FAILURE if failed else SpanExportResult.SUCCESS

    def _sender(self, environ: Environ) -> Sender:
        self._pipelines = openlayer.Pipelines(environ)
        self._by_pipeline = openlayer.PipelineSender(lambda _: NO_SENDER)
        if not self._pipelines:
            say_missing(self.preset.name, [f"{openlayer.DEFAULT} or {openlayer.MAPPING}"])
            return NO_SENDER
        return super()._sender(environ)

    def _sender_to(self, address: str, headers: Mapping[str, str]) -> Sender:
        def make(pipeline: str) -> Sender:
            return otlp_sender(address, {**headers, "x-bt-parent": f"pipeline_id:{pipeline}"})

        self._by_pipeline = openlayer.PipelineSender(make)
        return self._by_pipeline
