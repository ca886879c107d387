"""The reference data over HTTP: for everybody, and kept by caches for a day."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Annotated, Any, Final, Generic, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, TypeAdapter

from shared import reference
from shared.kernel.web.parameters import refuse_unusable

from . import queries
from .queries import BranchOut, Coded, CommuneOut, LanguageOut, ProvinceOut, RegionOut

T = TypeVar("T")
CACHE_SECONDS: Final = 86_400

router = APIRouter(
    prefix="/reference",
    tags=["reference"],
    dependencies=[Depends(refuse_unusable)],
    responses={304: {"description": "The same as when the ETag was given."}},
)


class SourceOut(BaseModel):
    """Where part of the data comes from, and on what terms."""

    what: str
    origin: str
    licence: str


class ReferenceList(BaseModel, Generic[T]):
    """A whole list. `sources` say where it comes from; name them where you show it."""

    items: list[T]
    sources: list[SourceOut]


Within = Annotated[str | None, Query(max_length=40)]


@router.get("/regions", response_model=ReferenceList[RegionOut])
async def list_regions(request: Request) -> Response:
    """The 12 regions."""
    return _answer(request, queries.regions)


@router.get("/provinces", response_model=ReferenceList[ProvinceOut])
async def list_provinces(request: Request, region: Within = None) -> Response:
    """The 75 provinces and prefectures, or those of a region."""
    return _answer(request, queries.provinces, region)


@router.get("/communes", response_model=ReferenceList[CommuneOut])
async def list_communes(request: Request, province: Within = None) -> Response:
    """The 1,503 communes of the census of 2024, or those of a province."""
    return _answer(request, queries.communes, province)


@router.get("/sectors", response_model=ReferenceList[Coded])
async def list_sectors(request: Request) -> Response:
    """The sectors of activity."""
    return _answer(request, _sectors)


@router.get("/branches", response_model=ReferenceList[BranchOut])
async def list_branches(request: Request, sector: Within = None) -> Response:
    """The branches of activity, or those of a sector."""
    return _answer(request, queries.branches, sector)


@router.get("/sdgs", response_model=ReferenceList[Coded])
async def list_sdgs(request: Request) -> Response:
    """The Sustainable Development Goals."""
    return _answer(request, _sdgs)


@router.get("/languages", response_model=ReferenceList[LanguageOut])
async def list_languages(request: Request) -> Response:
    """The languages of Morocco."""
    return _answer(request, queries.languages)


def _sectors() -> list[Coded]:
    return queries.named(reference.sectors())


def _sdgs() -> list[Coded]:
    return queries.named(reference.sdgs())


def _answer(request: Request, listed: Callable[..., Sequence[Any]], *within: Any) -> Response:
    """The list, or 304 where the caller has it already."""
    body, etag = _written(listed, *within)
    headers = {"ETag": etag, "Cache-Control": f"public, max-age={CACHE_SECONDS}"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


@lru_cache(maxsize=256)
def _written(listed: Callable[..., Sequence[Any]], *within: Any) -> tuple[bytes, str]:
    """The list as JSON, and a tag that changes with it."""
    found = {"items": listed(*within), "sources": reference.sources()}
    body = TypeAdapter(dict[str, Any]).dump_json(found)
    return body, f'"{hashlib.sha256(body).hexdigest()[:24]}"'
