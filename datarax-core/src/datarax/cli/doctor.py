"""What is wrong with this installation, and how to mend it.

The environment, versions and what they need, every plugin (each is imported), policies, caches and
switches. Exit code 1 says that there are problems.
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any

from datarax.cli.answer import Answer
from datarax.cli.tables import pairs, table

EPILOG = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: it takes no argument of its own."""
    del parser


def run(args: argparse.Namespace) -> Answer:
    """Return what was found."""
    del args
    from datarax.cli import checks
    from datarax.registry.metadata import OldDistributionWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OldDistributionWarning)  # told of as a problem
        environment, problems = checks.check_environment()
        sources, of_sources = checks.check_sources()
        policies, of_policies = checks.check_policies()
        switches, of_switches = checks.check_switches()
        caches, of_caches = checks.check_caches()
    problems += of_sources + of_policies + of_switches + of_caches
    data: dict[str, Any] = {
        "ok": not problems,
        "problems": [
            {"about": found.about, "problem": found.problem, "remedy": found.remedy}
            for found in problems
        ],
        "environment": environment,
        "sources": sources,
        "policies": policies,
        "switches": switches,
        "caches": caches,
    }
    return Answer(data, lambda width: _text(data, width), yes=not problems)


def _text(data: dict[str, Any], width: int | None) -> str:
    parts = [
        _environment(data["environment"], width),
        _versions(data["environment"], width),
        _sources(data["sources"], width),
        pairs([("policy", _policy(policy)) for policy in data["policies"]], width),
        _switches(data["switches"], width),
        _caches(data["caches"], width),
        _problems(data["problems"], width),
    ]
    return "\n\n".join(part for part in parts if part)


def _environment(environment: dict[str, Any], width: int | None) -> str:
    python = environment["python"]
    facts = [
        ("python", f"{python['version']}, {python['executable']}"),
        ("platform", environment["platform"]),
        ("datarax", environment["package"]),
    ]
    return pairs(facts, width)


def _versions(environment: dict[str, Any], width: int | None) -> str:
    rows = [
        (
            found["name"],
            found["version"],
            ", ".join(_needed(line) for line in found["requirements"]),
        )
        for found in environment["distributions"]
    ]
    return table(("distribution", "version", "needs"), rows, width)


def _needed(line: dict[str, Any]) -> str:
    if line["satisfied"]:
        return f"{line['name']} {line['installed']}"
    return f"{line['name']}{line['requirement']} ({line['installed'] or 'missing'})"


def _sources(sources: list[dict[str, Any]], width: int | None) -> str:
    rows = [
        (
            source["scheme"],
            source["distribution"],
            source["version"],
            source["status"],
            "-" if source["seconds"] is None else f"{source['seconds'] * 1000:.0f} ms",
            source["datasets"],
        )
        for source in sources
    ]
    headings = ("source", "distribution", "version", "status", "import", "datasets here")
    details = [(source["scheme"], source["detail"]) for source in sources]
    return "\n".join(
        part
        for part in (
            table(headings, rows, width, right=("import", "datasets here")),
            pairs(details, width),
        )
        if part
    )


def _policy(policy: dict[str, Any]) -> str:
    who = f"{policy['distribution']} {policy['version']}" if policy["distribution"] else "by hand"
    return f"{policy['name']} ({who}) is asked before every load"


def _switches(switches: list[dict[str, Any]], width: int | None) -> str:
    rows = [(switch["name"], switch["value"], switch["meaning"]) for switch in switches]
    return table(("switch", "value", "meaning"), rows, width)


def _caches(caches: list[dict[str, Any]], width: int | None) -> str:
    from datarax.sources.plan import readable_bytes

    rows = [
        (
            cache["owner"],
            cache["holds"],
            ("" if cache["complete"] else "over ") + readable_bytes(cache["bytes"]),
            None if cache["free"] is None else readable_bytes(cache["free"]),
            "yes" if cache["writable"] else "no",
            cache["folder"] + ("" if cache["exists"] else " (not there yet)"),
        )
        for cache in caches
    ]
    headings = ("owner", "holds", "size", "free", "writable", "folder")
    return table(headings, rows, width, right=("size", "free"))


def _problems(problems: list[dict[str, Any]], width: int | None) -> str:
    if not problems:
        return "No problem found."
    parts = [
        pairs([("about", p["about"]), ("problem", p["problem"]), ("remedy", p["remedy"])], width)
        for p in problems
    ]
    word = "problem" if len(problems) == 1 else "problems"
    return "\n\n".join([f"{len(problems)} {word}:", *parts])
