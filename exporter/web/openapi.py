"""The OpenAPI 3.1 document of the admin listener, made from its operations."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec

from exporter import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.web.operations import Operation, Schema

_ANY_TEXT: Final = {"type": "string", "minLength": 1}
_REFERENCE: Final = "#/components/schemas/{name}"


class Error(msgspec.Struct, frozen=True):
    """What every error is answered with."""

    error: str
    """In words, for people."""
    code: str
    """Stable, for programs."""


def document(operations: Iterable[Operation]) -> bytes:
    """Return the document as JSON."""
    operations = list(operations)
    types = [kind for op in operations for kind in (*op.answers.values(), op.body) if not _plain(kind)]
    unique = list({str(kind): kind for kind in [*types, Error]}.values())
    schemas, components = msgspec.json.schema_components(unique, ref_template=_REFERENCE)
    schema_of = {str(kind): schema for kind, schema in zip(unique, schemas, strict=True)}
    paths: dict[str, Any] = {}
    for op in operations:
        paths.setdefault(op.path, {})[op.method.lower()] = _operation(op, schema_of)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Device Exporter",
                "version": __version__,
                "description": "The admin listener. Times are Unix seconds, durations seconds.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "paths": paths,
            "components": {"schemas": components},
        }
    )


def _plain(kind: Any) -> bool:  # noqa: ANN401 - any type that msgspec knows
    return kind is None or isinstance(kind, str)


def _operation(op: Operation, schema_of: dict[str, Schema]) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", op.path)
    answers = dict(op.answers)
    if op.query or names or op.body is not None:
        answers.setdefault(400, Error)
    if not op.always:
        answers.setdefault(503, Error)
    made: dict[str, Any] = {
        "operationId": _identifier(op),
        "summary": op.summary,
        "tags": [op.tag],
        "responses": {
            **{str(status): _answer(status, kind, schema_of) for status, kind in sorted(answers.items())},
            "default": {
                "description": "Any other error",
                "content": {"application/json": {"schema": schema_of[str(Error)]}},
            },
        },
    }
    if op.description:
        made["description"] = op.description
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": op.parameters.get(name, _ANY_TEXT)} for name in names
    ]
    parameters += [
        {"name": query.name, "in": "query", "description": query.description, "schema": query.schema}
        for query in op.query
    ]
    if parameters:
        made["parameters"] = parameters
    if op.body is not None:
        content = {"application/json": {"schema": schema_of[str(op.body)]}}
        made["requestBody"] = {"required": True, "content": content}
    return made


def _answer(status: int, kind: Any, schema_of: dict[str, Schema]) -> dict[str, Any]:  # noqa: ANN401 - see _plain
    made: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if isinstance(kind, str):
        made["content"] = {kind: {"schema": {"type": "string"}}}
    elif kind is not None:
        made["content"] = {"application/json": {"schema": schema_of[str(kind)]}}
    return made


def _identifier(op: Operation) -> str:
    words = re.findall(r"\w+", op.path) or ["root"]
    return "_".join((op.method.lower(), *words))
