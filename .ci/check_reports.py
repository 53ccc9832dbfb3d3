"""Tell what each test environment ran; fail where one ran nothing, failed, or skipped a test."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

reports = sorted(Path(sys.argv[1]).glob("*.xml"))
wrong = []
for report in reports:
    (suite,) = ET.parse(report).getroot().iter("testsuite")
    tests, failures, errors, skipped = (
        int(suite.attrib[key]) for key in ("tests", "failures", "errors", "skipped")
    )
    print(f"{report.stem}: {tests} tests, {failures + errors} failed, {skipped} skipped")
    if failures or errors or skipped or not tests:
        wrong.append(report.stem)
if wrong:
    sys.exit(f"not every test ran and passed: {', '.join(wrong)}")
