"""Everything that works in the background of a node, put together. Loaded when a node begins to work."""

from collections.abc import Mapping
from contextlib import AsyncExitStack

from pixeldojo.bootstrap.parts import Parts
from pixeldojo.core.data_dir import make_scratch_dir
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.engine import Hint
from pixeldojo.jobs.claims import JobClaims
from pixeldojo.jobs.states import Step
from pixeldojo.media.pool import MediaPool
from pixeldojo.metrics.meters import OPEN_CIRCUITS, Meters
from pixeldojo.net.fetch import Fetcher
from pixeldojo.net.sessions import Errand
from pixeldojo.providers.contract import Provider
from pixeldojo.providers.sandbox import SandboxProvider
from pixeldojo.worker.check import CheckStep
from pixeldojo.worker.circuits import Circuits
from pixeldojo.worker.collect import CollectStep
from pixeldojo.worker.deliver import Deliverer
from pixeldojo.worker.gate import Gate
from pixeldojo.worker.handover import MediaHandover
from pixeldojo.worker.inputs import InputCollector
from pixeldojo.worker.loop import StepFunction, Worker
from pixeldojo.worker.media_files import MediaFiles
from pixeldojo.worker.metered import metered_step
from pixeldojo.worker.patience import Patience
from pixeldojo.worker.proof import LedgerProof
from pixeldojo.worker.route import Router
from pixeldojo.worker.sandbox_upstream import SandboxLedger, SandboxStudio
from pixeldojo.worker.submit import SubmitStep
from pixeldojo.worker.sweep import Sweep
from pixeldojo.worker.team import WorkerTeam


async def start_crew(parts: Parts, stack: AsyncExitStack, *, owns_data: bool) -> None:
    """Begin to work; `stack` ends it. With `owns_data`, leases found are of the dead."""
    team = await _build_team(parts, stack)
    if owns_data:
        await team.take_over_everything()
    team.take_hints()
    await parts.engine.start()
    team.start()
    stack.push_async_callback(team.stop, parts.settings.shutdown_seconds)
    proof = LedgerProof(parts.office, parts.meters, parts.clock, parts.log)
    proof.start()
    stack.push_async_callback(proof.stop)


async def _build_team(parts: Parts, stack: AsyncExitStack) -> WorkerTeam:
    settings, clock, log = parts.settings, parts.clock, parts.log
    owner = new_id(IdKind.WORKER, clock.now())
    pool = MediaPool(max_workers=settings.media_workers, memory_bytes=settings.media_memory_bytes)
    stack.push_async_callback(pool.close)
    claims = JobClaims(parts.office.database, parts.ending, parts.places, clock)
    worker = Worker(
        claims=claims,
        steps=_build_steps(parts, claims, pool),
        engine=parts.engine,
        clock=clock,
        log=log,
        owner=owner,
        lease_seconds=settings.lease_seconds,
        max_jobs=settings.max_jobs_in_flight,
    )
    deliverer = Deliverer(
        webhooks=parts.webhooks,
        accounts=parts.office.accounts,
        http=parts.way_out.http,
        clock=clock,
        log=log,
        meters=parts.meters,
        owner=owner,
    )
    sweep = Sweep(
        claims=claims,
        ending=parts.ending,
        places=parts.places,
        files=parts.files,
        webhooks=parts.webhooks,
        engine=parts.engine,
        clock=clock,
        log=log,
        every_seconds=settings.sweep_seconds,
    )
    _watch(parts.meters, worker, pool)
    return WorkerTeam(
        worker=worker,
        deliverer=deliverer,
        sweep=sweep,
        engine=parts.engine,
        claims=claims,
        webhooks=parts.webhooks,
        pool=pool,
    )


def _watch(meters: Meters, worker: Worker, pool: MediaPool) -> None:
    meters.watch("pixeldojo_jobs_in_hand", "Jobs that this process carries.", lambda: worker.job_count)
    meters.watch("pixeldojo_media_processes_busy", "Media processes at work.", lambda: pool.busy_count)
    meters.watch("pixeldojo_media_tasks_waiting", "Media tasks that wait for a process.", lambda: pool.waiting_count)


def _build_steps(parts: Parts, claims: JobClaims, pool: MediaPool) -> Mapping[Step, StepFunction]:
    clock, log = parts.clock, parts.log
    given, made = (_media_files(parts, pool, errand) for errand in (Errand.INPUT, Errand.OUTPUT))
    sandbox = _build_sandbox(parts, pool)
    providers = {sandbox.name: sandbox, **parts.upstreams}
    clients = {sandbox.name: parts.way_out.http, **parts.way_out.clients}
    collect = CollectStep(catalog=parts.catalog, claims=claims, files=made, clock=clock, log=log)
    patience, circuits = Patience(parts.catalog), Circuits(clock, log)
    parts.meters.watch_each(OPEN_CIRCUITS, "provider", circuits.open_counts)
    submit = SubmitStep(
        catalog=parts.catalog,
        claims=claims,
        inputs=InputCollector(claims=claims, assets=parts.assets, uploads=parts.files, files=given),
        handover=MediaHandover(parts.blobs),
        router=Router(providers),
        gate=Gate(circuits, parts.places, clock, log),
        collect=collect,
        patience=patience,
        clients=clients,
        clock=clock,
        log=log,
        meters=parts.meters,
        callback_base=parts.settings.callback_base,
    )
    check = CheckStep(
        claims=claims,
        providers=providers,
        collect=collect,
        patience=patience,
        clients=clients,
        clock=clock,
        log=log,
        meters=parts.meters,
    )
    steps = {
        Step.SUBMIT: submit.run,
        Step.SUBMITTING: submit.run,
        Step.CHECK: check.run,
        Step.COLLECT: collect.run,
    }
    return {step: metered_step(step, run, parts.meters, clock) for step, run in steps.items()}


def _media_files(parts: Parts, pool: MediaPool, errand: Errand) -> MediaFiles:
    return MediaFiles(
        fetcher=Fetcher(parts.way_out.http, errand),
        pool=pool,
        blobs=parts.blobs,
        scratch=make_scratch_dir(parts.settings),
        max_bytes=parts.settings.max_media_bytes,
    )


def _build_sandbox(parts: Parts, pool: MediaPool) -> Provider:
    async def announce(job_id: str) -> None:
        await parts.engine.announce(Hint.JOB, job_id)

    studio = SandboxStudio(pool=pool, blobs=parts.blobs, scratch=make_scratch_dir(parts.settings))
    return SandboxProvider(
        draw=studio.draw,
        open_input=studio.open_input,
        ledger=SandboxLedger(parts.blobs),
        clock=parts.clock,
        announce=announce,
    )
