"""Checks of the settings: each variable is known, and its value can be read."""

from collections.abc import Callable, Iterator
from typing import Final

from jobledger.domain.errors import InvalidFieldError, LedgerError
from jobledger.domain.values.names import parse_name
from jobledger.domain.values.nearest import nearest
from jobledger.infra.cli.diagnosis.check import Check, ok, problem
from jobledger.infra.evaluation.runs.mail import Mailer
from jobledger.infra.evaluation.runs.scheduler import RULES
from jobledger.infra.google.labeling.methods import check_strictness
from jobledger.infra.postgres.connections import conninfo, schema_of
from jobledger.infra.proof.publishing.publisher import parse_places
from jobledger.infra.proof.signing.policy import Policy
from jobledger.infra.settings import VARIABLES, Settings, query_milliseconds, unknown_variables

NAME: Final = "settings"


def read_settings() -> Settings:
    """Returns the settings that can be read."""
    try:
        return Settings()
    except InvalidFieldError:
        return Settings(seal=False)


def check_settings(settings: Settings, ledger: str, project: str) -> Iterator[Check]:
    """Returns a problem for each variable that is unknown or invalid, or else one successful check."""
    wrong = [*_unknown(), *_unreadable(settings, ledger, project)]
    yield from wrong
    if not wrong:
        yield ok(NAME, "every JOBLEDGER_ variable is known and can be read")


def _unknown() -> Iterator[Check]:
    for name in unknown_variables():
        close = nearest(name, [f"JOBLEDGER_{known}" for known in VARIABLES])
        remedy = f"set {close} instead" if close else "unset it"
        yield problem(
            NAME,
            f"{name} is not a variable of jobledger",
            f"{remedy}; they are listed by: jobledger settings",
        )


def _unreadable(settings: Settings, ledger: str, project: str) -> Iterator[Check]:
    readings: dict[str, Callable[[], object]] = {
        "SEAL": Settings,
        "DSN": lambda: settings.dsn and conninfo(settings.dsn, "x"),
        "LEDGER": lambda: schema_of(ledger),
        "PROJECT": lambda: parse_name(f"projects/{project}/jobs/x"),
        "POLICY": lambda: settings.policy and Policy.read(settings.policy),
        "PUBLISH": lambda: parse_places(settings.publish),
        "EVALUATION_JOBS": lambda: check_strictness(settings.evaluation_jobs),
        "QUERY_TIMEOUT": lambda: query_milliseconds(settings.query_timeout),
        "SCHEDULES": lambda: _check_rule(settings.schedules),
        "SMTP": lambda: settings.smtp and Mailer.parse(settings.smtp, settings.mail_from),
    }
    for name, read in readings.items():
        try:
            read()
        except LedgerError as error:
            yield problem(
                NAME, f"JOBLEDGER_{name} cannot be used: {error}", f"it is {VARIABLES[name]}"
            )


def _check_rule(rule: str) -> None:
    if rule not in RULES:
        raise InvalidFieldError("schedules", f"{rule!r} is not one of {', '.join(RULES)}")
