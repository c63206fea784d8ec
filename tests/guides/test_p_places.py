"""Guide row P5: installed with pip, the command works."""

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 300


def _run(*command: str | Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "PYTHONNOUSERSITE": "1"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_p5_pip_install_gives_a_working_command(tmp_path: Path) -> None:
    """A wheel in a fresh environment: `headgate version`, `serve --help`, no module missing."""
    pip = (sys.executable, "-m", "pip")
    _run(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("headgate-*.whl")
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    _run(*pip, "--python", python, "install", "--quiet", "--no-compile", "--constraint", constraints, wheel)
    headgate = home / "bin" / "headgate"
    assert _run(headgate, "version").strip() == f"headgate {wheel.name.split('-')[1]}"
    for command in ("serve", "demo", "account", "requests", "strategy", "status"):
        assert "Usage: headgate" in _run(headgate, command, "--help")
    modules = [path.stem for path in (ROOT / "src" / "headgate").glob("*.py")]
    rooms = [path.parent.name for path in (ROOT / "src" / "headgate").glob("*/__init__.py")]
    names = [f"headgate.{name}" for name in (*modules, *rooms) if name != "__init__"]
    _run(python, "-c", f"import {', '.join(names)}, headgate.testing.provider.__main__")
