"""Where the agent is: flags beat the environment, and a token file beats a token beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.cli.go_flags import parse
from pellucid.cli.http_settings import CLIENT_FLAGS, HttpSettings, SettingsError, http_settings


def settings_of(*words: str, **environment: str) -> HttpSettings:
    return http_settings(parse(CLIENT_FLAGS, words)[0], environment)


def test_the_default_is_the_local_agent() -> None:
    assert settings_of() == HttpSettings("http", "127.0.0.1:8500")


@pytest.mark.parametrize(
    ("text", "scheme", "address"),
    [
        ("10.0.0.1:80", "http", "10.0.0.1:80"),
        ("http://[::1]:8500", "http", "[::1]:8500"),
        ("https://agent:8501/", "https", "agent:8501"),
        ("unix:///run/agent.sock", "unix", "/run/agent.sock"),
    ],
)
def test_an_address_may_carry_its_scheme(text: str, scheme: str, address: str) -> None:
    assert settings_of("-http-addr", text) == settings_of(CONSUL_HTTP_ADDR=text)
    assert settings_of("-http-addr", text) == HttpSettings(scheme, address)


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(SettingsError, match="Unknown protocol scheme: gopher"):
        settings_of("-http-addr=gopher://x")


def test_flags_beat_the_environment() -> None:
    assert settings_of("-token=flag", CONSUL_HTTP_TOKEN="variable").token == "flag"
    assert settings_of("-ca-file=flag", CONSUL_CACERT="variable").ca_file == "flag"


def test_a_token_file_beats_a_token_of_the_same_level_only(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    assert settings_of("-token=flag", f"-token-file={file}").token == "from-file"
    assert settings_of(CONSUL_HTTP_TOKEN="variable", CONSUL_HTTP_TOKEN_FILE=str(file)).token == "from-file"
    assert settings_of("-token=flag", CONSUL_HTTP_TOKEN_FILE=str(file)).token == "flag"


def test_an_unreadable_token_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Error loading token file"):
        settings_of(f"-token-file={tmp_path / 'missing'}")


def test_an_empty_token_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "token").touch()
    with pytest.raises(SettingsError, match="it is empty"):
        settings_of(f"-token-file={tmp_path / 'token'}")


@pytest.mark.parametrize("token", ["s3cret\nX-Other: 1", "s3crét", "s3cret\x00"])
def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(SettingsError, match="the token holds characters that no token has") as caught:
        settings_of("-token", token)
    assert "s3cr" not in str(caught.value)


def test_tls_is_switched_on_and_its_checks_off_by_the_environment() -> None:
    settings = settings_of(CONSUL_HTTP_SSL="true", CONSUL_HTTP_SSL_VERIFY="0")
    assert (settings.scheme, settings.verify) == ("https", False)


def test_a_switch_that_is_neither_true_nor_false_is_refused() -> None:
    with pytest.raises(SettingsError, match="CONSUL_HTTP_SSL: 'maybe' is neither true nor false"):
        settings_of(CONSUL_HTTP_SSL="maybe")


def test_secrets_are_not_in_the_printed_form() -> None:
    settings = settings_of("-token=s3cret", CONSUL_HTTP_AUTH="user:pa55word")
    assert "s3cret" not in repr(settings)
    assert "pa55word" not in repr(settings)
