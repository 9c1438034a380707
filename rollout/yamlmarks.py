"""YAML as a tree that remembers where everything was written, and the merge of one such tree over another.

Scalars stay text: whether ``17.10`` is a release or ``on`` a key is for the plan's models to say, not for YAML 1.1's
guesses. A plain ``null``, ``~`` or nothing at all is None. Anchors, tags and a second document are refused: a plan
needs none of them, and anchors are how a small file becomes a huge one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

import yaml

MAX_CHARACTERS: Final = 1_000_000
MAX_DEPTH: Final = 20
#: libyaml is about ten times as fast; not every installation of PyYAML has it.
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake: where it was written, where in the plan that is, what is wrong and what was expected."""

    file: str
    line: int
    path: str  # for example stages[2].bake; empty: the whole file
    wrong: str
    expected: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: {self.path}: " if self.path else f"{self.file}:{self.line}: "
        return f"{where}{self.wrong}; expected {self.expected}"


@dataclass(slots=True)
class Node:
    """A scalar (text or None), a list or a mapping, with the file and line it came from.

    The line of a mapping's entry is the line of its key.
    """

    value: "str | list[Node] | dict[str, Node] | None"
    file: str
    line: int
    path: str = ""

    @property
    def text(self) -> str:
        """The text of a scalar; empty for everything else."""
        return self.value if isinstance(self.value, str) else ""

    @property
    def items(self) -> "list[Node]":
        """The entries of a list; none for everything else."""
        return self.value if isinstance(self.value, list) else []

    @property
    def entries(self) -> "dict[str, Node]":
        """The entries of a mapping; none for everything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def texts(self) -> list[str]:
        """The texts in a list."""
        return [item.text for item in self.items if item.text]

    def get(self, key: str) -> "Node":
        """The entry of that key; when there is none, an empty node that stands where the mapping does."""
        found = self.entries.get(key)
        return found if found is not None else Node(None, self.file, self.line, _join(self.path, key))

    def at(self, steps: Sequence[str | int]) -> "Node":
        """The node that the steps lead to. What is not there stands where its nearest ancestor does."""
        node = self
        for step in steps:
            if isinstance(step, int):
                items = node.items
                below = Node(None, node.file, node.line, f"{node.path}[{step}]")
                node = items[step] if step < len(items) else below
            else:
                node = node.get(step)
        return node

    def plain(self) -> Any:
        """The same as plain dicts, lists, texts and None."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def problem(self, wrong: str, expected: str) -> Problem:
        """A problem at this place."""
        return Problem(self.file, self.line, self.path, wrong, expected)


def nearest(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` with the known word most like ``word``; empty when none is like it."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def read(text: str, name: str) -> tuple[Node | None, list[Problem]]:
    """Read one YAML document. Gives the tree, or None when there is nothing to go on with, and all mistakes found."""
    if len(text) > MAX_CHARACTERS:
        wrong = f"the file has {len(text):,} characters"
        return None, [Problem(name, 1, "", wrong, f"at most {MAX_CHARACTERS:,}")]
    reader = _Reader(name)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except (yaml.YAMLError, UnicodeError) as error:
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
        line = mark.line + 1 if mark is not None else _line_of(text, error)
        hint = "YAML: look at the indentation, and quote texts that hold ': ' or ' #'"
        return None, [*reader.problems, Problem(name, line, "", f"this is not YAML: {said}", hint)]
    except _TooDeep:
        return None, reader.problems
    if reader.root is None:
        return None, [*reader.problems, Problem(name, 1, "", "the file is empty", "a plan")]
    place(reader.root, "")
    return reader.root, [*reader.problems, *_duplicates(reader.root)]


def place(node: Node, path: str) -> None:
    """Write into the node and everything below it where it stands in the tree."""
    node.path = path
    for key, below in node.entries.items():
        place(below, _join(path, key))
    for index, below in enumerate(node.items):
        place(below, f"{path}[{index}]")


def merge(base: Node, over: Node) -> Node:
    """``over`` laid over ``base``; neither is changed. Paths are not set.

    Mappings merge entry by entry, and None removes an entry. A list of things with a ``key`` merges thing by thing: the
    same key changes it in place, a new key is appended. Such a list may also be written as a mapping from key to what
    changes, and there None removes the thing. Everything else is replaced.
    """
    if isinstance(base.value, dict) and isinstance(over.value, dict):
        return Node(_merged(base.value, over.value), over.file, over.line)
    if isinstance(base.value, list) and base.value and all(item.get("key").text for item in base.value):
        if isinstance(over.value, dict):
            things = {key: _with_key(key, node) for key, node in over.value.items()}
        elif isinstance(over.value, list) and over.value:
            # Something without a key is kept, under a name that no key can have, for the models to complain about.
            things = {item.get("key").text or f"\n{index}": item for index, item in enumerate(over.value)}
        else:
            return over
        return Node(
            list(_merged({item.get("key").text: item for item in base.value}, things).values()), over.file, over.line
        )
    return over


def without_nulls(node: Node) -> Node:
    """The same without the entries of mappings that are None: they say "not given"."""
    if isinstance(node.value, dict):
        kept = {key: without_nulls(below) for key, below in node.value.items() if below.value is not None}
        return Node(kept, node.file, node.line, node.path)
    if isinstance(node.value, list):
        return Node([without_nulls(below) for below in node.value], node.file, node.line, node.path)
    return node


def _merged(base: dict[str, Node], over: dict[str, Node]) -> dict[str, Node]:
    result = dict(base)
    for key, node in over.items():
        if node.value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result[key], node) if key in result else node
    return result


def _with_key(key: str, node: Node) -> Node:
    if not isinstance(node.value, dict):
        return node
    return Node({"key": Node(key, node.file, node.line), **node.value}, node.file, node.line)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _line_of(text: str, error: Exception) -> int:
    position = getattr(error, "position", None)
    return text.count("\n", 0, position) + 1 if isinstance(position, int) else 1


def _duplicates(node: Node) -> Iterator[Problem]:
    """Things of one list that share a key. Looked for in each file alone: over another file it means a change."""
    first: dict[str, int] = {}
    for item in node.items:
        key = item.get("key")
        if key.text in first:
            yield key.problem(f"the key {key.text!r} is taken: line {first[key.text]}", "a key that is there once")
        elif key.text:
            first[key.text] = key.line
    for below in [*node.items, *node.entries.values()]:
        yield from _duplicates(below)


class _TooDeep(Exception):
    """The nesting is deeper than any plan's."""


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come yet."""

    line: int
    items: list[Node] | None
    entries: dict[str, Node] = field(default_factory=dict)
    key: tuple[str, int] | None = None  # of a mapping: the key whose value comes next, and its line
    refused: bool = False  # the value that comes next has no place


@dataclass(slots=True)
class _Reader:
    """Builds the tree from parser events, without recursion, so that no nesting can exhaust the stack."""

    name: str
    root: Node | None = None
    problems: list[Problem] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            self._refuse(line, "a second document begins", "one plan in a file")
            raise _TooDeep
        if isinstance(event, yaml.AliasEvent):
            self._refuse(line, f"the alias *{event.anchor}", "the value itself: plans have no anchors")
            self._add(Node(None, self.name, line))
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            if event.anchor is not None:
                self._refuse(line, f"the anchor &{event.anchor}", "the value itself: plans have no anchors")
            if event.tag is not None:
                self._refuse(line, f"the tag {event.tag}", "a value without a tag")
            if isinstance(event, yaml.ScalarEvent):
                plain = event.style in (None, "")
                self._add(Node(None if plain and event.value in _NULLS else event.value, self.name, line))
            elif len(self.stack) >= MAX_DEPTH:
                self._refuse(line, "this is nested too deeply", f"at most {MAX_DEPTH} levels")
                raise _TooDeep
            else:
                self.stack.append(_Open(line, [] if isinstance(event, yaml.SequenceStartEvent) else None))
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self.stack.pop()
            self._add(Node(done.entries if done.items is None else done.items, self.name, done.line))

    def _refuse(self, line: int, wrong: str, expected: str) -> None:
        self.problems.append(Problem(self.name, line, "", wrong, expected))

    def _add(self, node: Node) -> None:
        if not self.stack:
            if self.root is None:
                self.root = node
            return
        top = self.stack[-1]
        if top.items is not None:
            top.items.append(node)
        elif top.refused:
            top.refused = False
        elif top.key is None:
            self._name(top, node)
        else:
            key, line = top.key
            top.entries[key] = Node(node.value, node.file, line)
            top.key = None

    def _name(self, top: _Open, node: Node) -> None:
        """Take a node as the name of the entry that follows."""
        if not isinstance(node.value, str):
            self._refuse(node.line, "the name of this entry is not a word", "a word, then ':'")
            top.refused = True
        elif node.value in top.entries:
            first = top.entries[node.value].line
            self._refuse(node.line, f"{node.value!r} is there twice: first in line {first}", "each word once")
            top.refused = True
        else:
            top.key = (node.value, node.line)
