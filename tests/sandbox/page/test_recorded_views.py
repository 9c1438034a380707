"""Every view that the bot sent while its stories were played, drawn in a real browser: none flows over or is cut.

The recorded ones lie in views/; those in the directory of ROLLOUT_RECORD_VIEWS, where a recorder writes what the bot
sends, are looked at too. Each file: {"surface": "message"|"modal"|"home", "text", "blocks" | "view"}.
"""

import json
import os
from pathlib import Path

import pytest

from tests.sandbox.page.conftest import Open
from tests.sandbox.page.measuring import flaws
from tests.sandbox.page.sheet import draw
from tests.sandbox.say.blocks import Json

pytestmark = pytest.mark.browser

RECORDED = Path(__file__).parent / "views"
BATCH = 20


def recorded() -> list[Json]:
    """All recorded views, the longest last, each with its file's name."""
    directories = [RECORDED, *filter(None, [os.environ.get("ROLLOUT_RECORD_VIEWS")])]
    files = sorted((file for directory in directories for file in Path(directory).glob("*.json")), key=lambda f: f.name)
    found = {file.stem: {**json.loads(file.read_text()), "name": file.stem} for file in files}
    return sorted(found.values(), key=lambda view: (view["surface"], len(json.dumps(view))))


def test_there_are_views_of_every_surface() -> None:
    assert {view["surface"] for view in recorded()} == {"message", "modal", "home"}


@pytest.mark.parametrize(("width", "dark"), [(640, False), (360, True)])
def test_no_view_of_the_bot_flows_over_or_is_cut(visit: Open, artefacts: Path, width: int, dark: bool) -> None:
    views = recorded()
    wrong: dict[str, list[str]] = {}
    page = visit("devops", width=1280, dark=dark)
    for number, start in enumerate(range(0, len(views), BATCH), start=1):
        drawn = draw(page, views[start : start + BATCH], width)
        for view, each in zip(views[start : start + BATCH], drawn.all(), strict=True):
            if found := flaws(each):
                wrong[view["name"]] = found
        tone = "-dark" if dark else ""
        page.screenshot(path=artefacts / f"views-{width}{tone}-{number:02}.png", full_page=True)
    assert wrong == {}


def test_what_is_wrong_is_seen(visit: Open) -> None:
    """The measure itself: a box that is too wide, a text that is cut and one over another are found."""
    page = visit("devops")
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": text}} for text in ("one", "two", "three")]
    view = draw(page, [{"surface": "message", "name": "bad", "blocks": blocks}], 640)
    assert flaws(view) == []
    page.evaluate(
        """() => {
          const [one, two, three] = document.querySelectorAll(".section-text");
          one.style.cssText = "width:900px";
          two.style.cssText = "height:5px;overflow:hidden";
          three.style.cssText = "position:relative;top:-40px";
        }"""
    )
    found = "\n".join(flaws(view))
    assert "beside its frame" in found
    assert "cut below" in found
    assert 'over "one"' in found or 'over "two"' in found
