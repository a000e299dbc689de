"""What is demanded of a platform, and what happens where it cannot be given."""

import pytest

from bldr.api import GUARANTEES, LIMITS, Bridge, IsolationError, Level, NetworkPolicy, Probe, Shortfall
from bldr.hermetic import check_reached, covers, decide, is_hermetic, missing, select_sandbox
from bldr.hermetic.policy import in_order

ALL = dict.fromkeys(GUARANTEES, Level.KERNEL)


class FakeSandbox:
    tree_layout = "copy"

    def __init__(self, name, isolation, supported=True, foreign=False):
        self.name = name
        short = (Shortfall("ipc", f"{name} is old", "buy a new one"),)
        self._probe = Probe(name, supported, isolation, short, foreign=foreign)

    def probe(self):
        return self._probe

    def open(self, root, *, map_caller=False, outlives=False):
        raise AssertionError("nothing is launched here")


def probe(isolation, *shortfalls):
    return Probe("box", True, isolation, shortfalls)


def test_covers_compares_every_name():
    assert covers({"pids": Level.KERNEL}, {"pids": Level.SUPERVISED})
    assert covers({}, {"pids": Level.NONE})
    assert not covers({"pids": Level.SUPERVISED, "ipc": Level.KERNEL}, {"pids": Level.KERNEL})
    assert not covers({}, {"pids": Level.SUPERVISED})


def test_missing_keeps_the_order_and_counts_supervision():
    assert missing(["users", "env", "ipc"], {"env": Level.SUPERVISED, "ipc": Level.NONE}) == ["users", "ipc"]


def test_the_strongest_supported_sandbox_is_picked():
    weak, strong = FakeSandbox("weak", {"env": Level.SUPERVISED}), FakeSandbox("strong", ALL)
    broken = FakeSandbox("broken", {**ALL, "memory": Level.KERNEL}, supported=False)
    for mode in ("require", "best"):
        assert select_sandbox([weak, broken, strong], mode)[0] is strong
    assert select_sandbox([weak, broken, strong], "none")[0] is weak


def test_what_is_missing_is_explained_by_the_sandbox_that_would_give_it():
    weak = FakeSandbox("weak", {"env": Level.SUPERVISED})
    broken = FakeSandbox("broken", {}, supported=False)
    _, chosen = select_sandbox([weak, broken], "require")
    (shortfall,) = chosen.shortfalls
    assert chosen.sandbox == "weak"
    assert shortfall.why == 'the sandbox "broken" does not work here: broken is old'
    assert select_sandbox([weak, broken], "none")[1] == weak.probe()


def test_the_sandbox_of_another_system_explains_nothing():
    weak = FakeSandbox("weak", {"env": Level.SUPERVISED})
    foreign, broken = (
        FakeSandbox(name, {}, supported=False, foreign=name == "foreign") for name in ("foreign", "broken")
    )
    assert select_sandbox([weak, foreign], "require")[1] == weak.probe()
    with pytest.raises(IsolationError) as caught:
        select_sandbox([foreign, broken], "best")
    assert "foreign" not in str(caught.value)


class Tier(FakeSandbox):
    """A platform that says what it can give at most, and notes that it was asked."""

    def __init__(self, name, promised, supported=True, isolation=None):
        super().__init__(name, promised if isolation is None else isolation, supported)
        self.promised = promised
        self.asked = 0

    def probe(self):
        self.asked += 1
        return super().probe()


WEAK, MIDDLE = {"env": Level.SUPERVISED}, {"env": Level.SUPERVISED, "ipc": Level.KERNEL}


def test_what_cannot_give_more_is_not_probed():
    tiers = [Tier("plain", WEAK), Tier("full", ALL), Tier("middle", MIDDLE)]
    assert [tier.name for tier in in_order(tiers)] == ["full", "middle", "plain"]
    assert select_sandbox(tiers, "best")[0].name == "full"
    assert [tier.asked for tier in tiers] == [0, 1, 0]
    assert select_sandbox(tiers, "none")[0].name == "plain"
    assert [tier.asked for tier in tiers] == [1, 1, 0]


def test_what_gives_less_than_it_promises_has_to_be_compared():
    tiers = [Tier("full", ALL, isolation=WEAK), Tier("middle", MIDDLE), Tier("plain", WEAK)]
    assert select_sandbox(tiers, "require")[0].name == "middle"
    assert [tier.asked for tier in tiers] == [1, 1, 0]


def test_the_reason_is_that_of_the_strongest_which_would_have_given_it():
    tiers = [Tier("middle", MIDDLE, supported=False), Tier("full", ALL, supported=False), Tier("plain", WEAK)]
    tiers[2]._probe = probe(WEAK, *(Shortfall(name, "nothing", "buy") for name in ("ipc", "pids")))
    told = {short.guarantee: short.why for short in select_sandbox(tiers, "best")[1].shortfalls}
    assert told == {"ipc": 'the sandbox "full" does not work here: full is old', "pids": "nothing"}
    broken = Tier("full", ALL, supported=False)
    broken._probe = Probe("full", False, {}, (Shortfall("", "it failed", "mend it"),))
    told = {short.guarantee: short.why for short in select_sandbox([broken, tiers[2]], "best")[1].shortfalls}
    assert set(told.values()) == {'the sandbox "full" does not work here: it failed'}


def test_no_sandbox_says_why():
    with pytest.raises(IsolationError) as caught:
        select_sandbox([FakeSandbox("broken", {}, supported=False)], "best")
    assert str(caught.value) == "no sandbox works on this machine\n  ipc: broken is old\nhint: buy a new one"


def test_require_fails_closed_with_every_reason_and_remedy():
    isolation = {name: level for name, level in ALL.items() if name not in ("paths", "ipc", "users")}
    shortfalls = [Shortfall("paths", "no mounts", "use Linux"), Shortfall("ipc", "no mounts", "use Linux")]
    shortfalls.append(Shortfall("users", "one user", "ask root"))
    with pytest.raises(IsolationError) as caught:
        decide(probe(isolation, *shortfalls), "require")
    assert caught.value.exit_code == 5
    assert str(caught.value) == (
        'the sandbox "box" cannot give the isolation that was asked for\n'
        "  paths, ipc: no mounts\n"
        "  users: one user\n"
        "hint: use Linux; ask root"
    )


def test_require_demands_the_limits_that_were_set_on_purpose_only():
    assert decide(probe(ALL), "require").required == GUARANTEES
    with pytest.raises(IsolationError, match="  memory: the sandbox does not give it"):
        decide(probe(ALL), "require", {"memory"})
    assert decide(probe({**ALL, "memory": Level.SUPERVISED}), "require", {"memory"}).required == (*GUARANTEES, "memory")


def test_require_refuses_a_network_unless_outputs_are_pinned():
    for network in (NetworkPolicy(("h:1",)), NetworkPolicy(host=True), NetworkPolicy(bridge=Bridge(nat=False))):
        with pytest.raises(IsolationError, match="network: the action may reach"):
            decide(probe(ALL), "require", network=network)
        assert decide(probe(ALL), "require", network=network, pinned=True).shortfalls == ()


def test_best_warns_and_none_is_silent():
    shortfalls = decide(probe({}), "best", {"disk"}).shortfalls
    assert [shortfall.guarantee for shortfall in shortfalls] == [*GUARANTEES, "disk"]
    assert decide(probe({}), "best").required == ()
    assert decide(probe({}), "none", LIMITS).shortfalls == ()


def test_less_than_demanded_is_an_error_afterwards_too():
    demand = decide(probe(ALL), "require")
    check_reached(demand, ALL)
    with pytest.raises(IsolationError, match="was not reached\n  network: "):
        check_reached(demand, {**ALL, "network": Level.NONE})
    check_reached(decide(probe({}), "best"), {})


def test_hermetic_means_every_guarantee_and_no_network():
    assert is_hermetic(ALL, NetworkPolicy())
    assert not is_hermetic({**ALL, "ipc": Level.NONE}, NetworkPolicy())
    assert not is_hermetic(ALL, NetworkPolicy(("h:1",)))
    assert not is_hermetic(ALL, NetworkPolicy(bridge=Bridge(nat=False)))
    assert not is_hermetic(ALL, NetworkPolicy(), ["memory"])
