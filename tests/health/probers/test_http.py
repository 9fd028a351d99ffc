"""HTTP checks against real servers."""

import asyncio
from pathlib import Path

import pytest

from pellucid.health.probers.http import MAX_RESPONSE_BYTES, probe_http
from pellucid.health.results import CheckResult
from pellucid.model.checks import CheckDefinition, CheckStatus
from tests.health.definitions import SECOND, check
from tests.health.probers.servers import (
    HttpAnswers,
    closed_port,
    http_answer,
    make_certificate,
    say_nothing,
    tcp_server,
)

PASSING, WARNING, CRITICAL = CheckStatus


async def probed(answers: HttpAnswers, path: str = "/", **fields: object) -> tuple[CheckResult, str]:
    """The result, and the URL that was probed."""
    async with tcp_server(answers) as port:
        url = f"http://127.0.0.1:{port}{path}"
        return await probe_http(check(http=url, **fields)), url


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("200 OK", PASSING),
        ("204 No Content", PASSING),
        ("299 Fine", PASSING),
        ("429 Too Many Requests", WARNING),
        ("304 Not Modified", CRITICAL),
        ("404 Not Found", CRITICAL),
        ("503 Service Unavailable", CRITICAL),
    ],
)
async def test_the_status_code_is_the_status(status: str, expected: CheckStatus) -> None:
    result, url = await probed(HttpAnswers(http_answer(status)))
    assert result == CheckResult(expected, f"HTTP GET {url}: {status} Output: ")


async def test_the_body_is_the_output() -> None:
    result, url = await probed(HttpAnswers(http_answer("200 OK", "all well")))
    assert result.output == f"HTTP GET {url}: 200 OK Output: all well"


async def test_a_chunked_body_and_one_that_ends_with_the_connection_are_read() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n5\r\n well\r\n0\r\n\r\n"
    until_end = b"HTTP/1.1 200 OK\r\n\r\nall well"
    for answer in (chunked, until_end):
        result, _ = await probed(HttpAnswers(answer))
        assert result.output.endswith("Output: all well")


async def test_of_a_long_body_the_end_is_kept() -> None:
    result, _ = await probed(HttpAnswers(http_answer("200 OK", "x" * 9000 + "end")), output_max_size=5)
    assert result.output.endswith("Output: xxend")


async def test_an_endless_body_is_not_read_to_its_end() -> None:
    written = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                written += 65536
                await writer.drain()
        except ConnectionError:
            pass

    async with tcp_server(pour) as port:
        result = await probe_http(check(http=f"http://127.0.0.1:{port}/"))
    assert result.status is PASSING
    assert written < 64 * MAX_RESPONSE_BYTES


async def test_the_request_is_a_plain_get_that_says_who_asks() -> None:
    answers = HttpAnswers(http_answer("200 OK"))
    _, url = await probed(answers, "/health?deep=1")
    head = answers.requests[0].decode().split("\r\n")
    assert head[0] == "GET /health?deep=1 HTTP/1.1"
    assert {
        f"Host: {url.split('/')[2]}",
        "User-Agent: Consul Health Check",
        "Accept: text/plain, text/*, */*",
        "Connection: close",
    } <= set(head)


async def test_method_headers_and_body_are_sent() -> None:
    answers = HttpAnswers(http_answer("200 OK"))
    header = {"x-token": ("a", "b"), "Host": ("web.example",), "user-agent": ("probe",)}
    await probed(answers, method="POST", header=header, body='{"deep":true}')
    head, _, body = answers.requests[0].decode().partition("\r\n\r\n")
    lines = head.split("\r\n")
    assert lines[0] == "POST / HTTP/1.1"
    assert {
        "X-Token: a",
        "X-Token: b",
        "Host: web.example",
        "User-Agent: probe",
        "Content-Length: 13",
    } <= set(lines)
    assert body == '{"deep":true}'
    assert head.count("Host:") == head.count("User-Agent:") == 1


async def test_a_head_request_waits_for_no_body() -> None:
    result, _ = await probed(HttpAnswers(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"), method="HEAD")
    assert result.status is PASSING


async def test_redirects_are_followed() -> None:
    answers = HttpAnswers(http_answer("302 Found", "", "Location: /there"), http_answer("200 OK", "there"))
    result, url = await probed(answers, "/here", method="POST", body="x")
    assert result == CheckResult(PASSING, f"HTTP POST {url}: 200 OK Output: there")
    assert answers.requests[1].startswith(b"GET /there HTTP/1.1")


async def test_redirects_that_keep_the_method_keep_the_body() -> None:
    answers = HttpAnswers(http_answer("307 Temporary", "", "Location: /there"), http_answer("200 OK"))
    await probed(answers, method="PUT", body="x")
    assert answers.requests[1].startswith(b"PUT /there HTTP/1.1")
    assert answers.requests[1].endswith(b"x")


async def test_a_circle_of_redirects_ends() -> None:
    result, _ = await probed(HttpAnswers(http_answer("302 Found", "", "Location: /")))
    assert result.status is CRITICAL
    assert result.output.endswith("stopped after 10 redirects")


async def test_credentials_in_the_url_are_sent_as_basic_authorization() -> None:
    answers = HttpAnswers(http_answer("200 OK"))
    async with tcp_server(answers) as port:
        await probe_http(check(http=f"http://user:p%40ss@127.0.0.1:{port}/"))
    assert b"Authorization: Basic dXNlcjpwQHNz\r\n" in answers.requests[0]


async def test_a_refused_connection_is_critical_in_words() -> None:
    port = await closed_port()
    result = await probe_http(check(http=f"http://127.0.0.1:{port}/x"))
    reason = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    assert result == CheckResult(CRITICAL, f'Get "http://127.0.0.1:{port}/x": {reason}')


async def test_silence_ends_with_the_timeout() -> None:
    async with tcp_server(say_nothing) as port:
        result = await probe_http(check(http=f"http://127.0.0.1:{port}/", timeout_ns=SECOND // 20))
    assert result.status is CRITICAL
    assert "Client.Timeout exceeded" in result.output


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 2", b"220 smtp.example ESMTP\r\n\r\n", b"\x16\x03\x01\x02\0"]
)
async def test_an_answer_that_is_not_http_is_critical(answer: bytes) -> None:
    result, _ = await probed(HttpAnswers(answer))
    assert result.status is CRITICAL


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://host/", 'unsupported protocol scheme "ftp"'),
        ("host/path", 'unsupported protocol scheme ""'),
        ("http:///path", "no Host in request URL"),
        ("http://host:99999/", "parse"),
        ("http://[::1/", "parse"),
        ("http://host/a b", "invalid character in URL"),
    ],
)
async def test_a_url_that_cannot_be_asked_is_critical(url: str, reason: str) -> None:
    result = await probe_http(check(http=url))
    assert result.status is CRITICAL
    assert reason in result.output


async def test_a_header_cannot_smuggle_another_line() -> None:
    answers = HttpAnswers(http_answer("200 OK"))
    result, _ = await probed(answers, header={"X": ("a\r\nInjected: yes",)})
    assert result.status is CRITICAL
    assert answers.requests == []


class TestTls:
    """HTTPS with a certificate that no authority signed."""

    @staticmethod
    async def probed(directory: Path, **fields: object) -> tuple[CheckResult, CheckDefinition]:
        certificate = make_certificate(directory, "127.0.0.1")
        async with tcp_server(HttpAnswers(http_answer("200 OK")), certificate.server_context()) as port:
            definition = check(http=f"https://127.0.0.1:{port}/", **fields)
            return await probe_http(definition), definition

    async def test_it_is_refused(self, tmp_path: Path) -> None:
        result, definition = await self.probed(tmp_path)
        assert result.status is CRITICAL
        assert result.output.startswith(f'Get "{definition.http}": x509: ')

    async def test_it_is_accepted_when_told_to_skip_verification(self, tmp_path: Path) -> None:
        result, _ = await self.probed(tmp_path, tls_skip_verify=True)
        assert result.status is PASSING

    async def test_the_server_name_is_what_was_asked_for(self, tmp_path: Path) -> None:
        certificate = make_certificate(tmp_path, "web.internal")
        context = certificate.server_context()
        names: list[str | None] = []
        context.sni_callback = lambda connection, name, _: names.append(name)
        async with tcp_server(HttpAnswers(http_answer("200 OK")), context) as port:
            definition = check(
                http=f"https://127.0.0.1:{port}/", tls_skip_verify=True, tls_server_name="web.internal"
            )
            assert (await probe_http(definition)).status is PASSING
        assert names == ["web.internal"]
