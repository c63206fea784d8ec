import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.providers.anthropic_errors import read_error
from headgate.providers.provider import Complaint

NOW = 1_770_000_000.0


def body(error_type: str, message: str = "…") -> bytes:
    error = {"type": error_type, "message": message, "details": {"new": True}}
    return json.dumps({"type": "error", "error": error, "request_id": "req_1"}).encode()


@pytest.mark.parametrize(
    ("status", "error_type", "complaint"),
    [
        (400, "invalid_request_error", Complaint.INVALID),
        (401, "authentication_error", Complaint.REFUSED),
        (402, "billing_error", Complaint.BILLING),
        (403, "permission_error", Complaint.FORBIDDEN),
        (404, "not_found_error", Complaint.NOT_FOUND),
        (409, "conflict_error", Complaint.INVALID),
        (413, "request_too_large", Complaint.TOO_LARGE),
        (422, "something_new", Complaint.INVALID),
        (429, "rate_limit_error", Complaint.LIMITED),
        (500, "api_error", Complaint.SERVER_ERROR),
        (503, "invalid_request_error", Complaint.SERVER_ERROR),
        (504, "timeout_error", Complaint.TIMED_OUT),
        (529, "overloaded_error", Complaint.OVERLOADED),
    ],
)
def test_every_documented_error_has_its_meaning(status: int, error_type: str, complaint: Complaint) -> None:
    error = read_error(status, body(error_type), NOW)
    assert (error.complaint, error.type, error.message) == (complaint, error_type, "…")


@pytest.mark.parametrize(
    ("error_type", "complaint"),
    [
        ("overloaded_error", Complaint.OVERLOADED),
        ("rate_limit_error", Complaint.LIMITED),
        ("api_error", Complaint.SERVER_ERROR),
        ("authentication_error", Complaint.REFUSED),
        ("something_new", Complaint.SERVER_ERROR),
    ],
)
def test_within_a_stream_the_type_alone_tells(error_type: str, complaint: Complaint) -> None:
    """The head of the answer said 200."""
    assert read_error(200, body(error_type), NOW).complaint is complaint


def test_a_status_that_says_what_it_means_wins_over_a_catch_all_type() -> None:
    assert read_error(401, body("invalid_request_error"), NOW).complaint is Complaint.REFUSED
    assert read_error(529, body("api_error"), NOW).complaint is Complaint.OVERLOADED


def test_a_missing_model_is_told_from_a_missing_object() -> None:
    assert (
        read_error(404, body("not_found_error", "model: claude-9"), NOW).complaint
        is Complaint.MODEL_NOT_FOUND
    )
    assert (
        read_error(404, body("not_found_error", "File not found: file_1"), NOW).complaint
        is Complaint.NOT_FOUND
    )


def test_an_empty_purse_is_told_from_other_bad_requests() -> None:
    message = "Your credit balance is too low to access the Anthropic API."
    assert read_error(400, body("invalid_request_error", message), NOW).complaint is Complaint.BILLING


def test_a_spend_limit_says_when_access_returns() -> None:
    message = (
        "You have reached your specified API usage limits. You will regain access on 2026-04-01 at 00:00 UTC."
    )
    error = read_error(400, body("invalid_request_error", message), NOW)
    assert (error.complaint, error.until) == (Complaint.BILLING, 1_775_001_600.0)
    assert read_error(400, body("invalid_request_error", message), NOW + 1e9).until is None
    impossible = message.replace("2026-04-01", "2026-99-99")
    assert read_error(400, body("invalid_request_error", impossible), NOW).until is None


def test_a_disabled_organisation_is_the_accounts_trouble() -> None:
    error = read_error(400, body("invalid_request_error", "This organization has been disabled."), NOW)
    assert error.complaint is Complaint.FORBIDDEN


def test_a_browsers_origin_is_the_callers_trouble() -> None:
    message = "CORS requests are not allowed for this Organization because of its settings."
    assert read_error(401, body("authentication_error", message), NOW).complaint is Complaint.INVALID


def test_a_limit_of_one_kind_of_request_is_no_limit_of_the_account() -> None:
    message = "Extra usage is required for long context requests."
    assert read_error(429, body("rate_limit_error", message), NOW).complaint is Complaint.REQUEST_LIMITED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>busy</html>",
        b"[]",
        b'{"error":"text"}',
        b'{"error":{"type":5}}',
        b'{"error":{"message":"\xff"}}',
        b'{"error":{"type":"\\ud800"}}',
        b"[" * 100_000,
    ],
)
def test_a_body_of_another_shape_leaves_the_status_to_speak(data: bytes) -> None:
    """A proxy in between answers in HTML."""
    assert read_error(429, data, NOW).complaint is Complaint.LIMITED
    assert read_error(502, data, NOW).complaint is Complaint.SERVER_ERROR
    assert read_error(400, data, NOW).type is None


@given(st.sampled_from([200, 301, 400, 418, 500, 599]), st.binary(max_size=60))
def test_nothing_raises(status: int, data: bytes) -> None:
    assert isinstance(read_error(status, data, NOW).complaint, Complaint)


def test_a_long_message_is_cut_for_the_log() -> None:
    assert len(read_error(400, body("invalid_request_error", "x" * 10_000), NOW).message) == 500
