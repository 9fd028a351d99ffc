"""Rules of custom objects: those of their schema first, then those it states in CEL."""

from __future__ import annotations

from pellucid.localkube.api.rules.causes import Object
from pellucid.localkube.api.status import Cause
from pellucid.localkube.types.custom import custom_breaches
from pellucid.localkube.types.custom_rules import has_rules, rule_breaches
from pellucid.localkube.types.schema import Schema

_BLOCKING = frozenset(
    {"FieldValueRequired", "FieldValueTypeInvalid", "FieldValueTooLong", "FieldValueTooMany"}
)
"""An object with any of these cannot be given to expressions."""
_UNCHECKED = (
    'Invalid value: "null": some validation rules were not checked because the object was invalid; correct '
    "the existing errors to complete validation"
)


def breaches(value: Object, old: Object | None, schema: Schema) -> list[Cause]:
    """Everything in which a custom object breaks its schema."""
    found = [Cause(*one) for one in custom_breaches(value, schema)]
    if any(one.reason in _BLOCKING for one in found):
        if has_rules(schema):
            found.append(Cause("<nil>", _UNCHECKED))
        return found
    return found + [Cause(*one) for one in rule_breaches(value, old, schema)]
