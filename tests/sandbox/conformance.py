"""The conformance table of `docs/sandbox.md`: what the local services enforce, by which test, and what they leave out.

The rules stand in `rules/*.yml`, one file per subject; a test says which of them it shows by

    @pytest.mark.conforms("cluster-edit-restarts-running")

and `python -m tests.sandbox.conformance` writes the table anew. Each rule has
    key          unique over all files
    section      of the facts about the platform that it stands in: `slack 1.1`, `databricks a2`
    says         one sentence, what the real service does
    methods      the API methods that it is about, if any: `POST /api/2.1/clusters/edit`, `chat.update`
    not_modelled the reason, only where no test shows it
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
PAGE = TESTS.parent / "docs" / "sandbox.md"
BEGIN, END = "<!-- conformance: generated -->", "<!-- conformance: end -->"
TITLES = {
    "slack 1.1": "Slack: time, retries, one-shot handles",
    "slack 1.2": "Slack: slash commands",
    "slack 1.3": "Slack: limits of Block Kit",
    "slack 1.4": "Slack: sizes of text",
    "slack 1.5": "Slack: newer blocks",
    "slack 1.6": "Slack: methods, rates and scopes",
    "slack 1.7": "Slack: HTTP mode and signatures",
    "slack 1.8": "Slack: Socket Mode",
    "slack 1.9": "Slack: files and App Home",
    "slack 1.10": "Slack: people, groups, workspaces",
    "slack 1.11": "Slack: confirm dialogs and accessibility",
    "slack 6": "Slack: what an approval must not rely on",
    "databricks a0": "Databricks: client behaviour and errors",
    "databricks a1": "Databricks: runtime versions",
    "databricks a2": "Databricks: clusters",
    "databricks a3": "Databricks: jobs and runs",
    "databricks a4": "Databricks: policies and compliance",
    "databricks a5": "Databricks: instance pools",
    "databricks a6": "Databricks: libraries",
    "databricks a7": "Databricks: Unity Catalog",
    "databricks a8": "Databricks: SQL statements",
    "databricks a9": "Databricks: tables, snapshots and restore",
    "databricks a10": "Databricks: pipelines",
    "databricks a11": "Databricks: system tables",
    "databricks a12": "Databricks: rates",
    "databricks a13": "Databricks: eventual consistency",
    "databricks a14": "Databricks: retries, restore and policies in detail",
    "other": "Other methods",
}


@dataclass(frozen=True)
class Rule:
    """One rule as its file says it."""

    key: str
    section: str
    says: str
    methods: tuple[str, ...]
    not_modelled: str


def rules() -> list[Rule]:
    """All rules, in the order of the files. Raises ValueError for one that is not complete."""
    found: list[Rule] = []
    for path in sorted((HERE / "rules").glob("*.yml")):
        for raw in yaml.safe_load(path.read_text(encoding="utf-8")) or []:
            unknown = set(raw) - {"key", "section", "says", "methods", "not_modelled"}
            if unknown or not raw.get("key") or not raw.get("says") or raw.get("section") not in TITLES:
                raise ValueError(f"{path.name}: {raw}: needs key, says and one of the known sections; {unknown or ''}")
            if any(rule.key == raw["key"] for rule in found):
                raise ValueError(f"{path.name}: {raw['key']} stands there twice")
            methods = tuple(raw.get("methods") or ())
            found.append(Rule(raw["key"], raw["section"], raw["says"], methods, str(raw.get("not_modelled") or "")))
    return found


def shown() -> dict[str, list[str]]:
    """The tests (path::name) that show each rule, by its key."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "mark.conforms(" in text:
            for name, key in _marks(ast.parse(text)):
                found.setdefault(key, []).append(f"{path.relative_to(TESTS.parent)}::{name}")
    return found


def _marks(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.conforms":
                for argument in mark.args:
                    yield node.name, str(ast.literal_eval(argument))


def modelled() -> list[str]:
    """Every API method that the local services answer."""
    from sandbox.databricks.databricks import ROUTER
    from sandbox.slack.api import call
    from sandbox.slack.api.registry import METHODS

    assert call.FAMILIES
    return sorted(METHODS) + sorted(f"{method} {path}" for method, path in ROUTER if path.startswith("/api/"))


def table() -> str:
    """What stands in the page between BEGIN and END."""
    tests, every = shown(), rules()
    parts = [
        f"{sum(1 for r in every if r.key in tests)} rules are shown by tests; {_left(every, tests)} are left out.\n"
    ]
    for section, title in TITLES.items():
        here = [rule for rule in every if rule.section == section]
        if here:
            parts += [f"<details><summary>{title}</summary>\n", "| rule | shown by |", "| --- | --- |"]
            parts += [f"| {_cell(rule.says)} | {_proof(rule, tests)} |" for rule in here]
            parts.append("\n</details>\n")
    parts += ["<details><summary>By API method</summary>\n", "| method | rules |", "| --- | --- |"]
    for method in modelled():
        said = [_cell(rule.says) for rule in every if method in rule.methods and not rule.not_modelled]
        left = [f"*not modelled: {_cell(r.says)}*" for r in every if method in r.methods and r.not_modelled]
        parts.append(f"| `{method}` | {'<br>'.join([*said, *left])} |")
    return "\n".join([*parts, "\n</details>\n"])


def _left(every: list[Rule], tests: dict[str, list[str]]) -> int:
    return sum(1 for rule in every if rule.key not in tests)


def _proof(rule: Rule, tests: dict[str, list[str]]) -> str:
    found = tests.get(rule.key, [])
    if not found:
        return f"*not modelled: {_cell(rule.not_modelled)}*"
    shortest = [_short(test) for test in found[:3]]
    return "<br>".join(shortest) + (f"<br>and {len(found) - 3} more" if len(found) > 3 else "")


def _short(test: str) -> str:
    path, _, name = test.partition("::")
    return f"[{name.removeprefix('test_').replace('_', ' ')}](../{path})"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|").replace("<", "&lt;")


def page(text: str) -> str:
    """The page with the present table in it."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}{END}{after}"


def problems() -> list[str]:
    """What keeps the table from being true: all of it."""
    every, tests = rules(), shown()
    keys = {rule.key for rule in every}
    known = set(modelled())
    found = [f"{tests[key][0]} names the rule {key}, which there is not" for key in tests if key not in keys]
    for rule in every:
        if rule.key not in tests and not rule.not_modelled:
            found.append(f"{rule.key} has neither a test nor a reason why not")
        if rule.key in tests and rule.not_modelled:
            found.append(f"{rule.key} has a test and a reason why it has none")
        if not rule.not_modelled:
            found += [f"{rule.key} names {m}, which is not modelled" for m in rule.methods if m not in known]
    named = {method for rule in every if not rule.not_modelled for method in rule.methods}
    return found + [f"no rule is about {method}" for method in sorted(known - named)]


def main() -> int:
    """Write the page; 1 and the problems when the table would not be true."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    found = problems()
    print("\n".join(found) or f"{PAGE.name}: written")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
