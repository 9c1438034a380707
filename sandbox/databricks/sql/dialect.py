"""The engine's dialect of SQL, as sqlglot writes it: nearly PostgreSQL's."""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.generator import Generator
from sqlglot.generators.postgres import PostgresGenerator


def _division(self: Generator, node: exp.Div) -> str:
    """`/` never divides whole numbers in Spark, and by zero it fails: casting a word that tells so fails, too.

    The word has a random end, so that it is not cast before it is known whether it is needed.
    """
    above, below = self.sql(node, "this"), self.sql(node, "expression")
    failing = "CAST(CONCAT('DIVIDED_BY_', CAST(random() AS VARCHAR)) AS DOUBLE)"
    return f"(CAST({above} AS DOUBLE) / CASE WHEN ({below}) = 0 THEN {failing} ELSE CAST({below} AS DOUBLE) END)"


def _whole_division(self: Generator, node: exp.IntDiv) -> str:
    return f"(CAST({self.sql(node, 'this')} AS BIGINT) / CAST({self.sql(node, 'expression')} AS BIGINT))"


def _try_cast(self: Generator, node: exp.TryCast) -> str:
    return f"TRY_CAST({self.sql(node, 'this')} AS {self.sql(node, 'to')})"


class Engine(Postgres):
    """What the engine reads."""

    class Generator(PostgresGenerator):
        """PostgreSQL's, but for what the engine has of its own."""

        TRANSFORMS: ClassVar = {
            **PostgresGenerator.TRANSFORMS,
            exp.Div: _division,
            exp.IntDiv: _whole_division,
            exp.TryCast: _try_cast,
        }


def write(tree: exp.Expr) -> str:
    """A tree as text for the engine, every name quoted: its lower case is not ours."""
    return tree.sql(dialect=Engine, identify=True, normalize_functions="lower")
