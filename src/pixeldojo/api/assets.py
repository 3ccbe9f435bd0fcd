"""GET and HEAD /assets/{fileName}: the files that jobs gave, until they expire."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from pixeldojo.api.auth import count_public, services_of
from pixeldojo.api.responses import FILE_ANSWERS
from pixeldojo.api.stored_files import send_file

PREFIX = "/assets/"

router = APIRouter(tags=["assets"], dependencies=[Depends(count_public)])


@router.get(PREFIX + "{fileName}", summary="Fetch an asset", operation_id="getAsset", responses=FILE_ANSWERS)
@router.head(PREFIX + "{fileName}", summary="Look at an asset", operation_id="headAsset", responses=FILE_ANSWERS)
async def get_asset(
    request: Request, file_name: Annotated[str, Path(alias="fileName", description="As in the asset's `url`.")]
) -> Response:
    """Return an output file; whoever knows its address may fetch it until it expires."""
    return await send_file(request, await services_of(request).assets.open_asset(file_name))
