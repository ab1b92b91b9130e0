"""The demo's four flow runs, in two sessions, and what each of them must leave in Phoenix."""

from collections.abc import Callable
from dataclasses import dataclass

from lfx.load import arun_flow_from_json

from langflow_otel.demo import flows
from langflow_otel.demo.spans import DemoSpan, Recorder


@dataclass(frozen=True)
class Run:
    """A flow run to be.

    Attributes:
        flow: Makes the flow.
        session: The session it belongs to.
        text: The chat input.
        outline: Its components, model calls and tool calls as `check.outline` writes them.
        error: What it fails with; "" where it does not.
    """

    flow: Callable[[], flows.Flow]
    session: str
    text: str
    outline: str
    error: str = ""


@dataclass(frozen=True)
class Outcome:
    """A flow run that was, with the spans that were recorded of it."""

    run: Run
    recorded: list[DemoSpan]
    raised: str = ""


_CHAT = """
CHAIN Chat
  CHAIN Chat Input
  CHAIN Chat Output
  CHAIN Scripted Model
    LLM ScriptedChatModel (tokens)
  PROMPT Prompt Template
"""
_AGENT = """
CHAIN Travel agent
  AGENT Agent
    LLM ScriptedChatModel (tokens)
    LLM ScriptedChatModel (tokens)
    TOOL get_distance
    TOOL get_weather
  CHAIN Chat Input
  CHAIN Chat Output
  CHAIN Distance
  CHAIN Scripted Model
  CHAIN Weather
"""
_FAILING = """
CHAIN Order status !error
  CHAIN Chat Input
  CHAIN Order Lookup !error
"""

RUNS = (
    Run(flows.chat_flow, "anna", "What is a trace?", _CHAT),
    Run(
        flows.agent_flow,
        "anna",
        "What is the weather in Paris, and how far is it from Berlin?",
        _AGENT,
    ),
    Run(flows.chat_flow, "ben", "Explain a trace to me, please.", _CHAT),
    Run(flows.failing_flow, "ben", "4711", _FAILING, error="no such order: 4711"),
)


async def perform(run: Run, recorder: Recorder) -> Outcome:
    """Run a flow, as Langflow's users do in code."""
    raised = ""
    try:
        await arun_flow_from_json(run.flow(), run.text, session_id=run.session)
    except Exception as error:  # noqa: BLE001 - a flow raises whatever its components do
        raised = str(error) or type(error).__name__
    return Outcome(run, recorder.take(), raised)
