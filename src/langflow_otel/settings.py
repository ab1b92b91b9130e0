"""The environment as one frozen, typed object. A wrong value is named once and made safe."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

from langflow_otel import environment as env
from langflow_otel.bounds import Bounds, bounds_in
from langflow_otel.capture import ALL_CONTENT, Content, SecretNames
from langflow_otel.guard import warn_once
from langflow_otel.hosts import Hosts
from langflow_otel.variables import boolean, is_on, one_of, whole_number, wrong

DEFAULT_MAX_VALUE_BYTES = 16 * 1024
_MAX_VALUE_BYTES_RANGE = range(256, 1024 * 1024 + 1)
Dialect = Literal["openinference", "genai", "both"]
_MODES = {"full": "true", "none": "false"}
_POLICIES = {"full": True, "none": False}
_ALIASES = {"langflow_otlp": "otlp"}
_GENAI_CONTENT = {
    "true": True,
    "span_only": True,
    "span_and_event": True,
    "false": False,
    "no_content": False,
    "event_only": False,
}


_OURS = "OTEL_PYTHON_LANGFLOW_"
_PER_DESTINATION = env.OTEL_PYTHON_LANGFLOW_CONTENT_
# What OpenInference hides on model spans, and the kind of content on ours that is the same.
_OPENINFERENCE = "OPENINFERENCE_"
_INPUT_OPTIONS = {"hide_inputs", "hide_input_messages", "hide_input_text", "hide_prompts"}
_OUTPUT_OPTIONS = {"hide_outputs", "hide_output_messages", "hide_output_text", "hide_choices"}

Mask = Callable[[str], str]


@dataclass(frozen=True)
class Settings(Bounds):
    """How langflow-otel behaves.

    Attributes (besides those of `Bounds`):
        capture_content: Whether inputs, outputs, logs and error messages are captured; None
            leaves the choice to the destinations.
        content: Which kinds of content are captured, where any is.
        openinference_hides: The options of OpenInference's `TraceConfig` that are on, as
            `hide_inputs`.
        capture_vectors: Whether the numbers in vectors are captured.
        max_value_bytes: The most bytes of UTF-8 one captured value may have.
        hide_components: The types and ids of components whose content is never captured.
        excluded_flows: The names and ids of flows that are not traced.
        excluded_components: The types and ids of components that get no span.
        names: What tells the names of secrets, those that were added among them.
        mask: Called with every text of content before it is sent, returns what is sent instead.
        contents: Whether content is sent, by the name of the destination, where that is set.
        dialect: In which attributes an OTLP destination gets its spans, where that is set:
            `openinference`, `genai` or `both`.
        instrument_langchain: Whether OpenInference's LangChain instrumentor is turned on; None
            means "when it is installed and not disabled".
        replace_tracers: Whether Langflow's own tracers of the same vendors are left out.
        propagate_excluded_hosts: The hosts to which no trace context is sent.
    """

    capture_content: bool | None = None
    content: Content = ALL_CONTENT
    openinference_hides: frozenset[str] = frozenset()
    capture_vectors: bool = False
    max_value_bytes: int = DEFAULT_MAX_VALUE_BYTES
    hide_components: tuple[str, ...] = ()
    excluded_flows: tuple[str, ...] = ()
    excluded_components: tuple[str, ...] = ()
    names: SecretNames = field(default_factory=SecretNames, compare=False)
    mask: Mask | None = None
    contents: Mapping[str, bool] = field(default_factory=dict)
    dialect: Dialect | None = None
    instrument_langchain: bool | None = None
    replace_tracers: bool = True
    propagate_excluded_hosts: Hosts = field(default_factory=Hosts)

    @property
    def hides_any(self) -> bool:
        """Whether any kind of content is left out by a switch."""
        return self.content != ALL_CONTENT

    def sends_content(self, destination: str, *, by_default: bool) -> bool:
        """Tell whether content is sent to `destination`; `by_default` where nothing is set."""
        if self.capture_content is False:
            return False
        wanted = by_default if self.capture_content is None else self.capture_content
        return self.contents.get(destination.lower(), wanted)

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str] = os.environ,
        arguments: Mapping[str, Any] = MappingProxyType({}),
    ) -> "Settings":
        """Read the settings from `environ`; log a wrong value once and use the safe one.

        `arguments` are those of `instrument()`: `capture_content` and `mask` go before what the
        environment says, the lists of names are added to it.
        """
        content = _argument(arguments, "capture_content", bool, unusable=False)
        hides = _openinference_hides(environ)
        return cls(
            capture_content=_capture_content(environ) if content is None else content,
            content=_content(environ, hides),
            openinference_hides=hides,
            capture_vectors=is_on(environ, env.OTEL_PYTHON_LANGFLOW_CAPTURE_VECTORS, default=False),
            hide_components=_listed(
                environ, env.OTEL_PYTHON_LANGFLOW_HIDE_COMPONENTS, arguments, "hide_components"
            ),
            excluded_flows=_listed(
                environ, env.OTEL_PYTHON_LANGFLOW_EXCLUDED_FLOWS, arguments, "excluded_flows"
            ),
            excluded_components=_listed(
                environ,
                env.OTEL_PYTHON_LANGFLOW_EXCLUDED_COMPONENTS,
                arguments,
                "excluded_components",
            ),
            names=SecretNames(
                _listed(environ, env.OTEL_PYTHON_LANGFLOW_MASK_KEYS, arguments, "mask_keys")
            ),
            mask=_argument(arguments, "mask", Callable, unusable=_hide_all),
            contents=_contents(environ),
            dialect=cast(
                "Dialect | None",
                one_of(environ, env.OTEL_PYTHON_LANGFLOW_DIALECT, get_args(Dialect)),
            ),
            instrument_langchain=boolean(
                environ, env.OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN, unusable=None
            ),
            replace_tracers=is_on(environ, env.OTEL_PYTHON_LANGFLOW_REPLACE_TRACERS, default=True),
            propagate_excluded_hosts=Hosts.of(
                env.OTEL_PYTHON_LANGFLOW_PROPAGATE_EXCLUDED_HOSTS,
                environ.get(env.OTEL_PYTHON_LANGFLOW_PROPAGATE_EXCLUDED_HOSTS, "").split(","),
            ),
            max_value_bytes=whole_number(
                environ,
                env.OTEL_PYTHON_LANGFLOW_MAX_VALUE_BYTES,
                _MAX_VALUE_BYTES_RANGE,
                default=DEFAULT_MAX_VALUE_BYTES,
            ),
            **bounds_in(environ),
        )


def deactivated_by(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the name of the variable that turns langflow-otel off, if one does."""
    for name in ("OTEL_SDK_DISABLED", env.LANGFLOW_DEACTIVATE_TRACING):
        if is_on(environ, name, default=False):
            return name
    if {"langflow", "*"} & disabled_instrumentations(environ):
        return "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
    return None


def say_misspelt(environ: Mapping[str, str] = os.environ) -> None:
    """Say once which variables are named like ours and are none; a typo must not go unseen."""
    known = {name.removeprefix(_OURS) for name in vars(env) if name.startswith(_OURS)}
    for name in sorted(environ):
        own = name.removeprefix(_OURS)
        if own == name or own in known or name.startswith(_PER_DESTINATION):
            continue
        close = get_close_matches(own, known, n=1, cutoff=0.75)
        meant = f"did you mean {_OURS}{close[0]}? " if close else ""
        warn_once("langflow-otel: there is no variable %.100s; %sit is ignored", name, meant)


def disabled_instrumentations(environ: Mapping[str, str] = os.environ) -> set[str]:
    """Return the names in `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`."""
    listed = environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "")
    return {name.strip() for name in listed.split(",") if name.strip()}


def _capture_content(environ: Mapping[str, str]) -> bool | None:
    ours = environ.get(env.OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT, "").strip()
    if ours:
        mode = _MODES.get(ours.lower(), ours)
        name = env.OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT
        return boolean({name: mode}, name, unusable=False)
    name = env.GENAI_CAPTURE_MESSAGE_CONTENT
    value = environ.get(name, "").strip()
    if not value:
        return None
    if value.lower() in _GENAI_CONTENT:
        return _GENAI_CONTENT[value.lower()]
    wrong(name, value, "NO_CONTENT, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT", "no content")
    return False


def _content(environ: Mapping[str, str], hides: frozenset[str]) -> Content:
    def wanted(name: str) -> bool:
        return boolean(environ, name, unusable=False) is not False

    return Content(
        inputs=wanted(env.OTEL_PYTHON_LANGFLOW_CAPTURE_INPUTS) and not hides & _INPUT_OPTIONS,
        outputs=wanted(env.OTEL_PYTHON_LANGFLOW_CAPTURE_OUTPUTS) and not hides & _OUTPUT_OPTIONS,
        logs=wanted(env.OTEL_PYTHON_LANGFLOW_CAPTURE_LOGS),
        exceptions=wanted(env.OTEL_PYTHON_LANGFLOW_CAPTURE_EXCEPTIONS),
        documents="hide_retrieval_documents" not in hides,
        tools="hide_llm_tools" not in hides,
        embedded="hide_embeddings_text" not in hides,
    )


def _openinference_hides(environ: Mapping[str, str]) -> frozenset[str]:
    """Return what `OPENINFERENCE_HIDE_*` hides; a wrong value, which theirs ignores, does, too."""
    return frozenset(
        name.removeprefix(_OPENINFERENCE).lower()
        for name in environ
        if name.startswith(f"{_OPENINFERENCE}HIDE_") and boolean(environ, name, unusable=True)
    )


def _listed(
    environ: Mapping[str, str], variable: str, arguments: Mapping[str, Any], name: str
) -> tuple[str, ...]:
    """Return what the variable and the argument list, together."""
    value = environ.get(variable, "")
    if ";" in value:
        wrong(variable, value, "names, comma-separated", "it as it stands")
    given = _argument(arguments, name, Iterable, unusable=()) or ()
    listed = [*value.split(","), *([given] if isinstance(given, str) else given)]
    return tuple(dict.fromkeys(str(item).strip() for item in listed if str(item).strip()))


def _argument(arguments: Mapping[str, Any], name: str, kind: Any, *, unusable: Any) -> Any:
    value = arguments.get(name)
    if value is None or isinstance(value, kind):
        return value
    given = type(value).__name__
    wrong(f"instrument({name}=…)", given, _KINDS[kind], _SAFE[name])
    return unusable


def _hide_all(_: str) -> str:
    return "<hidden: mask= is not a function>"


_KINDS = {bool: "True, False, None", Callable: "a function of a text", Iterable: "a list of texts"}
_SAFE = {
    "capture_content": "False",
    "mask": "one that hides all content",
    "hide_components": "none",
    "excluded_flows": "none",
    "excluded_components": "none",
    "mask_keys": "none",
}


def _contents(environ: Mapping[str, str]) -> dict[str, bool]:
    prefix = env.OTEL_PYTHON_LANGFLOW_CONTENT_
    contents = {}
    for name in environ:
        if name.startswith(prefix) and (value := environ[name].strip()):
            if value.lower() not in _POLICIES:
                wrong(name, value, "full, none", "none")
            destination = name.removeprefix(prefix).lower()
            contents[_ALIASES.get(destination, destination)] = _POLICIES.get(value.lower(), False)
    return contents
