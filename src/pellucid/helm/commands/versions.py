"""`helm version`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.helm import engine
from pellucid.helm.flags import UsageError

if TYPE_CHECKING:
    from pellucid.helm.call import Call


def version(call: Call) -> int:
    """The engine's version: it is Helm that answers here."""
    template = call.said.text("template")
    if template and template.replace(" ", "") != "{{.Version}}":
        raise UsageError(f"--template {template}: only {{{{.Version}}}} is known")
    found = engine.version()
    plain = template or call.said.boolean("short")
    call.output(found if plain else f'version.BuildInfo{{Version:"{found}"}}')
    return 0
