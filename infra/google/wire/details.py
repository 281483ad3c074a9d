"""The details of a google.rpc.Status that Google's clients know. They refuse a whole answer with unknown details."""

from typing import Any, Final

from jobledger.infra.google.wire.messages import Api

PREFIX: Final = "type.googleapis.com/google.rpc."
MESSAGES: Final[dict[str, Any]] = {
    "BadRequest": {"fields": {"fieldViolations": "[FieldViolation]"}},
    "DebugInfo": {"fields": {"stackEntries": "[string]", "detail": "string"}},
    "ErrorInfo": {"fields": {"reason": "string", "domain": "string", "metadata": "map<string>"}},
    "Help": {"fields": {"links": "[Link]"}},
    "LocalizedMessage": {"fields": {"locale": "string", "message": "string"}},
    "PreconditionFailure": {"fields": {"violations": "[PreconditionViolation]"}},
    "QuotaFailure": {"fields": {"violations": "[QuotaViolation]"}},
    "RequestInfo": {"fields": {"requestId": "string", "servingData": "string"}},
    "ResourceInfo": {
        "fields": {
            "resourceType": "string", "resourceName": "string", "owner": "string", "description": "string",
        },
    },
    "RetryInfo": {"fields": {"retryDelay": "duration"}},
}  # fmt: skip
"""google/rpc/error_details.proto."""
_WITHIN: Final[dict[str, Any]] = {
    "FieldViolation": {
        "fields": {
            "field": "string", "description": "string", "reason": "string",
            "localizedMessage": "LocalizedMessage",
        },
    },
    "Link": {"fields": {"description": "string", "url": "string"}},
    "PreconditionViolation": {
        "fields": {"type": "string", "subject": "string", "description": "string"}
    },
    "QuotaViolation": {
        "fields": {
            "subject": "string", "description": "string", "apiService": "string", "quotaMetric": "string",
            "quotaId": "string", "quotaDimensions": "map<string>", "quotaValue": "int64",
            "futureQuotaValue": "int64",
        },
    },
}  # fmt: skip
API: Final = Api({"messages": MESSAGES | _WITHIN, "enums": {}})


def type_of(detail: Any) -> str | None:
    """Returns the type among MESSAGES; None for types that clients do not know."""
    url = detail.get("@type") if isinstance(detail, dict) else None
    name = url.removeprefix(PREFIX) if isinstance(url, str) and url.startswith(PREFIX) else None
    return name if name in MESSAGES else None
