"""Annotations are read as Go would, and errors say what to write instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.kube.annotations import (
    InvalidAnnotationError,
    UpstreamAnnotation,
    parse_boolean,
    parse_count,
    parse_integer,
    parse_list,
    parse_port_number,
    parse_upstreams,
    resolve_port,
)

PORTS = {"http": 8080, "db": 5432}


class TestBoolean:
    @pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
    def test_words_for_true(self, text: str) -> None:
        assert parse_boolean("x/y", text) is True

    @pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "False"])
    def test_words_for_false(self, text: str) -> None:
        assert parse_boolean("x/y", text) is False

    @pytest.mark.parametrize("text", ["", "yes", "tRUE", " true"])
    def test_other_words_are_refused_as_go_refuses_them(self, text: str) -> None:
        with pytest.raises(InvalidAnnotationError) as refused:
            parse_boolean("x/y", text)
        assert str(refused.value) == (
            f'strconv.ParseBool: parsing "{text}": invalid syntax: set x/y to true or false'
        )


class TestNumbers:
    @pytest.mark.parametrize(
        ("text", "number"),
        [("80", 80), ("0x50", 80), ("0o120", 80), ("0120", 80), ("0b1010000", 80), ("0", 0)],
    )
    def test_bases_are_gos(self, text: str, number: int) -> None:
        assert parse_integer(text) == number

    @pytest.mark.parametrize("text", ["", "http", "-1", "08", "1.5", "1_000", "٨"])
    def test_other_texts_are_no_numbers(self, text: str) -> None:
        assert parse_integer(text) is None

    @given(st.integers(0, 2**40))
    def test_every_number_is_read_in_each_base(self, number: int) -> None:
        assert {parse_integer(text) for text in (str(number), hex(number), oct(number), bin(number))} == {
            number
        }

    def test_a_port_out_of_range_names_the_range(self) -> None:
        with pytest.raises(InvalidAnnotationError) as refused:
            parse_port_number("x/y", "70000")
        assert str(refused.value) == "x/y annotation value of 70000 is not in the valid port range 1-65535"

    def test_a_port_that_only_root_may_have_is_refused_where_that_matters(self) -> None:
        with pytest.raises(InvalidAnnotationError) as refused:
            parse_port_number("x/y", "80", lowest=1024)
        assert str(refused.value) == (
            "x/y annotation value of 80 is not in the unprivileged port range 1024-65535"
        )

    @pytest.mark.parametrize("parse", [parse_port_number, parse_count])
    def test_a_word_is_no_number(self, parse: object) -> None:
        with pytest.raises(InvalidAnnotationError) as refused:
            parse("x/y", "many")  # type: ignore[operator]
        assert str(refused.value) == "x/y annotation value of many is not a valid integer"

    @pytest.mark.parametrize(
        ("text", "port"), [("http", 8080), (" db ", 5432), ("0x50", 80), ("70000", None), ("web", None)]
    )
    def test_a_port_is_a_name_or_a_number(self, text: str, port: int | None) -> None:
        assert resolve_port(text, PORTS) == port


def test_items_of_lists_are_trimmed() -> None:
    assert parse_list(" 80, 443 ,,9090 ") == ("80", "443", "9090")


class TestUpstreams:
    @pytest.mark.parametrize(
        ("text", "upstream"),
        [
            ("web:1234", UpstreamAnnotation("web", 1234)),
            (" web : db ", UpstreamAnnotation("web", 5432)),
            ("web:1234:dc2", UpstreamAnnotation("web", 1234, "dc2")),
            ("prepared_query:near.est:1234", UpstreamAnnotation("near.est", 1234, "", "prepared_query")),
            ("web.svc:1234", UpstreamAnnotation("web", 1234)),
            ("web.svc.blue.ns:1234", UpstreamAnnotation("web", 1234)),
            ("web.svc.dc2.dc:1234", UpstreamAnnotation("web", 1234, "dc2")),
            ("web.svc.blue.ns.dc2.dc:1234", UpstreamAnnotation("web", 1234, "dc2")),
        ],
    )
    def test_forms(self, text: str, upstream: UpstreamAnnotation) -> None:
        assert parse_upstreams(text, PORTS) == (upstream,)

    def test_a_list_keeps_its_order(self) -> None:
        assert [each.name for each in parse_upstreams("b:1, a:2,", PORTS)] == ["b", "a"]

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("web", 'upstream "web" is invalid: write name:port'),
            ("a:1:b:2", 'upstream "a:1:b:2" is invalid: write name:port'),
            (":1234", 'upstream ":1234" is invalid: "" is not the name of a service'),
            ("w*b:1234", 'upstream "w*b:1234" is invalid: "w*b" is not the name of a service'),
            ("web:1234:d c", 'upstream "web:1234:d c" is invalid: "d c" is not the name of a datacenter'),
            ("prepared_query::1234", 'upstream "prepared_query::1234" is invalid: "" is not the name of a p'),
            ("web:0", 'upstream "web:0" is invalid: "0" is neither a port from 1 to 65535 nor the name'),
            ("web:grpc", 'upstream "web:grpc" is invalid: "grpc" is neither a port'),
            ("web.blue:1234", 'upstream "web.blue:1234" is invalid: namespaces are a feature of'),
            ("web.svc.east.peer:1", 'upstream "web.svc.east.peer:1" is invalid: peers and admin partitions'),
            ("web.svc.blue:1234", "upstream structured incorrectly: web.svc.blue:1234"),
            ("web.svc:1234:dc2", "upstream structured incorrectly: web.svc:1234:dc2"),
            ("a:1,b:1", 'upstreams "a" and "b" are both given port 1'),
        ],
    )
    def test_what_is_malformed_is_refused_by_name(self, text: str, problem: str) -> None:
        with pytest.raises(InvalidAnnotationError) as refused:
            parse_upstreams(text, PORTS)
        assert problem in str(refused.value)
        assert "consul.hashicorp.com/connect-service-upstreams" in str(refused.value)

    @given(st.text(st.sampled_from("ab:.,svcdn 019-_*")))
    def test_every_text_is_read_or_refused(self, text: str) -> None:
        try:
            upstreams = parse_upstreams(text, PORTS)
        except InvalidAnnotationError:
            return
        assert len({each.local_bind_port for each in upstreams}) == len(upstreams)
