"""`envoy_bootstrap_json_tpl`: a user's own bootstrap, with our values in the places it names.

The template is Go's, reduced to what documents of this kind need: `{{ .Variable }}`, with `{{-` and `-}}`
trimming the white space beside it. Every other action is refused by name, never guessed at.
Sources: Consul 1.10 docs, "Envoy Integration", `envoy_bootstrap_json_tpl`; Go text/template, "Text and
spaces".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pellucid.dataplane.redirect_settings import InvalidSettingError

_FIELD = "envoy_bootstrap_json_tpl"
_ACTION = re.compile(
    r"(?P<before>\s*\{\{-(?=\s)|\{\{)(?P<action>.*?)(?P<after>(?<=\s)-\}\}\s*|\}\})", re.DOTALL
)
_VARIABLE = re.compile(r"\.(?P<name>\w+)")


def render_template(template: str, variables: Mapping[str, str]) -> str:
    """The template with its variables replaced. Raises InvalidSettingError with the line of the mistake."""

    def value_of(match: re.Match[str]) -> str:
        line = template.count("\n", 0, match.start("action")) + 1
        return _value_of(match["action"].strip(), line, variables)

    return _ACTION.sub(value_of, template)


def _value_of(action: str, line: int, variables: Mapping[str, str]) -> str:
    variable = _VARIABLE.fullmatch(action)
    if variable is None:
        raise InvalidSettingError(
            f"{_FIELD} line {line}", f"{{{{ {action} }}}}", "only {{ .Variable }} actions"
        )
    if variable["name"] not in variables:
        known = ", ".join(sorted(variables))
        raise InvalidSettingError(f"{_FIELD} line {line}", f".{variable['name']}", f"one of {known}")
    return variables[variable["name"]]
