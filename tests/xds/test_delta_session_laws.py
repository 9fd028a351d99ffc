"""Laws of the delta session, for any client and any history.

The client is a model: it keeps what it is sent, asks and stops asking for names, refuses what it likes in
any of the ways a client may, and comes back after the stream broke. Messages travel in order, both ways,
and take as long as they like; the configuration changes at any time, and parts of it cannot be derived at
times.
"""

from __future__ import annotations

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pellucid.xds.delta import DeltaResponse, DeltaSession
from pellucid.xds.shared import SharedResource
from pellucid.xds.subscription import GONE, WILDCARD, DeltaRequest
from pellucid.xds.types import KNOWN_TYPES, REFERRERS, ResourceType
from tests.xds.configuration import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, Configuration, made, referred

NAMES = {
    CLUSTER: ["web", "api", "pay"],
    ENDPOINT: ["web", "api", "pay", "unknown"],
    SECRET: ["leaf", "roots"],
    LISTENER: ["public", "outbound"],
    ROUTE: ["web", "api", "unknown"],
}
VERSIONS = st.integers(1, 3)


@st.composite
def contents(draw: st.DrawFn) -> dict[ResourceType, dict[str, SharedResource]]:
    """A configuration in which listeners and routes refer only to clusters that are there."""
    clusters = draw(st.sets(st.sampled_from(NAMES[CLUSTER])))
    some = st.sets(st.sampled_from(sorted(clusters))) if clusters else st.just(set())

    def versions(names: set[str]) -> dict[str, SharedResource]:
        return {name: made(name, draw(VERSIONS)) for name in sorted(names)}

    def referring(resource_type: ResourceType) -> dict[str, SharedResource]:
        names = draw(st.sets(st.sampled_from(NAMES[resource_type][:2])))
        targets = {name: draw(some) for name in sorted(names)}
        return {name: made(name, (draw(VERSIONS), sorted(to)), to) for name, to in targets.items()}

    return {
        CLUSTER: versions(clusters),
        ENDPOINT: versions(clusters),
        SECRET: versions(draw(st.sets(st.sampled_from(NAMES[SECRET])))),
        LISTENER: referring(LISTENER),
        ROUTE: referring(ROUTE),
    }


class Interest:
    """What the client wants of a type, and has."""

    def __init__(self, wildcard: bool) -> None:
        self.wildcard = wildcard
        self.names: set[str] = set()
        self.held: dict[str, SharedResource] = {}
        self.unanswered = 0

    def wants(self, name: str) -> bool:
        return self.wildcard or name in self.names


class AnyClient(RuleBasedStateMachine):
    """A client and a session at two ends of a wire."""

    warms = False
    """Whether it answers clusters only when it has heard of their endpoints, as Envoy does."""

    def __init__(self) -> None:
        super().__init__()
        self.configuration = Configuration()
        self.interests: dict[ResourceType, Interest] = {}
        self.excused: set[str] = set()
        """Clusters that the client may lack: refused, dropped by itself, or not buildable at times."""
        self.connect()

    # The wire

    def connect(self) -> None:
        self.session = DeltaSession()
        self.configuration.tell(self.session)
        self.to_server: deque[DeltaRequest] = deque()
        self.to_client: deque[DeltaResponse] = deque()
        self.refused: dict[tuple[ResourceType, str], str] = {}
        self.warming: tuple[str, set[str]] | None = None
        """The nonce of the clusters that are being warmed, and those whose endpoints are awaited."""

    def pump(self) -> None:
        while (response := self.session.next_response(self.configuration)) is not None:
            self.check_sent(response)
            self.to_client.append(response)

    def ask(self, resource_type: ResourceType, **request: object) -> None:
        self.to_server.append(DeltaRequest(str(resource_type), **request))  # type: ignore[arg-type]

    # What happens

    @initialize(content=contents())
    def begin(self, content: dict[ResourceType, dict[str, SharedResource]]) -> None:
        self.configuration.become(content)
        self.interests[CLUSTER] = Interest(wildcard=True)
        self.ask(CLUSTER)

    @rule(content=contents())
    def configure(self, content: dict[ResourceType, dict[str, SharedResource]]) -> None:
        self.configuration.become(content)
        self.pump()

    @rule(name=st.sampled_from(NAMES[CLUSTER]), endpoints=VERSIONS)
    def move_endpoints(self, name: str, endpoints: int) -> None:
        now = dict(self.configuration.content)
        if name in now[ENDPOINT]:
            now[ENDPOINT] = {**now[ENDPOINT], name: made(name, endpoints)}
            self.configuration.become(now)
            self.pump()

    @rule(resource_type=st.sampled_from(ResourceType))
    def stop_deriving(self, resource_type: ResourceType) -> None:
        self.configuration.stop_deriving(resource_type)
        self.excused.update(NAMES[CLUSTER] if resource_type in (CLUSTER, ENDPOINT) else ())
        self.pump()

    @rule(data=st.data(), resource_type=st.sampled_from(ResourceType))
    def stop_building(self, data: st.DataObject, resource_type: ResourceType) -> None:
        name = data.draw(st.sampled_from(NAMES[resource_type]))
        self.configuration.fail(resource_type, name)
        self.excused.update({name} if resource_type in (CLUSTER, ENDPOINT) else ())
        self.pump()

    @rule()
    def heal(self) -> None:
        self.configuration.heal()
        self.pump()

    @rule(data=st.data(), resource_type=st.sampled_from(ResourceType))
    def subscribe(self, data: st.DataObject, resource_type: ResourceType) -> None:
        name = data.draw(st.sampled_from([*NAMES[resource_type], WILDCARD]))
        self.want(resource_type, name)

    def want(self, resource_type: ResourceType, name: str) -> None:
        interest = self.interests.get(resource_type)
        if interest is None:
            all_of_it = name == WILDCARD and resource_type is LISTENER
            interest = self.interests[resource_type] = Interest(wildcard=all_of_it)
            if all_of_it:
                return self.ask(resource_type)
        if name == WILDCARD:
            interest.wildcard = True
        else:
            interest.names.add(name)
        self.ask(resource_type, subscribe=(name,))
        return None

    @rule(data=st.data(), resource_type=st.sampled_from(ResourceType))
    def unsubscribe(self, data: st.DataObject, resource_type: ResourceType) -> None:
        interest = self.interests.get(resource_type)
        if interest is None:
            return
        name = data.draw(st.sampled_from([*NAMES[resource_type], WILDCARD]))
        if name == WILDCARD:
            interest.wildcard = False
        else:
            interest.names.discard(name)
        interest.held = {held: each for held, each in interest.held.items() if interest.wants(held)}
        if resource_type in (CLUSTER, ENDPOINT):
            self.excused.update(NAMES[CLUSTER])
        self.stop_awaiting({name} if name != WILDCARD else set(NAMES[CLUSTER]), resource_type)
        self.ask(resource_type, unsubscribe=(name,))

    @rule(nonce=st.sampled_from(["", "0", "ffffffff"]), type_url=st.sampled_from(["unknown", *ResourceType]))
    def send_nonsense(self, nonce: str, type_url: str) -> None:
        if type_url not in KNOWN_TYPES or ResourceType(type_url) in self.interests:
            self.to_server.append(DeltaRequest(str(type_url), nonce=nonce, error="nonsense"))

    @rule()
    @precondition(lambda self: self.to_server)
    def request_arrives(self) -> None:
        request = self.to_server.popleft()
        if request.type_url in KNOWN_TYPES:
            for name in (*request.subscribe, *request.unsubscribe):
                for asked in NAMES[ResourceType(request.type_url)] if name == WILDCARD else (name,):
                    self.forgive(ResourceType(request.type_url), asked)
        self.session.receive(request)
        self.pump()

    @rule(
        data=st.data(),
        how=st.sampled_from(["take", "take", "take", "refuse named", "refuse", "refuse but take"]),
    )
    @precondition(lambda self: self.to_client)
    def response_arrives(self, data: st.DataObject, how: str) -> None:
        response = self.to_client.popleft()
        sent = {**dict.fromkeys(response.removed), **{each.name: each for each in response.resources}}
        faulty = (
            set() if how == "take" else data.draw(st.sets(st.sampled_from(sorted(sent)))) if sent else set()
        )
        refusing = how != "take"
        taken = {} if how == "refuse" else {name: each for name, each in sent.items() if name not in faulty}
        self.keep(response.type, taken)
        self.stop_awaiting(set(sent), response.type)
        message = f"not: {','.join(sorted(faulty))}" if how == "refuse named" else "not"
        self.answer(response, message if refusing else None)

    @rule()
    def break_stream(self) -> None:
        self.connect()
        for resource_type, interest in self.interests.items():
            interest.unanswered = 0
            names = set(interest.names)
            if interest.wildcard and (names or resource_type not in (CLUSTER, LISTENER)):
                names.add(WILDCARD)
            if names or interest.wildcard:
                held = {name: each.version for name, each in interest.held.items()}
                self.ask(resource_type, subscribe=tuple(sorted(names)), initial_versions=held)
            else:
                interest.held.clear()
        self.interests = {t: each for t, each in self.interests.items() if each.names or each.wildcard}

    # The client

    def keep(self, resource_type: ResourceType, taken: dict[str, SharedResource | None]) -> None:
        interest = self.interests[resource_type]
        for name, resource in taken.items():
            if resource is None:
                if interest.held.pop(name, None) is not None and resource_type is CLUSTER:
                    assert name not in self.in_use(), f"cluster {name} was removed under the traffic for it"
            elif interest.wants(name):
                interest.held[name] = resource
                if resource_type in (LISTENER, ROUTE):
                    missing = referred(resource) - self.held(CLUSTER) - self.excused
                    assert not missing, f"{resource_type.name} {name} came before clusters {missing}"

    def held(self, resource_type: ResourceType) -> set[str]:
        return set(self.interests[resource_type].held) if resource_type in self.interests else set()

    def in_use(self) -> set[str]:
        traffic = (self.interests[t] for t in (LISTENER, ROUTE) if t in self.interests)
        return {name for interest in traffic for each in interest.held.values() for name in referred(each)}

    def answer(self, response: DeltaResponse, error: str | None) -> None:
        names = [*(each.name for each in response.resources), *response.removed]
        if error is None and self.warms and response.type is CLUSTER:
            self.warm(response)
            return
        if error is not None:
            versions = {
                **dict.fromkeys(response.removed, GONE),
                **{r.name: r.version for r in response.resources},
            }
            for name in [name for name in names if name in error] or names:
                self.refused[response.type, name] = versions[name]
            self.excused.update(names if response.type in (CLUSTER, ENDPOINT) else ())
        self.acknowledge(response.type, response.nonce, error)

    def acknowledge(self, resource_type: ResourceType, nonce: str, error: str | None = None) -> None:
        self.interests[resource_type].unanswered -= 1
        self.ask(resource_type, nonce=nonce, error=error)

    def warm(self, response: DeltaResponse) -> None:
        clusters = {each.name for each in response.resources}
        self.warming = (response.nonce, clusters)
        endpoints = self.interests.get(ENDPOINT)
        for name in sorted(clusters - (endpoints.names if endpoints is not None else set())):
            self.want(ENDPOINT, name)
        self.stop_awaiting(set(), ENDPOINT)

    def stop_awaiting(self, names: set[str], resource_type: ResourceType) -> None:
        if self.warming is not None and resource_type is ENDPOINT:
            nonce, awaited = self.warming
            awaited -= names
            if not awaited:
                self.warming = None
                self.acknowledge(CLUSTER, nonce)

    # What must hold

    def check_sent(self, response: DeltaResponse) -> None:
        """Each resource is the newest and not a refused one, and nothing else of the type is under way."""
        self.interests[response.type].unanswered += 1
        assert self.interests[response.type].unanswered == 1, "two responses of a type under way"
        now = self.configuration.content.get(response.type, {})
        for resource in response.resources:
            if response.type not in self.configuration.underivable:
                assert now[resource.name] == resource, "not the newest"
            assert self.refused.get((response.type, resource.name)) != resource.version, "refused before"
            self.forgive(response.type, resource.name)
        for name in response.removed:
            assert name not in now
            assert self.refused.get((response.type, name)) != GONE, "refused before"
            self.forgive(response.type, name)

    def forgive(self, resource_type: ResourceType, name: str) -> None:
        """From now on the version refused may be sent again: it was asked for, or another was sent since."""
        self.refused.pop((resource_type, name), None)

    @invariant()
    def nothing_unwanted_is_watched(self) -> None:
        wanted = {
            (t, name) for t, interest in self.interests.items() for name in NAMES[t] if interest.wants(name)
        }
        if not self.to_server:
            assert self.configuration.joined <= wanted

    def teardown(self) -> None:
        """Left alone, the client gets all it wants but what it refused."""
        if CLUSTER in self.interests and LISTENER not in self.interests:
            self.want(LISTENER, WILDCARD)
        self.heal()
        while self.to_server or self.to_client:
            while self.to_server:
                self.request_arrives()
            if self.to_client:
                response = self.to_client.popleft()
                sent = {**dict.fromkeys(response.removed), **{r.name: r for r in response.resources}}
                self.keep(response.type, sent)
                self.stop_awaiting(set(sent), response.type)
                self.answer(response, None)
            if not self.to_server and not self.to_client and self.warming is not None:
                self.time_out()
        for resource_type, interest in self.interests.items():
            self.check_converged(resource_type, interest)
        assert self.session.settled or self.session.refusals()

    def time_out(self) -> None:
        nonce, awaited = self.warming or ("", set())
        refused = {name for resource_type, name in self.session.refusals() if resource_type is ENDPOINT}
        assert awaited <= refused, f"nothing was said of the endpoints of {awaited - refused}"
        self.warming = None
        self.acknowledge(CLUSTER, nonce)

    def check_converged(self, resource_type: ResourceType, interest: Interest) -> None:
        there = self.configuration.content.get(resource_type, {})
        refused = self.session.refusals()
        for name in NAMES[resource_type]:
            wanted = there.get(name) if interest.wants(name) else None
            if interest.held.get(name) == wanted:
                continue
            if wanted is None and any(referrer in REFERRERS[resource_type] for referrer, _ in refused):
                continue  # kept for something that refused to let go of it
            assert refused[resource_type, name].version == (GONE if wanted is None else wanted.version)


class EnvoyLikeClient(AnyClient):
    """Answers clusters only when it has heard of their endpoints."""

    warms = True


for machine in (AnyClient, EnvoyLikeClient):
    machine.TestCase.settings = settings(stateful_step_count=40)

TestAnyClient = AnyClient.TestCase
TestEnvoyLikeClient = EnvoyLikeClient.TestCase
