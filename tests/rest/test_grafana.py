"""The shipped Grafana dashboard asks for metrics that the service has, and for each of them."""

import json
import re
from importlib.resources import files

from dnaml.rest import metrics
from tests.rest.conftest import Client

OF_SENSORS = {name for name, _, _ in metrics._OF_DEVICES}  # absent where no sensor is


def test_every_panel_asks_for_metrics_of_the_service_and_every_metric_has_a_panel(api: Client) -> None:
    api.ended(api.submit("double", 1))
    shown = api.get("//metrics").text
    known = {line.split()[2] for line in shown.splitlines() if line.startswith("# TYPE")}
    known = {name for name in known if not name.endswith("_created")}
    dashboard = json.loads(files("dnaml.rest").joinpath("grafana.json").read_text())
    words = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    asked = {re.sub("_bucket$", "", word) for word in re.findall(r"\b(?:dnaml|system|hw)_[a-z_]+", words)}
    optional = OF_SENSORS | {"dnaml_prediction_interval_coverage"}
    assert asked - optional <= known
    assert known - asked == {"dnaml_build_info"}
