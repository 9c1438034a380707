"""What is drawn stays within Slack's limits, and nothing that a person typed is taken for markup."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.render import limits
from bot.render.blocks import Detail, Place, render
from bot.render.messages import message
from bot.render.text import mrkdwn
from bot.render.views import TooMuch, form_view, home_view, result_view, typed_values, working_view
from commands.reply import (
    Actor,
    At,
    Block,
    Button,
    Buttons,
    Chart,
    Choice,
    Code,
    Divider,
    Fields,
    Form,
    Heading,
    Icon,
    Line,
    Link,
    Moment,
    Note,
    Paragraph,
    Person,
    Progress,
    Reply,
    Request,
    Shares,
    Strong,
    Surface,
    Table,
    TextInput,
)
from sandbox.slack.blocks.check import CHARACTERS_PER_MESSAGE, characters, check_blocks, check_view, too_large

NASTY = [
    "<!channel>",
    "<@U0SAND0001>",
    "<https://evil.example|click>",
    "```",
    "`a` *b* _c_ ~d~",
    ":tada: :white_check_mark:",
    "שלום עולם",
    "a\nApproved by <@U1>\n> quote",
    "\u202eevil\u202c",
    "&lt;!here&gt;",
    "\x00\x1b[31m",
    "",
    " ",
    "x" * 5000,
    "é🦄" * 2000,
]


def checked(blocks: list[dict[str, Any]], place: Place) -> list[dict[str, Any]]:
    """The blocks, which Slack would take."""
    assert check_blocks(blocks, str(place)) == []
    if place == Place.MESSAGE:
        assert characters(blocks) <= CHARACTERS_PER_MESSAGE
    return blocks


def every_block(text: str) -> tuple[Block, ...]:
    """One block of each kind that shows this text."""
    line: Line = (text, Strong(text), Code(text), Link("https://example.com/?a=b|c>d", text), Icon("ok"), Person(text))
    return (
        Heading(text),
        Paragraph((line, (text,)), Button(text, "status", {"words": text[:50]})),
        Fields(((text, (text,)), ("b", (Code(text),)))),
        Note(line),
        Divider(),
        Table((text, "b"), ((text, "1"), ("2",))),
        Table(("a",), ((text,),)),
        Progress(3, 9, 1, text),
        Shares(text, ((text, 71), ("on 17.3", 1), ("on others", 0))),
        Chart(text, (text, text, "c"), ((text, (1.0, 2.0, 3.0)), (text, (0.0, 0.5, 1.0))), text),
        Buttons((Button(text, "status"), Button("b", "plan", style="danger"))),
    )


@pytest.mark.parametrize("place", list(Place))
@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_every_kind_of_block_with_hostile_text_is_valid_everywhere(text: str, place: Place) -> None:
    for detail in Detail:
        checked(render(every_block(text), place, detail), place)


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_typed_text_mentions_nobody_and_marks_nothing_up(text: str) -> None:
    shown = mrkdwn((text,))
    assert "<" not in shown
    assert ">" not in shown
    assert "`" not in shown
    assert "\n" not in shown
    assert not re.search(r":[a-z_]+:", shown)
    assert not re.search("[\u202a-\u202e]", shown)
    assert not re.search(r"(?<!\w)[*_~](?=\S)", shown)
    code = mrkdwn((Code(text),))
    assert code.count("`") in (0, 2)
    assert "<" not in code
    said = message(Reply(text))["text"]
    assert "<" not in said
    assert 0 < len(said) < 4000


def test_right_to_left_text_does_not_turn_what_follows() -> None:
    assert mrkdwn(("שלום",)) == "\u2068שלום\u2069"


def test_names_times_and_paths_stay_as_they_are() -> None:
    for text in (
        "a_b_c",
        "09:15:00",
        "0 9 * * mon-sun",
        "etl-2024_v1.2",
        "2026-11-23T09:00:00+00:00",
        "13.3 → 17.3",
        "it's 5 > 4",
    ):
        assert mrkdwn((text,)) == text.replace(">", "&gt;")


def test_parts_become_slacks_own_marks() -> None:
    when = datetime(2026, 11, 23, 9, 5, tzinfo=UTC)
    line = (Strong("dev"), " by ", Person("U0SAND0001"), " ", At(when), " ", Link("https://a.example/x y", "here"))
    assert mrkdwn(line) == "*dev* by <@U0SAND0001> Mon 23 Nov 09:05 UTC <https://a.example/x%20y|here>"
    assert mrkdwn((Person("jane<!here>"), Link("javascript:alert(1)", "x"))) == "jane&lt;!here&gt;x"


def test_white_space_stays_outside_of_marks() -> None:
    assert mrkdwn((Strong("Next: "), "go", Strong(" now"), Code(" x "))) == "*Next:* go *now* `x` "


def lines(count: int) -> tuple[Paragraph, ...]:
    return tuple(Paragraph(((f"line {i}",),)) for i in range(count))


@pytest.mark.parametrize(("place", "limit"), [(Place.MESSAGE, 50), (Place.MODAL, 100), (Place.HOME, 100)])
def test_blocks_at_the_limit_stay_and_one_more_is_counted(place: Place, limit: int) -> None:
    assert "more" not in str(checked(render(lines(limit), place), place))
    over = checked(render(lines(limit + 1), place), place)
    assert len(over) == limit
    assert "and 2 more parts" in str(over)


def test_what_is_cut_leaves_buttons_and_the_last_note() -> None:
    end = (Buttons((Button("More", "status"),)), Note(("error id 12",)))
    blocks = checked(render((*lines(80), *end), Place.MESSAGE), Place.MESSAGE)
    assert [b["type"] for b in blocks[-2:]] == ["actions", "context"]
    assert "and 33 more parts" in str(blocks[-3])


@pytest.mark.parametrize("targets", [98, 99, 100, 200])
def test_a_table_of_many_targets_says_how_many_are_missing(targets: int) -> None:
    rows = tuple((f"t{i}", "13.3", "17.3") for i in range(targets))
    blocks = checked(render((Table(("target", "before", "after"), rows, 7),), Place.MESSAGE), Place.MESSAGE)
    shown = len(blocks[0]["rows"]) - 1
    assert shown == min(targets, 99)
    assert f"and {7 + targets - shown} more" in str(blocks[1:])


def test_a_wide_table_of_long_names_keeps_within_the_characters() -> None:
    rows = tuple((f"cluster-with-a-very-long-name-{i}" * 2, "13.3 → 17.3", "x" * 100) for i in range(99))
    blocks = checked(render((Table(("target", "runtime", "why"), rows), *lines(3)), Place.MESSAGE), Place.MESSAGE)
    left = 99 - (len(blocks[0]["rows"]) - 1)
    assert left > 0
    assert f"and {left} more rows" in str(blocks)


@pytest.mark.parametrize("place", [Place.MODAL, Place.HOME])
def test_two_hundred_targets_fit_a_view_as_text(place: Place) -> None:
    rows = tuple((f"target-{i}", "13.3", "17.3") for i in range(200))
    blocks = checked(render((Table(("target", "before", "after"), rows),), place), place)
    assert "target-199" in str(blocks)


def test_only_one_table_and_two_charts_of_a_message_are_native() -> None:
    chart = Chart("runs", ("a", "b"), (("old", (1, 2)), ("new", (2, 3))))
    table = Table(("a",), (("1",),))
    blocks = checked(render((table, chart, table, chart, chart), Place.MESSAGE), Place.MESSAGE)
    kinds = [b["type"] for b in blocks]
    assert kinds.count("table") == 1
    assert kinds.count("data_visualization") == 2
    plain = checked(render((table, chart, table), Place.MESSAGE, Detail.TEXT), Place.MESSAGE)
    assert {b["type"] for b in plain} == {"section"}
    instead = checked(render((chart,), Place.MESSAGE, Detail.TABLE), Place.MESSAGE)
    assert [b["type"] for b in instead] == ["section", "table"]


@pytest.mark.parametrize(("categories", "series"), [(20, 6), (21, 7), (1, 1), (0, 0), (3, 0)])
def test_charts_at_their_limits_and_past_them(categories: int, series: int) -> None:
    names = tuple(f"a-category-with-a-long-name-{i}" for i in range(categories))
    drawn = tuple((f"a-series-with-a-long-name-{i}", tuple(float(v) for v in range(categories))) for i in range(series))
    for place in Place:
        blocks = checked(render((Chart("t" * 80, names, drawn),), place), place)
        assert ("and 2 more" in str(blocks)) == (categories == 21)


def test_a_line_and_a_paragraph_at_the_limit_of_a_section() -> None:
    at = checked(render((Paragraph((("x" * 3000,),)),), Place.MESSAGE), Place.MESSAGE)
    assert len(at) == 1
    assert "…" not in str(at)
    assert "…" in str(checked(render((Paragraph((("x" * 3001,),)),), Place.MESSAGE), Place.MESSAGE))
    two = checked(render((Paragraph((("x" * 2000,), ("y" * 1000,))),), Place.MESSAGE), Place.MESSAGE)
    assert len(two) == 2


@pytest.mark.parametrize("count", [25, 26, 60])
def test_many_buttons_get_rows_and_unique_ids(count: int) -> None:
    blocks = checked(render((Buttons(tuple(Button(f"b{i}", "status") for i in range(count))),), Place.HOME), Place.HOME)
    ids = [e["action_id"] for b in blocks for e in b["elements"]]
    assert len(set(ids)) == count


def test_a_button_that_carries_too_much_is_left_out_and_said() -> None:
    blocks = checked(render((Buttons((Button("Huge", "status", {"x": "y" * 2000}),)),), Place.MESSAGE), Place.MESSAGE)
    assert "no room for the button “Huge”" in str(blocks)


def a_form(**more: Any) -> Form:
    return Form(**{"title": "Start dev", "verb": "start", "arguments": {}, "submit": "Start dev", "body": (), **more})


@pytest.mark.parametrize("options", [1, 10, 11, 100, 101, 150])
@pytest.mark.parametrize("many", [False, True])
def test_choices_of_any_size_keep_every_option(options: int, many: bool) -> None:
    offered = tuple((f"item-{i}", f"Item {i} " + "x" * 80) for i in range(options))
    choice = Choice("items", "Items", offered, many=many, initial=("item-0",))
    view = form_view(a_form(inputs=(choice,)), SUPPORT, False)
    assert check_view(view, "modal") == []
    assert str(view).count("'value': 'item-") >= options


def test_a_form_with_hostile_text_and_long_labels_is_valid() -> None:
    for text in NASTY:
        inputs = (
            TextInput("a", text, True, True, text, text, 5000),
            Choice("b", text, (("v", text), ("w", "w"))),
            Choice("c", text, ()),
            Moment("d", text),
        )
        view = form_view(a_form(title=text, submit=text, body=every_block(text), inputs=inputs), SUPPORT, True)
        assert check_view(view, "modal") == []
        assert not too_large(view)


def test_a_form_with_a_long_body_keeps_its_inputs() -> None:
    inputs = tuple(TextInput(f"k{i}", "Label") for i in range(5))
    view = form_view(a_form(body=lines(120), inputs=inputs), SUPPORT, False)
    assert check_view(view, "modal") == []
    assert sum(b["type"] == "input" for b in view["blocks"]) == 5


def test_a_form_that_carries_too_much_is_refused() -> None:
    with pytest.raises(TooMuch):
        form_view(a_form(arguments={"x": "y" * limits.PRIVATE_METADATA}), SUPPORT, False)


def test_the_other_views_are_valid() -> None:
    for text in NASTY:
        reply = Reply(text, every_block(text), share=True)
        request = Request(Actor("T", "U"), "status", {}, Surface.SLASH)
        assert check_view(result_view(reply, text, "{}", request), "modal") == []
        assert check_view(home_view(reply), "home") == []
        assert check_view(result_view(Reply(text), text, ""), "modal") == []
        checked(message(reply, request=request)["blocks"], Place.MESSAGE)
    working = working_view("Start dev", "{}")
    assert check_view(working, "modal") == []
    assert working["blocks"][0]["block_id"].startswith("working")


def test_the_values_of_a_submission_come_by_key() -> None:
    chosen = {"type": "static_select", "selected_option": {"value": "qa"}}
    several = {"type": "checkboxes", "selected_options": [{"value": "a"}, {"value": "b"}]}
    empty = {"type": "plain_text_input", "value": None}
    later = {"type": "datetimepicker", "selected_date_time": 1_772_481_600}
    never = {"type": "datetimepicker", "selected_date_time": None}
    assert typed_values({"in:at": {"at": later}, "in:by": {"by": never}}) == {"at": 1_772_481_600}
    state = {"in:role": {"role": chosen}, "in:items": {"items": several}, "in:why": {"why": empty}, "x": {"y": empty}}
    assert typed_values(state) == {"role": "qa", "items": ["a", "b"]}


def test_share_is_offered_with_the_request_that_it_shares() -> None:
    request = Request(Actor("T", "U"), "status", {"words": "dev"}, Surface.SLASH)
    blocks = message(Reply("status", share=True), request=request)["blocks"]
    assert '"v":"share","a":{"verb":"status","arguments":{"words":"dev"}}' in blocks[-1]["elements"][0]["value"]


SUPPORT = "C0SUPPORT1"


def test_shares_begin_and_end_at_the_same_places_and_show_what_is_small() -> None:
    (block,) = render((Shares("Fleet", (("on 13.3", 980), ("on 17.3", 1), ("on others", 0))),), Place.HOME)
    title, *bars = block["text"]["text"].split("\n")
    assert title == "*Fleet*"
    drawn = [bar.split("`")[1] for bar in bars]
    assert [len(bar) for bar in drawn] == [20, 20, 20]
    assert [bar.count("█") for bar in drawn] == [19, 1, 0]
    assert bars[0].endswith("980 on 13.3")
