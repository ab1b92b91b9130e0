"""Which flows and components a switch names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field


class NamePatterns:
    """Names and ids, of which some may be patterns; case matters.

    Args:
        patterns: Names (`APIRequest`) and ids (`APIRequest-a1B2c`); `*` in them stands for any
            characters, `?` for one, and nothing else for anything but itself.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        """See the class."""
        alternatives = [
            re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".") for pattern in patterns
        ]
        self._pattern = re.compile("|".join(alternatives), re.DOTALL) if alternatives else None

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return self._pattern is not None

    def match(self, *names: str | None) -> bool:
        """Tell whether one of the `names` of something, which may be unknown, is among them."""
        pattern = self._pattern
        return pattern is not None and any(name and pattern.fullmatch(name) for name in names)


@dataclass(frozen=True)
class LeftOut:
    """What is left out of a trace.

    Attributes:
        flows: The flows that are not traced at all, by name or id.
        components: The components that get no span, by type or id.
        content: The components whose content is never captured, by type or id.
    """

    flows: NamePatterns = field(default_factory=NamePatterns)
    components: NamePatterns = field(default_factory=NamePatterns)
    content: NamePatterns = field(default_factory=NamePatterns)
