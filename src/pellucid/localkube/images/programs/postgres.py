"""Starts PostgreSQL as its usual image does: a database made on the first start, as the environment says.

POSTGRES_PASSWORD (or POSTGRES_HOST_AUTH_METHOD=trust), POSTGRES_USER, POSTGRES_DB and PGDATA are known, all
but the last also as files named by POSTGRES_..._FILE. Arguments go to the server.
"""

import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path

BINARIES = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
DATA = Path(os.environ.get("PGDATA", "/var/lib/postgresql/data"))
SOCKETS = Path("/var/run/postgresql")


def setting(name: str, default: str = "") -> str:
    """A setting from the environment, or from the file it names."""
    file = os.environ.get(f"{name}_FILE")
    return Path(file).read_text().strip() if file else os.environ.get(name, default)


def become_postgres() -> None:
    """Root makes the directories and then is the user `postgres`; anybody else stays who they are."""
    if os.geteuid() != 0:
        return
    user = pwd.getpwnam("postgres")
    for directory in (DATA, SOCKETS):
        directory.mkdir(parents=True, exist_ok=True)
        os.chown(directory, user.pw_uid, user.pw_gid)
    DATA.chmod(0o700)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def make_database() -> None:
    """Ends the program with what is missing when it cannot."""
    password, method = setting("POSTGRES_PASSWORD"), setting("POSTGRES_HOST_AUTH_METHOD", "scram-sha-256")
    if not password and method != "trust":
        sys.exit("the database has no password: set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust")
    user = setting("POSTGRES_USER", "postgres")
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(password)
        file.flush()
        given = [f"--pwfile={file.name}"] if password else []
        command = [str(BINARIES / "initdb"), "-D", str(DATA), "-U", user, "-A", "trust", "--locale=C.UTF-8"]
        subprocess.run([*command, *given], check=True)
    with (DATA / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all all {method}\n")
    database = setting("POSTGRES_DB", user)
    if database != "postgres":
        quoted = '"' + database.replace('"', '""') + '"'
        single = [str(BINARIES / "postgres"), "--single", "-j", "-D", str(DATA), "postgres"]
        subprocess.run(single, input=f"CREATE DATABASE {quoted};\n", text=True, check=True)


def main() -> None:
    """Become the server, or whatever other program was asked for."""
    words = sys.argv[1:]
    if words and words[0] != "postgres" and not words[0].startswith("-"):
        os.execvp(words[0], words)  # noqa: S606
    become_postgres()
    if not (DATA / "PG_VERSION").exists():
        make_database()
    given = words[1:] if words[:1] == ["postgres"] else words
    server = str(BINARIES / "postgres")
    os.execv(server, [server, "-D", str(DATA), "-c", "listen_addresses=*", *given])  # noqa: S606


if __name__ == "__main__":
    main()
