"""The gateway that the demo starts."""

from pathlib import Path

from headgate.cli.child import child_environment


def test_nothing_of_the_users_settings_reaches_the_child(tmp_path: Path) -> None:
    """Neither Headgate's own names nor the guides' ones; the rest of the environment stays."""
    ours = {
        "PATH": "/bin",
        "LANG": "C.UTF-8",
        "HEADGATE_CONFIG": "/etc/headgate.yaml",
        "HEADGATE_SERVER__PORT": "1",
        "headgate_data_dir": "/var/lib/headgate",
        "DATABASE_URL": "postgresql://production",
        "PORT": "1",
        "ccflare_DB_PATH": "/var/lib/ccflare.db",
    }
    child = child_environment(ours, tmp_path)
    assert child == {"PATH": "/bin", "LANG": "C.UTF-8", "HEADGATE_DATA_DIR": str(tmp_path / "data")}
