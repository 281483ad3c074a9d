"""The mapper's name in users' configuration: MAPPER_TOPIC=jobledger.infra.mapping:JobMapper."""

from jobledger.infra.adapter.mapper import JobMapper

__all__ = ["JobMapper"]
