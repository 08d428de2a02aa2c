"""One more matcher in every selector of our metrics in a PromQL expression. Pure.

Not a parser: it knows strings, ranges, lists of labels, functions and Grafana's variables well enough to tell the names
of metrics from everything else. A test compares it with promtool on every expression that we ship.
"""

from __future__ import annotations

import re
from typing import Final

_TEXT: Final = r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)"""
_TOKEN: Final = re.compile(
    rf"""{_TEXT}
       |\#[^\n]*                                                             # a comment
       |\[[^\]]*\]                                                            # a range
       |\$\{{[^}}]*\}}|\$\w+                                                   # a variable
       |\d[\w.]*                                                              # a number, a duration
       |\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)       # a list of labels
       |[A-Za-z_]\w*(?=\s*\()                                                 # a function
       |(?P<name>[A-Za-z_:][\w:]*)?(?:\s*\{{(?P<matchers>(?:{_TEXT}|[^"'`{{}}])*)\}})?""",
    re.VERBOSE,
)
_WORDS: Final = frozenset(
    (
        *("and", "or", "unless", "bool", "offset", "inf", "nan", "atan2", "group_left", "group_right"),
        *("sum", "min", "max", "avg", "count", "group", "stddev", "stdvar", "topk", "bottomk", "quantile"),
        *("count_values", "limitk", "limit_ratio"),
    )
)
"""What is no metric although nothing in brackets follows."""
_OTHERS: Final = ("alertmanager_", "prometheus_", "grafana_")
"""How metrics of other programs begin: whichever fleet it is about, they are the same."""
_VALUES: Final = re.compile(r"label_values\((.*),\s*(\w+)\)", re.DOTALL)
_ASKED: Final = re.compile(r'(printf ")((?:[^"\\]|\\.)*)("[^{}]*\| query\b)')


def selected(expression: str, matcher: str) -> str:
    """Return the expression with the matcher, such as `job='fleet-b'`, in each of its selectors of our metrics.

    It takes the place of one about the same label.
    """
    former = re.compile(rf"\b{matcher.partition('=')[0]}\s*[=!][=~]?\s*{_TEXT}\s*,?\s*")

    def put(found: re.Match[str]) -> str:
        name, matchers = found["name"] or "", found["matchers"]
        is_word = matchers is None and (not name or name.lower() in _WORDS)
        if is_word or name.startswith(_OTHERS):
            return found[0]
        others = former.sub("", matchers or "").strip(" ,\n")
        return f"{name}{{{', '.join(filter(None, (matcher, others)))}}}"

    return _TOKEN.sub(put, expression)


def selected_values(query: str, matcher: str) -> str:
    """Return a query of a dashboard's variable, `label_values(selector, label)`, with the matcher."""
    found = _VALUES.fullmatch(query)
    return f"label_values({selected(found[1], matcher)}, {found[2]})" if found else query


def selected_template(text: str, matcher: str) -> str:
    """Return a text of an alert with the matcher in the queries that it makes: `printf "…" … | query`."""
    return _ASKED.sub(lambda found: f"{found[1]}{selected(found[2], matcher)}{found[3]}", text)
