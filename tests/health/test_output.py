"""Output cut to size."""

from hypothesis import given
from hypothesis import strategies as st

from pellucid.health.output import DEFAULT_OUTPUT_MAX_SIZE, Tail, head_of


def tail_of(*chunks: bytes, size: int = 4) -> Tail:
    tail = Tail(size)
    for chunk in chunks:
        tail.write(chunk)
    return tail


def test_short_output_is_kept_as_it_is() -> None:
    assert tail_of(b"ab", b"cd").captured_text == "abcd"
    assert head_of("abcd", 4) == "abcd"


def test_of_long_output_a_command_keeps_the_end() -> None:
    assert tail_of(b"abc", b"def").captured_text == "Captured 4 of 6 bytes\n...\ncdef"


def test_of_long_output_a_report_keeps_the_beginning() -> None:
    assert head_of("abcdef", 4) == "abcd ... (captured 4 of 6 bytes)"


def test_a_character_is_never_cut_in_two() -> None:
    assert head_of("aé", 2) == "a ... (captured 2 of 3 bytes)"


def test_output_that_is_not_text_is_shown_all_the_same() -> None:
    assert tail_of(b"\xff\xfe").text == "\ufffd\ufffd"


def test_no_size_means_the_default() -> None:
    assert len(tail_of(b"x" * 10_000, size=0).text) == DEFAULT_OUTPUT_MAX_SIZE


@given(st.lists(st.binary(max_size=20)), st.integers(1, 30))
def test_the_tail_is_that_of_everything_written(chunks: list[bytes], size: int) -> None:
    everything = b"".join(chunks)
    assert tail_of(*chunks, size=size).text == everything[-size:].decode("utf-8", "replace")
