"""The profile demo on a real Docker engine, in small: what a visitor sees, and that nothing of it stays."""

import re
import urllib.request

import pytest

from scripts.demo_settings import GATEWAYS, device_ids
from tests.ports import free_port
from tests.stack.project import Stack, eventually
from tests.tools import require

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
            f"LANGUAGE=en\nCATCHER_PORT={stack.catcher}\nDEMO_DEVICES={DEVICES}\nDEMO_PAST=2d\n"
        )
        stack.up()
        yield stack
    finally:
        stack.tear_down()


def caught(demo):
    with urllib.request.urlopen(f"http://127.0.0.1:{demo.catcher}/", timeout=10) as answer:
        return answer.read().decode()


def test_the_fleet_and_the_sessions_of_three_gateways_are_there_with_their_past(demo):
    listed = demo.admin("/api/v1/devices?limit=500")["devices"]

    assert len(listed) == ALL
    assert {one["gateway"] for one in listed} == {"csku", *GATEWAYS}
    assert [one for one in listed if one["state"] == "down"]
    eventually(lambda: demo.prometheus(f"count(device_up) == {ALL}"))
    eventually(lambda: demo.prometheus(f"count(device_up offset 1d) > {0.8 * ALL}"))  # some join late
    eventually(lambda: demo.prometheus(f"count(count_over_time(device_up[2d])) == {ALL}"))


def test_the_catcher_shows_each_way_in_the_language_of_env(demo):
    ways = ("e-mail · ", "Slack · ", "Telegram · ", "SMS · ")

    page = eventually(lambda: (page := caught(demo)) and all(way in page for way in ways) and page, 200)

    assert "DOWN: " in page
    assert not re.search("MATI|MASSAL|sejak", page)
    titles = {board["title"] for board in __import__("json").loads(demo.page(demo.grafana_url("/api/search")))}
    assert titles


def test_the_link_for_a_scan_leads_to_a_page(demo):
    scan = re.search(rf"http://localhost:{demo.catcher}/scan/[\w%:./-]+", eventually(lambda: caught(demo)))
    assert scan


def test_down_leaves_nothing(demo):
    demo.compose("down", "-v", "--timeout", "15")

    label = f"label=com.docker.compose.project={demo.name}"
    for kind in (("ps", "-a"), ("volume", "ls"), ("network", "ls")):
        assert demo.run("docker", *kind, "-q", "--filter", label) == ""
