"""Wrap a function when its module is imported, and take the wrapping off again."""

from collections.abc import Callable
from typing import Any

import wrapt

from langflow_otel.guard import logger, safely
from langflow_otel.settings import deactivated_by

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]


class Patches:
    """All that is wrapped, until `remove`."""

    def __init__(self) -> None:
        """Start with nothing wrapped."""
        self._active = True
        self._applied: list[tuple[Any, str, Any]] = []
        self._undo: list[Callable[[], None]] = []

    def wrap(self, module: str, function: str, wrapper: Wrapper) -> None:
        """Wrap `function` of `module` as soon as the module is there, or at once."""
        wrapt.register_post_import_hook(
            lambda imported: self._hook(self._apply, imported, function, wrapper), module
        )

    def when_imported(
        self, module: str, action: Callable[[Any], Callable[[], None] | None]
    ) -> None:
        """Run `action` on `module` as soon as that is there; what it returns undoes it."""

        def act(imported: Any) -> None:
            undo = action(imported)
            if undo is not None:
                self._undo.append(undo)

        wrapt.register_post_import_hook(lambda imported: self._hook(act, imported), module)

    def remove(self) -> None:
        """Take every wrapping off.

        A wrapper that somebody else has wrapped since cannot be taken off; it passes calls on.
        """
        self._active = False
        for parent, name, replacement in self._applied:
            if parent.__dict__.get(name) is replacement:
                setattr(parent, name, replacement.__wrapped__)
        self._applied.clear()
        for undo in self._undo:
            safely(undo)
        self._undo.clear()

    def _hook(self, action: Callable[..., None], *args: Any) -> None:
        # An exception in a post-import hook would break Langflow's own import.
        # A .env file that Langflow has read since may have turned everything off.
        if self._active and deactivated_by() is None:
            safely(action, *args)

    def _apply(self, module: Any, function: str, wrapper: Wrapper) -> None:
        try:
            parent, name, original = wrapt.resolve_path(module, function)
        except AttributeError:
            logger.debug("langflow-otel: this Langflow has no %s.%s", module.__name__, function)
            return
        if any(original is replacement for _, _, replacement in self._applied):
            # The module has it from another one, where it was wrapped already.
            self._applied.append((parent, name, original))
            return
        replacement = wrapt.FunctionWrapper(original, wrapper, enabled=lambda: self._active)
        wrapt.apply_patch(parent, name, replacement)
        self._applied.append((parent, name, replacement))
