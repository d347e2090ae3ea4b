"""Off-policy evaluation: what a policy would have earned, from the log of another one.

Dudík, Langford and Li, "Doubly robust policy evaluation and learning", ICML 2011; Swaminathan and
Joachims, "The self-normalized estimator for counterfactual learning", NeurIPS 2015; bounds by
Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 2024.
"""

from aurora.routing.evaluation.bounds import (
    Bound,
    Interval,
    bounded_mean,
    mean_interval,
    ratio_interval,
)
from aurora.routing.evaluation.comparison import (
    Comparison,
    Moments,
    Side,
    Verdict,
    compare,
    side_of,
)
from aurora.routing.evaluation.engine_log import candidate, smallest_propensity
from aurora.routing.evaluation.estimators import Estimate, effective_samples
from aurora.routing.evaluation.evaluate import (
    Evaluation,
    EvaluationSettings,
    NotIdentifiable,
    Obstacle,
    evaluate,
)
from aurora.routing.evaluation.log import LoggedStep, Policy, WeightedLog, weigh
from aurora.routing.evaluation.reward_model import ArmMeans, RewardModel, RidgeRewards, progressive

__all__ = [
    "ArmMeans",
    "Bound",
    "Comparison",
    "Estimate",
    "Evaluation",
    "EvaluationSettings",
    "Interval",
    "LoggedStep",
    "Moments",
    "NotIdentifiable",
    "Obstacle",
    "Policy",
    "RewardModel",
    "RidgeRewards",
    "Side",
    "Verdict",
    "WeightedLog",
    "bounded_mean",
    "candidate",
    "compare",
    "effective_samples",
    "evaluate",
    "mean_interval",
    "progressive",
    "ratio_interval",
    "side_of",
    "smallest_propensity",
    "weigh",
]
