"""What people type becomes a verb and its arguments."""

import pytest

from commands.grammar import clean, first_word, nearest, parse


@pytest.mark.parametrize(
    ("text", "verb", "words"),
    [
        ("", "home", None),
        ("   ", "home", None),
        ("status", "status", None),
        ("STATUS dev", "status", "dev"),
        ("/rollout status dev", "status", "dev"),
        ("stop", "pause", None),
        ("hold we look", "pause", "we look"),
        ("freeze", "pause", None),
        ("undo canary", "rollback", "canary"),
        ("revert", "rollback", None),
        ("abort", "rollback", None),
        ("who", "contacts", None),
        ("contacts", "contacts", None),
        ("status?", "status", None),
        ("rollback canary it’s slow — very", "rollback", "canary it's slow - very"),
        ("status “nightly load”", "status", '"nightly load"'),
        ("status <https://adb-1.example.net/jobs/12|adb-1.example.net>", "status", "https://adb-1.example.net/jobs/12"),
        ("pause ask <@U0SAND0001|dana>", "pause", "ask @dana"),
        ("pause see <#C0GENERAL1|general>", "pause", "see #general"),
        ("pause <!here> now", "pause", "@here now"),
        ("pause a &amp; b &lt; c", "pause", "a & b < c"),
        ("frobnicate it", "frobnicate", "it"),
        ("approve\u00a0dev", "approve", "dev"),
    ],
)
def test_text_becomes_verb_and_words(text: str, verb: str, words: str | None) -> None:
    assert parse(text) == (verb, {} if words is None else {"words": words})


def test_quotes_make_one_word_of_several() -> None:
    assert first_word('"nightly load" is slow') == ("nightly load", "is slow")
    assert first_word("dev is slow") == ("dev", "is slow")
    assert first_word('"open') == ('"open', "")


def test_a_typing_mistake_finds_the_nearest_word() -> None:
    assert nearest("statsu", ["start", "status"]) == "status"
    assert nearest("xyz", ["start", "status"]) is None


def test_escapes_are_undone_once() -> None:
    assert clean("&amp;lt;b&amp;gt;") == "&lt;b&gt;"
