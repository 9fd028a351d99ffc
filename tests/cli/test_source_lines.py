"""Where in a file a key stands."""

from __future__ import annotations

from pellucid.cli.source_lines import line_numbers, line_of, mentioned

HCL = """\
# a comment with { and "
Kind = "service-intentions"
Sources = [
  {
    Name = "a, b = {"   // said twice
  },
  { Name = "c", action = "deny" },
]
UpstreamConfig {
  overrides {
    name = "x"
  }
  overrides { name = "y" }
}
Subsets "v1" {
  Filter = <<EOF
Name = "not a key"
EOF
}
Last = 1
"""
JSON = '{\n  "Kind": "x",\n  "Splits": [\n    {"Weight": 1},\n    {"Weight": 2}\n  ]\n}\n'


def lines_of(text: str, *paths: str) -> list[int | None]:
    lines = line_numbers(text)
    return [line_of(path, lines) for path in paths]


def test_keys_of_hcl_are_found_by_path() -> None:
    assert lines_of(HCL, "Kind", "Sources[0].Name", "Sources[1]", "Sources[1].Action") == [2, 5, 7, 7]


def test_repeated_blocks_are_numbered_like_lists() -> None:
    assert lines_of(HCL, "UpstreamConfig.Overrides[0].Name", "UpstreamConfig.Overrides[1].Name") == [11, 13]


def test_labels_are_keys_and_heredocs_hold_none() -> None:
    assert lines_of(HCL, "Subsets.v1.Filter", "Last", "Name") == [16, 20, None]


def test_case_and_underscores_do_not_matter() -> None:
    assert lines_of(HCL, "upstream_config.OVERRIDES") == [10]


def test_keys_of_json_are_found_too() -> None:
    assert lines_of(JSON, "Kind", "Splits[0].Weight", "Splits[1].Weight") == [2, 4, 5]


def test_a_message_is_searched_for_paths_that_the_file_has() -> None:
    lines = line_numbers(HCL)
    assert mentioned('Sources[1] defines "Web" more than once', lines) == [("Sources[1]", 7)]
    assert mentioned("Nothing of Interest", lines) == []
