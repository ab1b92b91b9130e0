"""Reads one variable. A wrong value is named once, and the safe one used."""

from collections.abc import Mapping

from langflow_otel.guard import warn_once

TRUE = frozenset({"true", "1", "yes", "on"})
FALSE = frozenset({"false", "0", "no", "off"})


def boolean(environ: Mapping[str, str], name: str, *, unusable: bool | None) -> bool | None:
    """Return what `name` says, None where it says nothing, `unusable` where it makes no sense."""
    value = environ.get(name, "").strip()
    if not value:
        return None
    if value.lower() in TRUE:
        return True
    if value.lower() in FALSE:
        return False
    wrong(name, value, "true, false", "the default" if unusable is None else str(unusable).lower())
    return unusable


def is_on(environ: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Return what `name` says, `default` where it says nothing that makes sense."""
    value = boolean(environ, name, unusable=None)
    return default if value is None else value


def whole_number(environ: Mapping[str, str], name: str, allowed: range, *, default: int) -> int:
    """Return the number that `name` says, `default` where it says none in `allowed`."""
    value = environ.get(name, "").strip()
    if not value:
        return default
    if value.isascii() and value.isdigit() and int(value[:12]) in allowed:
        return int(value)
    wrong(name, value, f"a whole number from {allowed[0]} to {allowed[-1]}", str(default))
    return default


def one_of(environ: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str | None:
    """Return which of `allowed` `name` says, None where it says none of them."""
    value = environ.get(name, "").strip()
    if not value:
        return None
    if value.lower() in allowed:
        return value.lower()
    wrong(name, value, ", ".join(allowed), "the default")
    return None


def wrong(name: str, value: str, allowed: str, used: str) -> None:
    """Say once that `value` is not allowed; exporters read the environment, too."""
    warn_once(
        "langflow-otel: %s=%.80r is not allowed (allowed: %s); using %s", name, value, allowed, used
    )
