"""The flags of helm's commands, those that several of them share or that are many.

Source: `helm help` of helm 3 for each command.
"""

from __future__ import annotations

from pellucid.helm import chart_sources, output
from pellucid.helm.flags import Flag
from pellucid.helm.user_values import FLAGS as VALUES


def switch(name: str, about: str, short: str = "") -> Flag:
    """A flag that is there or not."""
    return Flag(name, about, kind="boolean", short=short)


TIMEOUT = Flag("timeout", "How long to wait for one thing of the cluster.", kind="duration", default=300.0)
WAIT = Flag(
    "wait",
    "Wait until everything is ready: watcher (meant by --wait alone), or legacy, which polls.",
    bare="watcher",
)
DRY_RUN = Flag("dry-run", "Change nothing: client (meant by --dry-run alone) or server.", bare="client")
NO_HOOKS = switch("no-hooks", "Leave hooks out.")
DESCRIPTION = Flag("description", "A description of this change.")
REVISION = Flag("revision", "The revision; the newest if absent.", kind="integer")
DEVEL = switch("devel", "Take versions that are not final too.")
CHANGES = (
    *chart_sources.FLAGS,
    *VALUES,
    TIMEOUT,
    WAIT,
    DRY_RUN,
    NO_HOOKS,
    DESCRIPTION,
    DEVEL,
    output.FORMAT,
    switch("wait-for-jobs", "With --wait, wait for Jobs to be complete too."),
    switch("atomic", "If it fails, take back what was done; waits too."),
    switch("rollback-on-failure", "helm 4's name for --atomic."),
    switch("create-namespace", "Create the release's namespace if there is none."),
    switch("skip-crds", "Leave out the crds directory."),
    switch("disable-openapi-validation", "Do not check manifests against the cluster's schema."),
    switch("skip-schema-validation", "Do not check values against the chart's schema."),
    switch("render-subchart-notes", "Show the subcharts' notes too."),
    switch("hide-notes", "Do not show the notes."),
    switch("hide-secret", "With --dry-run, do not show Secrets."),
    switch("take-ownership", "Take over objects that belong to no release, or to another."),
    switch("force", "Replace objects instead of changing them."),
    switch("force-conflicts", "Take over fields that others manage."),
    Flag("labels", "Labels of the release: key1=value1,key2=value2", kind="comma list", short="l"),
)
INSTALL = (
    *CHANGES,
    switch("generate-name", "Make a name of the chart's.", "g"),
    switch("replace", "Take the name of an uninstalled release whose history was kept."),
)
UPGRADE = (
    *CHANGES,
    switch("install", "Install it if there is no release of that name.", "i"),
    switch("reuse-values", "Keep the last release's values, with those given on top."),
    switch("reset-values", "Take the chart's values, with those given on top."),
    switch("reset-then-reuse-values", "The chart's values, the last release's, and those given on top."),
    switch("cleanup-on-fail", "If it fails, delete what it created."),
    Flag("history-max", "How many revisions to keep; 0 for all.", kind="integer", default=10),
)
UNINSTALL = (
    TIMEOUT,
    WAIT,
    NO_HOOKS,
    DESCRIPTION,
    switch("keep-history", "Keep the release's history."),
    switch("ignore-not-found", "It is no error if there is no such release."),
    switch("dry-run", "Change nothing."),
    Flag("cascade", "How dependents go: background, foreground or orphan.", default="background"),
)
LIST = (
    switch("all-namespaces", "Of every namespace.", "A"),
    switch("all", "In every state.", "a"),
    switch("short", "Names only.", "q"),
    switch("date", "By date.", "d"),
    switch("reverse", "The other way round.", "r"),
    switch("deployed", "Those that are deployed; with no such flag, these and the failed."),
    switch("failed", "Those that failed."),
    switch("pending", "Those that are under way."),
    switch("superseded", "Those that newer revisions took the place of."),
    switch("uninstalled", "Those that are uninstalled and whose history was kept."),
    switch("uninstalling", "Those that are being uninstalled."),
    switch("no-headers", "Without the heading."),
    Flag("filter", "Those whose name this regular expression finds.", short="f"),
    Flag("selector", "Those with these labels.", short="l"),
    Flag("max", "How many at most; 0 for all.", kind="integer", default=256, short="m"),
    Flag("offset", "How many to leave out first.", kind="integer"),
    output.FORMAT,
)
ROLLBACK = (
    TIMEOUT,
    WAIT,
    NO_HOOKS,
    DRY_RUN,
    switch("wait-for-jobs", "With --wait, wait for Jobs to be complete too."),
    switch("cleanup-on-fail", "If it fails, delete what it created."),
    switch("force", "Replace objects instead of changing them."),
    Flag("history-max", "How many revisions to keep; 0 for all.", kind="integer", default=10),
)
TEMPLATE = (
    *chart_sources.FLAGS,
    *VALUES,
    NO_HOOKS,
    DEVEL,
    switch("include-crds", "The crds directory too."),
    switch("skip-crds", "Leave out the crds directory (which is so anyway)."),
    switch("skip-tests", "Leave out tests."),
    switch("validate", "Ask the cluster, as --dry-run=server does."),
    switch("generate-name", "Make a name of the chart's.", "g"),
    switch("skip-schema-validation", "Do not check values against the chart's schema."),
    switch("create-namespace", "Without effect, as in helm."),
    Flag("show-only", "Only these templates.", kind="list", short="s"),
    Flag("api-versions", "API versions that there are.", kind="comma list", short="a"),
    Flag("kube-version", "The Kubernetes version to render for."),
    Flag("dry-run", "client or server.", bare="client"),
)
LINT = (
    *VALUES,
    switch("strict", "Warnings are failures."),
    switch("quiet", "Only warnings and errors."),
    switch("with-subcharts", "The charts it depends on too."),
    switch("skip-schema-validation", "Do not check values against the chart's schema."),
    Flag("kube-version", "The Kubernetes version to lint for."),
)
TEST = (
    TIMEOUT,
    switch("logs", "Show the logs of the test pods."),
    Flag("filter", "Tests by attribute: name=NAME or !name=NAME.", kind="comma list"),
    switch("hide-notes", "Do not show the notes."),
)
