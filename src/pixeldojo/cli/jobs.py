"""`pixeldojo-server jobs`: what happened to a job."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from pixeldojo.core.clock import iso_utc
from pixeldojo.core.money import credits_text
from pixeldojo.core.settings import read_settings
from pixeldojo.office import open_office

if TYPE_CHECKING:
    from pixeldojo.jobs.job import Job
    from pixeldojo.jobs.story import Story

app = typer.Typer(help="Look into a job, whichever account's it is.", no_args_is_help=True)


@app.callback()
def _jobs() -> None:
    """Keep `show` a word of the command line although it is the only one."""


@app.command("show")
def show(
    job_id: Annotated[str, typer.Argument(help="The job's id, as callers and log lines have it.")],
    with_input: Annotated[bool, typer.Option("--with-input", help="Also print what the caller sent.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Tell the whole story of a job: holds, submits, upstream ids and costs, files, charges, webhooks; oldest first."""
    story = asyncio.run(_tell(job_id))
    typer.echo(_as_json(story, with_input) if as_json else _as_text(story, with_input))


async def _tell(job_id: str) -> "Story":
    async with open_office(read_settings()) as office:
        return await office.stories.tell(job_id)


def _as_text(story: "Story", with_input: bool) -> str:
    job = story.job
    lines = [
        f"{job.id}  {job.status}, step {job.step}",
        *(f"  {name:9} {value}" for name, value in _facts(job).items() if value),
        *([f"  input     {json.dumps(job.input, ensure_ascii=False)}"] if with_input else []),
        "",
        *(f"{iso_utc(moment.at)}  {moment.what}" for moment in story.moments),
    ]
    return "\n".join(lines)


def _facts(job: "Job") -> dict[str, str]:
    holder = "" if job.lease_owner is None or job.lease_until is None else f"{job.lease_owner} until "
    return {
        "account": job.account_id,
        "price": f"{credits_text(job.quoted)} credits quoted, "
        + ("not settled yet" if job.cost is None else f"{credits_text(job.cost)} charged"),
        "lease": holder and f"{holder}{iso_utc(job.lease_until)}" if job.lease_until else "",
        "next step": "" if job.status.is_terminal else f"due {iso_utc(job.next_step_at)}, failures {job.failures}",
        "deadline": "" if job.status.is_terminal else iso_utc(job.deadline_at),
        "expires": iso_utc(job.expires_at) if job.status.is_terminal else "",
    }


def _as_json(story: "Story", with_input: bool) -> str:
    job = story.job
    told = {
        "jobId": job.id,
        "accountId": job.account_id,
        "keyId": job.key_id,
        "model": job.model_id,
        "mode": job.mode,
        "status": str(job.status),
        "step": str(job.step),
        "failures": job.failures,
        "leaseOwner": job.lease_owner,
        "moments": [{"at": iso_utc(moment.at), "what": moment.what} for moment in story.moments],
    }
    return json.dumps({**told, "input": job.input} if with_input else told, indent=2)
