"""What `datarax doctor` looks at, one module each: data to show, and problems with remedies."""

from __future__ import annotations

from datarax.cli.checks.caches import check_caches
from datarax.cli.checks.environment import check_environment
from datarax.cli.checks.plugins import check_policies, check_sources
from datarax.cli.checks.problem import Problem
from datarax.cli.checks.switches import check_switches

__all__ = [
    "Problem",
    "check_caches",
    "check_environment",
    "check_policies",
    "check_sources",
    "check_switches",
]
