"""What a local server remembers between two starts: its ports, its secrets, its lock."""

import contextlib
import fcntl
import os
import random
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

# Below the ports that systems hand out to outgoing connections, so a kept one stays free.
PORTS = range(20000, 32000)


def write_atomically(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Readers see the old text or the new one, whole, and never with a wider mode."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    new.replace(path)


def kept_secret(path: Path) -> str:
    """The secret of that file; made up once."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, secrets.token_hex(20))
    return path.read_text().strip()


def kept_port(path: Path) -> int:
    """The port of that file; chosen once."""
    if not path.exists():
        return renewed_port(path)
    return int(path.read_text())


def renewed_port(path: Path) -> int:
    """A free port, written down in place of one that somebody else took meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    port = free_port()
    write_atomically(path, str(port))
    return port


def usable_port(path: Path) -> int:
    """The kept port where it is still free, else another one from now on."""
    port = kept_port(path)
    return port if is_free(port) else renewed_port(path)


def free_port() -> int:
    """Any port of `PORTS` that nobody listens on."""
    return next(port for port in random.sample(PORTS, len(PORTS)) if is_free(port))


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address."""
    with socket.socket() as probe:
        # As servers do: a connection that is still fading away does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time starts or stops the server of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
