"""Routing that learns and can be audited; importable alone, with numpy as its only dependency.

    engine = RoutingEngine(model_path="q_table.json")
    provider_id, metadata = engine.decide(context, providers, constraints)
    engine.feedback(metadata["decision_id"], True, actual_cost_usd=0.4, actual_latency_ms=210)

`decide` and `feedback` compute in memory; files, databases and the psi field are background work.
"""

from aurora.routing.auditor import Auditor
from aurora.routing.cooldown import CooldownSettings
from aurora.routing.decision import RoutingDecision
from aurora.routing.engine import RoutingEngine
from aurora.routing.errors import (
    FeedbackError,
    InputError,
    NoEligibleProviderError,
    RoutingError,
    StateConflictError,
    StateError,
    UnknownDecisionError,
    UnknownStrategyError,
)
from aurora.routing.executor import Executor
from aurora.routing.features import FeatureMap
from aurora.routing.psi_field import PsiField, PsiMetrics
from aurora.routing.qlearning import QLearning
from aurora.routing.reward import Reward, RewardWeights
from aurora.routing.settings import EngineSettings
from aurora.routing.sql_state import SqlState
from aurora.routing.state_store import JsonFile
from aurora.routing.strategies import Registry
from aurora.routing.strategist import Strategist
from aurora.routing.types import Constraints, Outcome, ProviderState, StateKey, WorkloadContext
from aurora.routing.violations import ViolationType

__all__ = [
    "Auditor",
    "Constraints",
    "CooldownSettings",
    "EngineSettings",
    "Executor",
    "FeatureMap",
    "FeedbackError",
    "InputError",
    "JsonFile",
    "NoEligibleProviderError",
    "Outcome",
    "ProviderState",
    "PsiField",
    "PsiMetrics",
    "QLearning",
    "Registry",
    "Reward",
    "RewardWeights",
    "RoutingDecision",
    "RoutingEngine",
    "RoutingError",
    "SqlState",
    "StateConflictError",
    "StateError",
    "StateKey",
    "Strategist",
    "UnknownDecisionError",
    "UnknownStrategyError",
    "ViolationType",
    "WorkloadContext",
]
