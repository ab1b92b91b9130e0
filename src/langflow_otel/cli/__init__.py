"""The `langflow-otel` command."""

import typer

from langflow_otel.cli.demo import demo
from langflow_otel.cli.run import run

app = typer.Typer(
    name="langflow-otel",
    help="OpenTelemetry tracing for Langflow.",
    no_args_is_help=True,
    add_completion=False,
)
app.command(
    "run", context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True}
)(run)
app.command("demo")(demo)


@app.callback()
def main() -> None:
    """OpenTelemetry tracing for Langflow."""
