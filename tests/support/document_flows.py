"""A flow that finds documents."""

import pandas as pd
from lfx.components.input_output import ChatInput, ChatOutput
from lfx.custom.custom_component.component import Component
from lfx.io import MessageTextInput, Output
from lfx.schema.data import Data
from lfx.schema.dataframe import DataFrame

from langflow_otel.demo.flows import Flow, FlowBuilder


class ShelfComponent(Component):
    """Finds two documents, whatever is asked, as a list and as a table."""

    display_name = "Shelf"
    name = "Shelf"
    trace_type = "retriever"
    inputs = [MessageTextInput(name="search_query", display_name="Query")]
    outputs = [Output(display_name="Found", name="found", method="find")]

    def find(self) -> list[Data]:
        return [
            Data(text="Refunds take 14 days.", source="a.pdf", score=0.9, id="a-1"),
            Data(text="Ask with api_key=abcdef123.", source="b.pdf", page=3, score=0.0),
        ]


class CatalogueComponent(Component):
    """Finds the same as a table."""

    display_name = "Catalogue"
    name = "Catalogue"
    trace_type = "retriever"
    inputs = [MessageTextInput(name="search_query", display_name="Query")]
    outputs = [Output(display_name="Found", name="found", method="tabulate")]

    def tabulate(self) -> DataFrame:
        return DataFrame(pd.DataFrame({"text": ["Refunds take 14 days."], "source": ["a.pdf"]}))


class ArchiveComponent(Component):
    """Finds forty documents of fifty kilobytes."""

    display_name = "Archive"
    name = "Archive"
    trace_type = "retriever"
    inputs = [MessageTextInput(name="search_query", display_name="Query")]
    outputs = [Output(display_name="Found", name="found", method="find")]

    def find(self) -> list[Data]:
        return [
            Data(text=f"{number} " + "word " * 10_000, source=f"{number}.pdf", score=0.5)
            for number in range(40)
        ]


def documents(component: type[Component]) -> Flow:
    """Chat Input -> a component that finds documents -> Chat Output."""
    flow = FlowBuilder("Documents")
    question, answered, shelf = flow.add(ChatInput), flow.add(ChatOutput), flow.add(component)
    flow.connect(question, "message", shelf, "search_query")
    flow.connect(shelf, "found", answered, "input_value")
    return flow.build()
