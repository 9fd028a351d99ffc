"""Plain dicts become values by the type hints of a struct."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import msgspec
import pytest

from pellucid.model.decoding import DecodeError, UnknownKey, decode
from pellucid.model.durations import Duration
from pellucid.model.hcl import parse
from pellucid.model.weak_types import TypeMismatch
from pellucid.model.wire import UInt32


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Part(msgspec.Struct, frozen=True):
    port: int = 0
    path_exact: str = ""


class Thing(msgspec.Struct, frozen=True):
    name: str = ""
    external_sni: str = ""
    enabled: bool = False
    count: UInt32 = 0
    timeout: Duration = 0
    limit: int | None = None
    colour: Colour = Colour.RED
    tags: tuple[str, ...] = ()
    part: Part = Part()
    spare: Part | None = None
    parts: tuple[Part, ...] = ()
    by_name: Mapping[str, Part] = msgspec.field(default_factory=dict)
    meta: Mapping[str, str] = msgspec.field(default_factory=dict)
    config: Mapping[str, Any] | None = None


class Versioned(msgspec.Struct, frozen=True):
    mode: str = ""

    @classmethod
    def before_decoding(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"Mode": data["OldMode"]} if "OldMode" in data else data


class Renamed(msgspec.Struct, frozen=True, rename={"node_name": "node-name"}):
    node_name: str = ""


class Keyed(msgspec.Struct, frozen=True):
    id: str
    note: str = ""


@pytest.mark.parametrize("key", ["ExternalSNI", "externalsni", "EXTERNALSNI", "external_sni", "External_Sni"])
def test_keys_match_the_go_name_in_any_case_or_the_snake_case_alias(key: str) -> None:
    assert decode(Thing, {key: "x"}).external_sni == "x"


def test_the_go_name_wins_over_the_alias_whichever_comes_first() -> None:
    assert decode(Thing, {"external_sni": "alias", "ExternalSNI": "name"}).external_sni == "name"
    assert decode(Thing, {"externalsni": "name", "external_sni": "alias"}).external_sni == "name"


def test_two_spellings_of_the_go_name_leave_one_unknown() -> None:
    with pytest.raises(DecodeError, match='invalid config key "name"'):
        decode(Thing, {"name": "a", "Name": "b"})


def test_missing_and_null_keys_leave_the_default() -> None:
    assert decode(Thing, {"Name": None, "Parts": None, "Part": None}) == Thing()


def test_a_list_of_one_stands_for_its_element() -> None:
    assert decode(Thing, {"Name": ["a"], "Part": [{"Port": [1]}], "Spare": [{}]}) == Thing(
        name="a", part=Part(port=1), spare=Part()
    )


def test_a_lone_value_stands_for_a_list_of_one() -> None:
    assert decode(Thing, {"Tags": "a", "Parts": {"Port": 1}}) == Thing(tags=("a",), parts=(Part(port=1),))


def test_an_empty_map_stands_for_an_empty_list() -> None:
    assert decode(Thing, {"Tags": {}, "Parts": {}}) == Thing()


def test_a_list_of_maps_is_merged_where_a_map_of_named_things_is_wanted() -> None:
    assert decode(Thing, {"ByName": [{"a": [{"Port": 1}]}, {"b": [{"Port": 2}]}]}).by_name == {
        "a": Part(port=1),
        "b": Part(port=2),
    }


def test_zero_is_not_the_same_as_unset() -> None:
    assert decode(Thing, {"Limit": 0}).limit == 0
    assert decode(Thing, {}).limit is None


def test_keys_of_maps_are_kept_to_the_letter() -> None:
    assert decode(Thing, {"meta": {"Some_Key": True}}).meta == {"Some_Key": "1"}


def test_opaque_maps_keep_their_values_but_lose_lists_of_one() -> None:
    block = {"Config": [{"a": [{"b": ["c"], "d": [1, 2]}], "e": None}]}
    assert decode(Thing, block).config == {"a": {"b": "c", "d": [1, 2]}, "e": None}


def test_opaque_numbers_beyond_64_bits_lose_precision_or_are_refused() -> None:
    assert decode(Thing, {"Config": {"a": 2**64, "b": 2**64 - 1}}).config == {"a": 2.0**64, "b": 2**64 - 1}
    for number in (10**400, float("inf"), float("nan")):
        with pytest.raises(DecodeError, match=r"'Config\[a\]' holds a number that is out of range"):
            decode(Thing, {"Config": {"a": number}})


def test_an_enum_takes_its_values_only() -> None:
    assert decode(Thing, {"Colour": "blue"}).colour is Colour.BLUE
    with pytest.raises(DecodeError, match='\'Colour\' must be one of "red", "blue", not "green"'):
        decode(Thing, {"Colour": "green"})


def test_a_field_without_default_is_required() -> None:
    with pytest.raises(DecodeError) as refusal:
        decode(Keyed, {"Note": "n"})
    assert str(refusal.value) == "1 error(s) decoding:\n\n* 'ID' is required"


def test_a_struct_may_bring_its_input_up_to_date() -> None:
    assert decode(Versioned, {"OldMode": "direct"}).mode == "direct"


def test_a_struct_that_renames_its_fields_keeps_those_names() -> None:
    assert decode(Renamed, {"node-name": "a"}).node_name == "a"


def test_unknown_keys_are_all_named_with_their_place() -> None:
    data = {"Bogus": 1, "part": {"Nope": 1}, "Parts": [{}, {"Extra": 1}], "by_name": {"a": {"Odd": 1}}}
    with pytest.raises(DecodeError) as refusal:
        decode(Thing, data)
    assert str(refusal.value) == (
        "4 errors occurred:\n"
        '\t* invalid config key "Bogus"\n'
        '\t* invalid config key "Part.Nope"\n'
        '\t* invalid config key "Parts[1].Extra"\n'
        '\t* invalid config key "ByName[a].Odd"\n\n'
    )


def test_one_unknown_key_is_singular() -> None:
    with pytest.raises(DecodeError) as refusal:
        decode(Thing, {"Bogus": 1})
    assert str(refusal.value) == '1 error occurred:\n\t* invalid config key "Bogus"\n\n'


def test_an_unknown_namespace_is_an_enterprise_feature() -> None:
    with pytest.raises(DecodeError) as refusal:
        decode(Thing, {"SourceNamespace": "x"})
    assert str(refusal.value) == (
        '1 error occurred:\n\t* invalid config key "SourceNamespace", '
        "namespaces are a consul enterprise feature\n\n"
    )


def test_ignored_keys_are_passed_over_at_the_top_only_and_as_spelt() -> None:
    assert decode(Thing, {"CreateIndex": 1}, ignore={"CreateIndex"}) == Thing()
    with pytest.raises(DecodeError, match="createindex"):
        decode(Thing, {"createindex": 1}, ignore={"CreateIndex"})
    with pytest.raises(DecodeError, match=r"Part\.CreateIndex"):
        decode(Thing, {"Part": {"CreateIndex": 1}}, ignore={"CreateIndex"})


def test_type_errors_are_all_named_in_alphabetical_order_and_hide_unknown_keys() -> None:
    data = {"Part": True, "Count": "x", "Parts": [{"Port": {}}, "y"], "Timeout": "10", "Bogus": 1}
    with pytest.raises(DecodeError) as refusal:
        decode(Thing, data)
    assert str(refusal.value) == (
        "5 error(s) decoding:\n\n"
        "* 'Part' expected a map, got 'bool'\n"
        "* 'Parts[0].Port' expected type 'int', got unconvertible type 'map[string]interface {}', "
        "value: 'map[]'\n"
        "* 'Parts[1]' expected a map, got 'string'\n"
        "* cannot parse 'Count' as uint: strconv.ParseUint: parsing \"x\": invalid syntax\n"
        "* error decoding 'Timeout': time: missing unit in duration \"10\""
    )
    assert [type(error) for error in refusal.value.errors] == [TypeMismatch] * 5 + [UnknownKey]


def test_a_longer_list_is_no_map() -> None:
    with pytest.raises(DecodeError, match="'Part' expected a map, got 'slice'"):
        decode(Thing, {"Part": [{}, {}]})


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        ({"Nmae": "x"}, 'Nmae: did you mean "Name"?'),
        ({"external-sni": "x"}, 'external-sni: did you mean "ExternalSNI"?'),
        ({"PathExact": "x"}, 'PathExact: did you mean "PathExact" inside "ByName"?'),
        ({"Spare": {"Timeuot": 1}}, 'Spare.Timeuot: did you mean "Timeout" at the top level?'),
        ({"Spare": {"Zzzzz": 1}}, "Spare.Zzzzz: known keys here: Port, PathExact"),
    ],
)
def test_an_unknown_key_comes_with_advice(data: dict[str, Any], advice: str) -> None:
    with pytest.raises(DecodeError) as refusal:
        decode(Thing, data)
    assert refusal.value.advice == (advice,)


def test_advice_on_hcl_text_says_the_line() -> None:
    with pytest.raises(DecodeError) as refusal:
        decode(Thing, parse('Name = "x"\nPart {\n  Prot = 1\n}'))
    assert refusal.value.advice == ('line 3: Part.Prot: did you mean "Port"?',)


def test_values_read_from_hcl_hold_plain_text() -> None:
    thing = decode(Thing, parse('Meta { a = "b" }\nConfig { c { d = 1 } }'))
    assert msgspec.json.encode((thing.meta, thing.config)) == b'[{"a":"b"},{"c":{"d":1}}]'


@pytest.mark.parametrize("wrap", [lambda inner: {"a": inner}, lambda inner: [inner, 1]])
def test_opaque_values_have_a_greatest_depth(wrap: Callable[[Any], Any]) -> None:
    def nested(levels: int) -> Any:
        value: Any = 0
        for _ in range(levels):
            value = wrap(value)
        return value

    assert decode(Thing, {"Config": {"c": nested(100)}}).config == {"c": nested(100)}
    with pytest.raises(DecodeError) as refusal:
        decode(Thing, {"Config": {"c": nested(5_000)}})
    assert str(refusal.value) == "1 error(s) decoding:\n\n* 'Config[c]' is nested more than 100 levels deep"
