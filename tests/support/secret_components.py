"""Components that do with a secret what they should not: log it, repeat it, quote it in an error.

As in `components`, a flow carries each one's source, so a class uses nothing of this module but
its imports. None of them names a secret for what it is: no "password", no "Bearer".
"""

import base64
from urllib.parse import quote

from lfx.custom.custom_component.component import Component
from lfx.io import MessageTextInput, Output, SecretStrInput, StrInput, TableInput
from lfx.schema.message import Message


class VariablesComponent(Component):
    """Repeats the values of Langflow's global variables in its log and in its output."""

    display_name = "Variables"
    name = "Variables"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        SecretStrInput(name="opener", display_name="Opener"),
        StrInput(name="line", display_name="Line"),
        MessageTextInput(name="note", display_name="Note"),
        StrInput(name="city", display_name="City"),
        TableInput(
            name="rows",
            display_name="Rows",
            table_schema=[
                {"name": "key", "display_name": "Key", "type": "str"},
                {"name": "value", "display_name": "Value", "type": "str", "load_from_db": True},
            ],
            value=[],
        ),
    ]
    outputs = [Output(display_name="Text", name="told", method="tell")]

    def tell(self) -> Message:
        rows = [row["value"] for row in self.rows or []]
        rows = [v.get_secret_value() if hasattr(v, "get_secret_value") else v for v in rows]
        values = [self.opener, self.line, self.note, *rows]
        self.log({"seen": values, "city": self.city}, name="seen")
        lengths = [len(value or "") for value in values]
        return Message(text=f"{self.text} from {self.city}: {' '.join(values)} {lengths}")


class RelayComponent(Component):
    """Passes a text on, and knows nothing of secrets."""

    display_name = "Relay"
    name = "Relay"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(display_name="Text", name="relayed", method="relay")]

    def relay(self) -> Message:
        self.log(f"relaying {self.text}", name="relay")
        return Message(text=f"relayed {self.text}")


class LinkComponent(Component):
    """Puts its password into an address, which Langflow does not see through."""

    display_name = "Link"
    name = "Link"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        SecretStrInput(name="opener", display_name="Opener"),
    ]
    outputs = [Output(display_name="Text", name="linked", method="link")]

    def link(self) -> Message:
        return Message(text=f"{self.text}: db.example/find?of={quote(self.opener, safe='')}")


class SignInComponent(Component):
    """Fails with an error, and a cause of it, that quote its password in three ways."""

    display_name = "Sign In"
    name = "SignIn"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        SecretStrInput(name="opener", display_name="Opener"),
    ]
    outputs = [Output(display_name="Text", name="signed_in", method="sign_in")]

    def sign_in(self) -> Message:
        encoded = base64.b64encode(f"anna:{self.opener}".encode()).decode()
        try:
            raise PermissionError(f"the directory refused {encoded}")
        except PermissionError as refused:
            quoted = quote(self.opener, safe="")
            message = f"no entry for {self.opener} at db.example/find?of={quoted}: {refused}"
            raise ConnectionError(message) from refused
