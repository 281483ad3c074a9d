"""Alert mails about evaluations below evaluationJobAlertConfig.minAcceptableMeanAveragePrecision."""

import logging
import smtplib
import ssl
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Final, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.run_events import AlertRaised
from jobledger.domain.runs import open_runs
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import translated
from jobledger.infra.read.reader import Reader

READ_MAILS: Final = sql.load(__package__, "read_mails")
MAIL_SENT: Final = sql.load(__package__, "mail_sent")
LOG: Final = logging.getLogger("jobledger.scheduler")
TIMEOUT_SECONDS: Final = 10.0
"""Seconds that the SMTP server may take for each of its answers."""
PORTS: Final = {"smtp": 25, "smtps": 465}


class Mailer(NamedTuple):
    """An SMTP server, and the sender of its mail."""

    scheme: str
    """`smtp`, with STARTTLS where the server offers it, or `smtps`."""
    host: str
    port: int
    user: str
    password: str
    sender: str

    @classmethod
    def parse(cls, address: str, sender: str) -> Self:
        """`smtp://[USER:PASSWORD@]HOST[:PORT]`, or smtps; raises InvalidFieldError."""
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError as error:
            raise InvalidFieldError("smtp", str(error)) from None
        if parts.scheme not in PORTS or not parts.hostname:
            raise InvalidFieldError(
                "smtp", "is not of the form smtp://[USER:PASSWORD@]HOST[:PORT] or smtps://…"
            )
        return cls(
            parts.scheme,
            parts.hostname,
            port or PORTS[parts.scheme],
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            sender,
        )

    def send_all(self, reader: Reader) -> None:
        """Sends the pending mail; failed mail is tried again the next time."""
        with translated(), reader.pool.connection() as connection:
            unsent = connection.execute(READ_MAILS).fetchall()
        for name, run in unsent:
            try:
                self._send(reader, name, run)
            except LedgerUnavailableError:
                raise
            except (OSError, smtplib.SMTPException) as error:
                LOG.warning("the alert of run %d of %s was not sent: %s", run, name, error)
            except Exception:
                # An invalid job does not stop the mail of others.
                LOG.exception("the alert of run %d of %s cannot be sent", run, name)

    def _send(self, reader: Reader, name: str, run: int) -> None:
        job = reader.read_current(name)
        if job is None or run in open_runs(job.output):
            return
        for event in reader.history(name):
            if event.type == "AlertRaised" and event.json["run"] == run:
                alert = event.data
                assert isinstance(alert, AlertRaised)
                try:
                    message = _message(name, alert, self.sender)
                except InvalidFieldError as error:
                    LOG.warning("the alert of run %d of %s has no recipient: %s", run, name, error)
                    continue
                with self._connected() as server:
                    server.send_message(message)
        with translated(), reader.pool.connection() as connection:
            connection.execute(MAIL_SENT, (name, run))

    def _connected(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=TIMEOUT_SECONDS, context=context
            )
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_SECONDS)
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=context)
        if self.user:
            server.login(self.user, self.password)
        return server


def _recipient(email: str) -> Address:
    """The one address that an alert goes to; raises InvalidFieldError for several, or none."""
    try:
        return Address(addr_spec=email)
    except (HeaderParseError, ValueError, IndexError):
        why = f"{email[:80]!r} is not one address such as you@example.com"
        raise InvalidFieldError("evaluationJobAlertConfig.email", why) from None


def _message(name: str, alert: AlertRaised, sender: str) -> EmailMessage:
    message = EmailMessage()
    found, least = alert.mean_average_precision, alert.min_acceptable_mean_average_precision
    message["From"], message["To"] = sender, _recipient(alert.email)
    message["Subject"] = f"{name}: mean average precision {found:.3f} is below {least:.3f}"
    message.set_content(
        f"Run {alert.run} of {name} found a mean average precision of {found:.6f}.\n"
        f"The job's minAcceptableMeanAveragePrecision is {least:.6f}.\n\n"
        f"The evaluation: {alert.evaluation}\n"
    )
    return message
