"""`intention create`, `check`, `get`, `list`, `match`, `delete`: who may connect to whom.

Rows made here go through the ID-style API as Consul's do, so `delete ID` works on them. Two things are
kinder than Consul: `-replace` also replaces rows that have no ID (written by a config entry), and `get`
leaves out an ID and a creation time that such rows do not have.
Source: Consul 1.10 command/intention.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.cli.columns import columns
from pellucid.cli.command import FORMAT, Attempt, Command, CommandFailed, Invocation
from pellucid.cli.go_flags import Flag

if TYPE_CHECKING:
    from datetime import datetime

    Intention = dict[str, Any]

INTENTIONS = "/v1/connect/intentions"
EXACT = "/v1/connect/intentions/exact"
DEFAULT_NAMESPACE = "default"
ALLOWED, DENIED, UNDECIDED = 0, 1, 2
NONE_FOUND = 2


def _create(invocation: Invocation) -> int:
    flags = invocation.flags
    if flags.boolean("allow") and flags.boolean("deny"):
        raise CommandFailed("Only one of -allow or -deny may be specified.")
    intentions = _intentions_in_files(invocation) if flags.boolean("file") else [_intention_in(invocation)]
    client, scope = invocation.client(), invocation.scope()
    for intention in intentions:
        with Attempt(f'Error creating intention "{_sentence(intention)}"'):
            if flags.boolean("replace") and _replace(invocation, intention):
                continue
            client.post(INTENTIONS, intention, scope)
        invocation.output(f"Created: {_sentence(intention)}")
    return 0


def _intention_in(invocation: Invocation) -> Intention:
    """The intention that arguments and flags describe."""
    if len(invocation.arguments) != 2:
        raise CommandFailed("Error: Must specify two arguments: source and destination")
    source, destination = invocation.arguments
    return {
        **_named("Source", source),
        **_named("Destination", destination),
        "SourceType": "consul",
        "Action": "deny" if invocation.flags.boolean("deny") else "allow",
        **({"Meta": meta} if (meta := invocation.flags.pairs("meta")) else {}),
    }


def _intentions_in_files(invocation: Invocation) -> list[Intention]:
    """One intention as JSON per file. Raises CommandFailed naming the file."""
    import json

    from pellucid.cli.input_file import read_input

    if not invocation.arguments:
        raise CommandFailed("Error: Must specify at least one file with -file")
    intentions = []
    for name in invocation.arguments:
        try:
            intention = json.loads(read_input(name, invocation.terminal.stdin))
        except (OSError, ValueError) as error:
            raise CommandFailed(f"Error: File {name!r}: {error}") from None
        if not isinstance(intention, dict):
            raise CommandFailed(f"Error: File {name!r}: expected a JSON object that describes an intention")
        if intention.get("Permissions"):
            raise CommandFailed(
                f'cannot create L7 intention from file "{name}" using this CLI; '
                "use 'consul config write' instead"
            )
        intentions.append(intention)
    return intentions


def _replace(invocation: Invocation, intention: Intention) -> bool:
    """Overwrite the stored intention of the same pair; false when there is none."""
    client, scope = invocation.client(), invocation.scope()
    source, destination = _side(intention, "Source"), _side(intention, "Destination")
    pair = f'with source "{source}" and destination "{destination}"'
    query = {"source": source, "destination": destination, **scope}
    with Attempt(f"Error looking up intention for replacement {pair}"):
        stored = client.get_if_found(EXACT, query)
    if stored is None:
        return False
    with Attempt(f"Error replacing intention {pair}"):
        if stored.get("ID"):
            client.put(f"{INTENTIONS}/{stored['ID']}", intention, scope)
        else:
            client.put(EXACT, intention, query)
    return True


def _check(invocation: Invocation) -> int:
    try:
        return _say_if_allowed(invocation)
    except CommandFailed as failure:
        raise CommandFailed(failure.text, UNDECIDED) from None


def _say_if_allowed(invocation: Invocation) -> int:
    if len(invocation.arguments) != 2:
        raise CommandFailed("Error: command requires exactly two arguments: src and dst")
    source, destination = invocation.arguments
    wants_json = invocation.wants_json()
    query = {"source": source, "destination": destination, **invocation.scope()}
    with Attempt("Error checking the connection"):
        allowed = bool(invocation.client().get(f"{INTENTIONS}/check", query)["Allowed"])
    if wants_json:
        invocation.output_json({"Allowed": allowed})
    else:
        paint = invocation.terminal.paint
        invocation.output(paint("Allowed", "green") if allowed else paint("Denied", "red"))
    return ALLOWED if allowed else DENIED


def _get(invocation: Invocation) -> int:
    import json

    wants_json = invocation.wants_json()
    intention = _stored(invocation)
    if wants_json:
        invocation.output_json(intention)
        return 0
    created = _created_at(intention)
    rows = [
        ("Source:", _side(intention, "Source")),
        ("Destination:", _side(intention, "Destination")),
        ("Action:", intention.get("Action", "")),
        ("ID:", intention.get("ID", "")),
        ("Description:", intention.get("Description", "")),
        *((f"Meta[{key}]:", value) for key, value in sorted((intention.get("Meta") or {}).items())),
        ("Created At:", created.strftime("%A, %d-%b-%y %H:%M:%S %Z") if created else ""),
    ]
    invocation.output(columns([row for row in rows if row[1]]))
    if permissions := intention.get("Permissions"):
        invocation.output("Permissions:\n" + json.dumps(permissions, indent=2, ensure_ascii=False))
    return 0


def _stored(invocation: Invocation) -> Intention:
    """The intention that the arguments (a pair or an ID) name. Raises CommandFailed when there is none."""
    client, scope = invocation.client(), invocation.scope()
    with Attempt("Error"):
        match invocation.arguments:
            case (identifier,):
                found = client.get_if_found(f"{INTENTIONS}/{identifier}", scope)
                wanted = f'ID "{identifier}"'
            case (source, destination):
                found = client.get_if_found(EXACT, {"source": source, "destination": destination, **scope})
                wanted = f'source "{source}" and destination "{destination}"'
            case _:
                raise CommandFailed("Error: command requires exactly 1 or 2 arguments")
    if found is None:
        raise CommandFailed(f"Error: Intention not found with {wanted}")
    intention: Intention = found
    return intention


def _list(invocation: Invocation) -> int:
    wants_json = invocation.wants_json()
    with Attempt("Failed to retrieve the intentions list"):
        intentions = invocation.client().get(INTENTIONS, invocation.scope())
    if wants_json:
        invocation.output_json(intentions)
        return 0
    if not intentions:
        invocation.error("There are no intentions.")
        return NONE_FOUND
    header = ("ID", "Source", "Action", "Destination", "Precedence")
    rows = [
        (
            intention.get("ID", ""),
            intention["SourceName"],
            intention.get("Action", ""),
            intention["DestinationName"],
            str(intention["Precedence"]),
        )
        for intention in intentions
    ]
    invocation.output(columns([header, *rows]))
    return 0


def _match(invocation: Invocation) -> int:
    flags = invocation.flags
    if len(invocation.arguments) != 1:
        raise CommandFailed("Error: command requires exactly one argument: src or dst")
    if flags.boolean("source") and flags.boolean("destination"):
        raise CommandFailed("Error: only one of -source or -destination may be specified")
    wants_json = invocation.wants_json()
    name = invocation.arguments[0]
    by = "source" if flags.boolean("source") else "destination"
    with Attempt("Error matching the connection"):
        answer = invocation.client().get(
            f"{INTENTIONS}/match", {"by": by, "name": name, **invocation.scope()}
        )
    matches = answer.get(name) or []
    if wants_json:
        invocation.output_json(matches)
    else:
        for intention in matches:
            invocation.output(_sentence(intention))
    return 0


def _delete(invocation: Invocation) -> int:
    client, scope = invocation.client(), invocation.scope()
    with Attempt("Error deleting the intention"):
        match invocation.arguments:
            case (identifier,):
                client.delete(f"{INTENTIONS}/{identifier}", scope)
            case (source, destination):
                client.delete(EXACT, {"source": source, "destination": destination, **scope})
            case _:
                raise CommandFailed("Error: command requires exactly 1 or 2 arguments")
    invocation.output("Intention deleted.")
    return 0


def _named(end: str, text: str) -> dict[str, str]:
    """The name fields of one end of an intention, from `name` or `namespace/name`."""
    namespace, separator, name = text.partition("/")
    if separator:
        return {f"{end}NS": namespace, f"{end}Name": name}
    return {f"{end}NS": DEFAULT_NAMESPACE, f"{end}Name": text}


def _side(intention: Intention, end: str) -> str:
    """The name of one end, with its namespace unless that is the default one."""
    namespace = intention.get(f"{end}NS", "")
    name = str(intention.get(f"{end}Name", ""))
    return name if namespace in ("", DEFAULT_NAMESPACE) else f"{namespace}/{name}"


def _sentence(intention: Intention) -> str:
    """An intention in one line, e.g. `web => db (allow)`."""
    count = len(intention.get("Permissions") or ())
    detail = intention.get("Action", "") if not count else f"{count} permission{'s' if count > 1 else ''}"
    return f"{_side(intention, 'Source')} => {_side(intention, 'Destination')} ({detail})"


def _created_at(intention: Intention) -> datetime | None:
    """When an ID-style intention was made, in the local time zone; None for the others."""
    from datetime import datetime

    text = str(intention.get("CreatedAt", ""))
    # Consul's times have nanoseconds, of which the standard library reads microseconds.
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    if not seconds or seconds.startswith("0001-"):
        return None
    try:
        return datetime.fromisoformat(f"{seconds}.{(fraction + '000000')[:6]}+00:00").astimezone()
    except ValueError:
        return None


CREATE = Command(
    usage="intention create [options] SRC DST",
    about=(
        "Creates an intention: whether SRC may open connections to DST. Either may be '*'. Without -allow "
        "or -deny it allows.\n\n"
        "    $ {program} intention create -deny web db\n\n"
        "With -file, the arguments are JSON files that describe an intention each. With -replace, an "
        "intention of the same pair is overwritten instead of refused."
    ),
    run=_create,
    flags=(
        Flag("allow", "Create an intention that allows (the default).", kind="boolean"),
        Flag("deny", "Create an intention that denies.", kind="boolean"),
        Flag("file", "Read intentions from the files given as arguments.", kind="boolean"),
        Flag("replace", "Overwrite an intention of the same source and destination.", kind="boolean"),
        Flag("meta", "Metadata to keep with the intention; repeatable.", "pairs", placeholder="key=value"),
    ),
    takes_server=True,
    takes_namespace=True,
)
CHECK = Command(
    usage="intention check [options] SRC DST",
    about=(
        "Says whether SRC may open a connection to DST: prints Allowed and exits 0, or prints Denied and "
        "exits 1. Any error exits 2."
    ),
    run=_check,
    flags=(FORMAT,),
    takes_server=True,
    takes_namespace=True,
    flag_error_code=UNDECIDED,
)
GET = Command(
    usage="intention get [options] SRC DST\n       {program} intention get [options] ID",
    about="Shows one intention, named by its source and destination or by its ID.",
    run=_get,
    flags=(FORMAT,),
    takes_server=True,
    takes_namespace=True,
)
LIST = Command(
    usage="intention list [options]",
    about="Lists all intentions, the one that wins first. Exits 2 when there are none.",
    run=_list,
    flags=(FORMAT,),
    takes_server=True,
    takes_namespace=True,
)
MATCH = Command(
    usage="intention match [options] SRC|DST",
    about=(
        "Shows the intentions that apply to a service as destination (or, with -source, as source), in the "
        "order in which they are tried: the first that fits a connection decides it."
    ),
    run=_match,
    flags=(
        Flag("destination", "The argument is a destination (the default).", kind="boolean"),
        Flag("source", "The argument is a source.", kind="boolean"),
        FORMAT,
    ),
    takes_server=True,
    takes_namespace=True,
    flag_error_code=UNDECIDED,
)
DELETE = Command(
    usage="intention delete [options] SRC DST\n       {program} intention delete [options] ID",
    about="Deletes an intention, named by its source and destination or by its ID.",
    run=_delete,
    takes_server=True,
    takes_namespace=True,
)
