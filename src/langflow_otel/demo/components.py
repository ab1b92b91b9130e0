"""The demo's Langflow components: a scripted chat model, two tools, and one that fails.

A flow carries the source of its custom components. `flows.component_code` takes it from here,
one class at a time together with this module's imports, so a class may use nothing else of
this module.
"""

import asyncio
import json
from math import asin, cos, radians, sin, sqrt

from lfx.base.models.model import LCModelComponent
from lfx.custom.custom_component.component import Component
from lfx.field_typing import LanguageModel
from lfx.io import (
    FloatInput,
    MessageTextInput,
    MultilineInput,
    Output,
    SecretStrInput,
    StrInput,
)
from lfx.schema.data import Data
from lfx.schema.message import Message

from langflow_otel.demo.chat_model import ScriptedChatModel


class ScriptedModelComponent(LCModelComponent):
    """Langflow's model component around `ScriptedChatModel`: answers by itself or in an Agent."""

    display_name = "Scripted Model"
    description = "Answers from a script. Needs no network and no API key."
    icon = "BotMessageSquare"
    name = "ScriptedModel"

    inputs = [
        *LCModelComponent.get_base_inputs(),
        StrInput(name="model_name", display_name="Model Name", value="scripted-1"),
        StrInput(
            name="script",
            display_name="Script",
            is_list=True,
            value=["You said: {input}"],
            info="One answer per turn. {input} stands for the last message of the user.",
        ),
        MultilineInput(
            name="tool_calls",
            display_name="Tool Calls",
            value="[]",
            advanced=True,
            info='The tools to call, as JSON: [{"name": ..., "args": {...}}]',
        ),
        SecretStrInput(
            name="api_key",
            display_name="API Key",
            required=False,
            advanced=True,
            info="Taken as other models take theirs; never used.",
        ),
        FloatInput(name="delay", display_name="Delay", value=0.0, advanced=True),
    ]

    def build_model(self) -> LanguageModel:
        """Make the chat model from the fields."""
        return ScriptedChatModel(
            model_name=self.model_name,
            script=self.script,
            tool_calls=json.loads(self.tool_calls or "[]"),
            api_key=self.api_key or None,
            delay=self.delay or 0.0,
        )


class WeatherComponent(Component):
    """A tool with an async method, as one that calls a service has."""

    display_name = "Weather"
    description = "The weather in a city."
    icon = "CloudSun"
    name = "Weather"

    inputs = [
        MessageTextInput(name="city", display_name="City", tool_mode=True, info="Name of a city"),
    ]
    outputs = [Output(display_name="Weather", name="weather", method="get_weather")]

    async def get_weather(self) -> Message:
        """Look the weather up."""
        await asyncio.sleep(0.05)
        weather = {"Paris": "sunny, 21 degrees", "Oslo": "snow, -3 degrees"}
        return Message(text=f"{self.city}: {weather.get(self.city, 'no report')}")


class DistanceComponent(Component):
    """A tool with a sync method, as one that computes has."""

    display_name = "Distance"
    description = "The distance between two cities in kilometres."
    icon = "Ruler"
    name = "Distance"

    inputs = [
        MessageTextInput(name="origin", display_name="Origin", tool_mode=True, info="A city"),
        MessageTextInput(
            name="destination", display_name="Destination", tool_mode=True, info="Another city"
        ),
    ]
    outputs = [Output(display_name="Distance", name="distance", method="get_distance")]

    def get_distance(self) -> Data:
        """Compute the distance on the great circle."""
        cities = {"Paris": (48.86, 2.35), "Oslo": (59.91, 10.75), "Berlin": (52.52, 13.41)}
        lat1, lon1 = map(radians, cities[self.origin])
        lat2, lon2 = map(radians, cities[self.destination])
        h = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
        return Data(data={"kilometres": round(2 * 6371 * asin(sqrt(h)))})


class OrderLookupComponent(Component):
    """Fails, as a component does when the service behind it has no answer."""

    display_name = "Order Lookup"
    description = "Looks up an order that does not exist."
    icon = "PackageSearch"
    name = "OrderLookup"

    inputs = [MessageTextInput(name="order", display_name="Order")]
    outputs = [Output(display_name="Order", name="order_found", method="look_up")]

    def look_up(self) -> Message:
        """Raise the error."""
        msg = f"no such order: {self.order}"
        raise LookupError(msg)
