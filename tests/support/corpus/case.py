"""A case of the corpus, and the fakes that cases are made of.

No secret is written down anywhere: each is grown from its name, always the same one, so that no
secret scanner of a repository host has anything to find.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LOWER = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
HEX = DIGITS + "abcdef"
BASE32 = LOWER.upper() + "234567"
ALNUM = LOWER + LOWER.upper() + DIGITS

WORDS = (
    *("Amber", "Barley", "Cobalt", "Dahlia", "Ember", "Fennel", "Garnet", "Heather"),
    *("Indigo", "Jasper", "Kestrel", "Lantern", "Marble", "Nutmeg", "Onyx", "Pebble"),
    *("Quartz", "Rowan", "Saffron", "Thistle", "Umber", "Velvet", "Walnut", "Zephyr"),
)


@dataclass(frozen=True)
class Case:
    """One value, and what may and what must be left of it in a trace."""

    id: str
    place: str
    value: Any
    secrets: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    source: str = ""

    def make(self) -> Any:
        """The value as a flow carries it: some are only made when asked for, anew each time."""
        return self.value() if callable(self.value) else self.value


def fake(name: str, length: int, alphabet: str = ALNUM) -> str:
    """Characters that look random, and are always the same for a name."""
    out = ""
    block = 0
    while len(out) < length:
        digest = hashlib.sha256(f"{name}/{block}".encode()).digest()
        out += "".join(alphabet[byte % len(alphabet)] for byte in digest)
        block += 1
    return out[:length]


def word(name: str) -> str:
    """A password as people choose them: two words and a number."""
    digest = hashlib.sha256(name.encode()).digest()
    first, second = WORDS[digest[0] % len(WORDS)], WORDS[digest[1] % len(WORDS)]
    return f"{first}{100 + digest[2] * 3}{second.lower()}"


def ends(body: str) -> tuple[str, ...]:
    """Both halves of a secret, so that one masked only in part is found out."""
    return (body[:9], body[-9:]) if len(body) >= 18 else (body,)


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def segment(value: dict[str, Any]) -> str:
    """A segment of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def jwt(name: str) -> tuple[str, tuple[str, ...]]:
    """A JWT, and the parts of it that are secret."""
    payload = segment({"sub": fake(name, 8, DIGITS), "scope": "admin"})
    signature = fake(name + " signature", 43)
    header = segment({"alg": "HS256", "typ": "JWT"})
    return f"{header}.{payload}.{signature}", (payload[-12:], *ends(signature))


def pem(name: str, kind: str = "PRIVATE KEY") -> tuple[str, tuple[str, ...]]:
    """A PEM block, and its lines."""
    lines = [fake(f"{name} {number}", 64) for number in range(4)] + [fake(name, 30) + "=="]
    begin, end = (f"-----{which} {kind}-----" for which in ("BEGIN", "END"))
    return "\n".join([begin, *lines, end]) + "\n", tuple(lines)


def lazily(function: Callable[[], Any]) -> Callable[[], Any]:
    """Marks a value that needs a library: it's made when the case is, not on import."""
    return function
