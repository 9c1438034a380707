"""The validator: each limit at its edge and one past it, with the pointer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models import blocks as sdk
from slack_sdk.models.blocks import basic_components, block_elements

from sandbox.slack.blocks.check import characters, check_blocks, check_view, too_large
from tests.sandbox.slack.playing import Json, actions, button, home, modal, mrkdwn, option, plain, section, text_input


def placed(element: Json) -> Json:
    return actions({"action_id": "a", **element})


def asked(element: Json) -> Json:
    return {"type": "input", "label": plain("L"), "element": {"action_id": "a", **element}}


def select(**more: Any) -> Json:
    return {"type": "static_select", **({} if "option_groups" in more else {"options": [option("x")]}), **more}


def chart(**more: Any) -> Json:
    points = [{"label": "13.3", "value": 4}, {"label": "17.3", "value": 2.5}]
    axis = {"categories": ["13.3", "17.3"]}
    drawn = {"type": "bar", "series": [{"name": "runs", "data": points}], "axis_config": axis, **more.pop("chart", {})}
    return {"type": "data_visualization", "title": "Runs", "chart": drawn, **more}


def series(count: int, points: int = 1, label: int = 2) -> Json:
    names = [f"{n:0{label}d}" for n in range(points)]
    data = [{"label": name, "value": 1} for name in names]
    return {"series": [{"name": f"s{n}", "data": data} for n in range(count)], "axis_config": {"categories": names}}


def pie(count: int, **more: Any) -> Json:
    segments = [{"label": f"s{n}", "value": 1, **more} for n in range(count)]
    return {"type": "data_visualization", "title": "Pie", "chart": {"type": "pie", "segments": segments}}


def table(rows: int, cells: int, **more: Any) -> Json:
    return {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * cells] * rows, **more}


def card(**more: Any) -> Json:
    return {"type": "card", "title": mrkdwn("t"), **more}


def confirm(title: int = 1, text: int = 1, yes: int = 1) -> Json:
    return {"title": plain("x" * title), "text": plain("x" * text), "confirm": plain("x" * yes), "deny": plain("no")}


def data_table(**more: Any) -> Json:
    return {**table(2, 1), "type": "data_table", "caption": "c", **more}


def feedback(action_id: str) -> Json:
    both = {name: {"text": plain("x"), "value": name} for name in ("positive_button", "negative_button")}
    return {"type": "feedback_buttons", "action_id": action_id, **both}


def group(label: str) -> Json:
    return {"label": plain(label), "options": [option("x")]}


AXIS = {"categories": ["13.3", "17.3"]}
IMAGE = {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a"}

# what grows, its limit, and where the pointer leads one past it
LIMITS: list[tuple[str, Callable[[int], Json], int, str]] = [
    ("section text", lambda n: section("x" * n), 3000, "/text/text"),
    ("section field", lambda n: {"type": "section", "fields": [plain("x" * n)]}, 2000, "/fields/0/text"),
    ("section fields", lambda n: {"type": "section", "fields": [plain("x")] * n}, 10, "/fields"),
    ("header", lambda n: {"type": "header", "text": plain("x" * n)}, 150, "/text/text"),
    ("context elements", lambda n: {"type": "context", "elements": [plain("x")] * n}, 10, "/elements"),
    ("actions elements", lambda n: actions(*(button(f"a{i}") for i in range(n))), 25, "/elements"),
    ("block_id", lambda n: {"type": "divider", "block_id": "x" * n}, 255, "/block_id"),
    ("action_id", lambda n: actions(button("x" * n)), 255, "/elements/0/action_id"),
    ("button text", lambda n: actions(button(text=plain("x" * n))), 75, "/elements/0/text/text"),
    ("button value", lambda n: actions(button(value="x" * n)), 2000, "/elements/0/value"),
    ("button url", lambda n: actions(button(url="x" * n)), 3000, "/elements/0/url"),
    ("button label", lambda n: actions(button(accessibility_label="x" * n)), 75, "/elements/0/accessibility_label"),
    ("option label", lambda n: placed(select(options=[{**option("x"), "text": plain("x" * n)}])), 75, "text/text"),
    ("option value", lambda n: placed(select(options=[{"text": plain("x"), "value": "x" * n}])), 150, "0/value"),
    ("options", lambda n: placed(select(options=[option(f"{i}") for i in range(n)])), 100, "/elements/0/options"),
    (
        "option groups",
        lambda n: placed(select(option_groups=[{"label": plain("g"), "options": [option("x")]}] * n)),
        100,
        "/elements/0/option_groups",
    ),
    ("overflow", lambda n: placed({"type": "overflow", "options": [option(f"{i}") for i in range(n)]}), 5, "options"),
    ("checkboxes", lambda n: placed({"type": "checkboxes", "options": [option(f"{i}") for i in range(n)]}), 10, "ons"),
    ("radio", lambda n: placed({"type": "radio_buttons", "options": [option(f"{i}") for i in range(n)]}), 10, "ons"),
    ("placeholder", lambda n: placed(select(placeholder=plain("x" * n))), 150, "/placeholder/text"),
    ("image alt text", lambda n: {**IMAGE, "alt_text": "x" * n}, 2000, "/alt_text"),
    ("image title", lambda n: {**IMAGE, "title": plain("x" * n)}, 2000, "/title/text"),
    ("image url", lambda n: {**IMAGE, "image_url": "https://a.bc/" + "x" * (n - 13)}, 3000, "/image_url"),
    ("input label", lambda n: text_input(label=plain("x" * n)), 2000, "/label/text"),
    ("input hint", lambda n: text_input(hint=plain("x" * n)), 2000, "/hint/text"),
    ("confirm title", lambda n: actions(button(confirm=confirm(title=n))), 100, "/confirm/title/text"),
    ("confirm text", lambda n: actions(button(confirm=confirm(text=n))), 300, "/confirm/text/text"),
    ("confirm button", lambda n: actions(button(confirm=confirm(yes=n))), 30, "/confirm/confirm/text"),
    ("markdown", lambda n: {"type": "markdown", "text": "x" * n}, 12_000, "/text"),
    ("table rows", lambda n: table(n, 1), 100, "/rows"),
    ("table cells", lambda n: table(1, n), 20, "/rows/0"),
    ("column settings", lambda n: table(1, 1, column_settings=[{"align": "left"}] * n), 20, "/column_settings"),
    ("data table rows", lambda n: {**table(n, 1), "type": "data_table", "caption": "c"}, 101, "/rows"),
    ("chart title", lambda n: chart(title="x" * n), 50, "/title"),
    ("chart series", lambda n: chart(chart=series(n)), 6, "/chart/series"),
    ("chart points", lambda n: chart(chart=series(1, n)), 20, "/chart/axis_config/categories"),
    ("chart labels", lambda n: chart(chart=series(1, 1, n)), 20, "/label"),
    (
        "chart axis",
        lambda n: chart(chart={"axis_config": {"categories": ["13.3", "17.3"], "x_label": "x" * n}}),
        50,
        "l",
    ),
    ("pie segments", pie, 6, "/chart/segments"),
    ("card title", lambda n: card(title=mrkdwn("x" * n)), 150, "/title/text"),
    ("card subtitle", lambda n: card(subtitle=mrkdwn("x" * n)), 150, "/subtitle/text"),
    ("card body", lambda n: card(body=mrkdwn("x" * n)), 200, "/body/text"),
    ("card actions", lambda n: card(actions=[button(f"a{i}") for i in range(n)]), 3, "/actions"),
    ("carousel", lambda n: {"type": "carousel", "elements": [card()] * n}, 10, "/elements"),
    ("container", lambda n: {"type": "container", "title": plain("t"), "child_blocks": [section()] * n}, 10, "blocks"),
    (
        "context actions",
        lambda n: {"type": "context_actions", "elements": [feedback(f"f{i}") for i in range(n)]},
        5,
        "/elements",
    ),
    ("group label", lambda n: placed(select(option_groups=[group("x" * n)])), 75, "/option_groups/0/label/text"),
    (
        "confirm deny",
        lambda n: actions(button(confirm={**confirm(), "deny": plain("x" * n)})),
        30,
        "/confirm/deny/text",
    ),
    ("markdown text in a context", lambda n: {"type": "context", "elements": [mrkdwn("x" * n)]}, 3000, "/text"),
    ("data table page", lambda n: data_table(page_size=n), 100, "/page_size"),
    ("chart axis y", lambda n: chart(chart={"axis_config": {**AXIS, "y_label": "x" * n}}), 50, "/y_label"),
    ("pie label", lambda n: pie(1, label="x" * n), 20, "/segments/0/label"),
    (
        "container title",
        lambda n: {"type": "container", "title": plain("x" * n), "child_blocks": [section()]},
        150,
        "t",
    ),
]


@pytest.mark.conforms(
    "slack-ids-255",
    "slack-section-limits",
    "slack-header-and-context-limits",
    "slack-actions-limits",
    "slack-button-limits",
    "slack-option-limits",
    "slack-choice-limits",
    "slack-image-limits",
    "slack-input-limits",
    "slack-confirm-limits",
    "slack-markdown-block",
    "slack-table-limits",
    "slack-data-table",
    "slack-chart-limits",
    "slack-card-limits",
    "slack-container-limits",
)
@pytest.mark.parametrize(("grow", "limit", "pointer"), [row[1:] for row in LIMITS], ids=[row[0] for row in LIMITS])
def test_a_limit_holds_at_its_edge_and_one_past_it(grow: Callable[[int], Json], limit: int, pointer: str) -> None:
    assert check_blocks([grow(limit)], "message") == []
    problems = check_blocks([section(), grow(limit + 1)], "message")
    assert problems
    place = problems[0].split("[json-pointer:")[1].rstrip("]")
    assert place.startswith("/blocks/1")
    assert any(p.rstrip("]").endswith(pointer) for p in problems)


RICH = {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "x"}]}]}
REFUSED: dict[str, Json] = {
    "an unknown block": {"type": "marquee"},
    "a block without type": {"text": plain("x")},
    "no object": "section",  # type: ignore[dict-item]
    "an unknown property": section(colour="red"),
    "a section without text": {"type": "section"},
    "an empty text": section(""),
    "mrkdwn in a header": {"type": "header", "text": mrkdwn("x")},
    "mrkdwn in a button": actions(button(text=mrkdwn("x"))),
    "plain text with verbatim": {"type": "header", "text": {**plain("x"), "verbatim": True}},
    "a string as text": {"type": "section", "text": "x"},
    "an unknown style": actions(button(style="fancy")),
    "no elements": actions(),
    "a text input among actions": placed({"type": "plain_text_input"}),
    "a button in an input": asked({"type": "button", "text": plain("x")}),
    "a select without options": placed({"type": "static_select"}),
    "options and groups": placed(select(option_groups=[{"label": plain("g"), "options": [option("x")]}], options=[])),
    "an initial option that is not offered": placed(select(initial_option=option("y"))),
    "the same action_id twice": actions(button("a"), button("a")),
    "a bad date": placed({"type": "datepicker", "initial_date": "2026-13-01"}),
    "a bad time": placed({"type": "timepicker", "initial_time": "25:00"}),
    "an image without alt text": {"type": "image", "image_url": "https://example.com/a.png"},
    "an image of the loopback": {**IMAGE, "image_url": "http://127.0.0.1:8800/a.png"},
    "an image without source": {"type": "image", "alt_text": "x"},
    "an image of a file that is not there": {"type": "image", "alt_text": "x", "slack_file": {"id": "F1"}},
    "an alert": {"type": "alert", "text": plain("x")},
    "a ragged table": {**table(1, 1), "rows": [[{"type": "raw_text", "text": "x"}], []]},
    "an empty table": table(0, 0),
    "a chart of an unknown kind": chart(chart={"type": "radar"}),
    "a chart without title": chart(title=""),
    "a series that lacks a category": chart(chart={"axis_config": {"categories": ["13.3", "17.3", "18"]}}),
    "a series in another order": chart(chart={"axis_config": {"categories": ["17.3", "13.3"]}}),
    "a point that is no number": pie(1, value="7"),
    "an empty pie segment": pie(1, value=0),
    "a data table with one row": data_table(rows=[[{"type": "raw_text", "text": "x"}]]),
    "a data table with rich text in its header": data_table(rows=[[RICH], [RICH]]),
    "a container that starts folded and cannot fold": {
        "type": "container",
        "title": plain("t"),
        "child_blocks": [section()],
        "default_collapsed": True,
    },
    "an image that Slack cannot reach": {**IMAGE, "image_url": "http://10.0.0.7/a.png"},
    "a canvas block": {"type": "canvas"},
    "a data table without caption": {**table(2, 1), "type": "data_table"},
    "an unknown rich text part": {"type": "rich_text", "elements": [{"type": "rich_text_poem", "elements": []}]},
    "an unknown task status": {"type": "task_card", "task_id": "1", "title": "t", "status": "soon"},
    "a container in a container": {
        "type": "container",
        "title": plain("t"),
        "child_blocks": [{"type": "container", "title": plain("t"), "child_blocks": [section()]}],
    },
    "a file input in a message": asked({"type": "file_input"}),
    "inverted lengths": asked({"type": "plain_text_input", "min_length": 9, "max_length": 3}),
    "a number input that does not say whether decimals are allowed": asked({"type": "number_input"}),
}


@pytest.mark.conforms(
    "slack-unique-ids",
    "slack-rich-text",
    "slack-table-limits",
    "slack-data-table",
    "slack-chart-categories",
    "slack-alert-only-in-modals",
    "slack-container-limits",
    "slack-tasks",
    "slack-unknown-types",
    "slack-image-url-public",
    "slack-alt-text-and-caption",
)
@pytest.mark.parametrize("block", REFUSED.values(), ids=REFUSED.keys())
def test_a_message_refuses(block: Json) -> None:
    assert check_blocks([block], "message")


@pytest.mark.conforms("slack-blocks-per-surface")
def test_a_message_takes_fifty_blocks_and_a_view_a_hundred() -> None:
    assert check_blocks([section()] * 50, "message") == []
    assert "no more than 50" in check_blocks([section()] * 51, "message")[0]
    for kind in ("modal", "home"):
        assert check_blocks([section()] * 100, kind) == []
        assert check_blocks([section()] * 101, kind)


@pytest.mark.conforms("slack-unique-ids")
def test_block_ids_are_unique() -> None:
    assert "already exists" in check_blocks([section(block_id="a"), section(block_id="a")], "message")[0]


@pytest.mark.conforms("slack-unique-ids")
def test_the_same_action_id_in_two_blocks_is_fine() -> None:
    assert check_blocks([actions(button("a")), actions(button("a"))], "message") == []


@pytest.mark.conforms("slack-chart-categories")
def test_series_names_are_unique() -> None:
    double = series(2)
    double["series"][1]["name"] = "s0"
    assert "unique" in check_blocks([chart(chart=double)], "message")[0]


@pytest.mark.conforms("slack-markdown-block", "slack-one-table-two-charts")
def test_a_message_takes_one_table_two_charts_and_so_much_markdown() -> None:
    assert check_blocks([table(1, 1), chart(), chart()], "message") == []
    assert "only 1 table" in check_blocks([table(1, 1), table(1, 1)], "message")[0]
    assert "no more than 2" in check_blocks([chart()] * 3, "message")[0]
    assert check_blocks([{"type": "markdown", "text": "x" * 7000}] * 2, "message")


@pytest.mark.conforms("slack-one-focus")
def test_only_one_element_takes_the_focus() -> None:
    blocks = [text_input("a", element={"focus_on_load": True}), text_input("b", element={"focus_on_load": True})]
    assert "focus" in check_blocks(blocks, "modal")[0]


@pytest.mark.conforms("slack-views-refuse-message-blocks")
@pytest.mark.parametrize("kind", ["modal", "home"])
@pytest.mark.parametrize("block", [chart(), table(1, 1), {"type": "markdown", "text": "x"}, card()])
def test_views_refuse_what_only_messages_take(kind: str, block: Json) -> None:
    assert "unsupported type" in check_blocks([block], kind)[0]


@pytest.mark.conforms("slack-alert-only-in-modals")
def test_alerts_are_for_modals_only() -> None:
    alert = {"type": "alert", "text": plain("x"), "level": "warning"}
    assert check_blocks([alert], "modal") == []
    assert check_blocks([alert], "home")


VIEW_LIMITS: list[tuple[str, Callable[[int], Json], int]] = [
    ("title", lambda n: modal(section(), title=plain("x" * n)), 24),
    ("submit", lambda n: modal(section(), submit=plain("x" * n)), 24),
    ("close", lambda n: modal(section(), close=plain("x" * n)), 24),
    ("callback_id", lambda n: modal(section(), callback_id="x" * n), 255),
    ("external_id", lambda n: modal(section(), external_id="x" * n), 255),
    ("private_metadata", lambda n: modal(section(), private_metadata="x" * n), 3000),
]


@pytest.mark.conforms("slack-ids-255", "slack-view-word-limits")
@pytest.mark.parametrize(("grow", "limit"), [row[1:] for row in VIEW_LIMITS], ids=[row[0] for row in VIEW_LIMITS])
def test_a_view_limit_holds_at_its_edge_and_one_past_it(grow: Callable[[int], Json], limit: int) -> None:
    assert check_view(grow(limit), "modal") == []
    assert check_view(grow(limit + 1), "modal")[0].startswith("[ERROR] must be less than")


@pytest.mark.conforms("slack-views-need-their-fields")
@pytest.mark.parametrize(
    "view",
    [
        None,
        {},
        {"type": "workflow_step"},
        {"type": "modal", "blocks": []},
        {"type": "modal", "title": plain("x")},
        home(section()),
        modal(section(), id="V1"),
        modal(text_input(), submit=None),
    ],
)
def test_a_modal_refuses(view: Any) -> None:
    assert check_view(view, "modal")


@pytest.mark.conforms("slack-views-need-their-fields")
def test_a_home_has_no_submit() -> None:
    assert "invalid additional property: submit" in check_view(home(section(), submit=plain("x")), "home")[0]


@pytest.mark.conforms("slack-view-too-large")
def test_a_view_is_at_most_250_kilobytes() -> None:
    big = modal(*(actions(*(button(f"a{i}", value="x" * 2000) for i in range(2))) for _ in range(70)))
    assert check_view(big, "modal") == []
    assert too_large(big)


@pytest.mark.conforms("slack-blocks-too-long")
def test_all_shown_text_is_counted() -> None:
    assert characters([section("x" * 10), table(1, 2), chart()]) == 10 + 2 + len("Runs") + len("runs") + 8


@pytest.mark.conforms("slack-raw-blocks-are-checked", "slack-rich-text", "slack-tasks")
def test_what_the_sdk_builds_is_accepted() -> None:
    choices = [basic_components.Option(value="a", label="A"), basic_components.Option(value="b", label="B")]
    inside = [
        block_elements.ButtonElement(text="x", action_id="1", style="primary"),
        block_elements.StaticSelectElement(placeholder="p", action_id="2", options=choices),
        block_elements.StaticMultiSelectElement(placeholder="p", action_id="3", options=choices),
        block_elements.UserSelectElement(placeholder="p", action_id="4"),
        block_elements.UserMultiSelectElement(placeholder="p", action_id="5"),
        block_elements.ConversationSelectElement(placeholder="p", action_id="6"),
        block_elements.ChannelSelectElement(placeholder="p", action_id="7"),
        block_elements.DatePickerElement(action_id="8", initial_date="2026-11-23"),
        block_elements.TimePickerElement(action_id="9", initial_time="09:30"),
        block_elements.DateTimePickerElement(action_id="10", initial_date_time=1_795_000_000),
        block_elements.CheckboxesElement(action_id="11", options=choices),
        block_elements.RadioButtonsElement(action_id="12", options=choices),
        block_elements.OverflowMenuElement(action_id="13", options=choices),
        block_elements.ExternalDataSelectElement(placeholder="p", action_id="14"),
    ]
    typed = [
        block_elements.PlainTextInputElement(action_id="a", multiline=True, max_length=100),
        block_elements.EmailInputElement(action_id="a"),
        block_elements.UrlInputElement(action_id="a"),
        block_elements.NumberInputElement(action_id="a", is_decimal_allowed=False, min_value="1"),
        block_elements.RichTextInputElement(action_id="a"),
    ]
    bold = block_elements.RichTextElementParts.Text(text="x", style={"bold": True})
    message = [
        sdk.HeaderBlock(text="h"),
        sdk.SectionBlock(text="t", accessory=block_elements.ImageElement(image_url="https://a.bc/d", alt_text="d")),
        sdk.DividerBlock(),
        sdk.ContextBlock(elements=[basic_components.MarkdownTextObject(text="c")]),
        sdk.ActionsBlock(elements=inside),
        sdk.ImageBlock(image_url="https://a.bc/d", alt_text="d"),
        sdk.RichTextBlock(elements=[block_elements.RichTextSectionElement(elements=[bold])]),
        sdk.MarkdownBlock(text="**m**"),
        sdk.TableBlock(rows=[[{"type": "raw_text", "text": "x"}]], column_settings=[{"align": "right"}]),
        sdk.TaskCardBlock(task_id="1", title="t", status="pending"),
        sdk.CardBlock(title="t", body="b"),
        sdk.PlanBlock(title="p", tasks=[sdk.TaskCardBlock(task_id="2", title="t", status="error").to_dict()]),
        sdk.CarouselBlock(elements=[sdk.CardBlock(title="t", body="b")]),
        sdk.ContainerBlock(title="t", child_blocks=[sdk.DividerBlock()], is_collapsible=True, default_collapsed=True),
        sdk.ContextActionsBlock(
            elements=[
                block_elements.FeedbackButtonsElement(
                    positive_button=basic_components.FeedbackButtonObject(text="+", value="1"),
                    negative_button=basic_components.FeedbackButtonObject(text="-", value="0"),
                ),
                block_elements.IconButtonElement(icon="trash", text="Delete"),
            ]
        ),
        *(sdk.InputBlock(label="l", element=element) for element in typed),
    ]
    assert check_blocks([block.to_dict() for block in message], "message") == []
    assert check_blocks([sdk.AlertBlock(text="a", level="warning").to_dict()], "modal") == []


SDK_LIMITS = [
    (lambda n: sdk.HeaderBlock(text="x" * n), "message", 150),
    (lambda n: sdk.SectionBlock(fields=["x"] * n), "message", 10),
    (lambda n: sdk.ContextBlock(elements=[basic_components.MarkdownTextObject(text="x")] * n), "message", 10),
    (lambda n: sdk.ImageBlock(image_url="https://a.bc/d", alt_text="x" * n), "message", 2000),
    (lambda n: sdk.MarkdownBlock(text="x" * n), "message", 12000),
    (lambda n: sdk.CardBlock(title="x" * n), "message", 150),
    (lambda n: sdk.CardBlock(body="x" * n), "message", 200),
    (lambda n: sdk.ContainerBlock(title="t", child_blocks=[sdk.DividerBlock()] * n), "message", 10),
    (lambda n: sdk.InputBlock(label="x" * n, element=block_elements.EmailInputElement()), "modal", 2000),
    (lambda n: sdk.DividerBlock(block_id="x" * n), "home", 255),
    (lambda n: sdk.ActionsBlock(elements=[block_elements.ButtonElement(text="x" * n)]), "home", 75),
    (lambda n: sdk.ActionsBlock(elements=[block_elements.ButtonElement(text="x", value="x" * n)]), "home", 2000),
]


@pytest.mark.conforms("slack-raw-blocks-are-checked")
@pytest.mark.parametrize(("build", "surface", "limit"), SDK_LIMITS)
def test_the_sdk_and_the_validator_draw_the_same_line(
    build: Callable[[int], sdk.Block], surface: str, limit: int
) -> None:
    assert check_blocks([build(limit).to_dict()], surface) == []
    with pytest.raises(SlackObjectFormationError):
        build(limit + 1).to_dict()
