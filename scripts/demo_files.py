"""The demo's configuration files without Docker: the shipped ones, with the demo's addresses and quicker clocks."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import yaml

from scripts import alertmanager_config
from scripts.demo_settings import catch_everything, exporter_config
from scripts.settings import Settings

if TYPE_CHECKING:
    from scripts.demo_settings import Places

ROOT: Final = Path(__file__).resolve().parent.parent
SOON: Final = "5s"  # between scrapes and between evaluations: nobody waits for a demo
RELAY_TOKEN: Final = "demo"


class Files(NamedTuple):
    """Where they go, and what stands in them."""

    home: Path
    places: Places
    language: str
    exporter_url: str
    prometheus_url: str
    alertmanager_url: str

    def write(self) -> None:
        """Write all of them."""
        self.home.mkdir(parents=True, exist_ok=True)
        self._exporter()
        self._prometheus()
        self._alertmanager()

    def _exporter(self) -> None:
        config = yaml.safe_load((ROOT / "config" / "device-exporter.example.yml").read_text())
        config = exporter_config(config, self.places)
        config["alerts"] = {"language": self.language}
        config["alertmanager"] = {"urls": [self.alertmanager_url]}
        sms = {"urls": [self.places.catcher.replace("http:", "json:") + "/sms"]}
        config["notify"] = {"token": RELAY_TOKEN, "targets": {"sms": sms}}
        (self.home / "device-exporter.yml").write_text(yaml.safe_dump(config))

    def _prometheus(self) -> None:
        config = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text())
        config["global"] = dict.fromkeys(config["global"], SOON)
        config["rule_files"] = [str(self._quick_rules() / "*.yml")]
        config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [host(self.alertmanager_url)]
        targets = {
            "device-exporter": self.exporter_url,
            "prometheus": self.prometheus_url,
            "alertmanager": self.alertmanager_url,
        }
        jobs = [job for job in config["scrape_configs"] if job["job_name"] in targets]
        for job in jobs:
            job["static_configs"] = [{"targets": [host(targets[job["job_name"]])]}]
        config["scrape_configs"] = jobs
        (self.home / "prometheus.yml").write_text(yaml.safe_dump(config))

    def _quick_rules(self) -> Path:
        """Return the rules as they are, but evaluated sooner: an alert shows from the third evaluation on."""
        folder = self.home / "rules"
        folder.mkdir(exist_ok=True)
        for file in (ROOT / "prometheus" / "rules").glob("*.yml"):
            rules = yaml.safe_load(file.read_text())
            for group in rules["groups"]:
                if group["name"] != "devices_downtime":  # each of its samples is of 5 minutes, and panels add them up
                    group["interval"] = SOON
            (folder / file.name).write_text(yaml.safe_dump(rules))
        return folder

    def _alertmanager(self) -> None:
        sms = {"url": f"{self.exporter_url}/api/v1/notify/sms"}
        token = {"http_config": {"authorization": {"credentials": RELAY_TOKEN}}}
        source, folder = ROOT / "alertmanager", self.home / "alertmanager"
        change = partial(catch_everything, places=self.places, sms=sms | token)
        settings = Settings(language=self.language)
        config, _ = alertmanager_config.rendered((source / "alertmanager.yml").read_text(), settings, folder, change)
        (folder / "templates").mkdir(parents=True, exist_ok=True)
        for file in (source / "templates").glob("*.tmpl"):  # links lead to the exporter's pages, as there is no Grafana
            text = alertmanager_config.templates_with(file.read_text(), settings)
            text = text.replace('$pages := ""', f'$pages := "{self.exporter_url}"')
            (folder / "templates" / file.name).write_text(text)
        (folder / "alertmanager.yml").write_text(alertmanager_config.dump(config))


def host(url: str) -> str:
    """Return host:port of a URL."""
    return url.removeprefix("http://")
