"""The procedures and topics that are served of one picture of the database, put together."""

from pgwamp.exposure.build import Exposure, build_exposure
from pgwamp.exposure.reader import Reader

__all__ = ["Exposure", "Reader", "build_exposure"]
