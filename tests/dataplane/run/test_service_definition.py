from pellucid.dataplane.namespace.fabric_addresses import FabricPlace
from pellucid.dataplane.run.service_definition import service_definition, workload_ids
from pellucid.dataplane.run.settings import WorkloadSettings, parse_upstream

PLACE = FabricPlace(7)


def test_ids_tell_two_programs_of_one_service_apart() -> None:
    settings = WorkloadSettings(command=("x",), service="web")
    assert workload_ids(settings, FabricPlace(2)).service == "web-10-211-0-2"
    assert workload_ids(settings, FabricPlace(3)).proxy == "web-10-211-0-3-sidecar-proxy"


def test_an_id_that_is_asked_for_is_used() -> None:
    settings = WorkloadSettings(command=("x",), service="web", service_id="web1")
    assert workload_ids(settings, PLACE).service == "web1"


def test_the_whole_registration() -> None:
    settings = WorkloadSettings(
        command=("x",),
        service="web",
        port=8080,
        protocol="http",
        tags=("blue",),
        upstreams=(parse_upstream("api:9191"), parse_upstream("db:5432:dc2")),
    )

    def addresses(port: int) -> dict[str, object]:
        return {
            "lan_ipv4": {"Address": "10.211.0.7", "Port": port},
            "lan_ipv6": {"Address": "fd70:656c:6c66::7", "Port": port},
        }

    def check(check_id: str, name: str) -> dict[str, object]:
        ttl = {"TTL": "30s", "Status": "critical", "DeregisterCriticalServiceAfter": "1m"}
        return {"CheckID": check_id, "Name": name, **ttl}

    assert service_definition(settings, PLACE) == {
        "ID": "web-10-211-0-7",
        "Name": "web",
        "Address": "10.211.0.7",
        "Port": 8080,
        "Tags": ["blue"],
        "TaggedAddresses": addresses(8080),
        "Checks": [check("run:web-10-211-0-7", "web listening")],
        "Connect": {
            "SidecarService": {
                "Port": 20000,
                "Address": "10.211.0.7",
                "TaggedAddresses": addresses(20000),
                "Proxy": {
                    "Mode": "transparent",
                    "LocalServiceAddress": "127.0.0.1",
                    "LocalServicePort": 8080,
                    "Upstreams": [
                        {"DestinationName": "api", "LocalBindPort": 9191},
                        {"DestinationName": "db", "LocalBindPort": 5432, "Datacenter": "dc2"},
                    ],
                    "Config": {"protocol": "http"},
                },
                "Checks": [
                    check("run:web-10-211-0-7-sidecar-proxy", "Proxy Public Listener"),
                    {"Name": "Destination Alias", "AliasService": "web-10-211-0-7"},
                ],
            }
        },
    }


def test_a_program_that_only_dials_has_no_local_port() -> None:
    definition = service_definition(WorkloadSettings(command=("x",), service="web"), PLACE)
    assert definition["Port"] == 0
    assert "LocalServicePort" not in definition["Connect"]["SidecarService"]["Proxy"]
