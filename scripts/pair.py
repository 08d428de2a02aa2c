"""What the profile ha changes in the rendered files: two of everything over one PostgreSQL."""

from __future__ import annotations

import copy
from typing import Any, Final

SECOND: Final = "-2"
"""What the name of the second of two services ends with."""
PEERS: Final = (
    "CLUSTER='--cluster.listen-address=0.0.0.0:9094"
    f" --cluster.peer=alertmanager:9094 --cluster.peer=alertmanager{SECOND}:9094'\n"
)
ALERTMANAGERS: Final = ["http://alertmanager:9093", f"http://alertmanager{SECOND}:9093"]
_PAIRED: Final = ("exporter-admin:9877", "alertmanager:9093")


def storage_url(password: str) -> str:
    """Return where both exporters have their journal."""
    return f"postgresql://exporter:{password}@postgres:5432/exporter"


def prometheus_config(tree: dict[str, Any], replica: str) -> dict[str, Any]:
    """Return the configuration of one of two Prometheis: both read and tell both of what there are two of.

    What they store tells them apart, their alerts do not: so Alertmanager takes the same alert of both for one.
    """
    tree = copy.deepcopy(tree)
    own = tree.setdefault("global", {})
    own["external_labels"] = {"replica": replica} | (own.get("external_labels") or {})
    alerting = tree.setdefault("alerting", {})
    drop = {"regex": "replica", "action": "labeldrop"}
    alerting["alert_relabel_configs"] = [*(alerting.get("alert_relabel_configs") or []), drop]
    for part in (*(tree.get("scrape_configs") or []), *(alerting.get("alertmanagers") or [])):
        for targets in part.get("static_configs") or []:
            targets["targets"] = [one for target in targets["targets"] for one in _both(target)]
    return tree


def _both(target: str) -> list[str]:
    if target not in _PAIRED:
        return [target]
    name, port = target.split(":")
    return [target, f"{name}{SECOND}:{port}"]
