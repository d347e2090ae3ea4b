"""Judges one decision against guardrails. Pure; blind to the planner's text and precedents."""
