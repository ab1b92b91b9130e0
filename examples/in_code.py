"""A flow run by lfx in a program of yours, traced: set PHOENIX_COLLECTOR_ENDPOINT and run it."""

import asyncio

from langflow_otel import LangflowInstrumentor

LangflowInstrumentor().instrument()

from lfx.components.input_output import ChatInput, ChatOutput  # noqa: E402
from lfx.components.models_and_agents import PromptComponent  # noqa: E402
from lfx.graph import Graph  # noqa: E402


def build() -> Graph:
    """Chat Input -> Prompt -> Chat Output."""
    question = ChatInput()
    prompt = PromptComponent().set(
        template="You asked: {question}", question=question.message_response
    )
    answer = ChatOutput().set(input_value=prompt.build_prompt)
    return Graph(question, answer, flow_name="In code")


async def main() -> None:
    """Two turns of one session."""
    for text in ("What is a trace?", "And a span?"):
        runs = await build().arun([{"input_value": text}], session_id="a-session")
        print(runs[0].outputs[0].results["message"].text)


if __name__ == "__main__":
    asyncio.run(main())
