"""Measures, and prints tables as Markdown: see `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import logging
import time

from benchmarks import plots, readme, tables


def main() -> None:
    """Run the benchmarks that are named, all of them where none is."""
    arguments = _arguments()
    logging.disable(logging.WARNING)
    print(tables.machine(), flush=True)
    if arguments.write:
        readme.write("machine", tables.machine())
    for name in arguments.benchmarks or tables.names(quick=arguments.quick):
        began = time.monotonic()
        figures, shown = tables.run(name, quick=arguments.quick)
        for title, table in shown.items():
            print(f"\n### {title}\n\n{table}", flush=True)
            if arguments.write:
                readme.write(title, table)
        if arguments.write:
            plots.draw(name, figures)
        print(f"\n({name}: {time.monotonic() - began:.0f} s)", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("make bench", description="Measures what tracing costs.")
    names = ", ".join(tables.BENCHMARKS)
    parser.add_argument("benchmarks", nargs="*", metavar="benchmark", help=f"of {names}")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter repeats")
    parser.add_argument(
        "--write", action="store_true", help="put tables and plots into benchmarks/README.md"
    )
    arguments = parser.parse_args()
    for name in arguments.benchmarks:
        if name not in tables.BENCHMARKS:
            parser.error(f"there is no {name}; there are {names}")
    return arguments


if __name__ == "__main__":
    main()
