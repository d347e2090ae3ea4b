"""A small multilayer perceptron in numpy: one hidden layer, one output an arm."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Adam", "Network"]

Floats = NDArray[np.float64]


class Network:
    """`outputs(relu(features))`; arms get outputs as they come.

    Attributes:
        parameters: input weights, input biases, output weights and output biases.
    """

    def __init__(self, inputs: int, hidden: int, arms: int, rng: np.random.Generator) -> None:
        # He et al., ICCV 2015, for rectified units; outputs begin at 0, the mean reward.
        self.parameters: list[Floats] = [
            rng.normal(0.0, np.sqrt(2.0 / inputs), (inputs, hidden)),
            np.zeros(hidden),
            np.zeros((hidden, arms)),
            np.zeros(arms),
        ]

    @property
    def arms(self) -> int:
        return len(self.parameters[3])

    def grow(self, arms: int) -> None:
        """Room for more outputs, which begin at 0."""
        more = arms - self.arms
        self.parameters[2] = np.pad(self.parameters[2], ((0, 0), (0, more)))
        self.parameters[3] = np.pad(self.parameters[3], (0, more))

    def values(self, features: Floats) -> Floats:
        """Outputs for one vector or a row each."""
        first, first_bias, second, second_bias = self.parameters
        found: Floats = np.maximum(features @ first + first_bias, 0.0) @ second + second_bias
        return found

    def gradients(self, features: Floats, arms: NDArray[np.intp], targets: Floats) -> list[Floats]:
        """Gradients of the Huber loss between targets and the outputs of the arms taken."""
        first, first_bias, second, second_bias = self.parameters
        hidden = np.maximum(features @ first + first_bias, 0.0)
        rows = np.arange(len(arms))
        values = (hidden @ second + second_bias)[rows, arms]
        slope = np.clip(values - targets, -1.0, 1.0) / len(arms)
        output = np.zeros((len(arms), self.arms))
        output[rows, arms] = slope
        back = (slope[:, None] * second[:, arms].T) * (hidden > 0.0)
        return [features.T @ back, back.sum(axis=0), hidden.T @ output, output.sum(axis=0)]


class Adam:
    """Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, with its defaults."""

    _BETA1: Final = 0.9
    _BETA2: Final = 0.999
    _EPSILON: Final = 1e-8

    def __init__(self, network: Network, rate: float) -> None:
        self._rate = rate
        self._steps = 0
        self._first = [np.zeros_like(one) for one in network.parameters]
        self._second = [np.zeros_like(one) for one in network.parameters]

    def step(self, network: Network, gradients: list[Floats]) -> None:
        self._steps += 1
        rate = (
            self._rate * np.sqrt(1.0 - self._BETA2**self._steps) / (1.0 - self._BETA1**self._steps)
        )
        for index, gradient in enumerate(gradients):
            first, second = self._moments(index, gradient.shape)
            first += (1.0 - self._BETA1) * (gradient - first)
            second += (1.0 - self._BETA2) * (gradient**2 - second)
            network.parameters[index] -= rate * first / (np.sqrt(second) + self._EPSILON)

    def _moments(self, index: int, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
        """The two moments, as large as the parameter has grown."""
        first, second = self._first[index], self._second[index]
        if first.shape != shape:
            grown = [(0, want - have) for want, have in zip(shape, first.shape, strict=True)]
            first, second = np.pad(first, grown), np.pad(second, grown)
            self._first[index], self._second[index] = first, second
        return first, second
