"""The versions of the Vertex AI API: their paths, their messages, and the names of their types."""

from typing import Final, NamedTuple

from jobledger.infra.google.wire import messages
from jobledger.infra.google.wire.messages import Api

PREFIX: Final = "type.googleapis.com/google.cloud.aiplatform."


class Version(NamedTuple):
    """One version of the API."""

    path: str
    """The first part of its paths."""
    api: Api
    package: str
    """The version in the names of its types: `v1beta` has no types of its own."""

    @property
    def type_prefix(self) -> str:
        """The prefix of the `@type` of its messages."""
        return f"{PREFIX}{self.package}."


V1: Final = Version("v1", messages.load("aiplatform_v1"), "v1")
V1BETA1: Final = Version("v1beta1", messages.load("aiplatform_v1beta1"), "v1beta1")
VERSIONS: Final = (V1, V1BETA1, V1BETA1._replace(path="v1beta"))
BY_PACKAGE: Final = {version.package: version for version in (V1, V1BETA1)}
