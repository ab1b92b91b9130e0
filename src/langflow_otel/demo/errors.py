"""What a demo can fail of that its user can do something about."""


class DemoError(Exception):
    """Stops the demo; its text is all that the user is shown."""
