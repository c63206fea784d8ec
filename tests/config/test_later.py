from pathlib import Path

from headgate.config import table
from headgate.config.loading import load_settings

CONTRACT = """\
server:   {host: 127.0.0.1, port: 8080, workers: 1, max_body_bytes: 33554432, max_upload_bytes: 536870912,
           max_buffered_bytes: 536870912, shutdown_grace_seconds: 60,
           cors_origins: [], trusted_proxies: [], tls: {cert: null, key: null}, request_timeout_ms: 660000}
upstream: {connect_timeout_ms: 10000, first_byte_timeout_ms: 600000, idle_timeout_ms: 300000,
           total_timeout_ms: 0, proxy: null, keepalive_seconds: 60}
retry:    {attempts: 3, delay_ms: 1000, backoff: 2.0}
routing:  {strategy: session, session_duration_ms: 3600000, rotation: true, sse_keepalive_seconds: 0,
           expose_account: false, expose_timing: false}
access:   {client_auth: auto, own_credentials: fallback, api_keys: [],
           queue: {max_waiting: 0, timeout_ms: 10000}}
admin:    {key: null}
models:   {aliases: [], excluded: [], fallbacks: {}, force_prefix: false}
accounts:
  - {name: work, provider: anthropic, api_key: "${KEY}", priority: 0, weight: 1, base_url: "http://127.0.0.1:1",
     proxy: "http://proxy:3128", domain: team}
  - {name: team, provider: anthropic, oauth: {access_token: a, refresh_token: b, expires_at: 1800000000}}
providers:
  anthropic:
    base_url: https://api.anthropic.com
    oauth: {client_id: null, authorize_url: "https://a.example/x", token_url: "https://a.example/t",
            redirect_uri: "http://127.0.0.1/cb", scopes: [one]}
sources:  {accounts_file: null, credentials_dir: null, hot_reload: true}
storage:  {url: null, retention_days: 90,
           bodies: {keep: false, max_bytes: 1048576, max_total_mb: 2048, retention_days: 7}}
state:    {url: null}
pricing:  {refresh_hours: 24, url: "https://prices.example/p.json"}
log:      {level: info, format: pretty, file: default, max_bytes: 10485760, backups: 5}
telemetry: {otlp_endpoint: null, prometheus: true}
"""


def test_the_whole_file_loads_and_says_what_it_takes_no_notice_of(tmp_path: Path) -> None:
    """Defaults written out are no news; each other value that nothing obeys is one, with its place."""
    path = tmp_path / "config.yaml"
    path.write_text(CONTRACT)
    path.chmod(0o600)
    loaded = load_settings({}, {"KEY": "k"}, path)
    warned = {warning.split(" ", 1)[0] for warning in loaded.warnings}
    assert warned == {"The"}
    assert all("line " in warning for warning in loaded.warnings)
    assert "The account team cannot renew its token" in loaded.warnings[-1]


def test_a_variable_for_a_later_setting_is_warned_about(tmp_path: Path) -> None:
    """Wherever it comes from, nobody shall believe in it."""
    loaded = load_settings({}, {"HEADGATE_SERVER__WORKERS": "4"}, tmp_path / "none.yaml")
    (warning,) = loaded.warnings
    assert warning.startswith("server.workers is not in effect yet")
    assert "HEADGATE_SERVER__WORKERS" in warning


def test_what_is_later_is_marked_in_its_row() -> None:
    """Pages and warnings read the mark there."""
    later = {row.path for row in table.rows() if row.is_later}
    assert {"server.workers", "state.url", "models.excluded"} <= later
    assert not {"server.port", "storage.url", "routing.strategy"} & later
