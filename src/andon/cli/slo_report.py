"""A report of promises as a document: Markdown, or HTML by itself."""

from __future__ import annotations

import html
from datetime import UTC, datetime
from typing import Any

_HEAD = ("Objective", "Environment", "Promised", "Kept", "State", "Budget spent", "Observed")
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}th,td{border-bottom:1px solid #ccc;padding:.4rem;"
    "text-align:left}.missed{color:#b00020}.met{color:#1b5e20}.unknown{color:#8a5a00}"
)


def as_markdown(told: dict[str, Any]) -> str:
    """Write a report in Markdown."""
    lines = [f"# {_title(told)}", "", _row(_HEAD), _row(["---"] * len(_HEAD))]
    lines += [
        _row([_escaped(cell) for cell in _cells(one, told["begin"])]) for one in told["lines"]
    ]
    exclusions = _exclusions(told)
    if exclusions:
        lines += ["", "## Exclusions", "", *(f"- {_escaped(one)}" for one in exclusions)]
    lines += ["", _small_print(told)]
    return "\n".join(lines)


def as_html(told: dict[str, Any]) -> str:
    """Write a report as a page that needs nothing else."""
    head = "".join(f"<th>{title}</th>" for title in _HEAD)
    rows = "".join(_html_row(one, told["begin"]) for one in told["lines"])
    exclusions = "".join(f"<li>{html.escape(one)}</li>" for one in _exclusions(told))
    title = html.escape(_title(told))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{title}</h1><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
        + (f"<h2>Exclusions</h2><ul>{exclusions}</ul>" if exclusions else "")
        + f"<p>{html.escape(_small_print(told))}</p></html>"
    )


def _html_row(one: dict[str, Any], begin: float) -> str:
    cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(one, begin))
    return f'<tr class="{html.escape(one["state"])}">{cells}</tr>'


def _title(told: dict[str, Any]) -> str:
    return f"Promises from {_day(told['begin'])} to {_day(told['end'])}"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _cells(one: dict[str, Any], begin: float) -> list[str]:
    default = " (default)" if one["default"] else ""
    return [
        f"{one['objective']} {one['name']}{default}",
        one["environment"] or "-",
        f"{100 * one['target']:.6g} %",
        "no data" if one["achieved"] is None else f"{100 * one['achieved']:.4f} %",
        one["state"],
        "-" if one["spent"] is None else f"{100 * one['spent']:.1f} %",
        f"{100 * one['coverage']:.1f} %" + _since(one, begin),
    ]


def _since(one: dict[str, Any], begin: float) -> str:
    return f" since {_day(one['since'])}" if one["since"] > begin else ""


def _exclusions(told: dict[str, Any]) -> list[str]:
    return [
        f"{one['objective']}, {_day(part['begin'])} to {_day(part['end'])}: {part['reason']} "
        f"({'does not count' if part['counts'] else 'counts: ' + part['because']})"
        for one in told["lines"]
        for part in one["excused"]
    ]


def _small_print(told: dict[str, Any]) -> str:
    return (
        f"Made {_day(told['madeAt'])} from counts; time that was not observed is unknown, neither good "
        "nor bad. An exclusion does not count only if it was on the policy branch before it began."
    )


def _row(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    return "".join(f"\\{sign}" if sign in "|*_`<>[]\\" else sign for sign in text).replace(
        "\n", " "
    )
