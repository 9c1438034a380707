"""``audit`` verifies before it shows; the record as a file; heads in posts; the table of sign-offs."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, func, select, update

from commands import auditfile
from commands.plaintext import render
from commands.reply import Code, Note, Person, Reply, Table
from rollout.states import StageState
from storage import chain, events
from storage.models import Event, SignOff
from storage.record import By, event
from storage.sealing import Sealer
from tests.commands.world import PEOPLE, World

S = StageState


def seal(world: World) -> None:
    while Sealer(world.database, "test").tick():
        pass


def passed(world: World, stage: str = "dev", person: str = "developer") -> None:
    """By the ordinary way."""
    world.started(stage, S.REVIEW)
    reply = world.confirm(person, f"approve {stage}")
    assert "has passed" in reply.text


def document(world: World, kind: str, stage: str | None = None) -> Reply:
    made = world.door.document(kind, world.rollout_id, world.stage(stage).id if stage else None, {})
    assert made is not None
    return made


def heads(reply: Reply) -> list[str]:
    return [p.text for b in reply.blocks if isinstance(b, Note) for p in b.line if isinstance(p, Code)]


def test_audit_says_first_that_the_chain_is_intact_and_prints_its_head(world: World) -> None:
    passed(world)
    seal(world)
    shown = render(world.say("qa", "audit"))
    report = chain.verify(world.database, world.rollout_id)
    assert f"[ok] chain intact: {report.count} events" in shown
    assert f"Head {report.head} · 1 sign-off verified" in shown
    assert "approved dev as Developer · by form" in shown
    assert "Chain intact" in world.say("qa", "audit").text


def test_audit_shows_refusals_with_their_reason_and_from_where(world: World) -> None:
    world.say("nobody", "approve dev")
    world.press("nobody", "pause", {"rollout": world.rollout_id, "submitted": True})
    shown = render(world.say("qa", "audit"))
    assert "@U0SAND0099 · [!] approve refused (not_a_role_holder)" in shown
    assert "pause refused (not_permitted)" in shown
    assert "· by command" in shown
    assert "· by button" in shown
    assert "events not sealed yet" in shown


def test_audit_names_the_event_at_which_the_chain_is_broken(world: World) -> None:
    passed(world)
    seal(world)
    with world.database.write() as session:
        session.execute(delete(Event).where(Event.number == 1))
    reply = world.say("qa", "audit")
    assert "[failed] chain broken at event 1: it is missing" in render(reply)
    assert "Chain broken at event 1" in reply.text
    assert "docs/audit.md" in render(reply)
    assert "does not verify" not in render(document(world, "daily_summary"))  # its end still fits: audit looks further
    with world.database.write() as session:
        newest = session.execute(select(func.max(Event.number))).scalar_one()
        session.execute(delete(Event).where(Event.number == newest))
    assert "does not verify" in render(document(world, "daily_summary"))


def test_audit_names_a_sign_off_that_was_edited(world: World) -> None:
    passed(world)
    seal(world)
    world.alter(SignOff, comment="with pleasure")
    for text in ("audit", "audit dev"):
        shown = render(world.say("qa", text))
        assert "Sign-off 1 of @U0SAND0001, Developer of dev: sign_off_altered; it does not count" in shown
    assert "not counted: @U0SAND0001 (Developer): sign_off_altered" in render(world.say("qa", "status"))
    shown = render(world.say("devops", "start test"))
    assert "Refused (predecessor_not_passed)" in shown
    assert "Not counted: U0SAND0001 as Developer (sign_off_altered)" in shown


def test_a_stage_that_was_set_to_passed_by_hand_is_called_so_everywhere(world: World) -> None:
    world.set_stage("dev", state=S.PASSED, passed_at=world.now)
    for text in ("status", "status dev", "report", ""):
        assert "dev counts as passed, but it lacks Developer: it opens no gate." in render(world.say("devops", text)), (
            text
        )
    assert "/rollout rollback dev" in render(world.say("devops", "status"))
    assert "Refused (predecessor_not_passed)" in render(world.say("devops", "start test"))
    refused = render(world.say("developer", "approve dev"))
    assert "Refused (evidence_altered) dev cannot be approved: there is no frozen evidence." in refused


def test_who_signed_before_there_were_signatures_is_asked_again(world: World) -> None:
    world.passed("dev")
    world.alter(SignOff, signature=None, key_id=None)
    seal(world)
    assert "1 sign-off from before there were signatures: not counted" in render(world.say("qa", "audit"))
    assert chain.verify(world.database, world.rollout_id).intact
    status = render(world.say("developer", "status"))
    assert "Developer: /rollout approve dev, again" in status
    assert "[Approve dev]" in status
    assert "dev waits for your sign-off" in render(world.say("developer", ""))
    reply = world.confirm("developer", "approve")
    assert "dev has passed" in reply.text
    assert "dev waits" not in render(world.say("developer", ""))


def test_every_page_of_a_long_record_can_be_turned_and_each_verifies(world: World) -> None:
    with world.database.write() as session:
        for number in range(49):
            event(
                session, world.now, By(PEOPLE["qa"], "T", "slash"), "pause", f"no {number}", rollout_id=world.rollout_id
            )
    seal(world)
    seen = ""
    for page in range(4):
        shown = render(world.press("qa", "audit", {"page": page}))
        assert "chain intact: 50 events" in shown
        seen += shown
    assert all(f" no {number} " in seen for number in range(49))


# -- heads -----------------------------------------------------------------------------------------------------------


def test_the_message_of_a_passed_stage_names_the_place_of_that_very_event_whenever_it_is_said(world: World) -> None:
    passed(world)
    (head,) = heads(document(world, "stage_passed", "dev"))  # sealed on the way, whatever the sealer does
    assert chain.unmatched(world.database, [head]) == []
    number = int(head.partition(":")[0])
    with world.database.read() as session:
        kind = session.execute(select(Event.kind).where(Event.number == number)).scalar_one()
    assert kind == "stage_passed"
    world.say("qa", "pause because")
    seal(world)
    assert heads(document(world, "stage_passed", "dev")) == [head]
    assert heads(world.door.closing("stage_passed", world.stage("dev").id)) == [head]
    world.set_stage("dev", state=StageState.ROLLED_BACK)
    assert heads(world.door.closing("stage_passed", world.stage("dev").id)) == [head], "and once it is over, too"


def test_the_daily_summary_names_the_head(world: World) -> None:
    world.say("nobody", "pause")
    (head,) = heads(document(world, "daily_summary"))
    assert head == str(chain.verify(world.database, world.rollout_id).head)
    assert chain.unmatched(world.database, [head]) == []


# -- the record as a file --------------------------------------------------------------------------------------------


HOSTILE = ("=cmd|'/c calc'!A1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", 'a","=1', "x\n=1", "né ✓")


def filled(world: World) -> None:
    with world.database.write() as session:
        for said in HOSTILE:
            by = By("=HYPERLINK(1)", "T0", "slash")
            event(
                session, datetime(2026, 3, 2, 10, 0, 0, 5, tzinfo=UTC), by, "pause", said, rollout_id=world.rollout_id
            )


def file(world: World, form: str, stage: str | None = None) -> str:
    with world.database.read() as session:
        return "".join(auditfile.lines(events.everything(session, stage), form))


def test_the_csv_holds_every_event_and_no_cell_that_a_spreadsheet_computes(world: World) -> None:
    filled(world)
    seal(world)
    rows = list(csv.DictReader(io.StringIO(file(world, "csv"), newline="")))
    assert [row["kind"] for row in rows[:1]] == ["rollout_opened"]
    for row, said in zip(rows[1:], HOSTILE, strict=True):
        for cell in row.values():
            assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "＝")), cell
        assert row["sentence"].removeprefix("'") == said
        assert row["actor"] == "'=HYPERLINK(1)"
    assert [row["number"] for row in rows] == [str(n) for n in range(1, len(HOSTILE) + 2)]
    assert rows[1]["at"] == "2026-03-02T10:00:00.000005+00:00"


def test_the_json_lines_say_exactly_what_is_stored(world: World) -> None:
    filled(world)
    lines = [json.loads(line) for line in file(world, "jsonl").splitlines()]
    assert [line["sentence"] for line in lines] == ["", *HOSTILE]
    assert {line["number"] for line in lines} == {None}
    assert {line["rollout"] for line in lines} == {world.plan.key}


def test_a_file_of_one_stage_and_an_empty_one(world: World) -> None:
    assert file(world, "csv", "dev").splitlines() == [",".join(auditfile._COLUMNS)]
    assert file(world, "jsonl", "dev") == ""
    passed(world)
    assert {json.loads(line)["stage"] for line in file(world, "jsonl", "dev").splitlines()} == {"dev"}
    assert file(world, "jsonl", "canary") == ""
    with pytest.raises(ValueError, match="csv, jsonl"):
        auditfile.lines([], "xml")


def test_a_long_record_comes_whole_and_in_order(world: World) -> None:
    with world.database.write() as session:
        for number in range(1203):
            event(session, world.now, By(), "pause", f"{number}", rollout_id=world.rollout_id)
    said = [json.loads(line)["sentence"] for line in file(world, "jsonl").splitlines()]
    assert said == ["", *(str(number) for number in range(1203))]


# -- the table of sign-offs ------------------------------------------------------------------------------------------


def tables(reply: Reply) -> list[Table]:
    return [b for b in reply.blocks if isinstance(b, Table)]


def test_report_and_status_print_the_table_of_the_spec(world: World) -> None:
    assert tables(world.say("qa", "report")) == []
    world.passed("dev")
    world.started("canary", S.REVIEW)
    world.confirm("qa", "approve canary", comment="fine")
    with world.database.read() as session:
        marks = [s[:8] for s in session.execute(select(SignOff.signature).order_by(SignOff.id)).scalars() if s]
    for text in ("report", "status"):
        (table,) = tables(world.say("qa", text))
        assert table.header == ("Stage", "Role", "Name", "Date", "Signature")
        assert table.rows == (
            ("dev", "Developer", Person(PEOPLE["developer"]), "2026-03-02", marks[0]),
            ("canary", "Product Owner", "missing", "–", "–"),
            ("canary", "QA", Person(PEOPLE["qa"]), "2026-03-02", marks[1]),
            ("canary", "Tech Lead", "missing", "–", "–"),
        ), table.rows
    (table,) = tables(world.say("qa", "status dev"))
    assert table.header == ("Role", "Name", "Date", "Signature")
    assert len(table.rows) == 1


def test_the_table_says_of_a_sign_off_that_does_not_count_why(world: World) -> None:
    world.passed("dev")
    with world.database.write() as session:
        session.execute(update(SignOff).values(comment="x"))
    (table,) = tables(world.say("qa", "status dev"))
    assert table.rows[0][-1] == "not counted: sign_off_altered"
    assert table.rows[1][1] == "missing"
    world.started("canary", S.REVIEW)
    world.confirm("qa", "reject canary", reason="no")
    (table,) = tables(world.say("qa", "status canary"))
    assert any(str(row[-1]).startswith("rejected · ") for row in table.rows)
