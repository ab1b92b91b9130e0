"""Where a destination is: the address that a variable names, checked before anything is sent."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit, urlunsplit

from langflow_otel.guard import warn_once

_SCHEMES = frozenset({"http", "https"})
_GRPC_PORT = 4317
# `http:/host` would be taken for the host `http`.
_ONE_SLASH = re.compile(r"https?:(?!//|\d)", re.IGNORECASE)


def usable_address(variable: str, value: str, path: str) -> str | None:
    """Return the full address that spans are posted to.

    One that cannot be used is named in the log, once, and None returned: content must not go to
    whatever happens to listen at a default address.

    Args:
        variable: The variable that names it, for the log.
        value: The address, with or without `path` or the beginning of it. Without a scheme it is
            taken for `http://`, but for `https://` where it looks like a public host.
        path: The path that traces are posted to, as `/v1/traces`.
    """
    value = value.strip()
    if "://" not in value and not _ONE_SLASH.match(value):
        value = f"{_scheme_of(value)}://{value}"
    parts = _parts(value)
    if parts is None:
        warn_once(
            "langflow-otel: %s=%.200r is not an http:// or https:// address; nothing is sent there",
            variable,
            without_secrets(value),
        )
        return None
    if parts.port == _GRPC_PORT:
        warn_once(
            "langflow-otel: %s names port %d, which is usually for gRPC; spans are sent over HTTP",
            variable,
            _GRPC_PORT,
        )
    return urlunsplit((parts.scheme, parts.netloc, _joined(parts.path, path), parts.query, ""))


def without_secrets(address: str) -> str:
    """Return `address` for a log line: no user information, no query."""
    return re.sub(r"//.*@", "//***@", re.split(r"[?#]", address, maxsplit=1)[0])


def host_of(address: str) -> str:
    """Return the host of an address that can be used, in lower case."""
    return (urlsplit(address).hostname or "").lower()


def _parts(value: str) -> SplitResult | None:
    # `urlsplit` would take line breaks away and go on.
    if not value.isprintable() or " " in value:
        return None
    try:
        parts = urlsplit(value)
        usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def _scheme_of(value: str) -> str:
    """Return the scheme meant: a key must not travel in clear to a host in the internet."""
    host, _, port = value.partition("/")[0].rpartition("@")[2].partition(":")
    if port or "." not in host:
        return "http"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "https"
    return "http"


def _joined(base: str, path: str) -> str:
    """Return `path` behind `base`, which may have the beginning of it, or all, already."""
    base = base.rstrip("/")
    segments = path.strip("/").split("/")
    for count in range(len(segments), 0, -1):
        beginning = "/" + "/".join(segments[:count])
        if base.endswith(beginning):
            return base + path[len(beginning) :]
    return base + path
