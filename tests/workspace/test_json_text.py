"""Members of a JSON text change, and no other character."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workspace.json_text import member, same, with_member

TEXT = '{\n  "a" : {"type":"fixed",  "value": "x"},\n\t"b": [1, {"a": 2}], "c":"}{"\n}'


def test_a_member_is_found_as_it_is_written() -> None:
    assert member(TEXT, "a") == '{"type":"fixed",  "value": "x"}'
    assert member(TEXT, "c") == '"}{"'
    assert member(TEXT, "type") is None


def test_there_and_back_is_the_same_text() -> None:
    there = with_member(TEXT, "a", '{"type": "allowlist"}')
    assert json.loads(there)["a"] == {"type": "allowlist"}
    assert with_member(there, "a", str(member(TEXT, "a"))) == TEXT


@pytest.mark.parametrize("text", ["{}", '{"b": 1}', ' { "b" : 1 } '])
def test_a_member_may_be_added(text: str) -> None:
    assert json.loads(with_member(text, "a", "2")) == {**json.loads(text), "a": 2}


@pytest.mark.parametrize("text", ["", "[]", "3", '{"a"', '{"a" 1}', '{"a": 1 "b": 2}', "{1: 2}", '{"a": }'])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        with_member(text, "a", "1")


def test_the_same_is_what_says_the_same() -> None:
    assert same('{"a": 1, "b": 2}', '{"b":2,"a":1}')
    assert not same('{"a": 1}', '{"a": 2}')
    assert same(None, None)
    assert not same(None, "null")
    assert same("{", "{")
    assert not same("{", "{}")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(), values, min_size=1, max_size=4), st.sampled_from([None, 2]), st.booleans())
def test_any_object_goes_there_and_back(content: dict[str, object], indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(content, indent=indent, ensure_ascii=ascii_only)
    for name in content:
        there = with_member(text, name, '{"new": [1]}')
        assert json.loads(there) == {**content, name: {"new": [1]}}
        assert with_member(there, name, str(member(text, name))) == text
