"""`connect redirect-traffic`: send a workload's connections through its proxy, by kernel rules.

Takes Consul's flags, and the flags of kuma-init, which the transparent-proxy walkthroughs start their
init containers with.
Source: Consul 1.10 command/connect/redirecttraffic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.cli.client_errors import ClientError
from pellucid.cli.command import Command, CommandFailed, Invocation
from pellucid.cli.exclusion_flags import EXCLUSION_FLAGS, exclusions
from pellucid.cli.go_flags import Flag

if TYPE_CHECKING:
    from pellucid.dataplane.redirect_settings import RedirectSettings

PREFIX = "==> "
KUMA_FLAGS = ("p", "z", "u", "g", "d", "o", "m", "i", "b", "x", "k")


def _run(invocation: Invocation) -> int:
    from pellucid.dataplane.redirect_apply import (
        NetworkNamespace,
        RedirectError,
        apply_redirection,
        undo_redirection,
    )
    from pellucid.dataplane.redirect_plan import plan_redirection
    from pellucid.dataplane.redirect_proxy import NotAProxyError
    from pellucid.dataplane.redirect_settings import InvalidSettingError

    flags = invocation.flags
    namespace = NetworkNamespace(path=flags.text("netns") or None)
    try:
        if flags.boolean("undo"):
            undo_redirection(namespace)
            invocation.output("    Successfully removed traffic redirection rules")
            return 0
        plan = plan_redirection(_settings(invocation))
        if flags.boolean("dry-run"):
            invocation.output(plan.render())
            return 0
        apply_redirection(plan, namespace)
    except (InvalidSettingError, NotAProxyError) as error:
        raise CommandFailed(f"{PREFIX}{error}") from None
    except (RedirectError, ClientError) as error:
        raise CommandFailed(f"{PREFIX}Error setting up traffic redirection rules: {error}") from None
    invocation.output("    Successfully applied traffic redirection rules")
    return 0


def _settings(invocation: Invocation) -> RedirectSettings:
    """What the flags (and, with -proxy-id, the proxy's registration) ask for.

    Raises CommandFailed, ClientError, InvalidSettingError and NotAProxyError.
    """
    from pellucid.dataplane.kuma_flags import parse_kuma_flags

    flags = invocation.flags
    kuma = [(f"-{name}", flags.text(name)) for name in KUMA_FLAGS if flags.given(name)]
    if kuma:
        return parse_kuma_flags([word for pair in kuma for word in pair])
    proxy_id = flags.text("proxy-id")
    if not flags.text("proxy-uid"):
        raise CommandFailed(f"{PREFIX}-proxy-uid is required")
    if not proxy_id and not flags.given("proxy-inbound-port"):
        raise CommandFailed(f"{PREFIX}either -proxy-id or -proxy-inbound-port are required")
    if proxy_id and (flags.given("proxy-inbound-port") or flags.given("proxy-outbound-port")):
        raise CommandFailed(
            f"{PREFIX}-proxy-inbound-port or -proxy-outbound-port cannot be provided together with "
            "-proxy-id. Proxy's inbound and outbound ports are retrieved from the proxy's configuration "
            "instead."
        )
    return _of_proxy(invocation, proxy_id) if proxy_id else _of_flags(invocation)


def _of_flags(invocation: Invocation) -> RedirectSettings:
    from pellucid.dataplane.redirect_settings import (
        DEFAULT_OUTBOUND_PORT,
        RedirectSettings,
        parse_id,
    )

    flags = invocation.flags
    return RedirectSettings(
        proxy_uid=parse_id("-proxy-uid", flags.text("proxy-uid")),
        inbound_port=flags.integer("proxy-inbound-port") if flags.given("proxy-inbound-port") else 20000,
        outbound_port=flags.integer("proxy-outbound-port") or DEFAULT_OUTBOUND_PORT,
        **exclusions(flags),
    )


def _of_proxy(invocation: Invocation, proxy_id: str) -> RedirectSettings:
    """The settings of a registered proxy, with the exclusions of the flags."""
    from pellucid.dataplane.redirect_proxy import settings_of_proxy

    client = invocation.client()
    try:
        service = client.get(f"/v1/agent/service/{proxy_id}")
        checks = client.get("/v1/agent/checks")
    except ClientError as error:
        raise CommandFailed(f"{PREFIX}failed to fetch proxy service from Consul Agent: {error}") from None
    return settings_of_proxy(service, checks.values(), _of_flags(invocation))


REDIRECT_TRAFFIC = Command(
    usage="connect redirect-traffic [options]",
    about=(
        "Sets up the kernel so that every connection of this network namespace goes through the proxy: what "
        "arrives, to its inbound port; what leaves, to its outbound port. Connections of the proxy's own "
        "user are left alone. Running it again replaces its own earlier rules and no others. Needs root or "
        "NET_ADMIN.\n\n"
        "    $ {program} connect redirect-traffic -proxy-id web-sidecar-proxy -proxy-uid 1234\n"
        "    $ {program} connect redirect-traffic -proxy-uid 1234 -proxy-inbound-port 20000 -dry-run\n\n"
        "The one-letter flags are those of kuma-init and stand for themselves:\n\n"
        "    $ {program} connect redirect-traffic -p 15001 -z 20000 -u 0 -g 0 -d '' -o '' \\\n"
        "        -m REDIRECT -i '*' -b '*'"
    ),
    run=_run,
    flags=(
        Flag("dry-run", "Print the rules instead of applying them.", kind="boolean"),
        *EXCLUSION_FLAGS,
        Flag("netns", "The network namespace to change, by its file; this process's own when absent."),
        Flag("proxy-id", "A registered proxy to take the ports and exclusions from.", placeholder="ID"),
        Flag("proxy-inbound-port", "Where arriving connections land.", "integer", placeholder="port"),
        Flag(
            "proxy-outbound-port",
            "Where leaving connections land: 15001 if absent.",
            "integer",
            placeholder="port",
        ),
        Flag("proxy-uid", "The user that the proxy runs as.", placeholder="uid"),
        Flag("undo", "Remove the rules instead of applying them.", kind="boolean"),
        Flag("p", "kuma-init: outbound port.", placeholder="port"),
        Flag("z", "kuma-init: inbound port.", placeholder="port"),
        Flag("u", "kuma-init: the proxy's user, then users to leave alone.", placeholder="uids"),
        Flag("g", "kuma-init: groups to leave alone.", placeholder="gids"),
        Flag("d", "kuma-init: inbound ports to leave alone.", placeholder="ports"),
        Flag("o", "kuma-init: outbound ports to leave alone.", placeholder="ports"),
        Flag("m", "kuma-init: how to redirect; only REDIRECT.", placeholder="mode"),
        Flag("i", "kuma-init: destinations to redirect, '*' for all.", placeholder="cidrs"),
        Flag("b", "kuma-init: inbound ports to redirect, '*' for all.", placeholder="ports"),
        Flag("x", "kuma-init: destinations to leave alone.", placeholder="cidrs"),
        Flag("k", "kuma-init: accepted when empty.", placeholder="interfaces"),
    ),
    takes_namespace=True,
)
