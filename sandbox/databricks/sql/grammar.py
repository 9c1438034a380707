"""From the text of a statement to its words: parameters filled in, names taken apart.

sqlglot cuts the text into tokens and reads queries; the statements that it does not know are matched word by word here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from sqlglot.dialects import Databricks
from sqlglot.errors import TokenError

from sandbox.databricks.errors import Json
from sandbox.databricks.sql.errors import SqlError, quoted, syntax

NAMING = {"FROM", "JOIN", "INTO", "TABLE", "UPDATE", "OVERWRITE", "CLONE", "HISTORY", "DETAIL", "VACUUM", "OPTIMIZE"}
"""After these words comes a name, where a parameter has no business."""


class _Tokens(Databricks.Tokenizer):  # type: ignore[misc]
    """sqlglot's, which would leave what follows VACUUM or SHOW in one piece."""

    COMMANDS: ClassVar[set[object]] = set()


@dataclass(frozen=True, slots=True)
class Word:
    """One token: what kind, its text (without quotes), where it stands."""

    kind: str
    text: str
    start: int
    end: int


def words(text: str) -> list[Word]:
    """The tokens of a text. Raises SqlError where there is an open quote or the like."""
    try:
        tokens = _Tokens().tokenize(text)
    except TokenError as error:
        raise syntax("end of input", str(error).splitlines()[0]) from error
    return [Word(token.token_type.name, token.text, token.start, token.end + 1) for token in tokens]


def bind(text: str, parameters: Mapping[str, tuple[str | None, str]]) -> str:
    """Fill in `:name` by literals, `IDENTIFIER('a.b')` by the quoted name, `t@v3` by VERSION AS OF.

    `parameters` are values (None for NULL) and types by name. A parameter stands for a value and nothing else.
    """
    found: list[tuple[int, int, str]] = []
    tokens = words(text)
    index = 0
    while index < len(tokens):
        word = tokens[index]
        after = tokens[index + 1] if index + 1 < len(tokens) else None
        before = tokens[index - 1] if index else None
        touching = before is not None and before.end == word.start
        if word.kind == "COLON" and after and after.start == word.end and not (touching and _ends_name(before)):
            if before is not None and before.text.upper() in NAMING:
                raise syntax("':'", "A parameter marker stands for a value; use IDENTIFIER(:name) for a name.")
            found.append((word.start, after.end, _literal(after.text, parameters)))
            index += 1
        elif word.text.upper() == "IDENTIFIER" and after is not None and after.kind == "L_PAREN":
            name, last = _identifier(tokens, index + 2, parameters)
            found.append((word.start, last.end, quoted(parts_of(name))))
            index = tokens.index(last)
        elif word.text == "@" and touching and after and re.fullmatch(r"v\d+", after.text):
            found.append((word.start, after.end, f" VERSION AS OF {after.text[1:]}"))
            index += 1
        index += 1
    for start, end, instead in reversed(found):
        text = f"{text[:start]}{instead}{text[end:]}"
    return text


def _ends_name(word: Word | None) -> bool:
    return word is not None and word.kind in ("VAR", "IDENTIFIER", "R_PAREN", "R_BRACKET")


def _identifier(tokens: list[Word], index: int, parameters: Mapping[str, tuple[str | None, str]]) -> tuple[str, Word]:
    """The constant in IDENTIFIER(...), and the closing bracket."""
    if index + 1 < len(tokens) and tokens[index].kind == "COLON":
        value = _value(tokens[index + 1].text, parameters)[0]
        name, last = value or "", index + 2
    else:
        name, last = tokens[index].text if index < len(tokens) else "", index + 1
        if index < len(tokens) and tokens[index].kind != "STRING":
            name = ""
    if not name or last >= len(tokens) or tokens[last].kind != "R_PAREN":
        raise SqlError(
            "NOT_A_CONSTANT_STRING.NOT_CONSTANT",
            "The expression used for the routine or clause IDENTIFIER must be a constant STRING which is NOT NULL. "
            "To be considered constant, the expression must not depend on any columns, contain a subquery, or invoke a "
            "non-deterministic function. (The local Databricks takes one literal or one parameter.)",
            "42601",
        )
    return name, tokens[last]


def _value(name: str, parameters: Mapping[str, tuple[str | None, str]]) -> tuple[str | None, str]:
    if name not in parameters:
        raise SqlError(
            "UNBOUND_SQL_PARAMETER",
            f"Found the unbound parameter: {name}. Please, fix `args` and provide a mapping of the parameter to either "
            "a SQL literal or collection constructor functions such as `map()`, `array()`, `struct()`.",
            "42P02",
        )
    return parameters[name]


def _literal(name: str, parameters: Mapping[str, tuple[str | None, str]]) -> str:
    value, kind = _value(name, parameters)
    if value is None:
        return f"CAST(NULL AS {kind})"
    text = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if kind == "STRING":
        return text
    if kind in ("INT", "BIGINT") and re.fullmatch(r"-?\d+", value):
        return value if kind == "BIGINT" else f"CAST({value} AS INT)"
    return f"CAST({text} AS {kind})"


def parts_of(name: str) -> list[str]:
    """The parts of a name such as a.`b.c`.d. Raises SqlError for what is no name."""
    pattern = r"\s*(?:`((?:[^`]|``)+)`|(\w+))\s*(\.|$)"
    found, place = [], 0
    while place < len(name):
        match = re.compile(pattern).match(name, place)
        if match is None:
            raise syntax(f"'{name[place : place + 20]}'")
        found.append((match[1] or "").replace("``", "`") or match[2])
        place = match.end()
        if match[3] == "" and place < len(name):
            raise syntax(f"'{name[place:]}'")
    if not found or name.rstrip().endswith("."):
        raise syntax("end of input")
    return found


class Words:
    """A statement word by word: what is expected is taken, or refused as a syntax error."""

    def __init__(self, text: str) -> None:
        self.source = text
        self.tokens = words(text)
        while self.tokens and self.tokens[-1].kind == "SEMICOLON":
            self.tokens.pop()
        self.place = 0

    def take(self, *wanted: str) -> bool:
        """Take these words if they come next."""
        ahead = self.tokens[self.place : self.place + len(wanted)]
        quoting = ("IDENTIFIER", "STRING")
        if len(ahead) == len(wanted) and all(
            word.text.upper() == want and word.kind not in quoting for word, want in zip(ahead, wanted, strict=True)
        ):
            self.place += len(wanted)
            return True
        return False

    def need(self, *wanted: str) -> None:
        """Take these words; anything else is a syntax error."""
        if not self.take(*wanted):
            raise self.wrong()

    def next(self, *kinds: str) -> str:
        """The text of the next token, which must be of one of these kinds."""
        if self.place >= len(self.tokens) or (kinds and self.tokens[self.place].kind not in kinds):
            raise self.wrong()
        self.place += 1
        return self.tokens[self.place - 1].text

    def name(self) -> list[str]:
        """A name of up to three parts."""
        found = [self._part()]
        while self.take("."):
            found.append(self._part())
        return found

    def _part(self) -> str:
        if self.place < len(self.tokens):
            word = self.tokens[self.place]
            if word.kind == "IDENTIFIER" or (re.fullmatch(r"\w+", word.text) and word.kind != "STRING"):
                self.place += 1
                return word.text
        raise self.wrong()

    def number(self) -> int:
        """A whole number."""
        text = self.next("NUMBER")
        if not text.isdigit():
            raise syntax(f"'{text}'")
        return int(text)

    def version(self) -> Json | None:
        """VERSION AS OF n as {"version": n}, TIMESTAMP AS OF 't' as {"timestamp": t}; None where neither follows."""
        if self.take("VERSION", "AS", "OF"):
            return {"version": self.number()}
        if self.take("TIMESTAMP", "AS", "OF"):
            return {"timestamp": self.next("STRING")}
        return None

    def properties(self) -> dict[str, str]:
        """('a.b' = 'c', d.e = 1)"""
        found: dict[str, str] = {}
        self.need("(")
        while not self.take(")"):
            key = self.key()
            self.take("=")
            found[key] = self.next("STRING", "NUMBER", "TRUE", "FALSE")
            if not self.take(","):
                self.need(")")
                break
        return found

    def keys(self) -> list[str]:
        """('a.b', d.e)"""
        self.need("(")
        found = [self.key()]
        while self.take(","):
            found.append(self.key())
        self.need(")")
        return found

    def key(self) -> str:
        """The key of a property."""
        if self.place < len(self.tokens) and self.tokens[self.place].kind == "STRING":
            return self.next("STRING")
        found = ".".join(self.name())
        while self.take("-"):  # typeWidening-preview
            found += f"-{self._part()}"
        return found

    def rest(self) -> str:
        """All that follows, as it is written."""
        if self.place >= len(self.tokens):
            return ""
        found = self.source[self.tokens[self.place].start : self.tokens[-1].end]
        self.place = len(self.tokens)
        return found

    def end(self) -> None:
        """Nothing may follow."""
        if self.place < len(self.tokens):
            raise self.wrong()

    def wrong(self) -> SqlError:
        """A syntax error at the present place."""
        if self.place >= len(self.tokens):
            return syntax("end of input")
        return syntax(f"'{self.tokens[self.place].text}'")
