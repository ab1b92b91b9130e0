"""Patterns of hosts, as `*.example.com`, `10.0.0.7:8080` or `10.0.0.0/8`."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from langflow_otel.variables import wrong

_PATTERN = re.compile(
    r"(?:\[(?P<six>[0-9a-f:.*%/]+)\]|(?P<name>[^\s:/?#@\[\]]+))(?::(?P<port>\d+))?"
)
ALL = "*"
UNKNOWN = ""


@dataclass(frozen=True)
class _Host:
    """One pattern.

    Attributes:
        name: What the whole name of a host must be.
        network: The addresses it is for, where it is one or a network of them.
        port: The port it is for, None for every port.
    """

    name: re.Pattern[str]
    network: IPv4Network | IPv6Network | None = None
    port: int | None = None

    @classmethod
    def of(cls, text: str, port: str | None = None) -> "_Host":
        spellings = {text.rstrip("."), _spelled_out(text)}
        alternatives = [re.escape(each).replace(r"\*", ".*") for each in sorted(spellings)]
        name = re.compile("|".join(alternatives), re.DOTALL)
        return cls(name, _network(text), int(port) if port else None)


@dataclass(frozen=True)
class Hosts:
    """Some hosts, by patterns; `*` stands for any characters.

    Names are the same in Unicode and in ASCII (`xn--`), addresses however they are written.
    """

    patterns: tuple[_Host, ...] = ()
    #: Whether every host is among them, and what is none.
    all: bool = False

    @classmethod
    def of(cls, variable: str, listed: Iterable[str]) -> "Hosts":
        """Read patterns; of an address the host counts, what is none at all means every host."""
        texts = [_read(variable, each.strip().lower(), each) for each in listed if each.strip()]
        return cls(tuple(_Host.of(*each) for each in texts), (ALL, None) in texts)

    def include(self, host: str | None, port: int | None = None) -> bool:
        """Tell whether `host` is among them.

        None, which is no host, is so only where all are; `UNKNOWN`, which may be any, where any is.
        """
        if self.all or host is None or not self.patterns:
            return self.all
        if host == UNKNOWN:
            return True
        name = host.strip("[]").rstrip(".").lower()
        address = _address(name)
        spellings = (name, str(address) if address is not None else _spelled_out(name))
        return any(
            each.port in (None, port)
            and (
                (address is not None and each.network is not None and address in each.network)
                or any(map(each.name.fullmatch, spellings))
            )
            for each in self.patterns
        )


def _spelled_out(name: str) -> str:
    """Return `name` as a human reads it: in Unicode, in one of the ways to write that."""
    labels = (_decoded(label) for label in name.split("."))
    return unicodedata.normalize("NFKC", ".".join(labels)).casefold().rstrip(".")


def _decoded(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _network(text: str) -> IPv4Network | IPv6Network | None:
    address = _address(text)
    try:
        return ip_network(text if address is None else address, strict=False)
    except ValueError:
        return None


def _read(variable: str, text: str, told: str) -> tuple[str, str | None]:
    """Return the pattern and the port, if it is for one, of an entry in lower case."""
    if _network(text) is not None:
        return text, None
    match = _PATTERN.fullmatch(text)
    if match is None:
        # What follows the scheme of an address, and its user information, up to the path.
        host = re.split(r"[/?#]", text.partition("://")[2] or text, maxsplit=1)[0]
        match = _PATTERN.fullmatch(host.rpartition("@")[2])
        used = "every host" if match is None else f"the host {match[0]}"
        allowed = "hosts and networks, comma-separated, with * and a port where wanted"
        wrong(variable, told.strip(), allowed, used)
    if match is None:
        return ALL, None
    return match["six"] or match["name"], match["port"]
