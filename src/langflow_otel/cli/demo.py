"""`langflow-otel demo`: real flows, traced into a real Phoenix, and shown."""

import io
import sys
from typing import Annotated

import typer
from rich.console import Console

_WIDTH_OF_NO_TERMINAL = 120


def demo(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Where Phoenix listens. Default: any free port."),
    ] = None,
    exit_: Annotated[
        bool, typer.Option("--exit", help="Stop Phoenix at the end, with a terminal too.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=1, help="How many seconds Phoenix may take to come up.")
    ] = 180,
) -> None:
    """Run real flows, traced into a real Phoenix, and show the traces.

    Needs no API key and no network: the model answers from a script. With a terminal, Phoenix
    stays until Ctrl-C. Ends with 0 when each expected span is in Phoenix, else with 1.
    """
    from langflow_otel.demo.errors import DemoError
    from langflow_otel.demo.show import show

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that is not in UTF-8
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else _WIDTH_OF_NO_TERMINAL)
    stay = terminal and sys.stdin.isatty() and not exit_
    try:
        good = show(console, port=port, stay=stay, timeout=timeout)
    except DemoError as error:
        typer.echo(f"langflow-otel: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(0 if good else 1)
