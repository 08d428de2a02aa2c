"""The profile ha on a real Docker engine: two of everything over one PostgreSQL, and one exporter dies."""

import json
import threading
import time

import pytest

from tests.ports import free_port
from tests.stack.project import Stack, eventually, post
from tests.tools import require

DEVICE = {
    "name": "Front desk WhatsApp",
    "channel": {"id": "channel_11", "name": "WhatsApp Business", "engine": "wa"},
    "bisnis": {"id": "biz_9", "name": "Toko Makmur"},
    "user": {"id": "merchant_2", "name": "Ibu Sari"},
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    require("docker")
    stack = Stack(tmp_path_factory.mktemp("pair"))
    stack.door = free_port()
    stack.environment |= {"HA_PORT": str(stack.door), "COMPOSE_PROFILES": "ha"}
    try:
        stack.prepare()
        stack.up()
        yield stack
    finally:
        stack.tear_down()


def send(pair, device, kind, timestamp, secret):
    event = {"event": f"device.{kind}", "status": kind, "timestamp": timestamp, "device": DEVICE | {"id": device}}
    return post(f"http://127.0.0.1:{pair.door}/webhook", event, secret)


def known(pair, service):
    listed = json.loads(pair.compose("exec", "-T", service, "device-exporter", "devices", "--json", "--limit", "1000"))
    return {device["device_id"] for device in listed}


def secret_of(pair):
    return pair.run("make", "-s", "secret").strip()


def test_it_comes_up_whole_and_agrees(pair):
    services = ("exporter", "exporter-2", "prometheus-2", "alertmanager-2", "door", "postgres", "grafana")

    assert {pair.inspect(service)["State"]["Health"]["Status"] for service in services} == {"healthy"}
    for member in ("alertmanager", "alertmanager-2"):
        status = pair.inside(member, "http://127.0.0.1:9093/api/v2/status")
        assert len(status["cluster"]["peers"]) == 2
    eventually(lambda: pair.prometheus("sum(device_exporter_leading) == 1 and count(device_exporter_leading) == 2"))
    password = pair.compose("exec", "-T", "postgres", "cat", "/rendered/postgres/password").strip()
    assert password not in pair.run("docker", "inspect", pair.container("exporter"), pair.container("postgres"))
    assert password not in pair.compose("logs", "exporter", "exporter-2", "postgres", "settings", "ha-settings")


def test_an_event_through_the_door_is_known_to_both_and_told_once(pair):
    assert send(pair, "told-once", "disconnected", int(time.time()), secret_of(pair)) == 200
    for service in ("exporter", "exporter-2"):
        eventually(lambda service=service: "told-once" in known(pair, service), 10)
    eventually(lambda: [message for message in pair.sink() if "Front desk WhatsApp" in json.dumps(message)])
    query = "http://127.0.0.1:9090/api/v1/query?query=count(device_up%7Bdevice_id%3D%22told-once%22%7D)%3D%3D2"
    for member in ("prometheus", "prometheus-2"):
        eventually(lambda member=member: pair.inside(member, query)["data"]["result"])

    assert len([message for message in pair.sink() if "Front desk WhatsApp" in json.dumps(message)]) == 1


def test_an_exporter_that_is_killed_costs_no_event(pair):
    secret, answers, stop = secret_of(pair), [], threading.Event()

    def load():
        while not stop.is_set():
            device = f"load-{len(answers)}"
            answers.append((device, send(pair, device, "connected", int(time.time()), secret)))

    worker = threading.Thread(target=load)
    worker.start()
    eventually(lambda: len(answers) > 10)
    pair.compose("kill", "-s", "KILL", "exporter")
    killed = len(answers)
    eventually(lambda: len(answers) > killed + 30)
    stop.set()
    worker.join()

    assert {status for _, status in answers} == {200}
    assert {device for device, _ in answers} <= known(pair, "exporter-2")
    pair.compose("up", "-d", "--wait", "--wait-timeout", "120")
    eventually(lambda: {device for device, _ in answers} <= known(pair, "exporter"), 20)
