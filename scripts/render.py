"""Write what every service of the stack reads: the project's files and the operator's, with `.env` in them.

    python -m scripts.render [--rendered FOLDER] [--secrets FOLDER] [--data FOLDER] [--demo | --pair]

Runs once at each start and at `make reload`, in the folder that holds the project's files, as root in a container
without a network: so the operator's files may be private, and each service can read no more than its own. Nothing is
written unless everything can be; a wrong setting ends with a line about it and status 1. No secret is printed.

    config/      the operator's: device-exporter.yml; alertmanager.yml, prometheus.yml and web.yml go over the shipped
                 ones; rules/*.yml and templates/*.tmpl are added
    secrets/     the operator's secrets, one file each
    RENDERED/    device-exporter.yml, web.yml, storage-url, alertmanager/, prometheus/, grafana/, caddy/, demo/
    DATA/        admin-password and relay-token, made once

`--demo` is for the profile demo: three gateways, and a catcher of every message (scripts/demo_settings.py).
`--pair` is for the profile ha, of which scripts/pair.py knows: two of everything over one PostgreSQL.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from dataclasses import dataclass, field
from dataclasses import replace as replace_setting
from pathlib import Path
from typing import Any, Final

import bcrypt
import yaml

from exporter.lib.yaml import BadYaml, parse_yaml
from scripts import alertmanager_config, demo_settings, pair
from scripts.settings import BadSettings, Settings, read_secrets, read_settings

EXPORTER, NOBODY, GRAFANA, POSTGRES, ROOT = 10001, 65534, 472, 999, 0
ADMIN = "admin"
PAGES: Final = "http://localhost:9877"
"""What the committed dashboards link to for the exporter's pages."""

PAGES_ADDRESS: Final = ":8081"
"""Where the front door finds what people outside may see; no port of this machine is published for it."""
DEMO: Final = demo_settings.Places(
    catcher="http://catcher:8025",
    smarthost="catcher:1025",
    gateways="http://gateways:8101",
    catcher_page=f"http://localhost:{os.environ.get('CATCHER_PORT') or 8025}",
    pages=f"http://localhost:{os.environ.get('PAGES_PORT') or 8081}/",
    pages_address=PAGES_ADDRESS,
)
SQLITE: Final = "sqlite:////data/exporter.db"

Tree = dict[str, Any]


@dataclass
class Output:
    """The files to be written, each with the user who may read it."""

    files: dict[str, tuple[bytes, int]] = field(default_factory=dict)

    def add(self, name: str, content: str | bytes, owner: int) -> None:
        """Add one file."""
        self.files[name] = (content.encode() if isinstance(content, str) else content, owner)

    def write(self, folder: Path, mode: int = 0o440, group: int | None = None) -> None:
        """Make the folder hold exactly these files; an unchanged one is not touched."""
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_file() and str(path.relative_to(folder)) not in self.files:
                path.unlink()
        for name, (content, owner) in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_bytes() != content:
                replace(path, content, owner, owner if group is None else group, mode)


def replace(path: Path, content: bytes, owner: int, group: int, mode: int) -> None:
    """Put a whole file in place at once; as root it belongs to `owner`."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    if os.geteuid() == 0:
        os.chown(partial, owner, group)
    partial.replace(path)


def read_tree(path: Path) -> Tree:
    """Return a YAML file's keys, {} without the file. Raises BadSettings."""
    try:
        tree = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (BadYaml, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: {error}") from None
    if tree is not None and not isinstance(tree, dict):
        raise BadSettings(f"{path}: expected keys and values")
    return tree or {}


def shipped_or_own(name: str, folder: str) -> Path:
    """Return the operator's file of this name under config/, else the shipped one."""
    own = Path("config") / name
    return own if own.is_file() else Path(folder) / name


def exporter_config(tree: Tree, settings: Settings, known: set[str], *, paired: bool) -> Tree:
    """Return the exporter's configuration: the operator's file over what `.env` says."""
    alerts = {"language": settings.language, "timezone": settings.timezone}
    if settings.grafana_link:
        board = "devices-device" + ("-id" if settings.language == "id" else "")
        alerts["dashboard_url"] = f"{settings.grafana_link}/d/{board}?var-device={{device_id}}"
    ours: Tree = {"alerts": alerts, "alertmanager": {"urls": pair.ALERTMANAGERS if paired else pair.ALERTMANAGERS[:1]}}
    if settings.public_url:
        ours["web"] = {"external_url": settings.public_url}
        ours["pages"] = {"listen_address": PAGES_ADDRESS, "external_url": settings.public_url}
        if "link_secret" in known:
            ours["pages"]["secret_file"] = "/run/secrets/link_secret"
    if "webhook_secret" in known:
        ours["webhook"] = {"secret_file": "/run/secrets/webhook_secret"}
    if "sms_urls" in known:
        ours["notify"] = {
            "token_file": "/run/secrets/relay_token",
            "targets": {"sms": {"urls_file": "/run/secrets/sms_urls"}},
        }
    merged = dict(tree)
    for section, values in ours.items():
        given = tree.get(section)
        if given is None or isinstance(given, dict):
            merged[section] = values | (given or {})
    return merged


def web_config(tree: Tree, password: str, before: Tree) -> Tree:
    """Return the admin listener's users: `admin` with the made password, and the operator's own. Raises BadSettings."""
    if tree.get("tls_server_config"):
        raise BadSettings("config/web.yml: tls_server_config: the front door (profile public) has the certificate")
    users = before.get("basic_auth_users") or {}
    hashed = str(users.get(ADMIN, ""))
    if not hashed or not bcrypt.checkpw(password.encode(), hashed.encode()):
        hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(10)).decode()
    return tree | {"basic_auth_users": {ADMIN: hashed} | (tree.get("basic_auth_users") or {})}


def prometheus_config(tree: Tree, settings: Settings, folder: Path) -> Tree:
    """Return Prometheus' configuration with the way into the admin listener and to Grafana's metrics."""
    tree = dict(tree)
    tree["rule_files"] = [str(folder / "rules" / "*.yml")]
    for job in tree.get("scrape_configs") or []:
        if job.get("job_name") == "device-exporter":
            job.setdefault("basic_auth", {"username": ADMIN, "password_file": str(folder / "admin-password")})
        if job.get("job_name") == "grafana" and settings.grafana_path:
            job.setdefault("metrics_path", f"{settings.grafana_path}/metrics")
    return tree


def grafana_environment(settings: Settings) -> str:
    """Return variables for Grafana's start script."""
    variables = {
        "GF_SERVER_ROOT_URL": settings.grafana_url,
        "GF_SERVER_SERVE_FROM_SUB_PATH": "true" if settings.grafana_path else "false",
        "GF_USERS_DEFAULT_LANGUAGE": {"id": "id-ID", "en": "en-US"}[settings.language],
        "GF_DATE_FORMATS_DEFAULT_TIMEZONE": settings.timezone,
    }
    return "".join(f"{name}='{value}'\n" for name, value in variables.items())


def add_folder(output: Output, source: Path, target: str, owner: int, pattern: str = "*") -> None:
    """Add every file of a folder."""
    for path in sorted(source.rglob(pattern)):
        if path.is_file():
            output.add(f"{target}/{path.relative_to(source)}", path.read_bytes(), owner)


def made_once(folder: Path, name: str, given: bytes | None) -> str:
    """Return a secret: the given one, else the one in the folder, which the first start makes."""
    if given is not None:
        return given.decode().strip()
    path = folder / name
    if not path.exists() or not path.read_text().strip():
        replace(path, f"{secrets.token_urlsafe(18)}\n".encode(), EXPORTER, EXPORTER, 0o600)
    return path.read_text().strip()


def render(rendered: Path, secret_folder: Path, data: Path, *, paired: bool = False, demo: bool = False) -> list[str]:
    """Write everything; return what an operator should know. Raises BadSettings before anything is written."""
    settings = read_settings(os.environ)
    known = read_secrets(Path("secrets"), os.environ)
    if demo:
        settings = replace_setting(settings, given_grafana_url=f"http://localhost:{settings.grafana_port}")
        known["sms_urls"] = f"{DEMO.catcher.replace('http:', 'json:')}/sms".encode()
    password = made_once(data, "admin-password", known.get("admin_password"))
    if "sms_urls" in known:
        known.setdefault("relay_token", made_once(data, "relay-token", None).encode())
    if paired:  # a secret that each exporter made for itself would not be the other's
        for name in ("webhook-secret", "link-secret"):
            known.setdefault(name.replace("-", "_"), made_once(data, name, None).encode())
    output = Output()
    tree = exporter_config(read_tree(Path("config/device-exporter.yml")), settings, set(known), paired=paired)
    if demo:
        tree = demo_settings.exporter_config(tree, DEMO)
        add_folder(output, Path("scripts"), "demo/scripts", EXPORTER, "*.py")
        output.add("demo/.env", f"LANGUAGE={settings.language}\n", EXPORTER)
    _add_storage(output, made_once(data, "postgres-password", None) if paired else "")
    output.add("device-exporter.yml", json.dumps(tree, ensure_ascii=False, indent=2), EXPORTER)
    web = web_config(read_tree(Path("config/web.yml")), password, read_tree(rendered / "web.yml"))
    output.add("web.yml", json.dumps(web, indent=2), EXPORTER)
    output.add("exporter-password", password, EXPORTER)
    _add_prometheus(output, settings, rendered / "prometheus", password, paired=paired)
    _add_grafana(output, settings, password)
    add_folder(output, Path("caddy"), "caddy", 10002)
    output.add("caddy/caddy.env", f"PUBLIC_ADDRESS={settings.public_address}\n", 10002)
    # Alertmanager's secrets are files of the volume, which the configuration in force is made from
    hidden = Output({name: (content, EXPORTER) for name, content in known.items()})
    source = shipped_or_own("alertmanager.yml", "alertmanager")
    checked = _yaml(source)
    hidden.write(secret_folder, group=NOBODY)
    change = _catch_everything if demo else (lambda _: None)
    config, off = alertmanager_config.rendered(checked, settings, rendered / "alertmanager", change)
    output.add("alertmanager/alertmanager.yml", alertmanager_config.dump(config), NOBODY)
    output.add("alertmanager/start.sh", Path("alertmanager/start.sh").read_bytes(), NOBODY)
    output.add("alertmanager/peers.env", pair.PEERS if paired else "", NOBODY)
    for folder in (Path("alertmanager/templates"), Path("config/templates")):
        for path in sorted(folder.glob("*.tmpl")):
            text = alertmanager_config.templates_with(path.read_text(encoding="utf-8"), settings)
            output.add(f"alertmanager/templates/{path.name}", text, NOBODY)
    output.write(rendered)
    return [*off, *_summary(settings, alertmanager_config.ways_on(config))]


def _catch_everything(config: Tree) -> None:
    [sms] = next(receiver for receiver in config["receivers"] if receiver["name"] == "sms")["webhook_configs"]
    demo_settings.catch_everything(config, DEMO, sms)


def _yaml(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadSettings(f"{path}: {error}") from None
    if not isinstance(tree, dict) or not isinstance(tree.get("receivers"), list):
        raise BadSettings(f"{path}: receivers: is required")
    return text


def _add_storage(output: Output, password: str) -> None:
    output.add("storage-url", pair.storage_url(password) if password else SQLITE, EXPORTER)
    if password:
        output.add("postgres/password", password, POSTGRES)


def _add_prometheus(output: Output, settings: Settings, folder: Path, password: str, *, paired: bool) -> None:
    source = shipped_or_own("prometheus.yml", "prometheus")
    config = prometheus_config(read_tree(source), settings, folder)
    names = ("prometheus.yml", "prometheus-2.yml") if paired else ("prometheus.yml",)
    for number, name in enumerate(names, 1):
        own = pair.prometheus_config(config, str(number)) if paired else config
        output.add(f"prometheus/{name}", alertmanager_config.dump(own), NOBODY)
    output.add("prometheus/admin-password", password, NOBODY)
    for rules in (Path("prometheus/rules"), Path("config/rules")):
        for path in sorted(rules.glob("*.yml")):
            output.add(f"prometheus/rules/{path.name}", path.read_bytes(), NOBODY)


def _add_grafana(output: Output, settings: Settings, password: str) -> None:
    output.add("grafana/start.sh", Path("grafana/start.sh").read_bytes(), GRAFANA)
    output.add("grafana/grafana.env", grafana_environment(settings), GRAFANA)
    output.add("grafana/admin-password", password, GRAFANA)
    add_folder(output, Path("grafana/provisioning"), "grafana/provisioning", GRAFANA)
    for path in sorted(Path("grafana/dashboards", settings.language).glob("*.json")):
        text = path.read_text(encoding="utf-8").replace(PAGES, settings.pages_url)
        output.add(f"grafana/dashboards/{path.name}", text, GRAFANA)


def _summary(settings: Settings, on: dict[str, list[str]]) -> list[str]:
    people = {name: kinds for name, kinds in on.items() if name not in ("automation", "deadman")}
    told = "; ".join(f"{name}: {', '.join(kinds)}" for name, kinds in people.items())
    where = settings.public_url or "none: links are left out of messages"
    return [
        f"told: {told}" if people else "NOBODY is told when a device goes down: make setup",
        f"language {settings.language}, time zone {settings.timezone}, address {where}",
        f"webhooks go to {settings.webhook_url}; make secret shows their secret",
        f"pages: {settings.pages_url}/incidents, Grafana: {settings.grafana_url} (user admin; make password)",
    ]


def main() -> int:
    """Render; say what is off, and what is wrong."""
    parser = argparse.ArgumentParser(description="write what the stack's services read")
    parser.add_argument("--rendered", type=Path, default=Path("/rendered"))
    parser.add_argument("--secrets", type=Path, default=Path("/run/secrets"))
    parser.add_argument("--data", type=Path, default=Path("/data"))
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--pair", action="store_true")
    arguments = parser.parse_args()
    try:
        folders = (arguments.rendered, arguments.secrets, arguments.data)
        said = render(*folders, paired=arguments.pair, demo=arguments.demo)
    except BadSettings as error:
        for line in str(error).splitlines():
            print(line, file=sys.stderr)
        return 1
    print("\n".join(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
