"""What the demo has beside the shipped files, with Docker or not: three gateways, and a catcher for every message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from exporter.simulate.fleet import make_fleet

if TYPE_CHECKING:
    from exporter.simulate.fleet import SimulatedDevice

Tree = dict[str, Any]

SECRET: Final = "demo-gateway-secret"
ASKED_EVERY: Final = "10s"
STATUS_PAGE: Final = "toko-makmur"


class DemoGateway(NamedTuple):
    """A gateway of the demo: how many sessions, and how they are called; `{}` is their number."""

    preset: str
    sessions: int
    called: str
    seed: int


GATEWAYS: Final = {
    "evolution-jkt": DemoGateway("evolution", 6, "cs-{}", 21),
    "waha-bdg": DemoGateway("waha", 5, "cabang-{}", 22),
    "fonnte": DemoGateway("fonnte", 4, "62814000000{:02}", 23),
}


class Places(NamedTuple):
    """Where the demo's programs find each other, and where a browser on this machine finds its pages."""

    catcher: str
    """As Alertmanager and the exporter reach it."""
    smarthost: str
    gateways: str
    """Their state API."""
    catcher_page: str
    pages: str
    pages_address: str
    """What the exporter listens on for them."""


def fleet(gateway: DemoGateway) -> list[SimulatedDevice]:
    """Return the sessions of a gateway, which are WhatsApp devices."""
    found = [device for device in make_fleet(60, gateway.seed) if device.identity.engine == "wa"][: gateway.sessions]
    return [
        msgspec.structs.replace(
            device, identity=msgspec.structs.replace(device.identity, device_id=gateway.called.format(number))
        )
        for number, device in enumerate(found, 1)
    ]


def device_ids() -> set[str]:
    """Return the devices of all gateways."""
    return {f"{name}:{one.identity.device_id}" for name, gateway in GATEWAYS.items() for one in fleet(gateway)}


def exporter_config(tree: Tree, places: Places) -> Tree:
    """Return the exporter's configuration with the gateways, and a status page."""
    gateways = {
        name: {
            "preset": gateway.preset,
            "secret": SECRET,
            "auth": "path",  # a signed body of the past would be refused as a replay
            "businesses": {one.identity.device_id: _business(one) for one in fleet(gateway)},
            "state": {"url": f"{places.gateways}/{name}", "every": ASKED_EVERY},
        }
        for name, gateway in GATEWAYS.items()
    }
    policies = dict(tree.get("policies") or {})
    policies["wa"] = {"rescan_url": f"{places.catcher_page}/scan/{{gateway}}/{{session}}"} | (policies.get("wa") or {})
    page = {"title": "Toko Makmur", "match": {"business_id": "biz_1"}, "slug": STATUS_PAGE}
    pages = {"listen_address": places.pages_address, "external_url": places.pages, "items": [page]}
    return tree | {"gateways": gateways, "policies": policies, "pages": pages}


def _business(device: SimulatedDevice) -> Tree:
    return {"id": device.identity.business_id, "name": device.identity.business_name}


def catch_everything(config: Tree, places: Places, sms: Tree) -> None:
    """Make each receiver of Alertmanager's configuration send to the catcher, in place, by the ways that are shipped.

    `sms` is the entry that leads to the exporter's relay.
    """
    unused = ("smtp_", "slack_", "telegram_")  # a real account must not meet the catcher
    config["global"] = {key: value for key, value in config["global"].items() if not key.startswith(unused)}
    ways: dict[str, list[Tree]] = {
        "slack_configs": [{"api_url": f"{places.catcher}/slack"}],
        "telegram_configs": [{"api_url": places.catcher, "bot_token": "demo", "chat_id": 100}],
        "email_configs": [
            {
                "to": "team@demo.invalid",
                "from": "alerts@demo.invalid",
                "smarthost": places.smarthost,
                "require_tls": False,
                "text": '{{ template "email.text" . }}',
            }
        ],
        "webhook_configs": [sms],
    }
    by_receiver = {
        "chat": ("slack_configs", "telegram_configs"),
        "email": ("email_configs",),
        "sms": ("webhook_configs",),
        "management": ("email_configs", "slack_configs"),
    }
    for receiver in config["receivers"]:
        name = receiver["name"].removesuffix("-once")
        tells_ends = name == receiver["name"]
        for way in [key for key in receiver if key.endswith("_configs")]:
            del receiver[way]
        for way in by_receiver.get(name, ()):
            receiver[way] = [entry | {"send_resolved": tells_ends} for entry in ways[way]]
