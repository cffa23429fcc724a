"""Reads a text of metrics as strictly as the format is written, and prints its samples as JSON.

Usage: metrics.py FILE [text]. Ends with an error where the text is not OpenMetrics, or with `text` not of the older format."""

import json
import sys

from prometheus_client import parser as text
from prometheus_client.openmetrics import parser as openmetrics

parser = text if sys.argv[2:] == ["text"] else openmetrics
with open(sys.argv[1], encoding="utf-8", newline="") as file:
    families = list(parser.text_string_to_metric_families(file.read()))
samples = [
    {"family": family.name, "kind": family.type, "name": sample.name, "labels": sample.labels, "value": sample.value}
    for family in families
    for sample in family.samples
]
print(json.dumps({"families": {family.name: family.type for family in families}, "samples": samples}))
