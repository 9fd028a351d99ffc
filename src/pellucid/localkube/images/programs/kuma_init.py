"""Redirects a pod's TCP traffic to a proxy in it, by the flags of kuma-init 1.0.

-p/-z: proxy's port for outbound/inbound; -u/-g: user/group whose traffic goes free; -b: inbound ports to
redirect, `*` for all; -d: inbound ports not to; -i: outbound networks to redirect, `*` for all; -o: outbound
ports not to.
"""

import argparse
import subprocess
import sys


def parse(arguments: list[str]) -> argparse.Namespace:
    """Exits with a message on an unknown flag."""
    parser = argparse.ArgumentParser(prog="kuma-init", add_help=False)
    parser.add_argument("-p", dest="outbound", default="15001")
    parser.add_argument("-z", dest="inbound", default="15006")
    parser.add_argument("-u", dest="user", default="")
    parser.add_argument("-g", dest="group", default="")
    parser.add_argument("-m", dest="mode", default="REDIRECT", choices=["REDIRECT"])
    parser.add_argument("-b", dest="inbound_ports", default="")
    parser.add_argument("-d", dest="inbound_exclude", default="")
    parser.add_argument("-i", dest="outbound_networks", default="")
    parser.add_argument("-o", dest="outbound_exclude", default="")
    parser.add_argument("-x", dest="outbound_networks_exclude", default="")
    options, _ = parser.parse_known_args(arguments)
    return options


def rules(options: argparse.Namespace, loopback: str) -> str:
    """The nat table, as iptables-restore reads it. `loopback` is `127.0.0.1/32` or `::1/128`."""
    family = 6 if ":" in loopback else 4
    lines = [
        "*nat",
        *(f":{chain} - [0:0]" for chain in ("KUMA_IN", "KUMA_IN_REDIRECT", "KUMA_OUT", "KUMA_OUT_REDIRECT")),
        f"-A KUMA_OUT_REDIRECT -p tcp -j REDIRECT --to-ports {options.outbound}",
        f"-A KUMA_IN_REDIRECT -p tcp -j REDIRECT --to-ports {options.inbound}",
        "-A PREROUTING -p tcp -j KUMA_IN",
        "-A OUTPUT -p tcp -j KUMA_OUT",
        "-A KUMA_IN -p tcp --dport 22 -j RETURN",
    ]
    lines += [f"-A KUMA_IN -p tcp --dport {port} -j RETURN" for port in _items(options.inbound_exclude)]
    for port in _items(options.inbound_ports):
        lines.append(f"-A KUMA_IN -p tcp{'' if port == '*' else f' --dport {port}'} -j KUMA_IN_REDIRECT")
    lines += [f"-A KUMA_OUT -p tcp --dport {port} -j RETURN" for port in _items(options.outbound_exclude)]
    lines += [f"-A KUMA_OUT -m owner --uid-owner {user} -j RETURN" for user in _items(options.user)]
    lines += [f"-A KUMA_OUT -m owner --gid-owner {group} -j RETURN" for group in _items(options.group)]
    lines.append(f"-A KUMA_OUT -d {loopback} -j RETURN")
    for network in _items(options.outbound_networks_exclude):
        if (":" in network) == (family == 6):
            lines.append(f"-A KUMA_OUT -d {network} -j RETURN")
    for network in _items(options.outbound_networks):
        if network == "*":
            lines.append("-A KUMA_OUT -j KUMA_OUT_REDIRECT")
        elif (":" in network) == (family == 6):
            lines.append(f"-A KUMA_OUT -d {network} -j KUMA_OUT_REDIRECT")
    return "\n".join([*lines, "COMMIT", ""])


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def main() -> None:
    """Apply to both address families and print what was applied."""
    options = parse(sys.argv[1:])
    for command, loopback in (("iptables-restore", "127.0.0.1/32"), ("ip6tables-restore", "::1/128")):
        text = rules(options, loopback)
        print(text, end="", flush=True)
        subprocess.run([command, "-w"], input=text, text=True, check=True)


if __name__ == "__main__":
    main()
