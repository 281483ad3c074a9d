"""A connection to a cluster's API by a kubeconfig: token, client certificate, password, or a program."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from pathlib import Path
from typing import Any, Final

from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.errors import AttachError

USUAL: Final = Path("~/.kube/config")
CONNECT_TIMEOUT_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 330.0
"""A watch is ended by the server after five minutes."""


def connect(file: Path | None = None, context: str | None = None) -> tuple[str, Any]:
    """Makes an HTTP client for the cluster of a context.

    Args:
        file: The kubeconfig; None is KUBECONFIG, or ~/.kube/config.
        context: The context's name; None is the current one.

    Returns:
        The context's name, and an httpx client.

    Raises:
        AttachError: The file cannot be read, or the program by which its user logs in fails.
    """
    import httpx

    path = (file or Path(os.environ.get("KUBECONFIG") or USUAL)).expanduser()
    config = _load(path)
    name = context or config.get("current-context")
    chosen = _named(config, "contexts", name, "context")
    cluster = _named(config, "clusters", chosen.get("cluster"), "cluster")
    user = _named(config, "users", chosen.get("user"), "user") if chosen.get("user") else {}
    if "auth-provider" in user:
        raise AttachError(
            "kubeconfig",
            f"the user of {name} has an auth-provider, which kubectl no longer supports; use exec",
        )
    headers: dict[str, str] = {}
    auth: Any = None
    tls = _tls(path, cluster, user)
    if token := user.get("token") or _text(path, user.get("tokenFile")):
        headers["authorization"] = f"Bearer {token.strip()}"
    elif "username" in user:
        auth = (user["username"], user.get("password", ""))
    elif asked := user.get("exec"):
        from jobledger.infra.sources.kubernetes.exec_credentials import ExecCredentials

        auth = ExecCredentials(asked, path.parent, cluster, tls)
    client = httpx.Client(
        base_url=str(cluster.get("server")),
        headers=headers,
        auth=auth,
        verify=tls,
        timeout=httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_TIMEOUT_SECONDS),
    )
    return str(name), client


def _load(path: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AttachError("kubeconfig", f"{path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise AttachError("kubeconfig", f"{path} is not YAML") from None
    if not isinstance(found, dict):
        raise AttachError("kubeconfig", f"{path} is not a kubeconfig")
    return found


def _named(config: dict[str, Any], part: str, name: Any, what: str) -> dict[str, Any]:
    for each in config.get(part) or ():
        if each.get("name") == name:
            return dict(each.get(what) or {})
    known = ", ".join(str(each.get("name")) for each in config.get(part) or ())
    raise InvalidFieldError(
        what, f"there is no {name!r} in the kubeconfig; known are {known or 'none'}"
    )


def _tls(path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext | bool:
    if str(cluster.get("server")).startswith("http://"):
        return False
    if cluster.get("insecure-skip-tls-verify"):
        return False
    authority = _pem(path, cluster, "certificate-authority")
    found = ssl.create_default_context(cadata=authority)
    if certificate := _pem(path, user, "client-certificate"):
        # ssl reads keys from files only.
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".pem") as both:
            both.write(f"{certificate}\n{_pem(path, user, 'client-key')}\n")
            both.flush()
            found.load_cert_chain(both.name)
    return found


def _pem(path: Path, holder: dict[str, Any], key: str) -> str | None:
    """A certificate or key: inline in base64 (`KEY-data`), or in a file."""
    if data := holder.get(f"{key}-data"):
        return base64.b64decode(data).decode()
    return _text(path, holder.get(key))


def _text(path: Path, file: str | None) -> str | None:
    if file is None:
        return None
    try:
        return (path.parent / file).read_text(encoding="utf-8")
    except OSError as error:
        raise AttachError("kubeconfig", f"{file}: {error.strerror or error}") from None
