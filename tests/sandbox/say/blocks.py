"""Blocks for the tests: short builders, and one of every kind that the page and the terminal must show."""

from typing import Any

Json = dict[str, Any]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mark(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def option(text: str, value: str = "", description: str = "") -> Json:
    made: Json = {"text": plain(text), "value": value or text.lower()}
    return {**made, "description": plain(description)} if description else made


def button(text: str, action: str, value: str = "", **more: Any) -> Json:
    return {"type": "button", "action_id": action, "text": plain(text), "value": value or action, **more}


def section(text: str, accessory: Json | None = None) -> Json:
    return {"type": "section", "text": mark(text), **({"accessory": accessory} if accessory else {})}


def actions(*elements: Json, block_id: str = "") -> Json:
    return {"type": "actions", "elements": list(elements), **({"block_id": block_id} if block_id else {})}


def entry(block_id: str, label: str, element: Json, **more: Any) -> Json:
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(label),
        "element": {"action_id": "v", **element},
        **more,
    }


def raw(text: str) -> Json:
    return {"type": "raw_text", "text": text}


def rich(text: str, **style: bool) -> Json:
    return {"type": "text", "text": text, **({"style": style} if style else {})}


CARD = [
    {"type": "header", "text": plain("Stage dev: upgrading :rocket:")},
    section(
        ":large_green_circle: *dev* moves from `13.3` to `17.3`, started by <@U0SAND0004> in <#C0SUPPORT1>.\n"
        "> Reason: a < b &amp; c &lt;b&gt;not bold&lt;/b&gt;\n"
        "See <https://example.com/x|the checklist>, ~struck~ _soon_ <!date^1764000000^{date_num} {time}|then> "
        "snake_case_name"
    ),
    {
        "type": "section",
        "fields": [
            mark("*Targets*\n12 of 20 done"),
            mark("*Failures*\n1 :warning:"),
            mark("*Bake*\nnone"),
            mark("free"),
        ],
    },
    section(
        "`▓▓▓▓▓▓░░░░` 60 %",
        {
            "type": "overflow",
            "action_id": "more",
            "options": [option("Audit trail", "audit"), option("Contacts", "who")],
        },
    ),
    actions(
        button("Approve dev", "approve", style="primary"),
        button(
            "Roll back dev",
            "rollback",
            style="danger",
            confirm={
                "title": plain("Roll back dev?"),
                "text": mark("20 targets return to *13.3*."),
                "confirm": plain("Roll back dev"),
                "deny": plain("Keep"),
                "style": "danger",
            },
        ),
        {
            "type": "static_select",
            "action_id": "stage",
            "placeholder": plain("Stage"),
            "options": [option("dev"), option("staging"), option("canary")],
        },
        {"type": "datepicker", "action_id": "day", "initial_date": "2026-11-24"},
        {"type": "radio_buttons", "action_id": "how", "options": [option("Now"), option("Later")]},
        {"type": "checkboxes", "action_id": "told", "options": [option("On-call knows")]},
        block_id="card",
    ),
    {"type": "context", "elements": [mark("Last change by <@U0SAND0002>"), mark("`a1b2c3d4`")]},
]

TEXTS = [
    {
        "type": "rich_text",
        "elements": [
            {
                "type": "rich_text_section",
                "elements": [
                    rich("Bold", bold=True),
                    rich(" "),
                    rich("italic", italic=True),
                    rich(" "),
                    rich("struck", strike=True),
                    rich(" "),
                    rich("code", code=True),
                    rich(" "),
                    {"type": "link", "url": "https://example.com", "text": "a link"},
                    rich(" by "),
                    {"type": "user", "user_id": "U0SAND0003"},
                    rich(" "),
                    {"type": "emoji", "name": "white_check_mark"},
                ],
            },
            {
                "type": "rich_text_list",
                "style": "ordered",
                "indent": 0,
                "elements": [{"type": "rich_text_section", "elements": [rich(text)]} for text in ("first", "second")],
            },
            {"type": "rich_text_quote", "elements": [rich("a quote")]},
            {
                "type": "rich_text_preformatted",
                "elements": [rich("SELECT " + ", ".join(f"column_{n}" for n in range(30)) + "\n  FROM orders")],
            },
        ],
    },
    {"type": "divider"},
    {
        "type": "markdown",
        "text": "# Heading\nSome **bold**, *italic*, `code` and [a link](https://example.com).\n\n- one\n  - nested\n\n"
        "> quoted\n\n| Target | After |\n|---|--:|\n| etl | 17.3 |\n\n```\ncode\n```",
    },
    {
        "type": "image",
        "image_url": "https://example.invalid/none.png",
        "alt_text": "a missing picture",
        "title": plain("Picture"),
    },
]

TABLE = [
    {
        "type": "table",
        "column_settings": [{"is_wrapped": True}, {"align": "center"}, {"align": "right"}],
        "rows": [
            [raw("Target"), raw("Runtime"), raw("Runs")],
            [raw("orders-daily-ingest"), raw("17.3"), raw("128")],
            [
                {
                    "type": "rich_text",
                    "elements": [{"type": "rich_text_section", "elements": [rich("customers", bold=True)]}],
                },
                raw("13.3"),
                raw("7"),
            ],
        ],
    },
]

WIDE = [
    {
        "type": "table",
        "rows": [
            [raw(f"Column number {n}") for n in range(12)],
            [raw(f"value {n} of a wide table") for n in range(12)],
        ],
    },
]

STAGES = ["dev", "test", "staging", "canary", "full"]
HOURS = [f"Nov {1 + n // 4} {6 * (n % 4):02}:00 hours" for n in range(20)]


def series(name: str, categories: list[str], values: list[float]) -> Json:
    return {"name": name, "data": [{"label": c, "value": v} for c, v in zip(categories, values, strict=True)]}


def chart(title: str, kind: str, categories: list[str], *lines: Json, **labels: str) -> Json:
    axes = {"categories": categories, **labels}
    return {
        "type": "data_visualization",
        "title": title,
        "chart": {"type": kind, "series": list(lines), "axis_config": axes},
    }


CHARTS = [
    chart(
        "Targets by runtime",
        "bar",
        STAGES,
        series("13.3", STAGES, [0, 2, 10, 14, 31]),
        series("17.3", STAGES, [20, 18, 5, 1, 0]),
        x_label="Stage",
        y_label="Targets",
    ),
    chart(
        "Median duration",
        "line",
        HOURS,
        series("old", HOURS, [300 + n * 7 % 40 for n in range(20)]),
        series("new", HOURS, [260.5 + n * 11 % 60 for n in range(20)]),
        y_label="seconds",
    ),
]
MORE_CHARTS = [
    chart("Failures", "area", STAGES, series("failed", STAGES, [1, 0.5, 4, 2, 0])),
    {
        "type": "data_visualization",
        "title": "Runs yesterday",
        "chart": {
            "type": "pie",
            "segments": [
                {"label": "succeeded", "value": 120},
                {"label": "failed", "value": 9},
                {"label": "open", "value": 22},
            ],
        },
    },
]

MODAL: Json = {
    "type": "modal",
    "callback_id": "form",
    "title": plain("Start dev"),
    "submit": plain("Start dev"),
    "close": plain("Not now"),
    "blocks": [
        section("*20 targets* move from `13.3` to `17.3`."),
        entry(
            "reason",
            "Reason",
            {"type": "plain_text_input", "placeholder": plain("Why now?")},
            hint=plain("Shown on the card"),
        ),
        entry("comment", "Comment", {"type": "plain_text_input", "multiline": True}, optional=True),
        entry("role", "Role", {"type": "static_select", "options": [option("Tech lead", "tl"), option("QA", "qa")]}),
        entry("owner", "Owner", {"type": "users_select"}, optional=True),
        entry(
            "items",
            "Items",
            {"type": "multi_static_select", "options": [option(f"Item {n} of the list", str(n)) for n in range(1, 13)]},
            optional=True,
        ),
        entry(
            "how",
            "How",
            {"type": "radio_buttons", "options": [option("At once", "now", "restarts what runs"), option("Later")]},
            optional=True,
        ),
        entry("told", "Told", {"type": "checkboxes", "options": [option("On-call"), option("Team")]}, optional=True),
        entry("day", "Day", {"type": "datepicker"}, optional=True),
        entry("hour", "Hour", {"type": "timepicker", "initial_time": "14:00"}, optional=True),
    ],
}

LONGEST = "A stage with a name that is as long as Slack lets an option be: 75 letters"
PICKERS: list[tuple[str, Json]] = [
    ("Static", {"type": "static_select", "option_groups": [
        {"label": plain("Early"), "options": [option("dev"), option("test")]},
        {"label": plain("Production"), "options": [option(LONGEST)]},
    ]}),
    ("Several", {"type": "multi_static_select", "options": [option(f"Target {n}", str(n)) for n in range(1, 13)],
                 "initial_options": [option("Target 2", "2")]}),
    ("Person", {"type": "users_select", "initial_user": "U0SAND0003"}),
    ("People", {"type": "multi_users_select", "initial_users": ["U0SAND0002", "U0SAND0009"]}),
    ("Conversation", {"type": "conversations_select", "filter": {"exclude_external_shared_channels": True}}),
    ("Conversations", {"type": "multi_conversations_select"}),
    ("Channel", {"type": "channels_select", "initial_channel": "C0SUPPORT1"}),
    ("Channels", {"type": "multi_channels_select", "max_selected_items": 1}),
    ("Asked", {"type": "external_select", "initial_option": option("From the app", "x")}),
    ("Asked more", {"type": "multi_external_select"}),
    ("Boxes", {"type": "checkboxes", "options": [option("One", "1", "with a description below it"), option("Two", "2")],
               "initial_options": [option("Two", "2")]}),
    ("Radio", {"type": "radio_buttons", "options": [option("At once", "now", "restarts what runs"), option("Later")]}),
    ("Date", {"type": "datepicker", "initial_date": "2026-11-24"}),
    ("Time", {"type": "timepicker", "initial_time": "22:30"}),
    ("Moment", {"type": "datetimepicker", "initial_date_time": 1795516200}),
]  # fmt: skip
TYPED: list[tuple[str, Json]] = [
    ("Words", {"type": "plain_text_input", "initial_value": "one line"}),
    ("Lines", {"type": "plain_text_input", "multiline": True}),
    ("Mail", {"type": "email_text_input"}),
    ("Address", {"type": "url_text_input"}),
    ("Number", {"type": "number_input", "is_decimal_allowed": False, "min_value": "1"}),
    ("Rich", {"type": "rich_text_input"}),
]
LEVELS = ("default", "info", "warning", "error", "success")
EVERYTHING: Json = {
    "type": "modal",
    "callback_id": "everything",
    "title": plain("Everything"),
    "submit": plain("Send"),
    "blocks": [
        *({"type": "alert", "text": mark(f"An alert of the level *{level}*."), "level": level} for level in LEVELS),
        *(entry(f"e{n}", name, element, optional=n % 2 == 0 or name == "Asked more", hint=plain("A hint."))
          for n, (name, element) in enumerate([*PICKERS, *TYPED])),
    ],
}  # fmt: skip
SELECTS = [
    actions(*({**element, "action_id": f"pick{n}"} for n, (_, element) in enumerate(PICKERS)), block_id="picks"),
    section("A section with a date", {"type": "datepicker", "action_id": "pick90"}),
    section("One with a time", {"type": "timepicker", "action_id": "pick91"}),
    section("One with several people", {"type": "multi_users_select", "action_id": "pick92"}),
    section("One with boxes", {"type": "checkboxes", "action_id": "pick93", "options": [option("One"), option("Two")]}),
    section(
        "One with a picture", {"type": "image", "image_url": "https://example.invalid/x.png", "alt_text": "nothing"}
    ),
]

LOWER: Json = {
    "type": "modal",
    "title": plain("Targets"),
    "blocks": [section("One of them:", button("Open", "deeper"))],
}
