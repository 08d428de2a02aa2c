"""`--web.config.file`: TLS, client certificates, basic auth and headers, over real sockets."""

from __future__ import annotations

import asyncio
import base64
import itertools
import ssl
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import aiohttp
import bcrypt
import pytest
import trustme

from exporter.errors import ConfigError, Overloaded
from exporter.web import listeners
from exporter.web.basicauth import THREADS, WAITING, BasicAuth, credentials
from exporter.web.webconfig import WebConfigFile
from tests.patience import eventually
from tests.unit.web_site import Site, running

if TYPE_CHECKING:
    from pathlib import Path

HASH = bcrypt.hashpw(b"kata sandi", bcrypt.gensalt(4)).decode()
OTHER_HASH = bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode()


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def written(directory: Path, text: str) -> WebConfigFile:
    """Return the loaded file of this text."""
    path = directory / "web.yml"
    path.write_text(text)
    made = WebConfigFile(path)
    made.load()
    return made


def certificate(directory: Path, authority: trustme.CA) -> None:
    """Write a server's certificate and key, and the authority's own certificate."""
    issued = authority.issue_cert("127.0.0.1")
    (directory / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(directory / "key.pem"))
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))


TLS = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"
MUTUAL = f"{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"


def client_context(authority: trustme.CA, name: str | None = None) -> ssl.SSLContext:
    """Return a client that trusts the authority, with a certificate of that name if given."""
    made = ssl.create_default_context()
    authority.configure_trust(made)
    if name:
        authority.issue_cert(name).configure_cert(made)
    return made


async def get(site: Site, context: ssl.SSLContext | None = None, path: str = "/api/v1/devices", **headers: str) -> Any:
    """Return the finished answer."""
    url = f"{'https' if context else 'http'}://{site.admin}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, ssl=context or True, headers=headers) as answer:
        await answer.read()
        return answer


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


# TLS --------------------------------------------------------------------------------------------------------------
async def test_the_admin_listener_speaks_tls(tmp_path, authority):
    certificate(tmp_path, authority)
    async with running(admin={"web_config": written(tmp_path, TLS)}) as site:
        assert (await get(site, client_context(authority))).status == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await get(site, client_context(trustme.CA()))
        with pytest.raises(aiohttp.ClientError):
            await get(site)


@pytest.mark.parametrize("name", [None, "a stranger's", "ops.example"])
async def test_a_client_certificate_is_required_and_verified(tmp_path, authority, name):
    certificate(tmp_path, authority)
    context = client_context(authority, name if name == "ops.example" else None)
    if name == "a stranger's":
        trustme.CA().issue_cert("ops.example").configure_cert(context)
    async with running(admin={"web_config": written(tmp_path, MUTUAL)}) as site:
        if name == "ops.example":
            assert (await get(site, context)).status == 200
        else:
            with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
                await get(site, context)


@pytest.mark.parametrize(("name", "status"), [("ops.example", 200), ("guest.example", 403)])
async def test_only_allowed_names_get_in_where_they_are_listed(tmp_path, authority, name, status):
    certificate(tmp_path, authority)
    text = f"{MUTUAL}  client_allowed_sans: [ops.example]\n"
    async with running(admin={"web_config": written(tmp_path, text)}) as site:
        assert (await get(site, client_context(authority, name))).status == status


async def test_an_optional_certificate_may_be_missing(tmp_path, authority):
    certificate(tmp_path, authority)
    text = MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")
    async with running(admin={"web_config": written(tmp_path, text)}) as site:
        assert (await get(site, client_context(authority))).status == 200


async def test_versions_and_ciphers_are_as_configured(tmp_path, authority):
    certificate(tmp_path, authority)
    suite = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
    text = f"{TLS}  max_version: TLS12\n  cipher_suites: [{suite}]\n  curve_preferences: [CurveP256]\n"
    async with running(admin={"web_config": written(tmp_path, text)}) as site:
        _, writer = await asyncio.open_connection(*site.admin, ssl=client_context(authority))
        cipher = writer.get_extra_info("cipher")
        writer.close()
        await writer.wait_closed()

    assert cipher[:2] == ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLSv1.2")


async def test_a_new_certificate_is_used_without_a_restart_and_open_connections_go_on(tmp_path, authority):
    certificate(tmp_path, authority)
    newer = trustme.CA()
    async with running(admin={"web_config": written(tmp_path, TLS)}) as site, aiohttp.ClientSession() as session:
        url, context = f"https://{site.admin}/-/ready", client_context(authority)
        async with session.get(url, ssl=context) as before:
            await before.read()

        certificate(tmp_path, newer)
        await site.listeners.reload()

        assert (await get(site, client_context(newer))).status == 200
        async with session.get(url, ssl=context) as after:
            assert after.status == 200


async def test_a_change_of_the_file_is_noticed_without_a_reload(tmp_path, authority, monkeypatch):
    monkeypatch.setattr(listeners, "FOLLOW_INTERVAL", 0.05)
    async with running(admin={"web_config": written(tmp_path, "{}")}) as site:
        assert (await get(site)).status == 200

        (tmp_path / "web.yml").write_text(f"basic_auth_users: {{admin: {HASH}}}\n")

        assert await answers(site, 401)


async def test_a_bad_file_keeps_the_former_one_in_force(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(listeners, "FOLLOW_INTERVAL", 0.05)
    web_config = written(tmp_path, f"basic_auth_users: {{admin: {HASH}}}\n")
    async with running(admin={"web_config": web_config}) as site:
        (tmp_path / "web.yml").write_text("basic_auth_users: {admin: kata}\n")
        with pytest.raises(ConfigError, match=r"basic_auth_users\.admin"):
            await site.listeners.reload()
        await asyncio.sleep(0.2)

        assert (await get(site)).status == 401
        assert (await get(site, Authorization=basic("admin", "kata sandi"))).status == 200


async def answers(site: Site, status: int) -> bool:
    """Wait until the listener answers with a status."""

    async def does() -> bool:
        return (await get(site)).status == status

    return bool(await eventually(does, f"an answer with {status}"))


# Basic auth -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("header", "status"),
    [
        pytest.param(basic("admin", "kata sandi"), 200, id="the right password"),
        pytest.param(basic("admin", "kata sandi").replace("Basic", "bAsIc"), 200, id="the scheme in another case"),
        pytest.param(basic("admin", "other"), 401, id="another user's password"),
        pytest.param(basic("admin", ""), 401, id="no password"),
        pytest.param(basic("nobody", "kata sandi"), 401, id="an unknown user"),
        pytest.param(basic("nobody", "other"), 401, id="an unknown user with a known password"),
        pytest.param(basic("admin", "x" * 500), 401, id="a password longer than bcrypt takes"),
        pytest.param(basic("admin", "a\0b"), 401, id="a NUL in the password"),
        pytest.param("Basic !!!", 401, id="no base64"),
        pytest.param("Basic " + base64.b64encode(b"\xff:\xff").decode(), 401, id="no UTF-8"),
        pytest.param("Basic " + base64.b64encode(b"admin").decode(), 401, id="no colon"),
        pytest.param("Bearer x", 401, id="another scheme"),
        pytest.param("", 401, id="nothing"),
    ],
)
async def test_only_known_users_get_in(tmp_path, header, status):
    web_config = written(tmp_path, f"basic_auth_users: {{admin: {HASH}, other: {OTHER_HASH}}}\n")
    async with running(admin={"web_config": web_config}) as site:
        for path in ("/api/v1/devices", "/metrics", "/nowhere"):
            answer = await get(site, path=path, Authorization=header)
            assert answer.status == (404 if path == "/nowhere" and status == 200 else status)
        if status == 401:
            assert answer.headers["WWW-Authenticate"].startswith('Basic realm="')


async def test_paths_with_their_own_tokens_do_not_ask_for_a_password(tmp_path):
    web_config = written(tmp_path, f"basic_auth_users: {{admin: {HASH}}}\n")
    async with running(admin={"web_config": web_config}) as site:
        assert (await get(site, path="/api/v1/notify/sms")).status == 404
        assert (await get(site, path="/api/v1/notify")).status == 401
        assert (await get(site, path="/api/v1/notify/%2e%2e/devices")).status in (401, 404)


async def test_health_checks_need_no_password_and_only_they(tmp_path):
    web_config = written(tmp_path, f"basic_auth_users: {{admin: {HASH}}}\n")
    async with running(admin={"web_config": web_config}) as site:
        paths = ("/-/ready", "/-/healthy", "/-/ready/", "/-/reload", "/-/healthyx")
        assert [(await get(site, path=path)).status for path in paths] == [200, 200, 401, 401, 401]


class Checked:
    """Counts real checks of passwords, by the hash that they are checked against."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hashes: list[str] = []
        real = bcrypt.checkpw

        def check(password: bytes, hashed: bytes) -> bool:
            self.hashes.append(hashed.decode())
            return real(password, hashed)

        monkeypatch.setattr("exporter.web.basicauth.bcrypt.checkpw", check)


async def test_a_success_is_remembered_and_a_failure_is_not(monkeypatch):
    checked, auth = Checked(monkeypatch), BasicAuth({"admin": HASH})

    assert [await auth.allows(basic("admin", "kata sandi")) for _ in range(3)] == [True] * 3
    assert len(checked.hashes) == 1
    assert [await auth.allows(basic("admin", "wrong")) for _ in range(3)] == [False] * 3
    assert len(checked.hashes) == 4


async def test_an_unknown_user_costs_as_much_as_the_dearest_known_one(monkeypatch):
    dear = bcrypt.hashpw(b"x", bcrypt.gensalt(5)).decode()
    checked, auth = Checked(monkeypatch), BasicAuth({"a": HASH, "b": dear, "c": OTHER_HASH})

    assert not await auth.allows(basic("nobody", "x"))
    assert checked.hashes == [dear]


async def test_the_loop_goes_on_while_a_password_is_checked():
    auth = BasicAuth({"admin": bcrypt.hashpw(b"x", bcrypt.gensalt(11)).decode()})
    checking = asyncio.create_task(auth.allows(basic("admin", "y")))
    turns = 0
    while not checking.done():
        await asyncio.sleep(0.001)
        turns += 1

    assert turns > 5
    assert not checking.result()


class SlowChecks:
    """Stands for bcrypt: every check takes a while, and what is asked is written down in its order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passwords: list[bytes] = []
        self.gate = threading.Event()
        self.gate.set()
        monkeypatch.setattr("exporter.web.basicauth.bcrypt.checkpw", self.check)

    def check(self, password: bytes, _hashed: bytes) -> bool:
        self.passwords.append(password)
        self.gate.wait(30)
        time.sleep(0.005)
        return password == b"right"


async def test_guessers_do_not_make_a_new_login_wait_for_their_checks(monkeypatch):
    slow, auth = SlowChecks(monkeypatch), BasicAuth({"admin": HASH})

    async def guess(number: int) -> None:
        for again in itertools.count():
            with suppress(Overloaded):
                await auth.allows(basic("admin", f"wrong {number} {again}"))
            await asyncio.sleep(0)

    guessers = [asyncio.create_task(guess(number)) for number in range(30)]
    await asyncio.sleep(0.3)
    before = len(slow.passwords)
    assert await auth.allows(basic("admin", "right"))
    for guesser in guessers:
        guesser.cancel()

    assert slow.passwords[before:].index(b"right") <= 3


async def test_more_checks_than_may_wait_are_given_up_oldest_first(monkeypatch):
    slow, auth = SlowChecks(monkeypatch), BasicAuth({"admin": HASH})
    slow.gate.clear()
    count = THREADS + WAITING + 3
    logins = [asyncio.create_task(auth.allows(basic("admin", f"wrong {n}"))) for n in range(count - 1)]
    logins.append(asyncio.create_task(auth.allows(basic("admin", "right"))))
    await asyncio.sleep(0.1)
    slow.gate.set()
    outcomes = await asyncio.gather(*logins, return_exceptions=True)

    given_up = [place for place, outcome in enumerate(outcomes) if isinstance(outcome, Overloaded)]
    assert given_up == [THREADS, THREADS + 1, THREADS + 2]
    assert outcomes[-1] is True


async def test_a_login_that_cannot_be_checked_now_is_a_503(tmp_path, monkeypatch):
    web_config = written(tmp_path, f"basic_auth_users: {{admin: {HASH}}}\n")
    slow = SlowChecks(monkeypatch)
    slow.gate.clear()
    async with running(admin={"web_config": web_config}) as site:
        asked = [
            asyncio.create_task(get(site, Authorization=basic("admin", f"wrong {number}")))
            for number in range(THREADS + WAITING + 1)
        ]
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED, timeout=10)
        assert [(task.result().status, task.result().headers["Retry-After"]) for task in done] == [(503, "30")]
        slow.gate.set()
        await asyncio.gather(*asked)


def test_a_password_may_hold_colons_and_any_letters():
    assert credentials(basic("é", "a:b:ü")) == ("é", "a:b:ü")


# Headers and errors -----------------------------------------------------------------------------------------------
async def test_configured_headers_are_on_every_answer(tmp_path):
    text = (
        "http_server_config: {http2: false, headers: {X-Frame-Options: deny, Strict-Transport-Security: max-age=60}}\n"
    )
    async with running(admin={"web_config": written(tmp_path, text)}) as site:
        for path in ("/metrics", "/nowhere"):
            headers = (await get(site, path=path)).headers
            assert (headers["X-Frame-Options"], headers["Strict-Transport-Security"]) == ("deny", "max-age=60")


BAD_FILES = [
    ("a: [", r"web\.yml: ", "no YAML"),
    ("- a", r"web\.yml: Expected `object`", "a list"),
    ("basic_auth: {}", r"unknown field `basic_auth`", "an unknown section"),
    ("rate_limit: {interval: 1s, burst: 3}", r"unknown field `rate_limit`", "a section that is not supported"),
    ("tls_server_config: {certfile: x}", r"tls_server_config: .*unknown field `certfile`", "a misspelt key"),
    ("tls_server_config: {cert_file: 5}", r"tls_server_config\.cert_file: Expected `str`", "a number for a file"),
    ("tls_server_config: {}", r"tls_server_config\.cert_file: is missing", "no certificate"),
    ("tls_server_config: {cert_file: cert.pem}", r"tls_server_config\.key_file: is missing", "no key"),
    ("tls_server_config: {cert_file: no.pem, key_file: key.pem}", r"cannot be read: No such file", "no such file"),
    ("tls_server_config: {cert_file: ca.pem, key_file: key.pem}", r"no matching certificate and key", "a foreign key"),
    (f"{TLS}  client_auth_type: RequireAnyClientCert", r"client_auth_type: .*not supported", "unverified certificates"),
    (f"{TLS}  client_auth_type: RequireAndVerifyClientCert", r"client_ca_file: is needed", "no authority"),
    (f"{TLS}  client_ca_file: ca.pem", r"client_auth_type: is needed", "an authority without a policy"),
    (f"{MUTUAL.replace('ca.pem', 'key.pem')}", r"client_ca_file: holds no certificate", "an authority that is none"),
    (f"{TLS}  min_version: TLS13\n  max_version: TLS12", r"min_version: is above max_version", "versions crossed"),
    (f"{TLS}  min_version: SSL3", r"min_version: Invalid enum value", "an unknown version"),
    (f"{TLS}  cipher_suites: [TLS_FAST]", r"cipher_suites: unknown suite", "an unknown cipher"),
    (f"{TLS}  curve_preferences: [CurveP256, X25519]", r"curve_preferences: only one", "two curves"),
    (f"{TLS}  curve_preferences: [Round]", r"curve_preferences: unknown curve", "an unknown curve"),
    ("basic_auth_users: {admin: secret}", r"basic_auth_users\.admin: is no bcrypt hash", "a password in clear"),
    ("http_server_config: {headers: {Server: x}}", r"headers\.Server: cannot be set", "another header"),
    ("http_server_config: {headers: {X-Frame-Options: allow}}", r"X-Frame-Options: must be one of", "a wrong value"),
    ('http_server_config: {headers: {Content-Security-Policy: "a\\r\\nb"}}', r"control character", "a forged header"),
]


@pytest.mark.parametrize(("text", "message"), [case[:2] for case in BAD_FILES], ids=[case[2] for case in BAD_FILES])
def test_a_file_that_cannot_be_used_is_refused_with_the_place(tmp_path, authority, text, message):
    certificate(tmp_path, authority)
    with pytest.raises(ConfigError, match=message) as refused:
        written(tmp_path, text)
    assert str(refused.value).startswith(f"{tmp_path / 'web.yml'}: ")
    assert "secret" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.yml: cannot be read"):
        WebConfigFile(tmp_path / "gone.yml").load()


def test_an_empty_file_asks_for_nothing(tmp_path):
    made = written(tmp_path, "")

    assert (made.tls, made.config.basic_auth_users) == (None, {})
