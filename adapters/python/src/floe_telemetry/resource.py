"""What the SDK says of the process: the plan's resource, and nothing that an environment adds to it.

The SDK's own `Resource.create` reads `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`, which the policy has
weighed already, and asks the detectors that `OTEL_EXPERIMENTAL_RESOURCE_DETECTORS` names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from opentelemetry.sdk.resources import (
    TELEMETRY_SDK_LANGUAGE,
    TELEMETRY_SDK_NAME,
    TELEMETRY_SDK_VERSION,
    Resource,
    ServiceInstanceIdResourceDetector,
)
from opentelemetry.sdk.version import __version__ as sdk_version
from opentelemetry.util.types import AttributeValue

_SDK: Final = {
    TELEMETRY_SDK_LANGUAGE: "python",
    TELEMETRY_SDK_NAME: "opentelemetry",
    TELEMETRY_SDK_VERSION: sdk_version,
}


class ProcessResource(Resource):
    """The SDK, this process, and what is given, which takes precedence."""

    def __init__(self, given: Mapping[str, AttributeValue]) -> None:
        self._given: Final = dict(given)
        self._pid: Final = os.getpid()
        instance = ServiceInstanceIdResourceDetector().detect()  # one for each process
        super().__init__({**_SDK, "process.pid": self._pid, **instance.attributes, **self._given})

    def merge(self, other: Resource) -> Resource:
        """As any resource; but in a forked process, where the SDK asks detectors anew, the same for that
        process.
        """
        return super().merge(other) if os.getpid() == self._pid else ProcessResource(self._given)
