"""Objectives, budgets, alerts, canary judgement, the rollout simulator."""
