"""The `langflow-otel` command."""

from typing import Annotated

import typer

from langflow_otel.cli.demo import demo
from langflow_otel.cli.run import run
from langflow_otel.version import __version__

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


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """OpenTelemetry tracing for Langflow."""
