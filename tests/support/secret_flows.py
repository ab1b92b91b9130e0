"""The flows that handle secrets; see `flows`, and `secrets` for what looks for them."""

from __future__ import annotations

from collections.abc import Mapping

from lfx.components.data_source import APIRequestComponent
from lfx.components.input_output import ChatInput, ChatOutput
from lfx.inputs import inputs

from langflow_otel.demo.flows import Flow, FlowBuilder
from tests.support import secret_components as own
from tests.support.flows import single

REFUSES_CREDENTIALS_IN_TEXT = hasattr(inputs, "_reject_secret_in_non_password_field")
"""From Langflow 1.10 on a credential is taken in no field but one for passwords."""


def variables(name: str, fields: Mapping[str, str], rows: Mapping[str, str] | None = None) -> Flow:
    """Chat Input -> Variables, whose fields are global variables by name -> Relay -> Chat Output.

    `rows` are those of its table, whose values are variables, too.
    """
    flow = FlowBuilder(name)
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    table = [{"key": key, "value": value} for key, value in (rows or {}).items()]
    teller = flow.add(own.VariablesComponent, rows=table, **fields)
    for field in fields:
        flow.node(teller)["template"][field]["load_from_db"] = True
    relay = flow.add(own.RelayComponent)
    flow.connect(question, "message", teller, "text")
    flow.connect(teller, "told", relay, "text")
    flow.connect(relay, "relayed", answered, "input_value")
    return flow.build()


def api_request(name: str, url: str, headers: Mapping[str, str], curl: str = "") -> Flow:
    """API Request, Langflow's own -> Chat Output.

    Next to them a Chat Input would be all that runs.
    """
    flow = FlowBuilder(name)
    answered = flow.add(ChatOutput)
    rows = [{"key": key, "value": value} for key, value in headers.items()]
    request = flow.add(
        APIRequestComponent,
        url_input=url,
        headers=rows,
        curl_input=curl,
        include_httpx_metadata=True,
    )
    flow.connect(request, "data", answered, "input_value")
    return flow.build()


def link(opener: str) -> Flow:
    """Chat Input -> Link, which quotes its password in an address -> Chat Output."""
    return single("Link", own.LinkComponent, "linked", opener=opener)


def sign_in(name: str, opener: str) -> Flow:
    """Chat Input -> Sign In, which fails -> Chat Output, never reached."""
    flow = FlowBuilder(name)
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    failing = flow.add(own.SignInComponent, opener=opener)
    flow.connect(question, "message", failing, "text")
    flow.connect(failing, "signed_in", answered, "input_value")
    return flow.build()
