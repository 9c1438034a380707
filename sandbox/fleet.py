"""`python -m sandbox.fleet`: the clusters and jobs of the local Databricks, as they are now."""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from typing import Any


def main(arguments: list[str] | None = None) -> int:
    """Print a table per workspace, or with --json a list of targets; exit 1 when the sandbox does not answer."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.fleet", description=__doc__)
    parser.add_argument("--port", type=int, default=8800, help="port of the sandbox's page")
    parser.add_argument("--json", action="store_true", help="a JSON list with the raw configuration of every target")
    options = parser.parse_args(arguments)
    try:
        fleet = ask(options.port, options.json)
    except urllib.error.HTTPError as error:
        print(f"The sandbox refused: {error}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(
            f"No sandbox answers at http://127.0.0.1:{options.port}: start one with `make sandbox`. ({error})",
            file=sys.stderr,
        )
        return 1
    try:
        print(json.dumps(targets(fleet), indent=2) if options.json else table(fleet))
    except BrokenPipeError:
        sys.stderr.close()
    return 0


def ask(port: int, raw: bool) -> dict[str, Any]:
    """The fleet as the sandbox tells it, with raw configurations if wanted."""
    address = f"http://127.0.0.1:{port}/sandbox/fleet{'?raw=1' if raw else ''}"
    with urllib.request.urlopen(address, timeout=60) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def targets(fleet: dict[str, Any]) -> list[dict[str, Any]]:
    """All targets of all workspaces in one list."""
    return [target for workspace in fleet["workspaces"] for target in workspace["targets"]]


def table(fleet: dict[str, Any]) -> str:
    """One paragraph per workspace: kind, name, runtime, state and, for jobs, how their runs ended so far."""
    lines = [f"Calendar: {fleet['now']}"]
    for workspace in fleet["workspaces"]:
        lines += ["", f"{workspace['key']}  {workspace['host']}"]
        rows = [_row(target) for target in workspace["targets"]]
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
        for row in rows:
            cells = [row[column].ljust(widths[column]) for column in range(4)]
            lines.append("  " + "  ".join([*cells, row[4]]).rstrip())
    return "\n".join(lines)


def _row(target: dict[str, Any]) -> list[str]:
    runs = target.get("runs") or {}
    counted = f"{runs['ok']} ok, {runs['failed']} failed" if runs.get("ok") or runs.get("failed") else ""
    if runs.get("active"):
        counted = f"{runs['active']} active" + (f", {counted}" if counted else "")
    return [target["kind"], target["name"], target["runtime"], target["state"], counted]


if __name__ == "__main__":
    sys.exit(main())
