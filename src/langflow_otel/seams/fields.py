"""What the fields of a component hold, and what is said of them."""

from typing import Any

from langflow_otel.capture import MASK, is_secret
from langflow_otel.capture.classes import per_class

#: The flags of a field.
PASSWORD, ADVANCED = "password", "advanced"
#: Of these types nothing is set where a value is empty.
EMPTY = frozenset({type(None), str, list, dict})


def has_flag(field: Any, flag: str) -> bool:
    """Tell whether `field` has the flag; pydantic takes long to say of one that there is none."""
    said = vars(field).get(flag)
    return flag in _flags_of(type(field)) if said is None else bool(said)


@per_class
def _flags_of(cls: type) -> frozenset[str]:
    return frozenset(flag for flag in (PASSWORD, ADVANCED) if getattr(cls, flag, False))


def inputs_of(component: Any) -> dict[str, Any]:
    """Return what `component` runs with, by name: set, not advanced settings, secrets masked."""
    shown: dict[str, Any] = {}
    for name, field in vars(component).get("_inputs", {}).items():
        value = getattr(field, "value", None)
        if name == "code" or (type(value) in EMPTY and not value):
            continue
        if is_secret(value) or has_flag(field, PASSWORD):
            shown[name] = MASK
        elif not (isinstance(value, str | int | float) and has_flag(field, ADVANCED)):
            shown[name] = value
    return shown | _variables_of(component)


def _variables_of(component: Any) -> dict[str, Any]:
    """Return the fields that exist in this flow alone: the variables of a prompt's template."""
    vertex = vars(component).get("_vertex")
    node = vertex.data.get("node", {}) if vertex is not None else {}
    custom = node.get("custom_fields")
    if not custom:
        return {}
    values = vars(component).get("_attributes", {})
    listed = [name for names in custom.values() for name in names or ()]
    fields = node.get("template", {})
    return {
        name: MASK if fields.get(name, {}).get("password") else values[name]
        for name in listed
        if values.get(name)
    }
