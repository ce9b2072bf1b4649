"""How builds are planned: with the typed steps that are known here."""

from __future__ import annotations

from andon.api.v1.jobs import TypedStep
from andon.domains.pipelines.expand import Settings
from andon.domains.pipelines.plan import build_planner


def typed_step(name: str, settings: Settings) -> TypedStep:
    """Say what a typed step comes to; plugins are looked for when a Pipeline names one."""
    from andon.adapters.steps import render_step

    return render_step(name, settings)


plan_build = build_planner(typed_step)
"""Plans builds."""
