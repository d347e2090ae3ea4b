import json

from aurora.resources.admission import CLEANERS, policies


def policy(name, **arguments):
    return next(
        one
        for one in policies(**arguments)
        if one["kind"] == "ValidatingAdmissionPolicy" and one["metadata"]["name"] == name
    )


def test_each_policy_is_bound_denies_and_fails_closed():
    documents = policies()
    bound = {
        one["spec"]["policyName"]: one["spec"]["validationActions"]
        for one in documents
        if one["kind"] == "ValidatingAdmissionPolicyBinding"
    }
    assert bound == {"approver.aurora.dev": ["Deny"], "decisions.aurora.dev": ["Deny"]}
    assert {
        one["spec"]["failurePolicy"] for one in documents if one["kind"].endswith("Policy")
    } == {"Fail"}


def test_a_user_name_with_quotes_stays_one_string():
    hostile = 'x" || true || "y'
    spec = policy("decisions.aurora.dev", operators=[hostile])["spec"]
    expression = spec["variables"][0]["expression"]
    names = expression.removeprefix("request.userInfo.username in ")
    assert json.loads(names) == [hostile]


def test_the_cleaners_of_kubernetes_may_remove_but_not_create_decisions():
    expression = policy("decisions.aurora.dev")["spec"]["variables"][1]["expression"]
    assert all(name in expression for name in CLEANERS)
    assert "request.operation != 'CREATE'" in expression
