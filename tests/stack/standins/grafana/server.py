"""Stands in for Grafana where its image cannot be had: reads the provisioning as Grafana would find it, and lists it.

What it cannot show: that Grafana accepts these files or that a dashboard draws anything.
"""

import base64
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

PROVISIONING = Path(os.environ["GF_PATHS_PROVISIONING"])
PASSWORD = Path(os.environ["GF_SECURITY_ADMIN_PASSWORD__FILE"]).read_text().strip()
DASHBOARDS = Path(os.environ["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]).parent
PATH = urlsplit(os.environ["GF_SERVER_ROOT_URL"]).path.rstrip("/")
"""Where the pages are below the address; health and metrics answer at the top as well."""


def dashboards():
    return [
        {"uid": board["uid"], "title": board["title"], "type": "dash-db"}
        for board in (json.loads(file.read_text()) for file in sorted(DASHBOARDS.glob("*.json")))
    ]


def datasources():
    lines = [line.strip() for line in (PROVISIONING / "datasources/datasources.yml").read_text().splitlines()]
    return [{"uid": line.split(":")[1].strip()} for line in lines if line.startswith("uid:")]


def home():
    return json.loads(Path(os.environ["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]).read_text())


ANSWERS = {
    "/login": lambda: {"url": os.environ["GF_SERVER_ROOT_URL"]},
    "/api/health": lambda: {"database": "ok", "version": "stand-in"},
    "/api/search": dashboards,
    "/api/datasources": datasources,
    "/api/dashboards/home": home,
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.split("?")[0].removeprefix(PATH)
        expected = "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        if path not in ANSWERS:
            return self.answer(404, {"message": "Not found"})
        if path not in ("/api/health", "/login") and self.headers.get("Authorization") != expected:
            return self.answer(401, {"message": "Unauthorized"})
        return self.answer(200, ANSWERS[path]())

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


assert (PROVISIONING / "dashboards/dashboards.yml").is_file(), "the dashboard provider is not mounted"
assert dashboards(), "no dashboard is mounted"
print("stand-in for Grafana: the provisioning files are where the real one reads them", flush=True)  # noqa: T201 - it says so
ThreadingHTTPServer(("", 3000), Handler).serve_forever()
