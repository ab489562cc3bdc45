"""What the examples for apps share: seats of agents, the reviewer's check, and the refund itself."""

from __future__ import annotations

import os
from pathlib import Path

from counterfoil import Opinion, Review, Seat

PROMPTS = Path(__file__).parent / "release/prompts"


def seat(agent: str, model: str = "") -> Seat:
    """An agent's token, with the model and prompt that the release pins."""
    token = (Path(os.environ["COUNTERFOIL_KEYS"]) / f"{agent}.token").read_text().strip()
    return Seat(token, model, (PROMPTS / f"{agent}.md").read_text())


def check(review: Review) -> Opinion:
    """The reviewer's check, from the source and not from the analyst's words."""
    cents = review.action["arguments"]["amount_cents"]
    if cents <= 50_000:
        return Opinion("proceed", f"{cents} cents are within what a refund may be.")
    return Opinion("refer", "More than an agent should say yes to.")


def refund(order_id: str, amount_cents: int) -> str:
    """Refund an order to the customer."""
    with open(os.environ.get("REFUNDS", "refunds.txt"), "a") as paid:
        paid.write(f"{order_id} {amount_cents}\n")
    return f"refunded {amount_cents} cents of {order_id}"
