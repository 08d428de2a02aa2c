"""The profile demo on a real Docker engine, in small: what a visitor sees, and that nothing of it stays."""

import html
import json
import re
import urllib.request

import pytest

from scripts.demo_settings import GATEWAYS, device_ids
from tests.ports import free_port
from tests.stack.project import Stack, eventually
from tests.tools import require

pytestmark = pytest.mark.slow

DEVICES = 40
ALL = DEVICES + len(device_ids())


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    require("docker")
    stack = Stack(tmp_path_factory.mktemp("demo"))
    stack.catcher = free_port()
    stack.environment |= {"COMPOSE_FILE": "docker-compose.yml", "COMPOSE_PROFILES": "demo"}
    try:
        stack.prepare()
        (stack.directory / ".env").write_text(
            f"LANGUAGE=en\nCATCHER_PORT={stack.catcher}\nPAGES_PORT={stack.environment['PAGES_PORT']}\n"
            f"DEMO_DEVICES={DEVICES}\nDEMO_PAST=2d\n"
        )
        stack.up()
        yield stack
    finally:
        stack.tear_down()


def caught(demo):
    with urllib.request.urlopen(f"http://127.0.0.1:{demo.catcher}/", timeout=10) as answer:
        return html.unescape(html.unescape(answer.read().decode()))


def test_the_fleet_and_the_sessions_of_three_gateways_are_there_with_their_past(demo):
    listed = demo.admin("/api/v1/devices?limit=500")["devices"]

    assert len(listed) == ALL
    assert {one["gateway"] for one in listed} == {"csku", *GATEWAYS}
    assert {one["gateway"] for one in listed if one["state"] == "down"} == {"csku", *GATEWAYS}
    eventually(lambda: demo.prometheus(f"count(device_up) == {ALL}"))
    # the sessions' past ends an hour before now, and some devices of the fleet join late
    eventually(lambda: demo.prometheus(f"count(device_up offset 1d) > {0.8 * ALL}"), 120)


def test_the_catcher_shows_each_way_in_the_language_of_env_with_links_that_open(demo):
    ways = ("e-mail · ", "Slack · ", "Telegram · ", "SMS · ")

    page = eventually(lambda: (found := caught(demo)) and all(way in found for way in ways) and found, 120)

    assert "DOWN: " in page
    assert not re.search("MATI|MASSAL|sejak", page)
    [scan, *_] = re.findall(rf"http://localhost:{demo.catcher}/scan/[\w/%.-]+", page)
    with urllib.request.urlopen(scan, timeout=10) as answer:
        assert "QR code" in answer.read().decode()
    [taken, *_] = re.findall(rf"http://localhost:{demo.environment['PAGES_PORT']}/a/\w+", page)
    with urllib.request.urlopen(taken, timeout=10) as answer:
        assert "Nobody has it yet" in answer.read().decode()


def test_grafana_has_the_dashboards_of_that_language(demo):
    boards = json.loads(demo.page(f"http://127.0.0.1:{demo.grafana_port}/api/search?type=dash-db"))

    assert "Fleet overview" in {board["title"] for board in boards}


def test_down_leaves_nothing(demo):
    demo.compose("down", "-v", "--timeout", "15")

    ours = f"label=com.docker.compose.project={demo.name}"
    for listed in (("ps", "-a"), ("volume", "ls"), ("network", "ls")):
        assert demo.run("docker", *listed, "-q", "--filter", ours) == ""
