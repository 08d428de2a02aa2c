"""Our routes and texts among those of somebody else: they see our alerts alone, and no name is one of theirs. Pure.

Every alert of ours bears the label `job`: those of rules by the rules, direct ones by `alerts.labels`. One route asks
for it and holds all the others; receivers, times and texts have the job in front of their names.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any, Final

import yaml

Tree = dict[str, Any]

THEIRS: Final = "yours"
"""The receiver that stands for the owner's own default."""
TEXTS: Final[dict[str, dict[str, str]]] = {
    "slack_configs": {
        "title": "slack.default.title",
        "title_link": "slack.default.titlelink",
        "text": "slack.default.text",
        "fallback": "slack.default.fallback",
        "color": "slack.default.color",
    },
    "email_configs": {"html": "email.default.html", "text": "email.text"},
    "telegram_configs": {"message": "telegram.default.message"},
    "sns_configs": {"subject": "title", "message": "sns.default.message"},
    "pushover_configs": {"title": "title", "message": "pushover.default.message"},
    "discord_configs": {"title": "title", "message": "discord.default.message"},
    "msteamsv2_configs": {"title": "title", "text": "msteamsv2.default.text"},
    "pagerduty_configs": {"description": "title"},
    "opsgenie_configs": {"message": "title", "description": "lines"},
}
"""Which text of ours each field of an integration says, where Alertmanager would take its default."""
SUBJECT: Final = "email.default.subject"
_PLAIN: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,20}")
"""A job that can stand in a uid of Grafana's, which has 40 characters at most."""
_TAKEN: Final = "devices"
"""What the uids of the usual job's dashboards begin with."""
_NAMES: Final = re.compile(r'\b(define|template) "')
_HEAD: Final = """\
# Routes, receivers, times and mutings for alerts with the label job = {job}, to be put beside yours:
#   route.routes      the one entry goes in front of yours; `receiver: yours` above it stands for your own default
#   inhibit_rules, time_intervals, receivers   behind yours; delete what you have no secret for, it would fail each time
#   templates         behind yours; no text has a name of yours
# Who hears what, and why so: docs/alerting.md.
"""


def named(text: str, job: str) -> str:
    """Return templates, or a field that uses one, with names that no other set of templates has."""
    return _NAMES.sub(rf'\1 "{job}.', text)


def own_name(job: str) -> str:
    """Return what files and dashboards of a job are called by: the job itself, or one that is plain and its own."""
    if _PLAIN.fullmatch(job) and job != _TAKEN:
        return job
    return f"{re.sub(r'[^a-z0-9]+', '-', job.lower())[:12].strip('-')}-{sha256(job.encode()).hexdigest()[:8]}"


def text_file(path: str, job: str) -> str:
    """Return the path of a file of texts beside those of others, who may have one of the same name."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/{own_name(job)}-{name}"


def among_others(config: Tree, job: str) -> str:
    """Return Alertmanager's configuration as a file whose parts fit into another one."""
    ours = f'job = "{job}"'
    mail = {name.removeprefix("smtp_"): value for name, value in config["global"].items() if name.startswith("smtp_")}
    tree = {
        "templates": [text_file(path, job) for path in config["templates"]],
        "route": {"receiver": THEIRS, "routes": [{"matchers": [ours], **_route(config["route"], job)}]},
        "time_intervals": [one | {"name": f"{job}/{one['name']}"} for one in config["time_intervals"]],
        "inhibit_rules": [_inhibition(one, ours) for one in config["inhibit_rules"]],
        "receivers": [{"name": THEIRS}, *(_receiver(one, mail, job) for one in config["receivers"])],
    }
    return _HEAD.format(job=job) + yaml.dump(tree, Dumper=Plain, sort_keys=False, allow_unicode=True, width=10**6)


def _route(route: Tree, job: str) -> Tree:
    changed = dict(route)
    if "receiver" in route:
        changed["receiver"] = f"{job}/{route['receiver']}"
    if "mute_time_intervals" in route:
        changed["mute_time_intervals"] = [f"{job}/{name}" for name in route["mute_time_intervals"]]
    if "routes" in route:
        changed["routes"] = [_route(one, job) for one in route["routes"]]
    return changed


def _inhibition(rule: Tree, ours: str) -> Tree:
    return rule | {name: [ours, *rule[name]] for name in ("source_matchers", "target_matchers")}


def _receiver(receiver: Tree, mail: Tree, job: str) -> Tree:
    """Return a receiver that needs neither the global settings of another file nor its texts."""
    changed: Tree = {"name": f"{job}/{receiver['name']}"}
    for kind, entries in receiver.items():
        if kind != "name":
            changed[kind] = [texts_of(kind, job) | _own_mail(kind, mail) | _own_texts(one, job) for one in entries]
    return changed


def texts_of(kind: str, job: str) -> Tree:
    """Return the fields of an integration that say our texts."""
    fields: Tree = {field: _said(name, job) for field, name in TEXTS.get(kind, {}).items()}
    return fields | ({"headers": {"Subject": _said(SUBJECT, job)}} if kind == "email_configs" else {})


def _said(name: str, job: str) -> str:
    return f'{{{{ template "{job}.{name}" . }}}}'


def _own_mail(kind: str, mail: Tree) -> Tree:
    return mail if kind == "email_configs" else {}


def _own_texts(entry: Tree, job: str) -> Tree:
    return {field: named(value, job) if isinstance(value, str) else value for field, value in entry.items()}


class Plain(yaml.SafeDumper):
    """Writes every value where it is used, without anchors, and lines as lines."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002, D102 - an overridden method
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Plain.add_representer(str, _text)
