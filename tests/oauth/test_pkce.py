from headgate.oauth.pkce import challenge_of, new_verifier


def test_the_standards_own_example() -> None:
    """RFC 7636, appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_verifiers_are_fit_and_differ() -> None:
    """43 to 128 unreserved characters (section 4.1)."""
    verifiers = {new_verifier() for _ in range(100)}
    assert len(verifiers) == 100
    assert all(43 <= len(one) <= 128 and one.replace("-", "").replace("_", "").isalnum() for one in verifiers)
