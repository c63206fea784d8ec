from headgate.pool.objects import Objects


def test_an_object_stays_with_its_account() -> None:
    objects = Objects()
    assert objects.remember("file_1", 7)
    assert objects.account_of("file_1") == 7
    assert objects.account_of("file_2") is None


def test_only_news_is_put_on_record() -> None:
    objects = Objects()
    assert [objects.remember("file_1", n) for n in (7, 7, 8)] == [True, False, True]


def test_when_full_the_least_recently_used_goes_and_the_database_must_be_asked() -> None:
    objects = Objects(capacity=2)
    objects.remember("a", 1)
    objects.remember("b", 1)
    objects.account_of("a")
    assert objects.is_complete
    objects.remember("c", 1)
    assert [objects.account_of(key) for key in "abc"] == [1, None, 1]
    assert not objects.is_complete


def test_without_objects_no_body_needs_a_search() -> None:
    objects = Objects()
    assert not objects.is_used
    objects.load([], is_complete=False)
    assert objects.is_used


def test_what_the_database_knows_is_no_news() -> None:
    objects = Objects()
    objects.load([("a", 1), ("b", 2)], is_complete=True)
    assert len(objects) == 2
    assert not objects.remember("b", 2)
