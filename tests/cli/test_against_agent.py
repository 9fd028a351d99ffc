"""The commands against the agent itself: stories that take back what they did, as one agent serves all."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import Result
from tests.self_signed import self_signed

PROGRAM = str(Path(sys.executable).with_name("pellucid"))
READY = "agent running!"


@dataclass
class RunningAgent:
    """`pellucid agent` in a process of its own, and the command line pointed at it."""

    process: subprocess.Popen[str]
    http_port: int

    def __call__(self, *words: str, stdin: str = "") -> Result:
        done = subprocess.run(
            [PROGRAM, *words],
            env={"CONSUL_HTTP_ADDR": f"127.0.0.1:{self.http_port}", "PATH": os.environ["PATH"], "TZ": "UTC"},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def ended(self) -> int:
        """Wait for the process to end; its exit code."""
        return self.process.wait()


def free_ports(count: int) -> list[int]:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


def start(*words: str) -> RunningAgent:
    """Start an agent and wait for its word that it is ready."""
    http, dns, mesh_dns, grpc = free_ports(4)
    ports = [f"-http-port={http}", f"-dns-port={dns}", f"-grpc-port={grpc}"]
    process = subprocess.Popen(
        [PROGRAM, "agent", *ports, f"-hcl=pellucid {{ mesh_dns_port = {mesh_dns} }}", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if READY in line:
            return RunningAgent(process, http)
    pytest.fail(f"the agent ended with {process.wait()}:\n{''.join(said)}")


@contextmanager
def running(*words: str) -> Iterator[RunningAgent]:
    """An agent for as long as the block lasts; ends by SIGTERM, cleanly, unless it has ended before."""
    agent = start(*words)
    try:
        yield agent
    finally:
        agent.process.terminate()
        code = agent.ended()
    assert code == 0


@pytest.fixture(scope="module")
def pellucid() -> Iterator[RunningAgent]:
    with running("-dev", "-node=n1", "-log-level=warn") as agent:
        yield agent


def test_a_config_entry_from_writing_to_deletion(pellucid: RunningAgent) -> None:
    defaults = (
        'Kind = "proxy-defaults"\nName = "global"\nTransparentProxy = true\nConfig { protocol = "http" }'
    )
    assert pellucid("config", "write", "-", stdin=defaults) == Result(
        0, "Config entry written: proxy-defaults/global\n", ""
    )
    entry = json.loads(pellucid("config", "read", "-kind=proxy-defaults", "-name=global").out)
    assert (entry["Mode"], entry["Config"]) == ("transparent", {"protocol": "http"})
    assert pellucid("config", "list", "-kind=proxy-defaults").out == "global\n"

    index = f"-modify-index={entry['ModifyIndex']}"
    late = pellucid("config", "write", "-cas", "-modify-index=1", "-", stdin=defaults)
    assert late == Result(1, "", "Config entry not updated: proxy-defaults/global\n")
    assert pellucid("config", "write", "-cas", index, "-", stdin=json.dumps(entry)).code == 0

    assert pellucid("config", "delete", "-kind=proxy-defaults", "-name=global").code == 0
    for _ in range(2):
        assert pellucid("config", "read", "-kind=proxy-defaults", "-name=global") == Result(
            1,
            "",
            "Error reading config entry proxy-defaults/global: Unexpected response code: 404 "
            '(Config entry not found for "proxy-defaults" / "global")\n',
        )


def test_the_agents_validation_reaches_the_writer(pellucid: RunningAgent) -> None:
    splitter = 'Kind = "service-splitter"\nName = "x"\nSplits = [{ Weight = 50 }]'
    assert pellucid("config", "write", "-", stdin=splitter) == Result(
        1,
        "",
        "Error writing config entry service-splitter/x: Unexpected response code: 500 "
        "(the sum of all split weights must be 100, not 50.000000)\n",
    )


def test_intentions_from_the_first_to_the_last(pellucid: RunningAgent) -> None:
    assert pellucid("intention", "list") == Result(2, "", "There are no intentions.\n")
    assert pellucid("intention", "check", "web", "db") == Result(0, "Allowed\n", "")
    assert pellucid("intention", "create", "-deny", "*", "*").out == "Created: * => * (deny)\n"
    assert pellucid("intention", "create", "web", "db").out == "Created: web => db (allow)\n"
    assert pellucid("intention", "check", "web", "db") == Result(0, "Allowed\n", "")
    assert pellucid("intention", "check", "api", "db") == Result(1, "Denied\n", "")
    assert pellucid("intention", "match", "db").out == "web => db (allow)\n* => * (deny)\n"
    twice = pellucid("intention", "create", "-deny", "web", "db")
    assert twice.err == (
        'Error creating intention "web => db (deny)": '
        'Unexpected response code: 500 (Sources[1] defines "web" more than once)\n'
    )
    assert pellucid("intention", "create", "-replace", "-deny", "web", "db") == Result(0, "", "")
    shown = pellucid("intention", "get", "web", "db").out
    assert shown.splitlines()[:3] == ["Source:       web", "Destination:  db", "Action:       deny"]
    identifier = pellucid("intention", "list").out.splitlines()[1].split()[0]
    assert pellucid("intention", "get", identifier).out == shown
    assert pellucid("intention", "delete", identifier) == Result(0, "Intention deleted.\n", "")
    assert pellucid("intention", "delete", "*", "*") == Result(0, "Intention deleted.\n", "")
    assert pellucid("intention", "list").code == 2


def test_an_intention_of_a_config_entry_can_be_replaced_though_it_has_no_id(pellucid: RunningAgent) -> None:
    entry = 'Kind = "service-intentions"\nName = "db"\nSources = [{ Name = "web", Action = "allow" }]'
    pellucid("config", "write", "-", stdin=entry)
    assert pellucid("intention", "create", "-replace", "-deny", "web", "db") == Result(0, "", "")
    assert pellucid("intention", "check", "web", "db").out == "Denied\n"
    assert pellucid("config", "delete", "-kind=service-intentions", "-name=db").code == 0


def test_services_from_registration_to_deregistration(pellucid: RunningAgent, tmp_path: Path) -> None:
    file = tmp_path / "web.hcl"
    file.write_text('service { name = "web" port = 80 tags = ["v1"] connect { sidecar_service {} } }')
    assert pellucid("services", "register", str(file)).out == "Registered service: web\n"
    assert pellucid("services", "register", "-name=api", "-port=81").out == "Registered service: api\n"
    names = ["api", "consul", "web", "web-sidecar-proxy"]
    assert pellucid("catalog", "services").out.split() == names
    assert pellucid("catalog", "services", "-node=n1").out.split() == names
    assert "web                    v1\n" in pellucid("catalog", "services", "-tags").out
    assert pellucid("catalog", "nodes", "-service=web").out.splitlines()[1].startswith("n1")
    assert pellucid("services", "register", "-name=x", "-address=0.0.0.0") == Result(
        1, "", 'Error registering service "x": Unexpected response code: 400 (Invalid service address)\n'
    )
    assert pellucid("services", "deregister", str(file)).out == "Deregistered service: web\n"
    assert pellucid("catalog", "services").out.split() == ["api", "consul"]
    assert pellucid("services", "deregister", "-id=api").out == "Deregistered service: api\n"


def test_maintenance_of_the_node_and_of_a_service(pellucid: RunningAgent) -> None:
    pellucid("services", "register", "-name=web")
    assert pellucid("maint").out == ""
    assert pellucid("maint", "-enable", "-reason=disk").out == "Node maintenance is now enabled\n"
    assert pellucid("maint", "-enable", "-service=web", "-reason=new").code == 0
    assert pellucid("maint").out == (
        "Node:\n  Name:   n1\n  Reason: disk\n\nService:\n  ID:     web\n  Reason: new\n\n"
    )
    assert pellucid("maint", "-disable").out == "Node maintenance is now disabled\n"
    assert pellucid("maint", "-disable", "-service=web").code == 0
    assert pellucid("maint").out == ""
    pellucid("services", "deregister", "-id=web")


def test_the_agent_about_itself(pellucid: RunningAgent) -> None:
    header, row = pellucid("members").out.splitlines()
    assert header.split() == ["Node", "Address", "Status", "Type", "Build", "Protocol", "DC", "Segment"]
    assert row.split()[0] == "n1"
    assert row.split()[2:4] == ["alive", "server"]
    assert pellucid("members", "-status=left") == Result(2, "", "")
    assert pellucid("catalog", "datacenters").out == "dc1\n"
    assert "agent:\n\t" in pellucid("info").out
    authority = json.loads(pellucid("connect", "ca", "get-config").out)
    assert authority["Provider"] == "consul"
    authority["Config"]["LeafCertTTL"] = "48h"
    changed = pellucid("connect", "ca", "set-config", "-config-file=-", stdin=json.dumps(authority))
    assert changed == Result(0, "Configuration updated!\n", "")
    assert json.loads(pellucid("connect", "ca", "get-config").out)["Config"]["LeafCertTTL"] == "48h"
    assert pellucid("join", "127.0.0.1:1").code == 1
    assert pellucid("force-leave", "nobody").code == 1


def test_a_sidecars_bootstrap_and_redirection_come_from_its_registration(pellucid: RunningAgent) -> None:
    service = '{"service": {"name": "web", "port": 80, "connect": {"sidecar_service": {"port": 21042}}}}'
    assert pellucid("services", "register", "/dev/stdin", stdin=service).code == 0
    bootstrap = json.loads(pellucid("connect", "envoy", "-sidecar-for=web", "-bootstrap").out)
    assert bootstrap["node"]["id"] == "web-sidecar-proxy"
    rules = pellucid("connect", "redirect-traffic", "-dry-run", "-proxy-uid=1", "-proxy-id=web-sidecar-proxy")
    assert "--to-ports 21042" in rules.out
    pellucid("services", "deregister", "-id=web")


def test_a_credential_is_issued_to_a_registered_service(pellucid: RunningAgent, tmp_path: Path) -> None:
    file = tmp_path / "credential"
    assert pellucid("services", "register", "-name=web", f"-credential-file={file}").code == 0
    first = file.read_text()
    assert pellucid("connect", "credential", "-out", str(file), "web").code == 0
    assert len(file.read_text()) == len(first)
    assert file.read_text() != first
    pellucid("services", "deregister", "-id=web")


def test_leaving_ends_the_agent(tmp_path: Path) -> None:
    with running("-server", f"-data-dir={tmp_path}", "-bind=127.0.0.1") as agent:
        assert agent("leave") == Result(0, "Graceful leave complete\n", "")
        assert agent.ended() == 0


def test_a_reload_brings_in_what_files_now_say(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    file = tmp_path / "config" / "services.hcl"
    file.write_text('service { name = "web" }')
    with running(f"-data-dir={tmp_path}/data", "-bind=127.0.0.1", f"-config-dir={tmp_path}/config") as agent:
        assert agent("catalog", "services").out == "consul\nweb\n"
        file.write_text('service { name = "api" }')
        assert agent("reload") == Result(0, "Configuration reload triggered\n", "")
        assert agent("catalog", "services").out == "api\nconsul\n"
        file.write_text("service {")
        refused = agent("reload")
        assert refused.code == 1
        assert f"failed to parse {file}: At 1:" in refused.err
        assert agent("catalog", "services").out == "api\nconsul\n"


def test_a_reload_takes_over_settings_and_renewed_certificates(tmp_path: Path) -> None:
    settings, https = tmp_path / "settings.hcl", free_ports(1)[0]
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"

    def renew_certificate() -> str:
        made = self_signed("localhost")
        certificate.write_bytes(made.certificate)
        key.write_bytes(made.key)
        return made.certificate.decode()

    def shown_certificate() -> str:
        return ssl.get_server_certificate(("127.0.0.1", https))

    settings.write_text('node_meta { rack = "1" }')
    first = renew_certificate()
    tls = f'-hcl=ports {{ https = {https} }} cert_file = "{certificate}" key_file = "{key}"'
    with running("-dev", tls, f"-config-file={settings}") as agent:
        assert shown_certificate() == first
        settings.write_text('node_meta { rack = "2" }')
        second = renew_certificate()
        assert agent("reload").code == 0
        assert shown_certificate() == second
        assert agent("catalog", "nodes", "-node-meta=rack=2").out.count("127.0.0.1") == 1
        settings.write_text('node_meta { rack = "3" } log_file = "/proc/none/log"')
        assert "log_file: cannot write /proc/none/log" in agent("reload").err
        key.write_text("spoilt")
        settings.write_text('node_meta { rack = "3" }')
        assert "cert_file, key_file or ca_file cannot be used" in agent("reload").err
        assert shown_certificate() == second
        assert agent("catalog", "nodes", "-node-meta=rack=2").out.count("127.0.0.1") == 1


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "==> data_dir cannot be empty"),
        (["-dev", "extra"], "==> Unexpected extra arguments: ['extra']"),
        (["-dev", "-hcl", "ports { htp = 1 }"], "==> failed to parse -hcl fragment 1: 1 error occurred:"),
        (["-dev", "-hcl", "acl { enabled = true }"], "==> -hcl fragment 1: acl.enabled = true is refused"),
        (["-dev", "-log-file=/proc/none/log"], "==> log_file: cannot write /proc/none/log: No such file"),
        (["-dev", "-config-file=/none"], "==> config: Open failed on /none: no such file or directory"),
    ],
)
def test_an_agent_that_cannot_start_says_why(words: list[str], text: str) -> None:
    done = subprocess.run([PROGRAM, "agent", *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert text in done.stderr


def test_a_process_id_that_cannot_be_kept_is_said() -> None:
    with pytest.raises(pytest.fail.Exception, match="pid_file: cannot write /proc/none/pid: No such file"):
        start("-dev", "-pid-file=/proc/none/pid")


def test_the_program_answers_to_a_link_named_consul(tmp_path: Path) -> None:
    (tmp_path / "consul").symlink_to(PROGRAM)
    done = subprocess.run([tmp_path / "consul", "version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Consul v1.10.0\n")


def test_a_reader_that_has_enough_is_no_error_to_show() -> None:
    done = subprocess.run(
        f"{PROGRAM} connect redirect-traffic -h | head -n 1; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.splitlines(), done.stderr) == (
        ["Usage: pellucid connect redirect-traffic [options]"],
        "",
    )
