"""One function per automated check, registered by the name that plans use. A check looks and returns evidence."""

from checks.evidence import Found
from checks.registry import CHECKS

__all__ = ["CHECKS", "Found"]
