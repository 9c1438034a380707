"""`python -m sandbox.say` against the real local Slack and a small Bolt app."""

import json

from sandbox.say.inline import Names
from sandbox.say.text import value
from tests.sandbox.say import app
from tests.sandbox.say.blocks import Json
from tests.sandbox.say.local import Local

QUICK = ("--wait", "0.3")  # for what gets no answer, or one that the test does not read


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_prints_the_answer_to_a_command_as_plain_text(local: Local) -> None:
    done = local.say("--as", "devops", "/rollout status")
    assert done.returncode == 0, done.stderr
    assert lines(done.stdout)[:4] == ["Where we are", "============", "Stage: dev", "State: ready"]
    assert "orders-daily-ingest   17.3     128\ncustomers             13.3       7" in done.stdout
    assert "[Show more]  [Share]" in done.stdout


def test_prints_a_refusal_and_exits_0(local: Local) -> None:
    done = local.say("--as", "qa", "/rollout refuse")
    assert done.returncode == 0
    assert done.stdout.startswith("Refused (role_missing) You may not approve dev.\nNext: ask @Dana Developer.")


def test_prints_the_raw_answer_as_json(local: Local) -> None:
    done = local.say("--as", "devops", "--json", "/rollout status")
    found = json.loads(done.stdout)
    assert found["messages"][0]["ephemeral"] is True
    assert [block["type"] for block in found["messages"][0]["blocks"]] == ["header", "section", "table", "actions"]
    assert found["views"] == []
    assert found["error"] is None


def test_a_replaced_message_is_the_answer_to_a_press(local: Local) -> None:
    local.say("--as", "devops", *QUICK, "/rollout status")
    done = local.say("--as", "devops", "--click", "show")
    assert (done.returncode, done.stdout) == (0, "More of it\n")


def test_waits_while_a_view_says_that_it_is_working(local: Local) -> None:
    done = local.say("--as", "product-owner", "/rollout slow")
    assert "20 changes" in done.stdout
    assert "Looking" not in done.stdout
    assert local.say("--as", "product-owner", "--click", "close").returncode == 0


def test_says_so_when_it_does_not_settle_in_time(local: Local) -> None:
    app.told.clear()
    done = local.say("--as", "product-owner", "--wait", "3", "/rollout slow until-told")
    assert (done.returncode, "Looking" in done.stdout) == (0, True)
    assert "not settled after 3 s" in done.stderr
    app.told.set()
    local.say("--as", "product-owner", "--click", "Close")


def test_fills_a_dialog_by_label_and_submits_it(local: Local, seen: list[Json]) -> None:
    opened = local.say("--as", "devops", "/rollout start dev")
    assert lines(opened.stdout)[0] == "Start dev"
    assert "Role: ___ (Tech lead | QA)" in opened.stdout
    assert "Owner (optional): ___ (developer | tech-lead |" in opened.stdout
    assert "Hour (optional): 14:00" in opened.stdout
    assert "[Start dev]  [Not now]" in opened.stdout
    filled = ["Reason=It is time", "comment=two\\nlines", "role=tech", "Owner=qa", "Items=Item 2 of the list, item 12"]
    filled += ["How=later", "Told=*", "Day=2026-11-25", "Hour=09:30"]
    done = local.say("--as", "devops", *QUICK, "--submit", *filled)
    assert done.returncode == 0
    values = {block: entry["v"] for block, entry in seen[-1]["view"]["state"]["values"].items()}
    assert values["reason"]["value"] == "It is time"
    assert values["comment"]["value"] == "two\nlines"
    assert values["role"]["selected_option"]["value"] == "tl"
    assert values["owner"]["selected_user"] == "U0SAND0003"
    assert [option["value"] for option in values["items"]["selected_options"]] == ["2", "12"]
    assert values["how"]["selected_option"]["value"] == "later"
    assert [option["value"] for option in values["told"]["selected_options"]] == ["on-call", "team"]
    assert (values["day"]["selected_date"], values["hour"]["selected_time"]) == ("2026-11-25", "09:30")
    assert local.get("views?as=devops")["views"] == []


def test_a_dialog_that_is_not_accepted_shows_its_field_errors(local: Local) -> None:
    local.say("--as", "qa", *QUICK, "/rollout start dev")
    missing = local.say("--as", "qa", *QUICK, "--submit")
    assert missing.returncode == 1
    assert "! Please complete this required field." in missing.stdout
    short = local.say("--as", "qa", "--submit", "Reason=no", "Role=QA")
    assert (short.returncode, "! Say more." in short.stdout) == (1, True)
    assert short.stderr == "the dialog was not accepted: Say more.\n"
    refused = local.say("--as", "qa", *QUICK, "--submit", "Reason=r")
    assert (refused.returncode, "Refused (reason_short) Say more." in refused.stdout) == (0, True)
    result = local.say("--as", "qa", "--submit", "Reason=result")
    assert lines(result.stdout) == ["Started", "-------", "dev has started", "[Close]"]
    assert local.say("--as", "qa", "--click", "Close").stdout.strip() == ""
    assert local.say("--as", "qa", "--submit").stderr == "no dialog is open for qa\n"


def test_names_what_there_is_when_a_name_fits_nothing(local: Local) -> None:
    local.say("--as", "tech-lead", *QUICK, "/rollout start dev")
    done = local.say("--as", "tech-lead", "--click", "Approve")
    assert (done.returncode, done.stderr) == (1, "there is no button 'Approve'; there are: Start dev, Not now\n")
    done = local.say("--as", "tech-lead", "--submit", "Name=x")
    assert done.stderr.startswith("there is no field 'Name'; there are: Reason, Comment, Role, Owner")
    done = local.say("--as", "tech-lead", "--select", "Role=Boss")
    assert done.stderr == "'Role' has no option 'Boss'; there are: Tech lead, QA\n"
    done = local.say("--as", "tech-lead", "--submit", "Owner=boss")
    assert done.stderr.startswith("there is no person 'boss'; there are: developer, tech-lead")
    done = local.say("--as", "tech-lead", "--select", "Role=qa")
    assert "Role: QA (Tech lead | QA)" in done.stdout
    assert local.say("--as", "tech-lead", "--click", "not now").returncode == 0
    done = local.say("--as", "boss", "/rollout")
    assert (done.returncode, "There is no person 'boss'" in done.stderr) == (1, True)
    done = local.say("--as", "qa", "/foo")
    assert (done.returncode, done.stderr) == (1, "/foo is not a valid command\n")


def test_a_name_that_fits_several_buttons_is_not_guessed(local: Local, seen: list[Json]) -> None:
    local.say("--as", "on-call", *QUICK, "/rollout rows")
    done = local.say("--as", "on-call", "--click", "start")
    assert (done.returncode, done.stderr) == (
        1,
        "'start' fits several buttons: Start dev, Start test; name one of them\n",
    )
    done = local.say("--as", "on-call", "--click", "Attest")
    assert "fits several buttons: Attest (Item 1), Attest (Item 2)" in done.stderr
    for wanted in ("attest (item 2)", "Attest #2"):
        assert local.say("--as", "on-call", *QUICK, "--click", wanted).returncode == 0
        assert seen[-1]["actions"][0]["value"] == "2"


def test_presses_on_a_card_tell_their_question_and_choices_are_sent(local: Local, seen: list[Json]) -> None:
    local.say("--as", "developer", *QUICK, "/rollout card")
    done = local.say("--as", "developer", *QUICK, "--click", "roll back")
    assert done.stdout.startswith("Roll back dev?\n20 targets return to 13.3.\n[Roll back dev]\n")
    assert seen[-1]["actions"][0]["action_id"] == "rollback"
    local.say("--as", "developer", *QUICK, "--click", "audit")
    assert seen[-1]["actions"][0]["selected_option"]["value"] == "audit"
    local.say("--as", "developer", *QUICK, "--select", "Stage=can", "--click", "Approve dev")
    chosen, pressed = (body["actions"][0] for body in seen[-2:])
    assert chosen["selected_option"]["value"] == "canary"
    assert pressed["action_id"] == "approve"
    read = local.say("--as", "developer", "--read", "platform-support")
    assert "[Approve dev]  [Roll back dev]  [Stage: ___ (dev | staging | canary)]" in read.stdout
    assert "    >   Approved by you" in read.stdout
    raw = json.loads(local.say("--as", "developer", "--read", "#platform-support", "--json").stdout)
    assert raw["messages"][-1]["thread"][0]["text"] == "Approved by you"


def test_reads_the_home_tab_and_presses_there(local: Local, seen: list[Json]) -> None:
    done = local.say("--as", "product-owner", "--home")
    assert lines(done.stdout)[0] == "Stage dev: upgrading 🚀"
    assert "[Show more]" in done.stdout
    local.say("--as", "product-owner", *QUICK, "--home", "--click", "Show more")
    assert seen[-1]["container"]["type"] == "view"
    assert json.loads(local.say("--as", "product-owner", "--home", "--json").stdout)["view"]["type"] == "home"


def test_an_unacknowledged_command_is_an_error(local: Local) -> None:
    done = local.say("--as", "devops", "/rollout silent")
    assert done.returncode == 1
    assert "operation_timeout" in done.stderr
    assert '/rollout failed with the error "operation_timeout"' in done.stdout


def test_plain_words_are_a_message_and_names_become_mentions(local: Local) -> None:
    assert local.say("--as", "devops", "--channel", "general", "hello", "all").stdout == ""
    assert "Devon Ops" in local.say("--as", "qa", "--read", "general").stdout


def test_says_what_to_do_when_nothing_listens(free_port: int, local: Local) -> None:
    done = local.say("--port", str(free_port), "--as", "qa", "/rollout")
    assert done.returncode == 1
    assert done.stderr == f"Nothing answers on http://127.0.0.1:{free_port}. Start the sandbox with: make sandbox\n"


def test_plays_a_shortcut_on_the_message_that_is_named(local: Local, seen: list[Json]) -> None:
    for text in ("orders are late", "lunch?"):
        local.say("--as", "product-owner", text)
    done = local.say("--as", "product-owner", "--shortcut", "report", "--on", "orders ARE")
    assert (done.returncode, "About: orders are late" in done.stdout) == (0, True), done.stderr
    assert [body["type"] for body in seen] == ["message_action"]
    assert local.say("--as", "product-owner", "--click", "close").returncode == 0
    unknown = local.say("--as", "product-owner", "--shortcut", "archive")
    assert (unknown.returncode, "there are: Report as an issue" in unknown.stderr) == (1, True)
    nothing = local.say("--as", "product-owner", "--shortcut", "report", "--on", "no such words")
    assert (nothing.returncode, "no message in" in nothing.stderr) == (1, True)


def test_a_moment_that_was_chosen_is_said_as_a_time() -> None:
    moment, nobody = {"type": "datetimepicker", "initial_date_time": 1795516200}, Names({})
    assert value(moment, {}, nobody) == "2026-11-24 10:30 UTC"
    assert value(moment, {"selected_date_time": 1795516200 + 3600}, nobody) == "2026-11-24 11:30 UTC"
    assert value({"type": "datetimepicker"}, {}, nobody) == ""
