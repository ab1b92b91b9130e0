"""What LangSmith is told of a model call: which model, how it was called, what it took."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from openinference.semconv.trace import SpanAttributes

from langflow_otel import names
from langflow_otel.export import messages

Attributes = Mapping[str, Any]

# Details are parts of these.
_DETAILED: Mapping[str, str] = MappingProxyType(
    {
        "input_token_details": "input_tokens",
        "output_token_details": "output_tokens",
        "input_cost_details": "input_cost",
        "output_cost_details": "output_cost",
    }
)


def usage_of(attributes: Attributes) -> dict[str, Any] | None:
    """Return the tokens and the costs of a model call as `usage_metadata`; None if none are told.

    As in `langsmith.schemas.ExtractedUsageMetadata`: the details are among the sums, and costs are
    US dollars. What is told of them goes before LangSmith's own prices.
    """
    told = messages.usage(attributes) or messages.Usage(costs=messages.costs(attributes))
    costs = told.costs
    counts = {
        "input_tokens": told.input,
        "output_tokens": told.output,
        "total_tokens": told.total,
        "input_cost": costs.get("prompt"),
        "output_cost": costs.get("completion"),
        "total_cost": costs.get("total"),
    }
    details: dict[str, Mapping[str, float]] = {
        "input_token_details": {
            "cache_read": told.cache_read,
            "cache_creation": told.cache_write,
            "audio": told.input_audio,
        },
        "output_token_details": {"reasoning": told.reasoning, "audio": told.output_audio},
        "input_cost_details": _cost_details(costs, "prompt_details."),
        "output_cost_details": _cost_details(costs, "completion_details."),
    }
    usage: dict[str, Any] = {name: count for name, count in counts.items() if count is not None}
    if (
        None not in (told.input, told.output)
        and told.total != usage["input_tokens"] + usage["output_tokens"]
    ):
        # LangSmith adds up itself; a total of another kind (with thoughts, say) contradicts it.
        del usage["total_tokens"]
    for name, parts in details.items():
        whole = usage.get(_DETAILED[name], 0)
        known = {part: count for part, count in parts.items() if 0 < count <= whole}
        if known:
            usage[name] = known
    return usage or None


def _cost_details(costs: Mapping[str, float], prefix: str) -> dict[str, float]:
    details = {
        name.removeprefix(prefix): cost for name, cost in costs.items() if name.startswith(prefix)
    }
    for other in ("cache_write", "cache_input"):
        if other in details:
            same = "cache_creation" if other == "cache_write" else "cache_read"
            details.setdefault(same, details.pop(other))
    return details


def model_of(attributes: Attributes) -> dict[str, Any]:
    """Return what tells of the model; provider and name together are what prices are found by."""
    parameters = {
        name: value
        for name, value in messages.invocation_parameters(attributes).items()
        if value is not None and name not in ("tools", "functions")
    }
    stop = parameters.get("stop")
    return {
        "ls_provider": _first(
            attributes, names.MODEL_PROVIDER, SpanAttributes.LLM_SYSTEM, "gen_ai.provider.name"
        ),
        "ls_model_name": _first(
            attributes,
            names.MODEL_NAME,
            SpanAttributes.EMBEDDING_MODEL_NAME,
            "gen_ai.response.model",
            "gen_ai.request.model",
        )
        or _first(parameters, "model", "model_name"),
        "ls_temperature": _first(parameters, "temperature"),
        "ls_max_tokens": _first(
            parameters, "max_tokens", "max_completion_tokens", "max_output_tokens"
        ),
        "ls_stop": [stop] if isinstance(stop, str) else stop,
        "ls_invocation_params": parameters or None,
    }


def _first(mapping: Attributes, *keys: str) -> Any:
    return next((mapping[key] for key in keys if mapping.get(key) is not None), None)
