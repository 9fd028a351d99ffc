"""The rules of service-intentions entries."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.model.config_entries import (
    ConfigEntryError,
    ServiceIntentions,
    SourceIntention,
    decode_config_entry,
    normalize,
    precedence,
    validate,
)

LEGACY = SourceIntention(
    name="web",
    action="allow",
    legacy_id="649086dc-2e2b-439a-1a93-3037376bd4be",
    legacy_meta={"k": "v"},
    legacy_create_time="2026-11-23T21:18:45Z",
    legacy_update_time="2026-11-23T21:18:45Z",
)


def entry_of(*sources: dict[str, Any], name: str = "db", **fields: Any) -> ServiceIntentions:
    data = {"Kind": "service-intentions", "Name": name, "Sources": list(sources), **fields}
    entry = normalize(decode_config_entry(data))
    assert isinstance(entry, ServiceIntentions)
    return entry


def refusal_of(entry: ServiceIntentions) -> str:
    with pytest.raises(ConfigEntryError) as refusal:
        validate(entry)
    return str(refusal.value)


def permitting(**permission: Any) -> dict[str, Any]:
    return {"Name": "web", "Permissions": [{"Action": "allow", "HTTP": {"PathExact": "/"}}, permission]}


@pytest.mark.parametrize(
    ("source", "destination", "strength"),
    [("web", "db", 9), ("*", "db", 8), ("web", "*", 6), ("*", "*", 5)],
)
def test_precedence_follows_from_the_names(source: str, destination: str, strength: int) -> None:
    assert precedence(source, destination) == strength
    entry = entry_of({"Name": source, "Action": "deny", "Precedence": 42}, name=destination)
    assert entry.sources[0].precedence == strength


def test_sources_are_sorted_by_precedence_and_equals_keep_their_order() -> None:
    entry = entry_of(*({"Name": name, "Action": "allow"} for name in ("z", "*", "a")))
    assert [source.name for source in entry.sources] == ["z", "a", "*"]


def test_the_type_is_consul_by_default() -> None:
    assert entry_of({"Name": "web", "Action": "allow"}).sources[0].type == "consul"


def test_permissions_are_kept_with_methods_in_upper_case() -> None:
    entry = entry_of(permitting(Action="deny", HTTP={"Methods": ["get"]}))
    validate(entry)
    assert entry.has_permissions
    kept = entry.sources[0].permissions[1]
    assert kept.http is not None
    assert (kept.action, kept.http.methods) == ("deny", ("GET",))


def test_a_direct_write_silently_drops_ids_and_times_but_refuses_to_lose_meta() -> None:
    entry = ServiceIntentions(name="db", sources=(LEGACY,)).normalized()
    source = entry.sources[0]
    assert (source.legacy_id, source.legacy_create_time, source.legacy_update_time) == ("", "", "")
    assert refusal_of(entry) == "Sources[0].LegacyMeta must be omitted"


def test_a_legacy_write_keeps_ids_times_and_meta() -> None:
    entry = ServiceIntentions(name="db", sources=(LEGACY,)).normalized(legacy_write=True)
    entry.validate(legacy_write=True)
    assert entry.sources[0].legacy_id == LEGACY.legacy_id
    assert entry.sources[0].legacy_meta == {"k": "v"}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"legacy_id": ""}, "Sources[0].LegacyID must be set"),
        ({"legacy_create_time": ""}, "Sources[0].LegacyCreateTime must be set"),
        ({"legacy_update_time": ""}, "Sources[0].LegacyUpdateTime must be set"),
        (
            {"legacy_meta": {str(n): "" for n in range(65)}},
            "Sources[0].Meta exceeds maximum element count 64",
        ),
        ({"legacy_meta": {"k" * 129: ""}}, f'Sources[0].Meta key "{"k" * 129}" exceeds maximum length 128'),
        ({"legacy_meta": {"k": "v" * 513}}, 'Sources[0].Meta value for key "k" exceeds maximum length 512'),
        ({"action": ""}, "Sources[0].Action must be set to 'allow' or 'deny'"),
    ],
)
def test_legacy_writes_that_are_refused(changes: dict[str, Any], text: str) -> None:
    source = SourceIntention(**{name: getattr(LEGACY, name) for name in LEGACY.__struct_fields__} | changes)
    entry = ServiceIntentions(name="db", sources=(source,)).normalized(legacy_write=True)
    with pytest.raises(ConfigEntryError) as refusal:
        entry.validate(legacy_write=True)
    assert str(refusal.value) == text


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (entry_of({"Name": "a", "Action": "allow"}, name=""), "Name is required"),
        (
            entry_of({"Name": "a", "Action": "allow"}, name="a*"),
            "Name: wildcard character '*' cannot be used with partial values",
        ),
        (entry_of(), "At least one source is required"),
        (entry_of({"Action": "allow"}), "Sources[0].Name is required"),
        (
            entry_of({"Name": "a*", "Action": "allow"}),
            "Sources[0].Name: wildcard character '*' cannot be used with partial values",
        ),
        (
            entry_of({"Name": "web", "Action": "allow"}, {"Name": "web", "Action": "deny"}),
            'Sources[1] defines "web" more than once',
        ),
        (entry_of({"Name": "a"}), "Sources[0].Action must be set to 'allow' or 'deny'"),
        (entry_of({"Name": "a", "Action": "bogus"}), "Sources[0].Action must be set to 'allow' or 'deny'"),
        (
            entry_of({"Name": "a", "Action": "allow", "Type": "x"}),
            "Sources[0].Type must be set to 'consul'",
        ),
        (
            entry_of({"Name": "a", "Action": "allow", "Description": "d" * 513}),
            "Sources[0].Description exceeds maximum length 512",
        ),
        (
            entry_of({**permitting(), "Action": "allow"}),
            "Sources[0].Action must be omitted if Permissions are specified",
        ),
        (
            entry_of(permitting(), name="*"),
            "Sources[0].Permissions cannot be specified on intentions with wildcarded destinations",
        ),
        (
            entry_of(permitting(HTTP={"PathExact": "/"})),
            "Sources[0].Permissions[1].Action must be set to 'allow' or 'deny'",
        ),
        (entry_of(permitting(Action="allow")), "Sources[0].Permissions[1].HTTP is required"),
        (
            entry_of(permitting(Action="allow", HTTP={})),
            "Sources[0].Permissions[1].HTTP should not be empty",
        ),
        (
            entry_of(permitting(Action="allow", HTTP={"PathExact": "v"})),
            """Sources[0].Permissions[1].HTTP.PathExact doesn't start with '/': "v\"""",
        ),
        (
            entry_of(permitting(Action="allow", HTTP={"PathPrefix": "v"})),
            """Sources[0].Permissions[1].HTTP.PathPrefix doesn't start with '/': "v\"""",
        ),
        (
            entry_of(permitting(Action="allow", HTTP={"PathPrefix": "/", "PathRegex": "."})),
            "Sources[0].Permissions[1].HTTP should only contain at most one of "
            "PathExact, PathPrefix, or PathRegex",
        ),
        (
            entry_of(permitting(Action="allow", HTTP={"Header": [{"Exact": "v"}]})),
            "Sources[0].Permissions[1].HTTP.Header[0] missing required Name field",
        ),
        (
            entry_of(permitting(Action="allow", HTTP={"Header": [{"Name": "x"}]})),
            "Sources[0].Permissions[1].HTTP.Header[0] should only contain one of "
            "Present, Exact, Prefix, Suffix, or Regex",
        ),
        (
            entry_of(permitting(Action="allow", HTTP={"Methods": ["X"]})),
            'Sources[0].Permissions[1].HTTP.Methods contains an invalid method "X"',
        ),
        (
            entry_of(permitting(Action="allow", HTTP={"Methods": ["GET", "get"]})),
            'Sources[0].Permissions[1].HTTP.Methods contains "GET" more than once',
        ),
    ],
)
def test_entries_that_are_refused(entry: ServiceIntentions, text: str) -> None:
    assert refusal_of(entry) == text


def test_meta_is_for_the_api_without_ids_only() -> None:
    entry = ServiceIntentions(name="db", sources=(LEGACY,), meta={"a": "b"}).normalized(legacy_write=True)
    with pytest.raises(ConfigEntryError) as refusal:
        entry.validate(legacy_write=True)
    assert str(refusal.value) == "Meta must be omitted for legacy intention writes"


def test_a_source_is_replaced_in_its_place_or_added_at_the_end() -> None:
    entry = entry_of({"Name": "a", "Action": "allow"}, {"Name": "b", "Action": "allow"})
    denied = SourceIntention(name="a", action="deny")
    assert [(s.name, s.action) for s in entry.with_source(denied).sources] == [("a", "deny"), ("b", "allow")]
    added = entry.with_source(SourceIntention(name="c", action="deny"))
    assert [source.name for source in added.sources] == ["a", "b", "c"]
    assert added.source("c") == SourceIntention(name="c", action="deny")
    assert added.source("d") is None


def test_a_source_with_an_id_is_replaced_under_another_name_and_keeps_its_birthday() -> None:
    later = "2026-12-24T00:00:00Z"
    other = SourceIntention(
        name="other",
        action="allow",
        legacy_id=LEGACY.legacy_id,
        legacy_create_time=later,
        legacy_update_time=later,
    )
    (replaced,) = ServiceIntentions(name="db", sources=(LEGACY,)).with_legacy_source(other).sources
    assert (replaced.name, replaced.legacy_create_time, replaced.legacy_update_time) == (
        "other",
        LEGACY.legacy_create_time,
        later,
    )


def test_sources_are_taken_out_by_name_or_id() -> None:
    plain = SourceIntention(name="api", action="allow")
    entry = ServiceIntentions(name="db", sources=(LEGACY, plain))
    assert entry.without_source("api").sources == (LEGACY,)
    assert entry.without_legacy_source(LEGACY.legacy_id).sources == (plain,)
    assert entry.without_source("nobody") == entry
