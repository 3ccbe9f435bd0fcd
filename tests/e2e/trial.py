"""A trial: jobs submitted to a cluster that something then happens to, and the same proof after each."""

from dataclasses import dataclass, field

from tests.chaos.proof import Accepted, prove
from tests.e2e.cluster import Cluster
from tests.e2e.harness import Answer, Receiver, Server, call, eventually


@dataclass
class Trial:
    """The cluster is shared by many trials, so the proof is of all that it ever accepted."""

    cluster: Cluster
    receiver: Receiver
    accepted: list[Accepted] = field(default_factory=list)
    _workers: list[Server] = field(default_factory=list)

    def ask(self, mode: str, key: str, mood: str = "") -> Answer:
        """Ask for a job once, with an idempotency key."""
        prompt = f"Kite {key}{mood}"
        api = self.cluster.apis[0]
        url = f"{api.url}/api/v1/models/{self.cluster.upstream.model_id}/run"
        body = {"prompt": prompt, "webhook_url": f"{self.receiver.url}/{key}"}
        answer = call("POST", url, key=self.cluster.keys[mode], body=body, headers={"Idempotency-Key": key})
        if answer.status == 202:
            self.accepted.append(Accepted(answer.json["jobId"], mode, prompt))
        return answer

    def submit(self, mode: str, mood: str = "") -> str:
        """Have a job accepted; return its id."""
        key = f"{mode}-{len(self.accepted)}"
        eventually(lambda: self.ask(mode, key, mood).status == 202, seconds=30, what="a job is accepted")
        return self.accepted[-1].job_id

    def submit_some(self, count: int, mood: str = "") -> list[str]:
        """Have so many jobs of each mode accepted; the mood is of those that the sandbox does."""
        return [self.submit(mode, mood if mode == "test" else "") for _ in range(count) for mode in ("test", "live")]

    def worker(self, number: int = 1) -> Server:
        """Return a worker that works, and goes on with the next trial: the first, or one of several."""
        while len(self._workers) < number:
            self._workers.append(self.cluster.add_worker())
        return self._workers[number - 1]

    def end_workers(self) -> None:
        """Leave what is submitted next to workers that are started later."""
        for worker in self._workers:
            worker.kill()
        self._workers.clear()

    def job(self, job_id: str) -> dict[str, object]:
        """Return how a job stands and what it was charged."""
        columns = ("status", "step", "error_code", "cost", "fence", "attempt_id", "completed_at")
        [row] = self.cluster.rows(f"SELECT {', '.join(columns)} FROM jobs WHERE id = '{job_id}'")
        return dict(zip(columns, row, strict=True))

    def until_ended(self, job_id: str) -> dict[str, object]:
        """Return a job once it has ended."""
        what = f"{job_id} ends{self.cluster.complaints()}"
        eventually(lambda: self.job(job_id)["step"] == "ended", seconds=60, what=what)
        return self.job(job_id)

    def until_said(self, worker: Server, words: str) -> None:
        """Return when a worker has logged something."""
        eventually(lambda: words in worker.log, seconds=60, what=f"{words!r} is logged:\n{worker.log[-3000:]}")

    def finish(self) -> None:
        """Wait for the work to be done, and prove what must hold."""
        self.cluster.until_all_ended(seconds=90)
        wrong = [claim for claim in prove(self.cluster, self.receiver, self.accepted) if claim.wrong]
        assert not wrong, "\n".join(map(str, wrong)) + self.cluster.complaints()
