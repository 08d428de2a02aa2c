"""`notify-test`: a text to every URL of a target, and no URL on the screen."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from exporter.cli.main import main

URL_SECRET = "gatewaysecret93"


@pytest.fixture
def gateway():
    """A gateway in a thread, as the command runs without an event loop; /broken answers 500."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(500 if self.path.startswith("/broken") else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.bodies = bodies
    yield server
    server.shutdown()
    server.server_close()


def run(tmp_path, *args, urls=(), language="id"):
    (tmp_path / "urls").write_text("\n".join(urls) + "\n")
    (tmp_path / "token").write_text("t")
    config = tmp_path / "config.yml"
    config.write_text(
        f"alerts: {{language: {language}}}\nnotify: {{token_file: token, targets: {{sms: {{urls_file: urls}}}}}}\n"
    )
    return main(["notify-test", *args, "--config.file", str(config)])


def test_each_url_gets_the_text_and_one_line(tmp_path, gateway, capsys):
    url = f"json://u:{URL_SECRET}@127.0.0.1:{gateway.server_port}/a"

    status = run(tmp_path, "sms", urls=[url, url.replace("json", "form")])

    shown = capsys.readouterr()
    assert status == 0
    assert len(gateway.bodies) == 2
    assert "UJI COBA device-exporter: pesan ke sms berhasil" in gateway.bodies[0]
    assert "septets of GSM-7, 1 SMS" in shown.out
    assert shown.out.endswith("URL 1 (json): sent\nURL 2 (form): sent\n")
    assert URL_SECRET not in shown.out + shown.err


def test_programs_are_told_in_json(tmp_path, gateway, capsys):
    url = f"json://u:{URL_SECRET}@127.0.0.1:{gateway.server_port}/broken"

    status = run(tmp_path, "sms", "--json", urls=[url])

    shown = json.loads(capsys.readouterr().out)
    assert status == 1
    assert (shown["parts"], shown["encoding"]) == (1, "gsm7")
    assert shown["sent"] == [{"where": "URL 1 (json)", "result": "failed", "ok": False}]


def test_a_url_that_fails_makes_the_command_fail(tmp_path, gateway, capsys):
    url = f"json://u:{URL_SECRET}@127.0.0.1:{gateway.server_port}/broken"

    status = run(tmp_path, "sms", urls=[url, URL_SECRET], language="en")

    shown = capsys.readouterr()
    assert status == 1
    assert "TEST of device-exporter: message to sms arrived" in shown.out
    assert shown.out.endswith("URL 1 (json): failed\nURL 2 (no scheme): invalid_url\n")
    assert URL_SECRET not in shown.out + shown.err


def test_an_unknown_target_names_the_known_ones(tmp_path, capsys):
    assert run(tmp_path, "nobody", urls=["json://127.0.0.1:1"]) == 2
    assert capsys.readouterr().err == (
        "device-exporter: notify-test: no way 'nobody'; there are: slack, email, telegram, sms\n"
    )


def test_a_configuration_that_cannot_be_read_is_said(tmp_path, capsys):
    run(tmp_path, "sms", urls=["json://127.0.0.1:1"])
    (tmp_path / "config.yml").unlink()
    capsys.readouterr()

    assert main(["notify-test", "sms", "--config.file", str(tmp_path / "config.yml")]) == 2
    assert "config.yml" in capsys.readouterr().err
