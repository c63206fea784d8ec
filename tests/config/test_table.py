from headgate.config import table


def test_every_setting_says_what_it_means_and_in_which_unit() -> None:
    """Pages, hints and the first start's file are made of these words."""
    assert [row.path for row in table.rows() if not (row.description.endswith(".") and row.unit)] == []


def test_paths_are_unique() -> None:
    """A path is how commands, messages and variables name a setting."""
    paths = [row.path for row in table.rows()]
    assert len(paths) == len(set(paths))


def test_rows_reach_into_lists_and_maps() -> None:
    """A list is set as a whole by the environment; a map's names are the owner's."""
    by_path = {row.path: row for row in table.rows()}
    assert by_path["accounts"].variable == "HEADGATE_ACCOUNTS"
    assert by_path["accounts.[].api_key"].variable is None
    assert by_path["providers.*.base_url"].variable == "HEADGATE_PROVIDERS__*__BASE_URL"
    assert "providers" not in by_path


def test_secrets_are_known_as_such() -> None:
    """Whoever shows settings masks these."""
    secret = {row.path for row in table.rows() if row.is_secret}
    tokens = {"accounts.[].oauth.access_token", "accounts.[].oauth.refresh_token"}
    urls = {"storage.url", "state.url", "upstream.proxy", "accounts.[].proxy"}
    usual = {"upstream.http_proxy", "upstream.https_proxy", "upstream.all_proxy"}
    assert secret == {"access.api_keys", "admin.key", "accounts.[].api_key", *tokens, *urls, *usual}


def test_choices_are_listed_in_place_of_a_unit() -> None:
    """The page names every valid word."""
    by_path = {row.path: row for row in table.rows()}
    assert by_path["access.own_credentials"].unit == "never, fallback, allow"


def test_the_nearest_name_is_one_that_could_be_meant() -> None:
    """A far-off guess would mislead."""
    assert table.nearest("strategie", ["strategy", "rotation"]) == "strategy"
    assert table.nearest("zzz", ["strategy", "rotation"]) is None
