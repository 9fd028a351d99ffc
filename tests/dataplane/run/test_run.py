"""A run from its start to its end, with the real kernel and the real Envoy."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
from dnslib import RR, A, DNSRecord

from .conftest import AS_ANOTHER_USER, PYTHON_FOR_ALL, Runner, eventually

pytestmark = pytest.mark.root

WAIT = ("sh", "-c", "echo started; read _")
"""A program that says that it runs, and ends with its input."""


def host_state() -> str:
    """Everything that a run must leave alone: links, addresses, routes and rules of the host."""
    commands = (
        "ip -brief link; ip -brief address; ip route show table all; ip -6 route show table all; "
        "iptables-save | grep -v '^#'; ip6tables-save | grep -v '^#'; ls /run/netns 2>/dev/null"
    )
    return subprocess.run(commands, shell=True, capture_output=True, text=True, check=False).stdout


def has_network(inode: int) -> bool:
    """Whether any process of this machine still is in that network namespace, or holds it open."""
    needle = f"net:[{inode}]"
    for process in Path("/proc").glob("[0-9]*"):
        for link in (process / "ns" / "net", *_fds(process)):
            try:
                if os.readlink(link) == needle:
                    return True
            except OSError:
                continue
    return False


def _fds(process: Path) -> list[Path]:
    try:
        return list((process / "fd").iterdir())
    except OSError:
        return []


def network_of(process: psutil.Process) -> int:
    return os.stat(f"/proc/{process.pid}/ns/net").st_ino


def test_the_programs_exit_code_is_the_runs(runner: Runner) -> None:
    assert runner.finish("sh", "-c", "exit 7")[0] == 7
    assert runner.finish("sh", "-c", "kill -9 $$")[0] == 128 + signal.SIGKILL


def test_a_program_that_does_not_exist_or_cannot_be_executed_is_told_as_by_a_shell(runner: Runner) -> None:
    code, _, errors = runner.finish("/no/such/program")
    assert (code, "/no/such/program" in errors) == (127, True)
    assert runner.finish("/etc/passwd")[0] == 126
    assert runner.agent.services == {}


def test_service_and_sidecar_are_registered_while_the_program_runs(runner: Runner) -> None:
    run = runner.start(*WAIT, name="web", port=8080)
    assert run.line() == "started"
    service = runner.agent.services["web-10-211-0-2"]
    assert (service["Service"], service["Address"], service["Port"]) == ("web", "10.211.0.2", 8080)
    assert "web-10-211-0-2-sidecar-proxy" in runner.agent.services
    run.supervisor.communicate("\n")
    assert runner.agent.services == {}


def test_an_id_in_use_is_refused_and_its_owner_stays_registered(runner: Runner) -> None:
    owner = runner.start(*WAIT, options=["-id=web1"])
    assert owner.line() == "started"
    eventually(lambda: runner.agent.checks.get("run:web1-sidecar-proxy") == "passing", "the owner is alive")
    code, _, errors = runner.finish("true", options=["-id=web1"])
    assert code == 125
    assert "id: 'web1' is not usable" in errors
    assert set(runner.agent.services) == {"web1", "web1-sidecar-proxy"}
    owner.supervisor.communicate("\n")


def test_health_follows_what_listens(runner: Runner) -> None:
    serve = "import socket; input(); s = socket.create_server(('127.0.0.1', 8080)); print('listens'); input()"
    run = runner.start(sys.executable, "-uc", serve, port=8080)
    service, sidecar = "run:web-10-211-0-2", "run:web-10-211-0-2-sidecar-proxy"
    eventually(lambda: runner.agent.checks.get(sidecar) == "passing", "the sidecar passes")
    eventually(lambda: runner.agent.checks.get(service) == "critical", "nothing listens yet")
    assert run.supervisor.stdin is not None
    print(file=run.supervisor.stdin, flush=True)
    assert run.line() == "listens"
    eventually(lambda: runner.agent.checks[service] == "passing", "the program listens")


def test_envoy_presents_its_own_credential_and_nobody_else_can_see_it(runner: Runner) -> None:
    run = runner.start("sh", "-c", "echo started; read _; curl -s http://127.0.0.1:19000/config_dump")
    assert run.line() == "started"
    parts = run.parts()
    visible = [f"{part.cmdline()} {part.environ()}" for part in parts.values()]
    assert parts["envoy"].uids().real == 5995
    output, _ = run.supervisor.communicate("\n")
    stream = re.search(r'"key": "x-consul-token",\s+"value": "(pellucid-[^"]+)"', output)
    assert stream is not None
    assert not [text for text in visible if stream[1] in text]


SERVE = (
    "import http.server as h\n"
    "class H(h.BaseHTTPRequestHandler):\n"
    "  def do_GET(self):\n"
    "    self.send_response(200); self.end_headers(); self.wfile.write(self.client_address[0].encode())\n"
    "s = h.HTTPServer(('127.0.0.1', 8080), H); print('listens', flush=True); s.serve_forever()"
)
"""A web server that tells each client its address."""


def test_two_programs_reach_each_other_through_both_envoys(runner: Runner) -> None:
    server = runner.start(sys.executable, "-c", SERVE, name="server", port=8080)
    assert server.line() == "listens"
    eventually(lambda: runner.agent.checks.get("run:server-10-211-0-2") == "passing", "the server is healthy")
    for name in ("server", "server.virtual.consul", "server.service.consul"):
        code, peer, errors = runner.finish("curl", "-sS", "-m", "5", f"http://{name}:8080/", name="client")
        assert (code, peer) == (0, "127.0.0.1"), errors


def test_a_program_that_is_not_in_the_mesh_cannot_reach_one_that_is(runner: Runner) -> None:
    server = runner.start(sys.executable, "-c", SERVE, name="server", port=8080)
    assert server.line() == "listens"
    # Past its own proxy, as its proxy's user: plaintext, without a certificate.
    past = ["-user=5995"]
    code, _, _ = runner.finish("curl", "-sS", "-m", "5", "http://10.211.0.2:8080/", options=past)
    assert code in (52, 56)


def test_without_root_everything_works_the_same_and_the_program_has_no_rights(
    rootless_runner: Runner,
) -> None:
    runner, rootless = rootless_runner, {"wrap": AS_ANOTHER_USER, "options": ["-uplink"]}
    server = runner.start(PYTHON_FOR_ALL, "-c", SERVE, name="server", port=8080, **rootless)
    assert server.line() == "listens"
    eventually(lambda: runner.agent.checks.get("run:server-10-211-0-2") == "passing", "the server is healthy")
    show = "id -u; grep CapEff /proc/self/status; iptables-save -t nat 2>&1 | tail -1; "
    fetch = "curl -sS -m 5 http://server:8080/"
    code, output, errors = runner.finish("sh", "-c", show + fetch, name="client", **rootless)
    assert code == 0, errors
    uid, capabilities, rules, peer = output.splitlines()
    assert (uid, capabilities.split()[1], peer) == ("1000", "0000000000000000", "127.0.0.1")
    assert "Permission denied" in rules
    assert server.end() == 128 + signal.SIGTERM
    assert runner.agent.services == {}
    assert list(runner.directory.iterdir()) == []


@pytest.mark.parametrize("victim", ["supervisor", "first", "envoy"])
def test_without_root_nothing_is_left_either(rootless_runner: Runner, victim: str) -> None:
    run = rootless_runner.start(*WAIT, wrap=AS_ANOTHER_USER)
    assert run.line() == "started"
    parts = run.parts()
    network = network_of(parts["first"])
    parts[victim].kill()
    assert psutil.wait_procs(list(parts.values()), timeout=20)[1] == []
    eventually(lambda: rootless_runner.agent.services == {}, "the registration is gone")
    eventually(lambda: not has_network(network), "the namespace is gone")


def test_the_program_runs_as_its_user_without_power_over_its_redirection(runner: Runner) -> None:
    show = "id -u; iptables-save -t nat 2>&1 | tail -1; ip link set lo down 2>&1 | tail -1"
    for user, uid in (("1234", "1234"), ("", str(os.getuid()))):
        _, output, _ = runner.finish("sh", "-c", show, options=[f"-user={user}"] if user else [])
        lines = output.splitlines()
        assert lines[0] == uid
        assert "Permission denied" in lines[1]
        assert "not permitted" in lines[2]


def test_the_programs_files_are_the_hosts_except_for_name_resolution(runner: Runner) -> None:
    _, output, _ = runner.finish("sh", "-c", "cat /etc/resolv.conf; grep hosts: /etc/nsswitch.conf; pwd")
    assert output.splitlines() == [
        "search virtual.consul service.consul",
        "nameserver 127.0.0.1",
        "options timeout:2 attempts:2",
        "hosts: files dns",
        os.getcwd(),
    ]


@contextmanager
def dns_server() -> Iterator[str]:
    """Answers every query with 240.0.0.9."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                try:
                    packet, client = server.recvfrom(4096)
                except OSError:
                    return
                query = DNSRecord.parse(packet)
                reply = query.reply()
                if query.q.qtype == 1:
                    reply.add_answer(RR(query.q.qname, rdata=A("240.0.0.9")))
                server.sendto(reply.pack(), client)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_names_are_asked_of_the_agent(runner: Runner) -> None:
    with dns_server() as address:
        _, output, _ = runner.finish("getent", "ahostsv4", "hello", options=[f"-dns-addr={address}"])
    assert "240.0.0.9" in output


class Hello(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"outside")


def own_address() -> str:
    """One of the host's addresses that is not loopback, so that it is outside for a workload."""
    found = [
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    ]
    if not found:
        pytest.skip("this machine has no address but loopback")
    return found[0]


def test_what_is_outside_the_mesh_is_reached_through_the_uplink_only(runner: Runner) -> None:
    server = ThreadingHTTPServer((own_address(), 0), Hello)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fetch = ("curl", "-sS", "-m", "5", f"http://{server.server_address[0]}:{server.server_port}/")
    try:
        assert runner.finish(*fetch, options=["-uplink"])[:2] == (0, "outside")
        assert runner.finish(*fetch)[0] != 0
    finally:
        server.shutdown()
        server.server_close()


def test_modules_in_the_current_directory_are_not_run(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "selectors.py").write_text("print('taken over')")
    (tmp_path / "msgspec.py").write_text("print('taken over')")
    inside = runner.command("sh", "-c", "echo harmless")
    inside[1:1] = ["-P"]
    done = subprocess.run(
        inside, cwd=tmp_path, env=runner.environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "harmless\n"), done.stderr


def test_the_host_is_untouched_during_and_after_a_run(runner: Runner) -> None:
    before = host_state()
    run = runner.start(*WAIT)
    assert run.line() == "started"
    assert host_state() == before
    run.supervisor.communicate("\n")
    assert host_state() == before
    assert list(runner.directory.iterdir()) == []


PARTS = ("supervisor", "guardian", "launcher", "first", "envoy", "program")


@pytest.mark.parametrize("victim", PARTS)
def test_nothing_is_left_whichever_part_is_killed(runner: Runner, victim: str) -> None:
    before = host_state()
    run = runner.start("sh", "-c", "sleep 1000 & echo started; read _", port=8080)
    assert run.line() == "started"
    parts = run.parts()
    assert set(parts) == set(PARTS)
    everybody = [*parts.values(), *parts["first"].children(recursive=True)]
    networks = {network_of(parts["first"])}
    parts[victim].kill()
    _, survivors = psutil.wait_procs(everybody, timeout=20)
    assert survivors == []
    eventually(lambda: runner.agent.services == {}, "the registration is gone")
    eventually(lambda: not any(map(has_network, networks)), "the namespace is gone")
    assert host_state() == before


@pytest.mark.parametrize(
    ("victim", "said"),
    [
        ("envoy", "Envoy was killed by signal 9 while serving"),
        ("guardian", "guardian"),
        ("first", "namespaces are gone"),
    ],
)
def test_the_loss_of_a_part_ends_the_run_with_a_reason(runner: Runner, victim: str, said: str) -> None:
    run = runner.start(*WAIT)
    assert run.line() == "started"
    run.parts()[victim].kill()
    assert run.supervisor.wait(20) == 125
    assert run.supervisor.stderr is not None
    assert said in run.supervisor.stderr.read()


def test_a_new_run_makes_a_new_fabric_when_the_last_supervisor_was_killed(runner: Runner) -> None:
    run = runner.start(*WAIT)
    assert run.line() == "started"
    run.parts()["supervisor"].kill()
    assert runner.finish("sh", "-c", "exit 3")[0] == 3


def test_workloads_of_a_killed_supervisor_do_not_take_the_others_along(runner: Runner) -> None:
    first, second = runner.start(*WAIT, name="a"), runner.start(*WAIT, name="b")
    assert (first.line(), second.line()) == ("started", "started")
    first.parts()["supervisor"].kill()
    third = runner.start("sh", "-c", "echo started; read _; ip neigh", name="c")
    assert third.line() == "started"
    assert second.supervisor.poll() is None
    assert {name for name in runner.agent.services if name.startswith(("b", "c"))}


def test_a_signal_reaches_the_program_after_deregistration(runner: Runner) -> None:
    on_term = "trap 'echo told; read _; exit 9' TERM; echo started; while :; do read _ && exit 1; done"
    run = runner.start("bash", "-c", on_term, port=8080)
    assert run.line() == "started"
    run.supervisor.send_signal(signal.SIGTERM)
    assert run.line() == "told"
    assert runner.agent.services == {}
    run.supervisor.communicate("\n")
    assert run.supervisor.returncode == 9


def test_a_second_signal_kills_a_program_that_does_not_listen(runner: Runner) -> None:
    run = runner.start("bash", "-c", "trap 'echo told' TERM; echo started; while :; do sleep 0.01; done")
    assert run.line() == "started"
    run.supervisor.send_signal(signal.SIGTERM)
    assert run.line() == "told"
    assert run.end(signal.SIGTERM) == 128 + signal.SIGKILL


def test_the_keyboards_interrupt_reaches_the_program_once(runner: Runner) -> None:
    count = (
        "n=0; trap 'n=$((n+1))' INT; echo started; while [ $n = 0 ]; do sleep 0.01; done; sleep 0.3; exit $n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, runner.command("bash", "-c", count), runner.environment)
    said = b""
    while b"started" not in said:
        said += os.read(terminal, 1024)
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 1


def test_without_an_agent_the_run_says_so_and_leaves_nothing(runner: Runner) -> None:
    code, _, errors = runner.finish("true", options=["-http-addr=127.0.0.1:1"])
    assert code == 125
    assert "no agent answers at http://127.0.0.1:1" in errors


def test_a_signal_before_the_program_starts_ends_the_run(runner: Runner) -> None:
    run = runner.start("sh", "-c", "echo started; read _")
    eventually(lambda: "guardian" in run.parts(), "the run is being set up")
    run.supervisor.send_signal(signal.SIGTERM)
    assert run.supervisor.wait(20) == 128 + signal.SIGTERM
    assert runner.agent.services == {}


def test_a_kernel_that_forbids_namespaces_is_explained(runner: Runner) -> None:
    forbidding = 'echo 0 > /proc/sys/user/max_net_namespaces; exec "$@"'
    wrap = ["unshare", "--user", "--map-root-user", "sh", "-c", forbidding, "sh"]
    code, _, errors = runner.finish("true", wrap=wrap)
    assert code == 125
    assert "does not let us make namespaces" in errors
    assert "NET_ADMIN" in errors


def test_root_without_net_admin_is_told_what_is_missing(runner: Runner) -> None:
    without = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    code, _, errors = runner.finish("true", wrap=without)
    assert code == 125
    assert "the capability NET_ADMIN is missing" in errors
    assert runner.agent.services == {}
