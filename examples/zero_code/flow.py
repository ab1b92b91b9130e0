"""A flow as Langflow users write it: nothing in here knows of tracing. `run.sh` runs it traced."""

from lfx.components.input_output import ChatInput, ChatOutput
from lfx.components.models_and_agents import PromptComponent
from lfx.graph import Graph

question = ChatInput()
prompt = PromptComponent().set(template="You asked: {question}", question=question.message_response)
answer = ChatOutput().set(input_value=prompt.build_prompt)

graph = Graph(question, answer, flow_name="Zero code")
