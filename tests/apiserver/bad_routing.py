"""Malformed RoutingPolicies, each with what a person must be able to read in kubectl's answer."""

from tests.apiserver.good_objects import Bad

KIND = "RoutingPolicy"
TWO = "{name: a, serviceRef: {name: a, port: 80}}, {name: b, serviceRef: {name: b, port: 80}}"

BAD_ROUTING = (
    Bad(
        "a policy with one backend",
        "spec: {backends: [{name: a, serviceRef: {name: a, port: 80}}]}",
        "should have at least 2 items",
        KIND,
    ),
    Bad(
        "two backends of one name",
        "spec: {backends: [{name: a, serviceRef: {name: a, port: 80}}, "
        "{name: a, serviceRef: {name: b, port: 80}}]}",
        "two backends have the same name: rename one",
        KIND,
    ),
    Bad(
        "a backend that is nothing",
        f"spec: {{backends: [{TWO}, {{name: c}}]}}",
        "a backend is one thing: set one of serviceRef, inferencePoolRef, provider, or modelRef",
        KIND,
    ),
    Bad(
        "a backend that is two things",
        f"spec: {{backends: [{TWO}, {{name: c, serviceRef: {{name: c, port: 80}}, "
        "provider: {name: openai}}]}",
        "a backend is one thing: set one of serviceRef, inferencePoolRef, provider, or modelRef",
        KIND,
    ),
    Bad(
        "an InferencePool of nobody's pods",
        f"spec: {{backends: [{TWO}, {{name: c, inferencePoolRef: {{name: c}}}}]}}",
        "an InferencePool needs modelRef: the ModelDeployment whose pods serve behind it",
        KIND,
    ),
    Bad(
        "an outside provider behind an HTTPRoute",
        f"spec: {{backends: [{TWO}, {{name: c, provider: {{name: openai}}}}]}}",
        "an HTTPRoute cannot send to an outside provider: remove the backend or routeRef",
        KIND,
    ),
    Bad(
        "a backend's name with a blank",
        'spec: {backends: [{name: "my canary", serviceRef: {name: a, port: 80}}, '
        "{name: b, serviceRef: {name: b, port: 80}}]}",
        "name a backend with lower-case letters, digits and '-', for example canary",
        KIND,
    ),
    Bad(
        "a weight above 100",
        "spec: {backends: [{name: a, weight: 101, serviceRef: {name: a, port: 80}}, "
        "{name: b, serviceRef: {name: b, port: 80}}]}",
        "should be less than or equal to 100",
        KIND,
    ),
    Bad(
        "only weights of 0",
        "spec: {backends: [{name: a, weight: 0, serviceRef: {name: a, port: 80}}, "
        "{name: b, weight: 0, serviceRef: {name: b, port: 80}}]}",
        "every weight is 0, so nobody would answer: give at least one backend a weight",
        KIND,
    ),
    Bad(
        "own queries for a backend",
        "spec: {backends: [{name: a, engine: custom, serviceRef: {name: a, port: 80}}, "
        "{name: b, serviceRef: {name: b, port: 80}}]}",
        "a backend has no own queries: choose a preset",
        KIND,
    ),
    Bad(
        "a strategy that does not exist",
        "spec: {strategy: Random}",
        'Unsupported value: "Random": supported values: "Equal", "Weighted"',
        KIND,
    ),
    Bad(
        "a canary without a plan",
        "spec: {strategy: Canary}",
        "rollout belongs to the strategies Canary and ABTest: set both or neither",
        KIND,
    ),
    Bad(
        "a plan without a canary",
        "spec: {rollout: {backend: canary, steps: [5, 100]}}",
        "rollout belongs to the strategies Canary and ABTest: set both or neither",
        KIND,
    ),
    Bad(
        "a plan for another backend",
        "spec: {strategy: Canary, rollout: {backend: cannary, steps: [5, 100]}}",
        "rollout.backend names none of the backends",
        KIND,
    ),
    Bad(
        "a plan that goes back",
        "spec: {strategy: Canary, rollout: {backend: canary, steps: [50, 25, 100]}}",
        "steps rise: write each share once, the smallest first",
        KIND,
    ),
    Bad(
        "a plan whose rest goes nowhere",
        "spec: {strategy: ABTest, rollout: {backend: b, steps: [50]}, "
        "backends: [{name: a, weight: 0, serviceRef: {name: a, port: 80}}, "
        "{name: b, serviceRef: {name: b, port: 80}}]}",
        "what the rollout leaves has to go somewhere: give another backend a weight",
        KIND,
    ),
    Bad(
        "learning with rules alone",
        "spec: {strategy: Equal, learning: {percent: 20}}",
        "learning belongs to the strategy Learned: choose it or remove learning",
        KIND,
    ),
    Bad(
        "an algorithm that does not exist",
        "spec: {strategy: Learned, learning: {algorithm: dqn}}",
        'Unsupported value: "dqn": supported values: "thompson", "ucb", "q-learning"',
        KIND,
    ),
    Bad(
        "no traffic that follows what was learned",
        "spec: {strategy: Learned, learning: {percent: 0}}",
        "should be greater than or equal to 1",
        KIND,
    ),
    Bad(
        "rules that follow a plan",
        "spec: {strategy: Learned, learning: {rules: Canary}}",
        'Unsupported value: "Canary": supported values: "Equal", "Weighted"',
        KIND,
    ),
    Bad(
        "rules by declared weights that are all 0",
        "spec: {strategy: Learned, backends: "
        "[{name: a, weight: 0, serviceRef: {name: a, port: 80}}, "
        "{name: b, weight: 0, serviceRef: {name: b, port: 80}}]}",
        "every weight is 0, so nobody would answer: give at least one backend a weight",
        KIND,
    ),
    Bad(
        "a cost that pays",
        'spec: {strategy: Learned, learning: {reward: {costWeight: "-1"}}}',
        'a cost is zero or more: write it as a quoted decimal, for example "2.50"',
        KIND,
    ),
    Bad(
        "a policy that scales",
        "spec: {autonomy: {actions: {SCALE: Auto}}}",
        "a RoutingPolicy only routes and alerts: name ROUTE or ALERT",
        KIND,
    ),
    Bad(
        "exploration of half the traffic",
        "spec: {exploration: {minPercent: 50}}",
        "should be less than or equal to 20",
        KIND,
    ),
    Bad(
        "a region that is blank",
        'spec: {constraints: {regions: [" "]}}',
        "write a name or leave the field out, for example eu-west-1",
        KIND,
    ),
    Bad(
        "a policy's name that is too long for a label",
        f"metadata: {{name: {'l' * 64}}}",
        "metadata.name must be 63 characters or shorter",
        KIND,
    ),
    Bad(
        "a decision about neither kind",
        "spec: {modelRef: {kind: Deployment}}",
        'Unsupported value: "Deployment": supported values: "ModelDeployment", "RoutingPolicy"',
        "Decision",
    ),
)
