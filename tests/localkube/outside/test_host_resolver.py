"""Which name servers a resolver file names."""

from __future__ import annotations

from pellucid.localkube.outside.host_resolver import name_servers


def test_servers_come_in_the_files_order_and_the_rest_is_passed_over() -> None:
    text = (
        "# nameserver 192.0.2.1\nsearch a.example\nnameserver 192.0.2.2 ; first\n\tnameserver 2001:db8::2\n"
    )
    assert name_servers(text) == ("192.0.2.2", "2001:db8::2")


def test_a_file_that_names_none_means_this_machine() -> None:
    assert name_servers("nameserver\nnameserver none\noptions edns0\n") == ("127.0.0.1",)
