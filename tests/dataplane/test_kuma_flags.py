import pytest

from pellucid.dataplane.kuma_flags import parse_kuma_flags
from pellucid.dataplane.redirect_settings import InvalidSettingError, RedirectSettings, parse_cidr

WALKTHROUGH = ["-p", "15001", "-z", "20000", "-u", "0", "-g", "0", "-d", "", "-o", ""]
WALKTHROUGH += ["-m", "REDIRECT", "-i", "*", "-b", "*"]


def test_the_walkthroughs_arguments_with_their_empty_strings() -> None:
    assert parse_kuma_flags(WALKTHROUGH) == RedirectSettings(
        proxy_uid=0,
        exclude_gids=(0,),
        inbound_port=20000,
        outbound_port=15001,
        exclude_inbound_ports=(22,),
        self_calls_to_inbound=True,
    )


def test_small_d_excludes_inbound_ports_and_small_o_outbound_ones() -> None:
    settings = parse_kuma_flags(["-b", "*", "-i", "*", "-d", "9090,9091", "-o", "5432"])
    assert settings.exclude_inbound_ports == (22, 9090, 9091)
    assert settings.exclude_outbound_ports == (5432,)


def test_an_empty_b_captures_nothing_inbound_and_an_empty_i_nothing_outbound() -> None:
    settings = parse_kuma_flags(["-b", "", "-i", ""])
    assert settings.inbound_port is None
    assert settings.include_outbound_cidrs == ()


def test_lists_after_b_and_i_capture_only_those() -> None:
    settings = parse_kuma_flags(["-b", "80,443", "-i", "10.0.0.0/8,fd00::/8", "-x", "10.9.0.0/16"])
    assert settings.include_inbound_ports == (80, 443)
    assert settings.exclude_inbound_ports == ()
    assert settings.include_outbound_cidrs == (parse_cidr("-i", "10.0.0.0/8"), parse_cidr("-i", "fd00::/8"))
    assert settings.exclude_outbound_cidrs == (parse_cidr("-x", "10.9.0.0/16"),)


def test_the_first_uid_is_the_proxys_and_further_ones_are_exempt_too() -> None:
    settings = parse_kuma_flags(["-u", "5995,0", "-b", "*"])
    assert settings.proxy_uid == 5995
    assert settings.exclude_uids == (0,)


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (["-p", "x"], "-p"),
        (["-b", "80,x"], "-b"),
        (["-i", "10.0.0.0/40"], "-i"),
        (["-u", ""], "-u"),
        (["-u", "envoy"], "-u"),
        (["-m", "TPROXY"], "-m"),
        (["-k", "br0"], "-k"),
        (["-Q", "1"], "-Q"),
        (["-p"], "-p"),
    ],
)
def test_a_bad_argument_is_refused_naming_its_flag(arguments: list[str], flag: str) -> None:
    with pytest.raises(InvalidSettingError, match=flag):
        parse_kuma_flags(arguments)
