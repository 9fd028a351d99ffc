"""Intentions written as `web -> db deny`, and strategies that make any."""

from __future__ import annotations

from hypothesis import strategies as st

from pellucid.model.config_entries import (
    IntentionHTTPPermission,
    IntentionPermission,
    precedence,
)
from pellucid.model.intentions import Intention

NAMES = ("web", "api", "db")

ONE_PERMISSION = (IntentionPermission("deny", IntentionHTTPPermission(path_prefix="/admin")),)


def intention(text: str) -> Intention:
    """`web -> db deny`, `* -> * allow`, or `web -> db judge` for an intention with permissions."""
    source, _, destination, action = text.split()
    return Intention(
        source_name=source,
        destination_name=destination,
        action="" if action == "judge" else action,
        permissions=ONE_PERMISSION if action == "judge" else (),
        precedence=precedence(source, destination),
    )


def intentions(*texts: str) -> tuple[Intention, ...]:
    return tuple(map(intention, texts))


def any_intentions() -> st.SearchStrategy[tuple[Intention, ...]]:
    """Sets of intentions with at most one for each pair of names, as the entries guarantee."""
    names = st.sampled_from((*NAMES, "*"))
    pairs = st.lists(st.tuples(names, names), unique=True, max_size=16)
    actions = st.sampled_from(("allow", "deny", "judge"))
    return pairs.flatmap(
        lambda chosen: st.tuples(
            *(
                st.builds(lambda action, pair=pair: intention(f"{pair[0]} -> {pair[1]} {action}"), actions)
                for pair in chosen
            )
        )
    )
