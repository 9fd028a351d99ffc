"""Every command of helm's that there is: its words, arguments, flags, and where it lives.

Source: `helm help` of helm 3 for each command.
"""

from __future__ import annotations

from dataclasses import dataclass

from pellucid.helm import chart_sources, command_flags, kube_settings, output
from pellucid.helm.command_flags import REVISION, switch
from pellucid.helm.flags import Flag

GLOBAL_FLAGS = (*kube_settings.FLAGS, Flag("help", "Help for this command.", kind="boolean", short="h"))
ABSENT_COMMANDS = frozenset(
    {
        *("completion", "dep", "dependency", "env", "fetch", "plugin", "pull", "push", "registry", "search"),
        "verify",
    }
)
"""Commands of helm's that there are not."""
ABSENT_FLAGS = frozenset(
    {
        *("ca-file", "cert-file", "content-cache", "dependency-update", "enable-dns", "key-file", "keyring"),
        *("insecure-skip-tls-verify", "name-template", "output-dir", "pass-credentials", "password", "sign"),
        *("password-stdin", "plain-http", "post-renderer", "post-renderer-args", "registry-config"),
        *("repository-cache", "show-resources", "time-format", "username", "verify"),
    }
)
"""Flags of helm's for the commands below that there are not."""


@dataclass(frozen=True)
class HelmCommand:
    """One command: `place` is the module of `pellucid.helm.commands` and the function in it.

    usage: what follows `helm` in its usage line. arguments: how many it takes, at least and at most.
    failure: what its errors begin with.
    """

    usage: str
    about: str
    place: str
    arguments: tuple[int, int] = (0, 0)
    flags: tuple[Flag, ...] = ()
    failure: str = ""


_MANY = 1000
_ONE = (1, 1)


def _get(part: str, about: str, *flags: Flag) -> HelmCommand:
    usage = f"get {part} RELEASE_NAME [flags]"
    return HelmCommand(usage, about, f"release_reports.get_{part}", _ONE, (REVISION, *flags))


def _show(part: str, about: str) -> HelmCommand:
    flags = (*chart_sources.FLAGS, command_flags.DEVEL)
    return HelmCommand(f"show {part} [CHART] [flags]", about, f"charts.show_{part}", _ONE, flags)


COMMANDS: dict[str, HelmCommand] = {
    "create": HelmCommand("create NAME [flags]", "Create a new chart", "charts.create", _ONE),
    "get all": _get("all", "All there is about a release"),
    "get hooks": _get("hooks", "A release's hooks"),
    "get manifest": _get("manifest", "A release's manifest"),
    "get metadata": _get("metadata", "A release's chart and state", output.FORMAT),
    "get notes": _get("notes", "A release's notes"),
    "get values": _get(
        "values", "A release's values", switch("all", "The chart's values too.", "a"), output.FORMAT
    ),
    "history": HelmCommand(
        "history RELEASE_NAME [flags]",
        "A release's revisions",
        "release_reports.history",
        _ONE,
        (Flag("max", "How many at most, the newest.", kind="integer", default=256), output.FORMAT),
    ),
    "install": HelmCommand(
        "install [NAME] [CHART] [flags]",
        "Install a chart",
        "release_changes.install",
        (1, 2),
        command_flags.INSTALL,
        failure="INSTALLATION FAILED: ",
    ),
    "lint": HelmCommand(
        "lint PATH [flags]", "Examine a chart for problems", "charts.lint", (0, _MANY), command_flags.LINT
    ),
    "list": HelmCommand(
        "list [flags]", "List releases", "release_reports.list_releases", flags=command_flags.LIST
    ),
    "package": HelmCommand(
        "package [CHART_PATH] [...] [flags]",
        "Make an archive of a chart",
        "charts.package",
        (1, _MANY),
        (
            Flag("destination", "The directory to write to.", default=".", short="d"),
            Flag("version", "The version to give the chart."),
            Flag("app-version", "The version to give the chart's application."),
        ),
    ),
    "repo add": HelmCommand(
        "repo add [NAME] [URL] [flags]",
        "Add a chart repository",
        "chart_repositories.add",
        (2, 2),
        (
            switch("force-update", "Take the place of a repository of that name."),
            switch("no-update", "Without effect, as in helm."),
        ),
    ),
    "repo list": HelmCommand(
        "repo list [flags]",
        "List chart repositories",
        "chart_repositories.list_repositories",
        flags=(output.FORMAT,),
    ),
    "repo remove": HelmCommand(
        "repo remove [REPO1 [REPO2 ...]] [flags]",
        "Remove chart repositories",
        "chart_repositories.remove",
        (1, _MANY),
    ),
    "repo update": HelmCommand(
        "repo update [REPO1 [REPO2 ...]] [flags]",
        "Look whether chart repositories answer",
        "chart_repositories.update",
        (0, _MANY),
    ),
    "rollback": HelmCommand(
        "rollback <RELEASE> [REVISION] [flags]",
        "Roll a release back to an earlier revision",
        "release_changes.rollback",
        (1, 2),
        command_flags.ROLLBACK,
    ),
    "show all": _show("all", "All there is about a chart"),
    "show chart": _show("chart", "A chart's definition"),
    "show crds": _show("crds", "A chart's custom resource definitions"),
    "show readme": _show("readme", "A chart's README"),
    "show values": _show("values", "A chart's values"),
    "status": HelmCommand(
        "status RELEASE_NAME [flags]",
        "The state of a release",
        "release_reports.status",
        _ONE,
        (REVISION, switch("show-desc", "Show the description too."), output.FORMAT),
    ),
    "template": HelmCommand(
        "template [NAME] [CHART] [flags]",
        "Render a chart here",
        "charts.template",
        (1, 2),
        command_flags.TEMPLATE,
    ),
    "test": HelmCommand(
        "test [RELEASE] [flags]", "Run a release's tests", "release_changes.test", _ONE, command_flags.TEST
    ),
    "uninstall": HelmCommand(
        "uninstall RELEASE_NAME [...] [flags]",
        "Uninstall releases",
        "release_changes.uninstall",
        (1, _MANY),
        command_flags.UNINSTALL,
    ),
    "upgrade": HelmCommand(
        "upgrade [RELEASE] [CHART] [flags]",
        "Upgrade a release",
        "release_changes.upgrade",
        (2, 2),
        command_flags.UPGRADE,
        failure="UPGRADE FAILED: ",
    ),
    "version": HelmCommand(
        "version [flags]",
        "The version of the Helm engine",
        "versions.version",
        flags=(
            switch("short", "The version only."),
            switch("client", "Without effect, as in helm.", "c"),
            Flag("template", "{{.Version}} only."),
        ),
    ),
}
ALIASES = {
    "ls": "list",
    "del": "uninstall",
    "delete": "uninstall",
    "un": "uninstall",
    "hist": "history",
    "repo ls": "repo list",
    "repo rm": "repo remove",
    "repo up": "repo update",
    "inspect all": "show all",
    "inspect chart": "show chart",
    "inspect crds": "show crds",
    "inspect readme": "show readme",
    "inspect values": "show values",
}
GROUPS = {
    "get": "Show what is stored about a release",
    "repo": "Add, list and remove chart repositories",
    "show": "Show what is in a chart",
}
GROUP_ALIASES = {"inspect": "show"}
