"""The doctor's rounds: all at once, none for too long, no secret, and something to do for whatever is not well."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from doctor import slack
from doctor.finding import Finding, Level, as_json, as_text, fail, healthy, ok, redacted, warn
from doctor.rounds import Check, make


def test_a_check_that_never_ends_fails_with_what_it_had_found_and_holds_up_nobody() -> None:
    never = threading.Event()

    def hangs() -> Iterator[Finding]:
        yield ok("a", "began")
        never.wait(30)
        yield ok("a", "too late")

    found = make([Check("a", hangs), Check("b", lambda: [ok("b", "well")])], seconds=2)
    never.set()
    assert [(f.level, f.subject) for f in found] == [(Level.OK, "a"), (Level.FAIL, "a"), (Level.OK, "b")]
    assert "not done within" in found[1].found


def test_the_checks_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=60)

    def meets() -> Iterator[Finding]:
        both.wait()
        yield ok("x", "met")

    assert [f.found for f in make([Check("x", meets), Check("x", meets)], seconds=20)] == ["met", "met"]


def test_an_error_of_a_check_tells_its_name_and_not_its_text() -> None:
    def breaks() -> Iterator[Finding]:
        yield ok("x", "so far")
        raise ValueError("password hunter2")

    found = make([Check("x", breaks)], seconds=5)
    assert [f.level for f in found] == [Level.OK, Level.FAIL]
    assert "ValueError" in found[1].found
    assert "hunter2" not in as_text(found)


def test_what_is_not_ok_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="what to do"):
        Finding(Level.WARN, "x", "found")


def test_secrets_and_control_characters_are_taken_out_wherever_they_stand() -> None:
    given = [fail("x s3cret-value", "said s3cret-value\x1b[31m\nmore", "use s3cret-value, not s3cret")]
    (clean,) = redacted(given, ["s3cret-value", "s3cret", "no"])
    assert "s3cret" not in as_text([clean])
    assert "\x1b" not in as_text([clean])
    assert clean.found == "said [redacted] [31m more"


def test_nothing_is_healthy_that_fails_and_both_forms_say_the_same() -> None:
    found = [ok("a", "x"), warn("b", "y", "z")]
    assert healthy(found)
    assert not healthy([*found, fail("c", "y", "z")])
    assert as_text(found).splitlines() == ["ok    a  x", "warn  b  y  Next: z", "1 ok, 1 warn, 0 FAIL"]
    shown = json.loads(as_json(found))
    assert shown["ok"] is True
    assert shown["findings"][1] == {"level": "warn", "subject": "b", "found": "y", "next": "z"}


@pytest.mark.parametrize(("apart", "level"), [(0, "ok"), (59, "ok"), (-90, "warn"), (241, "FAIL"), (-4000, "FAIL")])
def test_a_clock_that_is_apart_is_told_before_slack_refuses_signatures(apart: int, level: str) -> None:
    theirs = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
    assert slack.clock(theirs, theirs + timedelta(seconds=apart)).level == level
