"""What handlers refuse in a body, the OpenAPI document refuses, too; tests of the handlers say that they do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jsonschema
import msgspec
import pytest

from exporter.incidents.api import IncidentApi
from exporter.maintenance.api import MaintenanceApi
from exporter.web.openapi import document

NOBODY: Any = SimpleNamespace()
OPERATIONS = [
    *MaintenanceApi(NOBODY, NOBODY, lambda: "UTC").operations(),
    *IncidentApi(NOBODY, NOBODY, lambda: 0.0, author=NOBODY, wording=NOBODY).operations(),
]
DOCUMENT: dict[str, Any] = msgspec.json.decode(document(OPERATIONS))
WINDOW, NOTE, STATUS = "/api/v1/maintenance", "/api/v1/incidents/{number}/notes", "/api/v1/incidents/{number}/status"
ONE = {"match": {"engine": "wa"}}

CASES = [
    pytest.param(WINDOW, ONE | {"duration": "2h"}, True, id="a window from now on"),
    pytest.param(WINDOW, ONE | {"start": "2026-02-01", "end": "2026-02-02"}, True, id="a window between two times"),
    pytest.param(WINDOW, ONE | {"cron": "0 2 * * 0", "duration": "1h30m"}, True, id="a repeated window"),
    pytest.param(WINDOW, ONE, False, id="a window without an end"),
    pytest.param(WINDOW, ONE | {"end": "2026-02-02", "duration": "2h"}, False, id="a window with two ends"),
    pytest.param(WINDOW, ONE | {"cron": "0 2 * * 0", "end": "2026-02-02"}, False, id="repeated, without a duration"),
    pytest.param(WINDOW, ONE | {"cron": "0 2 * * 0", "duration": "1h", "start": "x"}, False, id="with a begin"),
    pytest.param(WINDOW, ONE | {"duration": "two hours"}, False, id="a duration in words"),
    pytest.param(WINDOW, ONE | {"duration": "2h", "comment": "a\nb"}, False, id="a comment of two lines"),
    pytest.param(WINDOW, ONE | {"duration": "2h", "comment": "a" * 501}, False, id="a long comment"),
    pytest.param(WINDOW, {"match": {"device_id": "a\0"}, "duration": "2h"}, False, id="a NUL in a device's id"),
    pytest.param(WINDOW, {"match": {"city": "x"}, "duration": "2h"}, False, id="an unknown key"),
    pytest.param(NOTE, {"text": "seen", "key": "1"}, True, id="a note"),
    pytest.param(NOTE, {"text": "seen", "public": True, "next_update": "1h30m"}, True, id="a promise of the next note"),
    pytest.param(NOTE, {"text": "seen", "next_update": "soon"}, False, id="a promise in words"),
    pytest.param(NOTE, {"text": " \n "}, False, id="a blank note"),
    pytest.param(STATUS, {"status": "monitoring"}, True, id="a status"),
    pytest.param(STATUS, {"status": "resolved"}, False, id="the status that comes by itself"),
    pytest.param(STATUS, {"status": "gone"}, False, id="an unknown status"),
]


@pytest.mark.parametrize(("path", "body", "good"), CASES)
def test_a_body_is_as_the_document_says(path, body, good):
    schema = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]})

    assert validator.is_valid(body) == good
