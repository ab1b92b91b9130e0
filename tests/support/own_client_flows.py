"""Flows whose components call a model's API themselves."""

from __future__ import annotations

from lfx.components.flow_controls import LoopComponent
from lfx.components.input_output import ChatInput, ChatOutput

from langflow_otel.demo.components import ScriptedModelComponent
from langflow_otel.demo.flows import Flow, FlowBuilder
from tests.support import components as shared
from tests.support import own_client as own
from tests.support.flows import single
from tests.support.openai_server import OpenAIServer


def asking(openai: OpenAIServer, name: str = "Asking", **values: object) -> Flow:
    """Chat Input -> Asker -> Chat Output."""
    return single(name, own.AskerComponent, "answer", field="asked", **_at(openai), **values)


def handing_on(openai: OpenAIServer, *ways: str) -> Flow:
    """Chat Input -> Asker -> a Hand On for each of the ways -> Chat Output."""
    flow = FlowBuilder("Handing on")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    last, output = flow.add(own.AskerComponent, **_at(openai)), "answer"
    flow.connect(question, "message", last, "asked")
    for number, how in enumerate(ways):
        next_ = flow.add(own.HandOnComponent, id_=f"HandOn-{number}", how=how)
        flow.connect(last, output, next_, "message")
        last, output = next_, "handed"
    flow.connect(last, output, answered, "input_value")
    return flow.build()


def asking_flow(openai: OpenAIServer) -> Flow:
    """Chat Input -> Answer of Flow, which runs a flow that asks -> Chat Output."""
    inner = asking(openai, "Inner")
    return single("Asking a flow", own.AnswerOfFlowComponent, "answer", flow=inner)


def loop(openai: OpenAIServer) -> Flow:
    """Chat Input -> Items -> Loop, whose body is Asker -> Rows -> Chat Output."""
    flow = FlowBuilder("Asking in a loop")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    items, rows = flow.add(shared.ItemsComponent), flow.add(shared.RowsComponent)
    loop, body = flow.add(LoopComponent), flow.add(own.AskerComponent, **_at(openai))
    flow.connect(question, "message", items, "text")
    flow.connect(items, "items", loop, "data")
    flow.connect(loop, "item", body, "asked")
    flow.connect(body, "answer", loop, "item")
    flow.connect(loop, "done", rows, "table")
    flow.connect(rows, "joined", answered, "input_value")
    return flow.build()


def streaming(how: str) -> Flow:
    """Chat Input -> Pieces, whose last one tells of the tokens in the way `how` -> Chat Output."""
    return single("Pieces of its own", own.PiecesComponent, "pieces", how=how)


def smart_transform() -> Flow:
    """Chat Input -> Smart Transform, Langflow's own, into capitals -> Chat Output."""
    from lfx.components.llm_operations.lambda_filter import LambdaFilterComponent

    flow = FlowBuilder("Transform")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    model = flow.add(ScriptedModelComponent, script=["lambda text: text.upper()"])
    transform = flow.add(LambdaFilterComponent, filter_instruction="In capitals.")
    flow.connect(model, "model_output", transform, "model")
    flow.connect(question, "message", transform, "data")
    flow.connect(transform, "message_output", answered, "input_value")
    return flow.build()


def _at(openai: OpenAIServer) -> dict[str, str]:
    return {"base_url": f"{openai.endpoint}/v1", "api_key": openai.api_key}
