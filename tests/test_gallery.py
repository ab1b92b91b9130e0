"""docs/gallery.md shows what runs look like: it is run again here, and compared."""

from __future__ import annotations

import pytest

from tests.conftest import Traced
from tests.support.versions import before

if before("1.13"):
    pytest.skip("the gallery is of the newest Langflow", allow_module_level=True)

from tests.support import gallery
from tests.support.invariants import check


@pytest.mark.parametrize("shape", gallery.IN_PROCESS, ids=lambda shape: shape.title)
async def test_the_page_shows_what_a_run_looks_like(traced: Traced, shape: gallery.Shape) -> None:
    await shape.run()

    check(traced.spans())
    tree = gallery.drawn(traced.spans())
    assert gallery.parts(tree) == gallery.parts(gallery.shown(shape.title)), tree


def test_the_pages_pictures_are_there_and_small() -> None:
    page = gallery.PAGE.read_text()
    for shape in (*gallery.IN_PROCESS, *gallery.SERVED):
        assert f"## {shape.title}\n" in page
        if shape.select:
            picture = gallery.picture(shape.title)
            assert f"({picture.relative_to(gallery.PAGE.parent).as_posix()})" in page
            assert picture.stat().st_size < gallery.MOST_BYTES


def test_the_comparison_minds_what_is_below_what_and_not_the_order() -> None:
    assert gallery.parts("a\n  b\n  c") == gallery.parts("a\n  c\n  b")
    assert gallery.parts("a\n  b\n  c") != gallery.parts("a\n  b\n    c")
    assert gallery.parts("a\n  b") != gallery.parts("a\n  b\n  b")


def test_a_tree_goes_below_its_own_heading() -> None:
    page = "## One\n\n```text\nold\n```\n\n## Two\n\nwords\n\n```text\nolder\n```\n"
    assert gallery.shown("Two", page) == "older"
    changed = gallery.with_tree(page, "Two", "new\n  one")
    assert gallery.shown("Two", changed) == "new\n  one"
    assert gallery.shown("One", changed) == "old"
