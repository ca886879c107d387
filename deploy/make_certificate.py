"""Makes the certificate that the broker shows to partners, under an authority of our own.

The authority is made once, so that partners keep the `ca.pem` that they were given; the certificate
is made anew each time. Example: make certificate HOST=amqp.example.org
"""

from __future__ import annotations

import argparse
import ipaddress
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent / "certificates"
ALWAYS = ("localhost", "127.0.0.1", "rabbitmq")
"""Names under which the machine and its containers reach the broker."""
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
AUTHORITY_DAYS, SERVER_DAYS = "3650", "825"


def main() -> int:
    """Write the files; the exit code is 1 where there is no openssl."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hosts", nargs="*", help="names and addresses that partners connect to")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--unless-there", action="store_true", help="leave a certificate as it is")
    given = parser.parse_args()
    shown = given.folder / "broker"
    if given.unless_there and (shown / "server.pem").exists():
        return 0
    if shutil.which("openssl") is None:
        sys.stderr.write(
            "openssl is not installed: install it, or put ca.pem, server.pem and server.key of"
            f" your own authority into {shown}\n"
        )
        return 1
    make(given.folder, [*given.hosts, *ALWAYS])
    sys.stdout.write(f"{shown} is written; partners need {shown / 'ca.pem'}\n")
    return 0


def make(folder: Path, hosts: list[str]) -> None:
    """Make the authority where there is none, then a certificate of it for these hosts."""
    # The container reads its folder as another user; the folder above lets nobody else in here.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    shown = folder / "broker"
    shown.mkdir(exist_ok=True)
    shown.chmod(0o755)
    if not (folder / "ca.key").exists():
        _make_authority(folder)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = _make_server(folder, Path(scratch), hosts)
        for name, path in made.items():
            path.chmod(0o644)
            path.replace(shown / name)


def _make_authority(folder: Path) -> None:
    _openssl(
        "req", "-x509", *KEY, "-days", AUTHORITY_DAYS, "-subj", "/CN=Taawon broker authority",
        "-addext", "basicConstraints=critical,CA:TRUE,pathlen:0",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        "-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.pem"),
    )  # fmt: skip
    (folder / "ca.key").chmod(0o600)


def _make_server(folder: Path, scratch: Path, hosts: list[str]) -> dict[str, Path]:
    """The files of a new certificate, by the name that the broker reads each under."""
    request, extensions = scratch / "request.pem", scratch / "extensions"
    made = {name: scratch / name for name in ("server.key", "server.pem", "ca.pem")}
    extensions.write_text(
        "basicConstraints = critical,CA:FALSE\n"
        "keyUsage = critical,digitalSignature\n"
        "extendedKeyUsage = serverAuth\n"
        "subjectKeyIdentifier = hash\n"
        "authorityKeyIdentifier = keyid\n"
        f"subjectAltName = {','.join(map(_name, hosts))}\n"
    )
    _openssl(
        "req", "-new", *KEY, "-subj", f"/CN={hosts[0]}",
        "-keyout", str(made["server.key"]), "-out", str(request),
    )  # fmt: skip
    _openssl(
        "x509", "-req", "-in", str(request), "-days", SERVER_DAYS, "-extfile", str(extensions),
        "-CA", str(folder / "ca.pem"), "-CAkey", str(folder / "ca.key"), "-CAcreateserial",
        "-out", str(made["server.pem"]),
    )  # fmt: skip
    shutil.copy(folder / "ca.pem", made["ca.pem"])
    return made


def _name(host: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(host)}"
    except ValueError:
        return f"DNS:{host}"


def _openssl(*arguments: str) -> None:
    run = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    if run.returncode != 0:
        raise SystemExit(f"openssl {arguments[0]} failed:\n{run.stderr}")


if __name__ == "__main__":
    raise SystemExit(main())
