"""The conformance table is whole and up to date."""

from tests.sandbox import conformance


def test_every_rule_has_a_test_or_a_reason_and_every_method_a_rule() -> None:
    assert conformance.problems() == []


def test_the_page_shows_the_present_rules() -> None:
    text = conformance.PAGE.read_text(encoding="utf-8")
    assert conformance.page(text) == text, "python -m tests.sandbox.conformance writes it anew"
