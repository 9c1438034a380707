"""A message with a file is uploaded in three steps; what cannot be told is repeated once at most; no file holds back
what comes after it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commands.reply import File, Paragraph, Reply
from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack, running
from storage import outbox
from storage.database import Database
from storage.models import Outbox
from tests.bot.desk import Desk, desk

TEXT = '# edits ü\n-   spark_version: "13.3"\n'
WITH_FILE = Reply(
    "2 edits for git/x", (Paragraph((("2 edits for git/x",),)),), file=File("x-edits.txt", "2 edits", TEXT)
)


@pytest.fixture
def slack(tmp_path: Path) -> Iterator[Slack]:
    with running(tmp_path / "slack", limits=Limits(post_burst=1000)) as made:
        yield made


def ready(slack: Slack, database: Database) -> Desk:
    it = desk(slack, database)
    it.door.documents["edits"] = WITH_FILE
    return it


def states(it: Desk) -> list[str]:
    return [letter.state for letter in it.letters()]


def at_once(it: Desk) -> None:
    with it.database.write() as session:
        session.query(Outbox).update({"not_before": None})


def files(it: Desk) -> list[dict[str, Any]]:
    return [found for m in it.seen() for found in m["files"]]


def lose_the_answer(it: Desk, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The upload is shown, and its answer does not come, so many times."""
    really, left = it.sender._web.files_completeUploadExternal, [times]

    def lost(**arguments: Any) -> Any:
        answer = really(**arguments)
        if left[0] > 0:
            left[0] -= 1
            raise TimeoutError
        return answer

    monkeypatch.setattr(it.sender._web, "files_completeUploadExternal", lost)


def test_a_file_comes_into_the_channel_with_its_text(slack: Slack, either: Database) -> None:
    it = ready(slack, either)
    it.post("a", "edits", repeat=True)
    it.run()
    assert states(it) == ["sent"]
    (message,) = it.seen()
    assert message["text"] == "2 edits for git/x"
    (found,) = message["files"]
    assert (found["name"], found["title"], found["size"]) == ("x-edits.txt", "2 edits", len(TEXT.encode()))


@pytest.mark.parametrize("path", ["files.getUploadURLExternal", "upload"])
def test_what_fails_before_anything_is_shown_is_simply_tried_again(slack: Slack, database: Database, path: str) -> None:
    it = ready(slack, database)
    it.post("a", "edits", repeat=True)
    slack.workspace.faults.add(path, "500", times=1)
    it.run()
    assert states(it) == ["pending"]
    assert it.seen() == []
    at_once(it)
    it.run()
    assert states(it) == ["sent"]
    assert len(files(it)) == 1
    assert "repeated" not in it.seen()[0]["text"]


@pytest.mark.parametrize(("lost", "state"), [(1, "sent"), (2, "dropped"), (5, "dropped")])
def test_an_upload_whose_answer_was_lost_is_repeated_once_marked_and_never_again(
    slack: Slack, database: Database, monkeypatch: pytest.MonkeyPatch, lost: int, state: str
) -> None:
    it = ready(slack, database)
    it.post("a", "edits", repeat=True)
    lose_the_answer(it, monkeypatch, lost)
    for _ in range(5):
        it.run()
        at_once(it)
    assert states(it) == [state]
    assert len(files(it)) == 2
    assert ["repeated" in m["text"] for m in it.seen()] == [False, True]


def test_a_sender_that_dies_in_the_middle_of_a_repetition_leaves_it_at_that(slack: Slack, database: Database) -> None:
    it = ready(slack, database)
    it.post("a", "edits", repeat=True)
    for state in ("unknown", "dropped"):
        now = database.machine()
        with database.write() as session:
            (letter,) = outbox.next_letters(session, now)
            assert outbox.claim(session, letter, "dies", now, -1.0, once_more=True) is not None
        with database.write() as session:
            outbox.resolve_abandoned(session, database.machine())
        assert states(it) == [state]


def test_where_slack_refuses_files_a_message_says_so_and_what_waits_behind_is_posted(
    slack: Slack, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = ready(slack, database)
    older = replace(slack.workspace.manifest, scopes=("chat:write", "commands"))
    monkeypatch.setattr(slack.workspace, "manifest", older)
    it.post("a", "edits", repeat=True)
    it.post("b", "stage_blocked", repeat=True)
    it.run()
    assert states(it) == ["sent", "sent"]
    first, second = it.seen()
    assert "Slack refused the file (missing_scope)" in first["text"]
    assert "install the app again from manifest.yml" in first["text"]
    assert second["text"].startswith("stage_blocked")


def test_nothing_is_uploaded_into_a_channel_that_is_shared_with_another_company(
    slack: Slack, database: Database
) -> None:
    it = ready(slack, database)
    it.guard(lambda _: False)
    it.post("a", "edits", repeat=True)
    it.run()
    assert it.seen() == []
    assert states(it) == ["pending"]


def test_the_address_of_an_upload_stands_in_no_error(slack: Slack, database: Database, capfd: Any) -> None:
    it = ready(slack, database)
    it.post("a", "edits", repeat=True)
    slack.workspace.faults.add("upload", "500", times=1)
    it.run()
    (letter,) = it.letters()
    assert letter.error is not None
    assert "/upload/v1/" not in letter.error
    assert "/upload/v1/" not in "".join(capfd.readouterr())
