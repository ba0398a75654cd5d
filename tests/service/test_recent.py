from mien.service.recent import Recent
from tests.service.clocks import Clock


def test_values_are_remembered_for_a_while() -> None:
    clock = Clock()
    recent = Recent[str, int](10, clock=clock)
    assert recent.get("a") is None
    recent.put("a", 1)
    clock.pass_time(9)
    assert recent.get("a") == 1
    clock.pass_time(1)
    assert recent.get("a") is None


def test_the_oldest_goes_where_there_are_many() -> None:
    recent = Recent[str, int](10, most=2, clock=Clock())
    for name in ("a", "b", "a", "c"):
        recent.put(name, ord(name))
    assert [recent.get(name) for name in ("a", "b", "c")] == [97, None, 99]
