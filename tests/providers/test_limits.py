from headgate.providers.limits import Window


def test_a_window_is_void_from_its_reset_on_and_keeps_its_size() -> None:
    window = Window("requests", 0.0, utilization=1.0, remaining=0, limit=50, resets_at=60.0, status="x")
    assert window.at(59.9) is window
    assert window.at(60.0) == Window("requests", 0.0, limit=50)


def test_a_window_without_a_reset_holds() -> None:
    window = Window("5h", 0.0, utilization=0.5)
    assert window.at(1e12) is window
