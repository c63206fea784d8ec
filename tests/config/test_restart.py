from headgate.config import restart
from headgate.config.settings import Settings


def test_sockets_processes_and_stores_stay_until_a_restart() -> None:
    """All else is taken over."""
    wanted = {
        "server": {"host": "0.0.0.0", "port": 9, "workers": 2, "tls": {"cert": "c"}, "max_body_bytes": 4096},
        "storage": {"url": "sqlite:///x"},
        "state": {"url": "redis://x"},
    }
    kept, waiting = restart.kept(Settings.model_validate(wanted), Settings())
    assert set(waiting) == {
        "server.host",
        "server.port",
        "server.workers",
        "server.tls.cert",
        "storage.url",
        "state.url",
    }
    assert kept == Settings.model_validate({"server": {"max_body_bytes": 4096}})


def test_nothing_waits_where_nothing_changed() -> None:
    settings = Settings()
    assert restart.kept(settings, Settings()) == (settings, ())
