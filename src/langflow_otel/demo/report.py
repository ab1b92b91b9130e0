"""What the demo shows on the terminal: its progress, and the traces as trees."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text
from rich.tree import Tree

from langflow_otel import names
from langflow_otel.demo.spans import DemoSpan

_STYLES = {
    names.KIND_AGENT: "magenta",
    names.KIND_CHAIN: "blue",
    names.KIND_LLM: "green",
    names.KIND_PROMPT: "cyan",
    names.KIND_TOOL: "yellow",
}
_MAX_TEXT = 100

Advance = Callable[[int], None]


class Stages:
    """A progress display with a line for each stage; stages may overlap."""

    def __init__(self, console: Console) -> None:
        """Show the progress on `console`."""
        self._progress = Progress(
            SpinnerColumn("line", finished_text="[green]*[/]"),
            TextColumn("{task.description}"),
            _Count(),
            BarColumn(bar_width=20),
            TextColumn("{task.elapsed:4.1f} s", style="dim"),
            console=console,
        )

    def __enter__(self) -> "Stages":
        """Show it."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave what was reached on the screen."""
        self._progress.stop()

    @contextmanager
    def stage(self, text: str, total: int | None = None) -> Iterator[Advance]:
        """Show a stage, of `total` steps where they can be counted; yields what sets the count."""
        task = self._progress.add_task(text, total=total)
        yield lambda done: self._progress.update(task, completed=done)
        if total is None:
            self._progress.update(task, total=1, completed=1)
        self._progress.stop_task(task)


class _Count(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Write the steps done of those to do, where they can be counted."""
        counted = task.total is not None and task.total > 1
        return Text(f"{task.completed:.0f}/{task.total:.0f}" if counted else "")


def trees(spans: Sequence[DemoSpan]) -> list[Tree]:
    """Draw each trace as a tree, in the order they started."""
    drawn: list[Tree] = []
    below: dict[str, list[DemoSpan]] = defaultdict(list)
    ids = {span.span_id for span in spans}
    for span in sorted(spans, key=lambda span: (span.start, span.name)):
        below[span.parent_id if span.parent_id in ids else ""].append(span)

    def grow(tree: Tree, span: DemoSpan) -> Tree:
        for child in below[span.span_id]:
            grow(tree.add(_line(child)), child)
        return tree

    for root in below[""]:
        trace = [span for span in spans if span.trace_id == root.trace_id]
        drawn.append(grow(Tree(_head(root, trace), guide_style="dim"), root))
    return drawn


def _head(root: DemoSpan, trace: Sequence[DemoSpan]) -> Text:
    head = _line(root)
    tokens = sum(span.tokens for span in trace)
    head.append(f"  {tokens} tokens" * bool(tokens), style="green")
    head.append(f"  {len(trace)} spans", style="dim")
    head.append(f"  session {root.session}" * bool(root.session), style="bold cyan")
    for label, name in (("in ", names.INPUT_VALUE), ("out", names.OUTPUT_VALUE)):
        if text := " ".join(str(root.attributes.get(name, "")).split()):
            shown = text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 3] + "..."
            head.append(f"\n{label} {shown}", style="italic dim")
    return head


def _line(span: DemoSpan) -> Text:
    line = Text.assemble(
        (f"{span.kind:<6} ", _STYLES.get(span.kind, "white")),
        (span.name, "bold" if not span.parent_id else ""),
        (f"  {_duration(span.seconds)}", "dim"),
    )
    if span.tokens:
        read, written = span.tokens_in_and_out
        line.append(f"  {read} + {written} tokens", style="green")
    if span.failed:
        line.append(f"  ERROR {span.message}", style="bold red")
    return line


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
