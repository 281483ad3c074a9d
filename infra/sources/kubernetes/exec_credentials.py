"""Logs in with the program that a kubeconfig names, as kubectl does: ExecCredential of client.authentication.k8s.io.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Any, Final

import httpx
import orjson
from jobledger.domain.values.times import parse_iso
from jobledger.infra.errors import AttachError, SourceUnavailableError

GROUP: Final = "client.authentication.k8s.io"
VERSIONS: Final = (f"{GROUP}/v1", f"{GROUP}/v1beta1")
TIMEOUT_SECONDS: Final = 60.0
MAX_SHOWN: Final = 300


class ExecCredentials(httpx.Auth):
    """Runs the program when a token is needed, has expired, or was refused."""

    def __init__(
        self,
        asked: Mapping[str, Any],
        folder: Path,
        cluster: Mapping[str, Any],
        tls: ssl.SSLContext | bool,
    ) -> None:
        """Runs the program for the first time.

        Args:
            asked: The `exec` of the kubeconfig's user.
            folder: The kubeconfig's folder, in which a command with a slash is looked for.
            cluster: The kubeconfig's cluster, passed to a program that asks for it.
            tls: What a client certificate is put into.

        Raises:
            AttachError: The program cannot be run, fails, or gives no credentials.
        """
        self._asked, self._folder, self._cluster, self._tls = asked, folder, cluster, tls
        self._lock = Lock()
        self._token: str | None = None
        self._expires: datetime | None = None
        self._renew()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Adds the token to a request; if the server refuses it, repeats the request once with a new one."""
        token = self._current()
        _authorize(request, token)
        answer = yield request
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            _authorize(request, self._current(refused=token))
            yield request

    def _current(self, refused: str | None = None) -> str | None:
        with self._lock:
            has_expired = self._expires is not None and datetime.now(UTC) >= self._expires
            if has_expired or (refused is not None and refused == self._token):
                try:
                    self._renew()
                except AttachError as error:
                    # The follower tries again, because the login may be renewed meanwhile.
                    raise SourceUnavailableError(error.why) from None
            return self._token

    def _renew(self) -> None:
        status = self._run()
        token, certificate = status.get("token"), status.get("clientCertificateData")
        if not token and not certificate:
            raise self._failed("gives neither a token nor a client certificate")
        if certificate and isinstance(self._tls, ssl.SSLContext):
            self._load(certificate, status.get("clientKeyData") or "")
        self._token = str(token) if token else None
        self._expires = self._time(status.get("expirationTimestamp"))

    def _run(self) -> Mapping[str, Any]:
        """Runs the program; returns the status of its answer."""
        version = self._asked.get("apiVersion")
        if version not in VERSIONS:
            raise self._failed(f"is of apiVersion {version!r}; known are {' and '.join(VERSIONS)}")
        is_interactive = self._is_interactive()
        try:
            done = subprocess.run(  # noqa: S603 - the kubeconfig names it, as for kubectl
                [self._command(), *map(str, self._asked.get("args") or ())],
                env=self._environment(),
                stdin=None if is_interactive else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                # Questions of the program must be visible at the terminal.
                stderr=None if is_interactive else subprocess.PIPE,
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
        except OSError as error:
            hint = " ".join(str(self._asked.get("installHint") or "").split())
            why = f"cannot be run: {error.strerror or error}"
            raise self._failed(f"{why}; {hint}" if hint else why) from None
        except subprocess.TimeoutExpired:
            raise self._failed(f"did not end within {TIMEOUT_SECONDS:.0f} s") from None
        if done.returncode:
            message = " ".join((done.stderr or b"").decode(errors="replace").split())[-MAX_SHOWN:]
            raise self._failed(f"exits with {done.returncode}: {message or 'without a message'}")
        return self._status(done.stdout, str(version))

    def _status(self, output: bytes, version: str) -> Mapping[str, Any]:
        try:
            found = orjson.loads(output)
        except orjson.JSONDecodeError:
            raise self._failed("does not answer with JSON") from None
        kind = (found.get("kind"), found.get("apiVersion")) if isinstance(found, dict) else None
        if kind != ("ExecCredential", version):
            raise self._failed(f"answers with {kind!r} instead of an ExecCredential of {version}")
        status = found.get("status")
        return status if isinstance(status, dict) else {}

    def _command(self) -> str:
        command = str(self._asked.get("command") or "")
        return str(self._folder / command) if "/" in command else command

    def _environment(self) -> dict[str, str]:
        named = {str(each["name"]): str(each["value"]) for each in self._asked.get("env") or ()}
        spec: dict[str, Any] = {"interactive": self._is_interactive()}
        if self._asked.get("provideClusterInfo"):
            keys = ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url")
            spec["cluster"] = {key: self._cluster[key] for key in keys if key in self._cluster} | {
                "certificate-authority-data": self._cluster.get("certificate-authority-data")
            }
        info = {"apiVersion": self._asked["apiVersion"], "kind": "ExecCredential", "spec": spec}
        return {**os.environ, **named, "KUBERNETES_EXEC_INFO": orjson.dumps(info).decode()}

    def _is_interactive(self) -> bool:
        mode, is_terminal = self._asked.get("interactiveMode") or "IfAvailable", sys.stdin.isatty()
        if mode == "Always" and not is_terminal:
            raise self._failed("needs a terminal (interactiveMode: Always)")
        return mode != "Never" and is_terminal

    def _load(self, certificate: str, key: str) -> None:
        assert isinstance(self._tls, ssl.SSLContext)
        # ssl reads keys from files only.
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".pem") as both:
            both.write(f"{certificate}\n{key}\n")
            both.flush()
            try:
                self._tls.load_cert_chain(both.name)
            except (ssl.SSLError, ValueError) as error:
                raise self._failed(f"gives a certificate that cannot be used: {error}") from None

    def _time(self, text: Any) -> datetime | None:
        if text is None:
            return None
        try:
            time = parse_iso(str(text))
        except ValueError:
            raise self._failed(f"gives the expirationTimestamp {text!r:.60}, no time") from None
        return time if time.tzinfo else time.replace(tzinfo=UTC)

    def _failed(self, why: str) -> AttachError:
        return AttachError("kubeconfig", f"the program {self._asked.get('command')!r} {why}")


def _authorize(request: httpx.Request, token: str | None) -> None:
    if token is not None:
        request.headers["authorization"] = f"Bearer {token}"
