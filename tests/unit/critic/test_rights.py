"""What an installation may not carry out is rejected with a sentence, never tried."""

import pytest

from aurora.critic.chain import judge
from aurora.critic.reasons import CheckReason
from aurora.critic.rights import Rights
from aurora.critic.verdict import Rejected
from aurora.planner.decision import Direction
from aurora.resources.vocabulary import Action
from tests.support.builders import NAMESPACE
from tests.support.situations import criticised, fleet, request

ELSEWHERE = frozenset({"elsewhere"})


@pytest.mark.parametrize(
    ("places", "covered"),
    [
        pytest.param(None, True, id="nothing is said"),
        pytest.param({}, False, id="no action is listed"),
        pytest.param({Action.SCALE: frozenset({"*"})}, True, id="everywhere"),
        pytest.param({Action.SCALE: frozenset({NAMESPACE})}, True, id="in this namespace"),
        pytest.param({Action.SCALE: ELSEWHERE}, False, id="in another namespace"),
        pytest.param({Action.SCALE: frozenset()}, False, id="in no namespace"),
        pytest.param({Action.CACHE: frozenset({"*"})}, False, id="another action"),
    ],
)
def test_an_action_is_covered_where_it_is_listed(
    places: dict[Action, frozenset[str]] | None, covered: bool
):
    given = criticised(fleet=fleet(rights=Rights(places)))
    rejected = isinstance(found := judge(given), Rejected) and (
        found.reason is CheckReason.ACTION_NOT_INSTALLED
    )
    assert rejected is not covered


def test_the_answer_says_what_an_administrator_has_to_set():
    asked = request(action=Action.CACHE, direction=Direction.ARM)
    found = judge(criticised(asked, fleet=fleet(rights=Rights({}))))
    assert isinstance(found, Rejected)
    assert f"may not carry out CACHE in {NAMESPACE}" in found.message
    assert "actions.cache of the chart (AURORA_ACTIONS)" in found.message


def test_telling_people_needs_no_rights():
    assert Rights({}).cover(Action.ALERT, NAMESPACE)
