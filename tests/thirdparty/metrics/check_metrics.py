"""Reads what `GET /metrics` answered with a parser that nobody here wrote: that of the Python `prometheus_client`.

    python3 -m venv VENV && VENV/bin/pip install -r requirements.txt
    VENV/bin/python check_metrics.py FILE

FILE is the answer, as the system tests keep it. Prints one line per check; exit code 1 if one fails.
"""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

EXPECTED = {
    "counterfoil_decisions": "counter",
    "counterfoil_records": "counter",
    "counterfoil_decision_seconds": "histogram",
    "counterfoil_durable_seconds": "histogram",
    "counterfoil_mcp_calls": "counter",
    "counterfoil_mcp_call_seconds": "histogram",
    "counterfoil_webhook_delivered": "counter",
    "counterfoil_webhook_failures": "counter",
    "counterfoil_webhook_lag_records": "gauge",
    "counterfoil_webhook_oldest_seconds": "gauge",
    "counterfoil_webhook_disabled": "gauge",
    "counterfoil_cases_open": "gauge",
    "counterfoil_approvals_waiting": "gauge",
    "counterfoil_approvals_oldest_seconds": "gauge",
    "counterfoil_exceptions_open": "gauge",
    "counterfoil_freezes": "gauge",
    "counterfoil_threshold_in_force": "gauge",
    "counterfoil_threshold_left_actions": "gauge",
    "counterfoil_threshold_left_sum": "gauge",
    "counterfoil_log_records": "gauge",
    "counterfoil_checkpoint_lag_records": "gauge",
    "counterfoil_log_failed": "gauge",
    "counterfoil_checkpoint_unsigned": "gauge",
}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        families = {family.name: family for family in text_string_to_metric_families(file.read())}
    failed = False
    for name, kind in EXPECTED.items():
        family = families.get(name)
        holds = family is not None and family.type == kind and bool(family.samples) and bool(family.documentation)
        print(("ok      " if holds else "FAILED  ") + f"{name} is a {kind} with samples")
        failed |= not holds
    print(f"{len(families)} families, {sum(len(f.samples) for f in families.values())} samples")
    sys.exit(failed)


main()
