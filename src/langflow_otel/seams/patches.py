"""Wrap a function when its module is imported, and take the wrapping off again."""

import itertools
import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import wrapt

from langflow_otel.guard import logger, safely
from langflow_otel.settings import deactivated_by

Arguments = tuple[Any, ...]
Keywords = dict[str, Any]
Wrapper = Callable[[Callable[..., Any], Any, Arguments, Keywords], Any]

# What is to be done when a module is imported, and for whom. A hook cannot be taken back: so there
# is one for each module, which knows nobody.
_awaited: dict[str, list[tuple["Patches", Callable[[Any], None]]]] = {}
_awaiting = threading.Lock()
# Of classes, which may be wrapped at any time: of tools that come into being.
_wrapping = threading.Lock()


def _renew() -> None:
    """Let go of what another thread held when this process was forked."""
    global _awaiting, _wrapping
    _awaiting, _wrapping = threading.Lock(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


class Patches:
    """All that is wrapped, until `remove`."""

    def __init__(self) -> None:
        """Start with nothing wrapped."""
        self._active = True
        self._applied: list[tuple[Any, str, Any, Wrapper]] = []
        self._undo: list[Callable[[], None]] = []
        self._seen: weakref.WeakSet[type] = weakref.WeakSet()
        self._methods: weakref.WeakKeyDictionary[type, set[str]] = weakref.WeakKeyDictionary()

    def wrap(self, module: str, function: str, wrapper: Wrapper) -> None:
        """Wrap `function` of `module` as soon as the module is there, or at once.

        What is wrapped by another wrapper already is wrapped around that.
        """
        self._await(module, lambda imported: self._apply(imported, function, wrapper))

    def methods(self, cls: type, wrappers: Mapping[str, Wrapper], *, below: str = "object") -> None:
        """Wrap the methods that `cls` has, in whichever of its bases they are, once.

        Bases from the one called `below` on are left alone. Neither a class nor what it holds is
        kept alive: Langflow makes a class for each tool of an MCP server.
        """
        if cls in self._seen:
            return
        with _wrapping:
            if self._active and cls not in self._seen:
                self._wrap_methods(cls, wrappers, below)
                self._seen.add(cls)

    def _wrap_methods(self, cls: type, wrappers: Mapping[str, Wrapper], below: str) -> None:
        for base in itertools.takewhile(lambda base: base.__name__ != below, cls.__mro__):
            wrapped = self._methods.setdefault(base, set())
            for name in wrappers.keys() & vars(base).keys() - wrapped:
                if not getattr(vars(base)[name], "__isabstractmethod__", False):
                    wrapped.add(name)
                    replacement = self._around(vars(base)[name], wrappers[name])
                    replacement._self_langflow_otel = self
                    setattr(base, name, replacement)

    def when_imported(
        self, module: str, action: Callable[[Any], Callable[[], None] | None]
    ) -> None:
        """Run `action` on `module` as soon as that is there; what it returns undoes it."""

        def act(imported: Any) -> None:
            undo = action(imported)
            if undo is not None:
                self._undo.append(undo)

        self._await(module, act)

    def remove(self) -> None:
        """Take every wrapping off.

        A wrapper that somebody else has wrapped since cannot be taken off; it passes calls on.
        """
        with _wrapping:
            self._active = False
        with _awaiting:
            for actions in _awaited.values():
                actions[:] = [each for each in actions if each[0] is not self]
        for parent, name, replacement, _ in reversed(self._applied):
            if parent.__dict__.get(name) is replacement:
                setattr(parent, name, replacement.__wrapped__)
        self._applied.clear()
        for cls, methods in list(self._methods.items()):
            for name in methods:
                method: Any = vars(cls).get(name)
                if getattr(method, "_self_langflow_otel", None) is self:
                    setattr(cls, name, method.__wrapped__)
        self._methods.clear()
        for undo in self._undo:
            safely(undo)
        self._undo.clear()

    def _around(self, original: Any, wrapper: Wrapper) -> Any:
        return wrapt.FunctionWrapper(original, wrapper, enabled=lambda: self._active)

    def _await(self, module: str, action: Callable[[Any], None]) -> None:
        with _awaiting:
            imported = sys.modules.get(module)
            hooked = module in _awaited
            if imported is None:
                _awaited.setdefault(module, []).append((self, action))
        if imported is not None:
            self._act(action, imported)
        elif not hooked:
            wrapt.register_post_import_hook(partial(_imported, module), module)

    def _act(self, action: Callable[[Any], None], imported: Any) -> None:
        # An exception in a post-import hook would break Langflow's own import.
        # A .env file that Langflow has read since may have turned everything off.
        if self._active and deactivated_by() is None:
            safely(action, imported)

    def _apply(self, module: Any, function: str, wrapper: Wrapper) -> None:
        try:
            parent, name, original = wrapt.resolve_path(module, function)
        except AttributeError:
            logger.debug("langflow-otel: this Langflow has no %s.%s", module.__name__, function)
            return
        if any(original is each[2] and wrapper == each[3] for each in self._applied):
            # The module has it from another one, where it was wrapped already.
            self._applied.append((parent, name, original, wrapper))
            return
        replacement = self._around(original, wrapper)
        wrapt.apply_patch(parent, name, replacement)
        self._applied.append((parent, name, replacement, wrapper))


def _imported(name: str, module: Any) -> None:
    with _awaiting:
        actions = _awaited.pop(name, [])
    for patches, action in actions:
        patches._act(action, module)
