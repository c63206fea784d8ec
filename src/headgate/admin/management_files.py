"""The auth folder (`sources.auth_dir`) in the forms of another gateway: `/v0/management/auth-files`."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field, StrictBool, StrictStr
from starlette.responses import JSONResponse, Response

from headgate.admin.accounts import views
from headgate.admin.management_bodies import files_of_form, names_of_body
from headgate.admin.management_forms import PREFIX, AnyContentType
from headgate.admin.owner import ItsOwner, Owner
from headgate.admin.views import AccountView
from headgate.errors import Conflict, HeadgateError, InvalidRequest, NotOffered
from headgate.sources import auth_folder
from headgate.sources.auth_folder import AuthFile
from headgate.sources.names import near_name
from headgate.sources.survey import AUTHS

router = APIRouter(prefix=PREFIX + "/auth-files", tags=["management"])
json_router = APIRouter(prefix=PREFIX + "/auth-files", tags=["management"], route_class=AnyContentType)

_MOST_FILES = 1000
"""In one request."""
_STATUSES = {"paused": "disabled", "disabled": "error", "expired": "error", "needs_reauth": "error"}
"""By ours; the others are `active`."""
_OURS = "claude"
_ALL = ("true", "1", "*")
_UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One file as it stands, with `name`; or several as the files of a form.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["type"],
                    "properties": {"type": {"type": "string", "description": "`claude` serves here."}},
                }
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "contentMediaType": "application/octet-stream"}
                    },
                }
            },
        },
    }
}
_NAMES: dict[str, Any] = {"type": "array", "items": {"type": "string"}, "maxItems": _MOST_FILES}
_NAMED: dict[str, Any] = {
    "requestBody": {
        "description": "Where no `name` says it.",
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        {"type": "object", "properties": {"name": {"type": "string"}, "names": _NAMES}},
                        _NAMES,
                    ]
                }
            }
        },
    }
}

Name = Annotated[str | None, Query(max_length=1024, description="Of a file in the folder.")]
Names = Annotated[list[str] | None, Query(max_length=_MOST_FILES, description="Of files in the folder.")]
All = Annotated[str | None, Query(alias="all", max_length=8, description="`true`, `1` or `*`: every file.")]


class AuthFileView(BaseModel):
    """No field has a token."""

    id: str
    name: str
    type: str
    provider: str
    label: str
    status: Literal["active", "disabled", "error", "unknown"]
    status_message: str = Field(description="Why it does not serve; empty: it does.")
    disabled: bool
    unavailable: bool
    runtime_only: bool = False
    source: Literal["file"] = "file"
    size: int
    modtime: str
    email: str
    account: str = Field(description="The account that the file is; empty: it is none.")
    success: int
    failed: int


class AuthFiles(BaseModel):
    files: list[AuthFileView]


class FailedFile(BaseModel):
    name: str
    error: str


class FilesDone(BaseModel):
    """One file is answered by `status` alone, several by counts and names; 207 where some failed."""

    status: Literal["ok", "partial"] = "ok"
    uploaded: int | None = None
    deleted: int | None = None
    files: list[str] | None = None
    failed: list[FailedFile] | None = None
    warnings: list[str] | None = None


_PARTLY: dict[int | str, dict[str, Any]] = {207: {"model": FilesDone}}


class SwitchedFile(BaseModel):
    name: Annotated[StrictStr, Field(max_length=1024)]
    disabled: StrictBool


class Switched(BaseModel):
    status: Literal["ok"] = "ok"
    disabled: bool


@router.get("", operation_id="management_auth_files")
async def list_files(owner: ItsOwner, name: Name = None) -> AuthFiles:
    """What is in the folder, sorted by name."""
    found = await asyncio.to_thread(auth_folder.files_in, _folder(owner))
    accounts = {account.origin: account for account in views(owner)}
    listed = [_view(one, accounts.get(AUTHS + one.name)) for one in found if name in (None, one.name)]
    return AuthFiles(files=listed)


@router.get("/download", operation_id="download_management_auth_file")
async def download_file() -> None:
    """Not offered: a file holds tokens, and nothing secret leaves."""
    raise NotOffered(
        "The files of the auth folder hold tokens and are not given out",
        hint="`headgate account export --output FILE` writes all accounts into a sealed file.",
    )


@router.post(
    "",
    operation_id="upload_management_auth_files",
    response_model=FilesDone,
    responses=_PARTLY,
    openapi_extra=_UPLOAD,
)
async def upload_files(owner: ItsOwner, request: Request, name: Name = None) -> Response:
    """One file as the body with `?name=`, or several as a form. Each is looked at before it is written."""
    folder, body = _folder(owner), await request.body()
    files = files_of_form(request.headers.get("content-type", ""), body, most=_MOST_FILES)
    contents = dict(files if files is not None else [(name or "", body)])
    others: list[str] = []

    def put(file: str) -> None:
        if (provider := auth_folder.put(folder, file, contents[file])) != _OURS:
            others.append(f"{file}: sign-ins of the type {provider!r} do not serve here")

    done, failed = await _each(owner, "auth_file.put", list(contents), put)
    return _answer(done, failed, "uploaded", warnings=[*others, *_left_out(owner, done)])


@router.delete(
    "",
    operation_id="delete_management_auth_files",
    response_model=FilesDone,
    responses=_PARTLY,
    openapi_extra=_NAMED,
)
async def delete_files(owner: ItsOwner, request: Request, name: Names = None, every: All = None) -> Response:
    """By `?name=`, more than once if need be, by a body with names, or all of them."""
    folder = _folder(owner)
    if every is not None and every not in _ALL:
        raise InvalidRequest("all is true, 1 or *", hint="Or name the files with ?name=.")
    if every is not None:
        names = [one.name for one in await asyncio.to_thread(auth_folder.files_in, folder)]
    else:
        names = list(dict.fromkeys(name or names_of_body(await request.body(), most=_MOST_FILES)))
    if not names and every is None:
        raise InvalidRequest("No file is named", hint="Send ?name=NAME, or ?all=true.")
    done, failed = await _each(owner, "auth_file.remove", names, lambda one: auth_folder.remove(folder, one))
    return _answer(done, failed, "deleted", is_counted=every is not None)


@json_router.patch("/status", operation_id="switch_management_auth_file")
async def switch_file(owner: ItsOwner, wanted: SwitchedFile) -> Switched:
    """`disabled` in the file: its account pauses, or resumes."""
    folder = _folder(owner)

    def switch(name: str) -> None:
        auth_folder.set_disabled(folder, name, is_disabled=wanted.disabled)

    action = "auth_file.disable" if wanted.disabled else "auth_file.enable"
    _, failed = await _each(owner, action, [wanted.name], switch)
    for error in failed.values():
        raise error
    return Switched(disabled=wanted.disabled)


def _folder(owner: Owner) -> Path:
    folder = owner.settings.sources.auth_path
    if folder is None or owner.sources is None:
        raise Conflict(
            "There is no auth folder: the setting sources.auth_dir names none, or no gateway runs",
            hint="`headgate config set sources.auth_dir PATH`; `headgate account add` needs no files.",
        )
    return folder


def _view(file: AuthFile, account: AccountView | None) -> AuthFileView:
    status = "error" if file.wrong else "unknown"
    if account is not None:
        status = _STATUSES.get(account.status, "active")
    why = (account.skipped_because or "") if account is not None else ""
    return AuthFileView.model_validate(
        {
            "id": file.name,
            "name": file.name,
            "type": file.type,
            "provider": file.type,
            "label": file.email or file.type,
            "status": status,
            "status_message": file.wrong or why,
            "disabled": file.is_disabled or (account is not None and account.paused),
            "unavailable": bool(why),
            "size": file.size,
            "modtime": datetime.fromtimestamp(file.modified_at, UTC).isoformat(),
            "email": file.email,
            "account": account.name if account is not None else "",
            "success": account.request_count - account.error_count if account is not None else 0,
            "failed": account.error_count if account is not None else 0,
        }
    )


async def _each(
    owner: Owner, action: str, names: Sequence[str], change: Callable[[str], None]
) -> tuple[list[str], dict[str, HeadgateError]]:
    """Each file by itself; then the accounts are what the folder has become."""
    done: list[str] = []
    failed: dict[str, HeadgateError] = {}

    def change_all() -> None:
        for name in names:
            try:
                change(name)
            except HeadgateError as error:
                failed[name] = error
            else:
                done.append(name)

    async with owner.editing:
        await asyncio.to_thread(change_all)
    for name in done:
        await owner.note(owner.change(action, name))
    if done and owner.sources is not None:
        await owner.sources.look(insists=True)
    return done, failed


def _left_out(owner: Owner, names: Sequence[str]) -> list[str]:
    """Why a file that was put in is no account: what it holds may be another's already."""
    known = {living.account.origin for living in owner.pool.living.values()}
    missing = [near_name(Path(name).stem) for name in names if AUTHS + name not in known]
    problems = owner.sources.problems if owner.sources is not None else []
    return [one.reason for one in problems if any(name in one.reason for name in missing)]


def _answer(
    done: Sequence[str],
    failed: dict[str, HeadgateError],
    what: str,
    *,
    is_counted: bool = False,
    warnings: Sequence[str] = (),
) -> Response:
    if len(failed) == 1 and not done:
        raise next(iter(failed.values()))
    answer: dict[str, Any] = {"status": "partial" if failed else "ok"}
    if is_counted or len(done) + len(failed) > 1:
        answer |= {what: len(done), "files": list(done)}
    if failed:
        answer["failed"] = [{"name": name, "error": error.message} for name, error in failed.items()]
    if warnings:
        answer["warnings"] = list(warnings)
    return JSONResponse(answer, status_code=207 if failed else 200)
