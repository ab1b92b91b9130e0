"""Where Langflow's secrets are: fields, global variables, what a component keeps of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from langflow_otel.capture import RunSecrets, is_secret
from langflow_otel.context import current_component
from langflow_otel.guard import safely
from langflow_otel.seams.fields import PASSWORD, has_flag
from langflow_otel.seams.loads import keep, watch_loads
from langflow_otel.seams.patches import Wrapper

_DATABASE = "langflow.services.variable.service"
_KUBERNETES = "langflow.services.variable.kubernetes"
_CUSTOM = "lfx.custom.custom_component.custom_component"
_CREDENTIAL = "Credential"
_MAX_TYPES = 4096
_MAX_ITEMS = 64


class SecretSeam:
    """The wrappers around what resolves global variables, whose values may be secrets."""

    def __init__(self, hides: Callable[[str], bool]) -> None:
        """Take a variable of no known type for a secret where `hides` says so of its name."""
        self._hides = hides
        self._types: dict[tuple[str, str], str] = {}

    def rows(self) -> Iterator[tuple[str, str, Wrapper]]:
        """Yield module, function and wrapper of what gives out the values of variables."""
        yield _DATABASE, "DatabaseVariableService.get_variable", self.variable
        yield _DATABASE, "DatabaseVariableService.get_all_decrypted_variables", self.variables
        yield _KUBERNETES, "KubernetesSecretService.get_variable", self.variable
        yield _CUSTOM, "CustomComponent.get_variable", self.asked
        yield "lfx.interface.initialize.loading", "load_from_env_vars", self.from_environment

    async def variable(
        self, wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Remember the value of a credential; from 1.10 on it comes as a SecretStr."""
        value = await wrapped(*args, **kwargs)
        user_id = args[0] if args else kwargs.get("user_id")
        name = args[1] if len(args) > 1 else kwargs.get("name")
        safely(self._remember, str(user_id), str(name), value)
        return value

    async def asked(
        self,
        wrapped: Callable[..., Any],
        component: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Do the same where a component asks: a request may bring variables of its own."""
        value = await wrapped(*args, **kwargs)
        name = args[0] if args else kwargs.get("name")
        safely(self._remember, str(getattr(component, "user_id", "")), str(name), value)
        return value

    async def variables(
        self, wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Do the same for all variables of a user, which MCP tools ask for."""
        values = await wrapped(*args, **kwargs)
        user_id = args[0] if args else kwargs.get("user_id")
        for name, value in values.items() if isinstance(values, dict) else ():
            safely(self._remember, str(user_id), str(name), value)
        return values

    def from_environment(
        self, wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Do the same where there is no database, and so no type of a variable."""
        asked = safely(_asked_for, *args[:2])
        params = wrapped(*args, **kwargs)
        safely(self._remember_all, asked or {}, params)
        return params

    def watch_types(self, module: Any) -> Callable[[], None]:
        """Learn the types of variables as they are loaded; before 1.10 nothing else tells them."""
        return watch_loads(module.Variable, self._keep_type)

    def _keep_type(self, said: Mapping[str, Any]) -> None:
        owner_and_name = str(said.get("user_id")), str(said.get("name"))
        keep(self._types, owner_and_name, str(said.get("type")), _MAX_TYPES)

    def _remember(self, user_id: str, name: str, value: Any) -> None:
        span = current_component()
        if span is None:
            return
        if is_secret(value):
            span.capture.secrets.add_object(value)
        elif isinstance(value, str):
            if self._types.get((user_id, name)) == _CREDENTIAL:
                span.capture.secrets.add(value)
            elif self._hides(name):
                span.capture.secrets.add_named(value)

    def _remember_all(self, asked: Mapping[str, str], params: Mapping[str, Any]) -> None:
        for field, name in asked.items():
            self._remember("", name, params.get(field))


def gather(component: Any, secrets: RunSecrets) -> None:
    """Remember the values of the secret fields of `component`, and what it knows of others'."""
    for field in vars(component).get("_inputs", {}).values():
        value = getattr(field, "value", None)
        if is_secret(value):
            secrets.add_object(value)
        elif has_flag(field, PASSWORD):
            _add(value, secrets)
    for value in tuple(vars(component).get("_secret_values", ())):
        secrets.add(str(value))


def gather_all(graph: Any, secrets: RunSecrets) -> None:
    """Remember the secrets that are written into the fields of a flow, once for each graph."""
    if not secrets.is_new(graph):
        return
    for vertex in graph.vertices:
        for field in _template(vertex).values():
            if not isinstance(field, dict) or not field.get("password"):
                continue
            if not field.get("load_from_db"):
                _add(field.get("value"), secrets)


def _add(value: Any, secrets: RunSecrets) -> None:
    if isinstance(value, str):
        secrets.add(value)
    elif type(value) in {list, dict}:
        for item in list(value.values() if type(value) is dict else value)[:_MAX_ITEMS]:
            if isinstance(item, str):
                secrets.add(item)


def _template(vertex: Any) -> Mapping[str, Any]:
    return (vertex.data.get("node") or {}).get("template") or {}


def _asked_for(params: Mapping[str, Any], fields: Iterable[str]) -> dict[str, str]:
    return {field: str(params[field]) for field in fields if params.get(field)}
