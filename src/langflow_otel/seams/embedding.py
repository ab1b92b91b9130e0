"""The embedding seam: a component makes an embedding model, and others call it.

LangChain has no callbacks for embeddings, so nobody traces them. The classes of the models that
components hand on are wrapped when the first one of them is seen.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from langflow_otel.capture import label
from langflow_otel.capture.classes import class_names
from langflow_otel.context import current_component, is_embedding
from langflow_otel.guard import safely
from langflow_otel.seams.langflow import failure_of
from langflow_otel.seams.patches import Patches, Wrapper
from langflow_otel.spans import EmbeddingSpan, LangflowTracer

_BASE = "Embeddings"
_MODEL_FIELDS = ("model", "model_name", "model_id", "deployment", "deployment_name")
# In Langflow's wrapper of a model, and in LangChain's cache around one: the model.
_INNER_FIELDS = ("embeddings", "underlying_embeddings")
_PREFIXES = ("langchain_",)
_MAX_DEPTH = 3


class EmbeddingSeam:
    """The wrappers around the four methods of an embedding model."""

    def __init__(self, tracer: LangflowTracer, patches: Patches) -> None:
        """Start spans with `tracer`; wrap the classes of models with `patches`."""
        self._tracer = tracer
        self._patches = patches

    def rows(self) -> Iterator[tuple[str, str, Wrapper]]:
        """Yield module, function and wrapper of what makes models inside of components."""
        yield "lfx.base.models.unified_models.instantiation", "get_embeddings", self.made
        yield "lfx.base.models.unified_models", "get_embeddings", self.made

    def watch(self, outputs: Iterable[Any]) -> None:
        """Wrap the classes of the embedding models among `outputs`, and of those inside them."""
        for output in outputs:
            self._watch(output, _MAX_DEPTH)

    def made(
        self, wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Wrap the class of a model that Langflow makes for one of its components."""
        model = wrapped(*args, **kwargs)
        safely(self.watch, (model,))
        return model

    def embed(
        self, wrapped: Callable[..., Any], model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Embed inside a span."""
        with self._embedding(wrapped, model, args, kwargs) as span:
            result = wrapped(*args, **kwargs)
            safely(_record, span, wrapped, result)
            return result

    async def aembed(
        self, wrapped: Callable[..., Any], model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Embed inside a span."""
        with self._embedding(wrapped, model, args, kwargs) as span:
            result = await wrapped(*args, **kwargs)
            safely(_record, span, wrapped, result)
            return result

    def _watch(self, model: Any, depth: int) -> None:
        if depth == 0 or _BASE not in class_names(type(model)):
            return
        sync, coroutine = self.embed, self.aembed
        self._patches.methods(
            type(model),
            {
                "embed_documents": sync,
                "embed_query": sync,
                "aembed_documents": coroutine,
                "aembed_query": coroutine,
            },
        )
        for field in _INNER_FIELDS:
            self._watch(_field(model, field), depth - 1)

    @contextlib.contextmanager
    def _embedding(
        self, wrapped: Callable[..., Any], model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Iterator[EmbeddingSpan | None]:
        span = safely(self._begin, wrapped, model, args, kwargs)
        try:
            yield span
        except BaseException as error:
            if span is not None:
                safely(_fail, span, error)
            raise
        finally:
            if span is not None:
                safely(span.end)

    def _begin(
        self, wrapped: Callable[..., Any], model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> EmbeddingSpan | None:
        if not (self._tracer.active and is_instrumentation_enabled()):
            return None
        # `embed_query` may well call `embed_documents`, and a wrapper the model it wraps.
        if current_component() is None or is_embedding():
            return None
        span = self._tracer.embedding(_name_of(model), _provider_of(model))
        span.attach()
        if span.recording:
            safely(_record_texts, span, wrapped, args, kwargs)
        return span


def _record_texts(
    span: EmbeddingSpan, wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    query = _is_query(wrapped)
    given = args[0] if args else kwargs.get("text" if query else "texts")
    if query:
        span.record_texts([given])
    elif isinstance(given, Sequence):
        # What else can be gone through may be so once only, and that is for the model.
        span.record_texts(given)


def _record(span: EmbeddingSpan | None, wrapped: Callable[..., Any], result: Any) -> None:
    if span is not None and span.recording:
        span.record_vectors([result] if _is_query(wrapped) else result)


def _fail(span: EmbeddingSpan, error: BaseException) -> None:
    span.fail(failure_of(error))


def _is_query(wrapped: Callable[..., Any]) -> bool:
    return wrapped.__name__.endswith("_query")


def _name_of(model: Any, depth: int = _MAX_DEPTH) -> str | None:
    """Return the name of the model that embeds, as far as it tells; it may wrap another."""
    for field in _MODEL_FIELDS:
        name = _field(model, field)
        if isinstance(name, str) and name:
            return label(name)
    inner = _inner(model) if depth else None
    return _name_of(inner, depth - 1) if inner is not None else None


def _provider_of(model: Any) -> str | None:
    """Return who makes the model, by the package that its class is of."""
    inner = _inner(model)
    if inner is not None:
        return _provider_of(inner)
    package = type(model).__module__.partition(".")[0]
    prefix = next((prefix for prefix in _PREFIXES if package.startswith(prefix)), None)
    vendor = package.removeprefix(prefix) if prefix else None
    return vendor if vendor not in {None, "core", "community", "classic"} else None


def _inner(model: Any) -> Any:
    found = (_field(model, field) for field in _INNER_FIELDS)
    return next((inner for inner in found if _BASE in class_names(type(inner))), None)


def _field(model: Any, name: str) -> Any:
    """Return a field without asking the object, whose `__getattr__` may do anything."""
    try:
        return object.__getattribute__(model, "__dict__").get(name)
    except AttributeError:
        return None
