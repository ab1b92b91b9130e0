"""The `langsmith` destination: LangSmith's API for runs, one complete run for each AI span."""

import os

from opentelemetry.sdk.trace import ReadableSpan

from langflow_otel import environment as env
from langflow_otel.export.address import usable_address
from langflow_otel.export.destination import DestinationSpanExporter
from langflow_otel.export.langsmith.runs import Run, run_of
from langflow_otel.export.langsmith.sender import MAX_BYTES, MAX_RUNS, LangSmithSender, said
from langflow_otel.export.langsmith.stamp import DOTTED_ORDER, MAX_TOLD, run_id_of, stamp
from langflow_otel.export.sending import NO_SENDER, Sender
from langflow_otel.guard import warn_once
from langflow_otel.place import stamp_with
from langflow_otel.settings import Mask, Settings
from langflow_otel.variables import TRUE

__all__ = ["LangSmithSpanExporter", "run_id_of"]

DEFAULT_ENDPOINT = "https://api.smith.langchain.com"
# What Langflow calls the project where none is named (`TracingService.start_tracers`).
DEFAULT_PROJECT = "Langflow"
_PREFIXES = ("LANGSMITH_", "LANGCHAIN_")
_PROJECTS = ("HOSTED_LANGSERVE_PROJECT_NAME", *(f"{p}PROJECT" for p in _PREFIXES))
_REPLICAS = "LANGSMITH_RUNS_ENDPOINTS"


class LangSmithSpanExporter(DestinationSpanExporter):
    """Sends AI spans to LangSmith, as runs.

    Registered as the traces exporter `langsmith`, so `OTEL_TRACES_EXPORTER=langsmith` selects it.
    Needs LangSmith's client: `pip install 'langflow-otel[langsmith]'`. Spans that start before
    there is such an exporter are runs without a parent.

    Args:
        api_key: Default: `LANGSMITH_API_KEY`, else `LANGCHAIN_API_KEY`.
        endpoint: The base of LangSmith's API, as `https://eu.api.smith.langchain.com` or, of one's
            own, `https://host/api/v1`. Default: `LANGSMITH_ENDPOINT`, else `LANGCHAIN_ENDPOINT`,
            else LangSmith in the US.
        project: Default: `LANGSMITH_PROJECT`, else `LANGCHAIN_PROJECT`, else `Langflow`.
        workspace_id: Default: `LANGSMITH_WORKSPACE_ID`.
        content: Whether content is sent. Default: what `settings` say for this destination.
        mask: Called with every text of content; returns what is sent instead.
        settings: Instead of what the environment and `mask` say.
    """

    keeps = ("langsmith.",)

    def __init__(
        self,
        *,
        api_key: str | None = None,
        endpoint: str | None = None,
        project: str | None = None,
        workspace_id: str | None = None,
        content: bool | None = None,
        mask: Mask | None = None,
        settings: Settings | None = None,
    ) -> None:
        """See the class."""
        key = api_key or said("API_KEY")
        super().__init__(
            "langsmith",
            _sender(key, endpoint, workspace_id or said("WORKSPACE_ID")),
            settings=settings or Settings.from_environment(arguments={"mask": mask}),
            content=content,
            credentials=f"{env.LANGSMITH_API_KEY}, {env.LANGCHAIN_API_KEY}, "
            f"{env.LANGSMITH_WORKSPACE_ID}, {env.LANGSMITH_ENDPOINT}",
            max_items=MAX_RUNS,
            max_bytes=MAX_BYTES,
        )
        named = (os.environ.get(name, "").strip() for name in (*_PROJECTS, "LANGCHAIN_SESSION"))
        self._project = project or next((name for name in named if name), DEFAULT_PROJECT)
        stamp_with(stamp, DOTTED_ORDER, MAX_TOLD)
        _say_what_doubles()

    def translate(self, span: ReadableSpan) -> Run | None:
        """Return `span` as a run."""
        return run_of(span, self._project)


def _sender(key: str, endpoint: str | None, workspace_id: str) -> Sender:
    if not key:
        warn_once(
            "langflow-otel: %s (or %s) not set; nothing is sent to langsmith",
            env.LANGSMITH_API_KEY,
            env.LANGCHAIN_API_KEY,
        )
        return NO_SENDER
    if said("ENDPOINT") and os.environ.get(_REPLICAS, "").strip():
        # Its client refuses to be made then, wherever it is to send.
        warn_once(
            "langflow-otel: %s is set beside %s, which langsmith's client does not take; nothing "
            "is sent to langsmith (unset one of them)",
            _REPLICAS,
            env.LANGSMITH_ENDPOINT,
        )
        return NO_SENDER
    variable = next((f"{p}ENDPOINT" for p in _PREFIXES if os.environ.get(f"{p}ENDPOINT")), None)
    told = endpoint or said("ENDPOINT") or DEFAULT_ENDPOINT
    address = usable_address(variable or env.LANGSMITH_ENDPOINT, told, "")
    if address is None:
        return NO_SENDER
    try:
        return LangSmithSender(address, key, workspace_id)
    except ImportError as error:
        warn_once("langflow-otel: %s", error)
    except Exception as error:  # noqa: BLE001 - its client refuses combinations of its variables
        warn_once(
            "langflow-otel: langsmith's client does not take its variables (%s); nothing is sent "
            "to langsmith",
            type(error).__name__,
        )
    return NO_SENDER


def _say_what_doubles() -> None:
    """Say what else sends model calls to LangSmith, or is not done here."""
    mode = said("TRACING_MODE").lower()
    if mode in {"otel", "hybrid"} or said("OTEL_ENABLED").lower() in TRUE:
        warn_once(
            "langflow-otel: LANGSMITH_TRACING_MODE or LANGSMITH_OTEL_ENABLED lets LangSmith's own "
            "client make spans, too; outside of flows model calls are sent twice (unset it)"
        )
    if os.environ.get(_REPLICAS, "").strip() and not said("ENDPOINT"):
        warn_once(
            "langflow-otel: %s is for LangSmith's own tracing; runs are sent to one address only",
            _REPLICAS,
        )
