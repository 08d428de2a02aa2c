"""Log lines: one a record, whatever the values hold."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re

import pytest

from exporter.lib import logs
from exporter.lib.logs import RateLimited, fields, log_loop_errors


@pytest.fixture(autouse=True)
def _restored_logging():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def logged(form: str, message: str, level: int = logging.INFO, **extra: object) -> str:
    """Return what one record writes."""
    stream = io.StringIO()
    logs.setup("debug", form, stream)
    logging.getLogger("exporter.test").log(level, message, **extra)
    return stream.getvalue()


def test_a_line_has_time_level_logger_message_and_fields():
    line = logged("logfmt", "device down", extra=fields(device_id="device_1", since=1738056000, up=False, end=None))

    assert re.fullmatch(
        r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info logger=exporter.test "
        r'msg="device down" device_id=device_1 since=1738056000 up=false end=null\n',
        line,
    )


def test_json_has_the_same_keys():
    decoded = json.loads(logged("json", "device down", logging.WARNING, extra=fields(device_id="a", since=5)))

    del decoded["time"]
    assert decoded == {"level": "warn", "logger": "exporter.test", "msg": "device down", "device_id": "a", "since": 5}


def test_a_plain_extra_is_written_too():
    assert logged("logfmt", "failed", extra={"error": "disk full"}).endswith('msg=failed error="disk full"\n')


HOSTILE = [
    pytest.param("a\nlevel=error msg=forged", r'"a\nlevel=error msg=forged"', id="a newline"),
    pytest.param("a\r\tb", r'"a\r\tb"', id="a carriage return and a tab"),
    pytest.param('say "hi" \\', r'"say \"hi\" \\"', id="quotes and a backslash"),
    pytest.param("a b=c", '"a b=c"', id="a space and an equals sign"),
    pytest.param("\x1b[31mred", r'"\u001b[31mred"', id="a terminal sequence"),
    pytest.param("a\x00b\x7f\x85", r'"a\u0000b\u007f\u0085"', id="other controls"),
    pytest.param("a\u2028b\u202ec", r'"a\u2028b\u202ec"', id="a line separator and a bidirectional override"),
    pytest.param("lone \ud83d half", r'"lone \ud83d half"', id="half a character"),
    pytest.param("", '""', id="nothing"),
    pytest.param("Café 📱", '"Café 📱"', id="text beyond ASCII"),
]


@pytest.mark.parametrize(("value", "written"), HOSTILE)
def test_a_value_cannot_forge_a_line_or_a_field(value, written):
    line = logged("logfmt", "x", extra=fields(value=value))

    assert line.endswith(f" msg=x value={written}\n")
    assert line.count("\n") == 1


@pytest.mark.parametrize(("value", "written"), HOSTILE)
def test_json_holds_any_value_in_one_ascii_line(value, written):
    line = logged("json", value)

    assert line.isascii()
    assert line.count("\n") == 1
    assert json.loads(line)["msg"] == value


def test_the_message_is_escaped_like_a_value():
    assert logged("logfmt", "a\nb").count("\n") == 1


@pytest.mark.parametrize(
    ("key", "written"), [("a b", "a_b"), ("x\ny=", "x_y_"), ("msg", "field_msg"), ("", "_")], ids=repr
)
def test_a_key_cannot_forge_a_field_either(key, written):
    assert logged("logfmt", "x", extra=fields(**{key: 1})).endswith(f" msg=x {written}=1\n")


def test_an_exception_is_one_field_of_the_same_line():
    try:
        int("a\nb")
    except ValueError:
        line = logged("logfmt", "failed", logging.ERROR, exc_info=True)

    assert line.count("\n") == 1
    assert "ValueError: invalid literal" in line


def test_records_below_the_level_are_not_written():
    stream = io.StringIO()
    logs.setup("warn", "logfmt", stream)
    logging.getLogger("x").info("quiet")
    logging.getLogger("x").warning("loud")

    assert stream.getvalue().count("\n") == 1


def test_setup_replaces_what_was_set_up_before():
    first, second = io.StringIO(), io.StringIO()
    logs.setup(stream=first)
    logs.setup(stream=second)
    logging.getLogger("x").info("once")

    assert (first.getvalue(), second.getvalue().count("\n")) == ("", 1)


@pytest.mark.parametrize(
    ("arguments", "named"), [(["loud"], "debug"), (["info", "xml"], "logfmt")], ids=["a level", "a form"]
)
def test_an_unknown_setting_is_refused_with_what_is_allowed(arguments, named):
    with pytest.raises(ValueError, match=named):
        logs.setup(*arguments)


class Minute:
    """A clock that tests move."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_only_the_first_warnings_of_a_minute_are_written_and_the_rest_is_counted(caplog):
    clock = Minute()
    limited = RateLimited(logging.getLogger("x"), per_minute=2, clock=clock)
    for _ in range(10):
        limited.warning("unauthorized", "refused", status=401)
    clock.now = 59.9
    limited.flush()
    assert [record.getMessage() for record in caplog.records] == ["refused", "refused"]

    clock.now = 60.0
    limited.flush()

    assert caplog.records[-1].fields == {"code": "unauthorized", "suppressed": 8}
    limited.flush()
    assert len(caplog.records) == 3


def test_each_code_has_its_own_share_and_a_new_one_each_minute(caplog):
    clock = Minute()
    limited = RateLimited(logging.getLogger("x"), per_minute=1, clock=clock)
    for code in ("a", "b", "a"):
        limited.warning(code, "refused")
    clock.now = 61.0
    limited.warning("a", "refused")

    assert [(record.getMessage(), record.fields["code"]) for record in caplog.records] == [
        ("refused", "a"),
        ("refused", "b"),
        ("similar warnings suppressed", "a"),
        ("refused", "a"),
    ]


def test_a_minute_without_suppressed_warnings_has_no_summary(caplog):
    limited = RateLimited(logging.getLogger("x"), per_minute=1, clock=Minute())
    limited.warning("a", "refused")
    limited.flush(everything=True)

    assert len(caplog.records) == 1


async def test_an_error_in_a_callback_is_logged_and_counted(caplog):
    counted: list[int] = []
    loop = asyncio.get_running_loop()
    log_loop_errors(loop, lambda: counted.append(1))
    loop.call_soon(lambda: 1 / 0)
    await asyncio.sleep(0.01)
    loop.set_exception_handler(None)

    assert counted == [1]
    assert caplog.records[-1].exc_info[0] is ZeroDivisionError
