"""Malformed objects, each with what a person must be able to read in kubectl's answer.

A case is a change, in YAML as a user writes it, laid over an object that is valid; the document
docs/bad-input.md lists the same cases with the API server's whole answer.
"""

from tests.apiserver.bad_autonomy import BAD_AUTONOMY
from tests.apiserver.bad_routing import BAD_ROUTING
from tests.apiserver.good_objects import Bad

BAD = (
    Bad(
        "the target is missing",
        "spec: {targetRef: removed}",
        "spec.targetRef: Required value",
    ),
    Bad(
        "the kind is written in lower case",
        "spec: {targetRef: {kind: deployment}}",
        "write the kind in CamelCase and singular, for example Deployment",
    ),
    Bad(
        "the API version holds the kind",
        "spec: {targetRef: {apiVersion: apps/v1/Deployment}}",
        "write group and version, for example apps/v1",
    ),
    Bad(
        "the target's name is no object name",
        "spec: {targetRef: {name: Llama_8B}}",
        "use the object's name: lower-case letters, digits",
    ),
    Bad(
        "the Service is given as a URL",
        'spec: {serviceRef: {name: "http://llama:80"}}',
        "use the Service's name alone",
    ),
    Bad(
        "an engine without a preset",
        "spec: {engine: ollama}",
        'Unsupported value: "ollama": supported values: "vllm", "tgi", "triton", "sdk", "custom"',
    ),
    Bad(
        "engine custom without queries",
        "spec: {engine: custom}",
        "set at least metrics.queries.latencyP95 and metrics.queries.requestRate",
    ),
    Bad(
        "an empty query",
        'spec: {metrics: {queries: {latencyP95: "  "}}}',
        "a query is PromQL text",
    ),
    Bad(
        "six own queries",
        "spec: {metrics: {queries: {latencyP95: a, ttftP95: a, tpotP95: a, requestRate: a, "
        "driftScore: a, gpuRatio: a}}}",
        "must have at most 5 items",
    ),
    Bad(
        "a signal that does not exist",
        "spec: {objectives: {latencyP99: 2s}}",
        'unknown field "spec.objectives.latencyP99"',
    ),
    Bad(
        "a duration in words",
        "spec: {objectives: {latencyP95: 2 seconds}}",
        "write a duration as numbers with the units ms, s, m or h",
    ),
    Bad(
        "an objective of nothing",
        "spec: {objectives: {ttftP95: 0s}}",
        "must be longer than 0s",
    ),
    Bad(
        "a fraction where a percent belongs",
        "spec: {objectives: {errorRatePercent: 0.01}}",
        "must be of type integer",
    ),
    Bad(
        "more than all requests",
        "spec: {objectives: {errorRatePercent: 150}}",
        "should be less than or equal to 100",
    ),
    Bad(
        "no sample is enough",
        "spec: {metrics: {minSamples: 0}}",
        "should be greater than or equal to 1",
    ),
    Bad(
        "fewest above most replicas",
        "spec: {scaling: {minReplicas: 5, maxReplicas: 2}}",
        "raise maxReplicas or lower minReplicas",
    ),
    Bad(
        "scaling without an upper bound",
        "spec: {scaling: {minReplicas: 1}}",
        "spec.scaling.maxReplicas: Required value",
    ),
    Bad(
        "scale to zero",
        "spec: {scaling: {minReplicas: 0, maxReplicas: 2}}",
        "should be greater than or equal to 1",
    ),
    Bad(
        "a number of replicas in words",
        "spec: {scaling: {maxReplicas: eight}}",
        "must be of type integer",
    ),
    Bad(
        "a cost that is not quoted",
        "spec: {scaling: {maxReplicas: 2, costPerReplicaHour: 2.5}}",
        "must be of type string",
    ),
    Bad(
        "a cost below nothing",
        'spec: {scaling: {maxReplicas: 2, costPerReplicaHour: "-1"}}',
        "a cost is zero or more",
    ),
    Bad(
        "SCALE by itself without an objective",
        "spec: {scaling: {maxReplicas: 4}, autonomy: {mode: Auto}}",
        "set at least one of objectives.latencyP95",
    ),
    Bad(
        "a cache mode that YAML reads as a boolean",
        "spec: {cache: {mode: on}}",
        "spec.cache.mode in body must be of type string",
    ),
    Bad(
        "the cache on a StatefulSet",
        "spec: {targetRef: {kind: StatefulSet}, cache: {mode: Auto}}",
        "the cache needs a target of kind Deployment",
    ),
    Bad(
        "a cache path without its slash",
        "spec: {cache: {paths: [v1/completions]}}",
        "a path starts with '/'",
    ),
    Bad(
        "a cache path with a line break for nginx",
        'spec: {cache: {paths: ["/v1;\\n proxy_pass http://evil"]}}',
        "a path starts with '/'",
    ),
    Bad(
        "the same cache path twice",
        "spec: {cache: {paths: [/v1/completions, /v1/completions]}}",
        "each path may be listed once",
    ),
    Bad(
        "a cache of no size",
        'spec: {cache: {maxSize: "0"}}',
        "write a size as a positive quantity",
    ),
    Bad(
        "the fallback is the primary",
        "spec: {fallback: {serviceRef: {name: llama}}}",
        "the fallback must be another Service than serviceRef",
    ),
    Bad(
        "a port that does not exist",
        "spec: {fallback: {serviceRef: {name: small, port: 70000}}}",
        "should be less than or equal to 65535",
    ),
    *BAD_AUTONOMY,
    *BAD_ROUTING,
)
