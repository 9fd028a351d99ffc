import pytest

from pellucid.dataplane.redirect_settings import InvalidSettingError, RedirectSettings, parse_cidr, parse_port


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "", "8080.5", "٣"])
def test_a_port_out_of_range_or_not_a_number_is_refused_by_name_and_value(text: str) -> None:
    with pytest.raises(InvalidSettingError, match="exclude-inbound-port") as caught:
        parse_port("exclude-inbound-port", text)
    assert repr(text) in str(caught.value)
    assert "1 to 65535" in str(caught.value)


@pytest.mark.parametrize("text", ["10.0.0.0/33", "example.com", "", "fd00::/129"])
def test_a_range_that_is_no_cidr_is_refused(text: str) -> None:
    with pytest.raises(InvalidSettingError, match="exclude-outbound-cidr"):
        parse_cidr("exclude-outbound-cidr", text)


def test_a_cidr_loses_its_host_bits_and_a_bare_address_is_a_range_of_one() -> None:
    assert str(parse_cidr("cidr", "10.1.2.3/8")) == "10.0.0.0/8"
    assert str(parse_cidr("cidr", "fd00::1")) == "fd00::1/128"


def test_settings_without_a_way_to_tell_the_proxy_are_refused() -> None:
    with pytest.raises(InvalidSettingError, match="proxy uid"):
        RedirectSettings()


def test_one_port_for_both_directions_is_refused() -> None:
    with pytest.raises(InvalidSettingError, match="inbound port"):
        RedirectSettings(proxy_uid=5995, inbound_port=15001)


def test_a_bad_value_is_found_in_any_list() -> None:
    with pytest.raises(InvalidSettingError, match="group id"):
        RedirectSettings(proxy_uid=5995, exclude_gids=(2**32,))
    with pytest.raises(InvalidSettingError, match="excluded outbound port"):
        RedirectSettings(proxy_uid=5995, exclude_outbound_ports=(22, 0))
